"""The database as control plane."""

from __future__ import annotations

from collections.abc import Callable, Generator
from types import TracebackType
from typing import Any, Self, TypeVar

from sqlalchemy import URL, Executable, Row

from controlroom.database.backends import backend_for
from controlroom.database.options import Profile, checked_isolation
from controlroom.database.retried import Attempts
from controlroom.database.schema import create_tables
from controlroom.database.sources import Source
from controlroom.database.streaming import Stream
from controlroom.database.tables import TableInfo, described, table_names
from controlroom.database.unit_of_work import UnitOfWork
from controlroom.retrying import RetryPolicy

__all__ = ["Database"]

T = TypeVar("T")


class Database:
    """A database and its connections. Open one for each database and process, and share it between threads.

    Args:
        url: ``sqlite:///relative/file.db``, ``sqlite:////absolute/file.db``, or ``sqlite://`` for one in memory, whose
            units run one at a time. The file is made where it is missing, its folder is not.
        statement_timeout_s: No statement runs longer, seconds; less where the ambient deadline is nearer.
        lock_timeout_s: How long to wait for a lock, seconds; less where the ambient deadline is nearer.
        application_name: Who this is, for servers that list their clients; SQLite has no such list.
        profile: "server" and "pooler" keep connections open; "serverless" opens one for each unit.
        pool_size: Connections at most; a unit or stream beyond that waits.
        pool_timeout_s: How long it waits, seconds.

    Raises:
        ConfigError: The URL or an option is wrong. Nothing was opened.

    Guarantees:
        SQLite: WAL; write units begin with BEGIN IMMEDIATE, so that no update is lost; foreign keys are enforced;
        ``synchronous=FULL``, so that what was acknowledged survives a power cut. The file is opened by the first unit,
        not by the constructor. Safe after ``os.fork()``: a child opens connections of its own.
        Not promised: WAL on network file systems (sqlite.org/wal.html); the log says ``wal_refused`` where it is not on.
    """

    def __init__(
        self,
        url: str | URL,
        *,
        statement_timeout_s: float = 30,
        lock_timeout_s: float = 5,
        application_name: str | None = None,
        profile: Profile = "server",
        pool_size: int = 10,
        pool_timeout_s: float = 30,
    ) -> None:
        backend = backend_for(
            url,
            statement_timeout_s=statement_timeout_s,
            lock_timeout_s=lock_timeout_s,
            application_name=application_name,
            profile=profile,
            pool_size=pool_size,
            pool_timeout_s=pool_timeout_s,
        )
        self._source = Source(backend)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Database({self._source.backend.url.render_as_string(hide_password=True)!r})"

    def unit_of_work(self, read_only: bool = False, isolation: str | None = None) -> UnitOfWork:  # noqa: FBT001, FBT002 - the contract's signature
        """Return a unit of work, to be used in a ``with`` block.

        Args:
            read_only: See one snapshot of the data; writes are refused. SQLite: readers wait for nobody.
            isolation: A level of the SQL standard. SQLite: always SERIALIZABLE, which satisfies every level.

        Raises:
            ConfigError: The standard knows no such isolation level.
        """
        return UnitOfWork(self._source, read_only=read_only, isolation=checked_isolation(isolation))

    def transact(
        self, fn: Callable[[UnitOfWork], T], key: str | None = None, retry: RetryPolicy | None = None
    ) -> T | None:
        """Return ``fn(uow)``, run in a unit of work of its own; the whole unit runs again after a conflict.

        Args:
            fn: The unit's body. It may run more than once: keep effects outside of the database out of it.
            key: Claim this key in the ledger first. Where it has committed already, *fn* is not called and None is
                returned. With a key, a commit in doubt is settled by trying again: the ledger knows.
            retry: When to try again; ``RetryPolicy()`` when not given. Only errors of the database are repeated.

        Raises:
            CommitInDoubtError: COMMIT got no clear answer, and there was no key, or no attempt left to settle it.
            ControlRoomError: As `unit_of_work`; and what *fn* raises.
        """
        attempts: Attempts[T] = Attempts(key)

        def attempt() -> T | None:
            with attempts.watched(), self.unit_of_work() as uow:
                if key is not None and not attempts.claimed(uow.once(key)):
                    return attempts.settled()
                return attempts.remember(fn(uow))

        with attempts.truthful():
            return attempts.policy(retry).call(attempt)

    def stream(
        self, statement: str | Executable, params: Any = None, chunk: int = 2000
    ) -> Generator[Row[Any], None, None]:
        """Yield the rows of a query, *chunk* of them in memory at a time, from one read-only snapshot.

        The connection goes back when the generator ends or is closed. Each chunk has ``statement_timeout_s``; what the
        caller does between rows takes its own time. SQLite: while a stream is open the WAL file can only grow.

        Args:
            statement: As in `UnitOfWork.execute`.
            params: As in `UnitOfWork.execute`.
            chunk: Rows to fetch at a time.

        Raises:
            QueryError: The statement is wrong, or writes.
        """
        with self.unit_of_work(read_only=True) as uow:
            stream = Stream(uow._work, statement, params, chunk)  # noqa: SLF001 - one floor, two files
            try:
                while rows := stream.next_chunk():
                    yield from rows
            finally:
                stream.close()

    def rows(self, statement: str | Executable, params: Any = None) -> list[Row[Any]]:
        """Return all rows of a query, from a read-only unit of its own.

        Args:
            statement: As in `UnitOfWork.execute`.
            params: As in `UnitOfWork.execute`.

        Raises:
            QueryError: The statement is wrong, or writes.
        """
        return list(self.stream(statement, params))

    def tables(self) -> list[str]:
        """Return the names of all tables, sorted."""
        return self._look(table_names)

    def describe(self, table: Any) -> TableInfo:
        """Return what a table looks like, as the database declares it now.

        Args:
            table: A name; also a `sqlalchemy.Table` or a mapped class, for what the database has under its name.

        Raises:
            QueryError: There is no such table.
        """
        return self._look(lambda connection: described(table, connection, self._source.backend))

    def _look(self, look: Callable[[Any], T]) -> T:
        with self.unit_of_work(read_only=True) as uow:
            work = uow._work  # noqa: SLF001 - one floor, two files
            return work.run("looking at the schema", lambda: look(work.connection))

    def create_control_tables(self) -> None:
        """Create the tables that controlroom keeps here, where they are missing. Idempotent.

        Ledger, checkpoints, watermarks, inbox, shared limits and tokens; their names begin with ``controlroom_``.

        Raises:
            ConfigError: A newer release has written them. Nothing was changed.

        Guarantees:
            Safe when many processes start at once.
        """
        self.transact(create_tables)

    def close(self) -> None:
        """Close every connection: at once, or when the last open unit has ended. Units can no longer begin."""
        self._source.close()
