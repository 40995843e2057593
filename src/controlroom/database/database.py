"""The database as control plane."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar, overload

from sqlalchemy import URL, Row

from controlroom.database.backends import backend_for
from controlroom.database.claims import CLAIMING, Claim, checked_ttl_s, claim_for, release, repeatable
from controlroom.database.coordination import Coordination
from controlroom.database.credentials import Password
from controlroom.database.identifiers import Statement
from controlroom.database.ledger import new_owner
from controlroom.database.metadata import TableFacts, TableInfo
from controlroom.database.options import Profile, checked_isolation
from controlroom.database.retried import Attempts
from controlroom.database.sources import Source
from controlroom.database.streaming import Reading, streamed
from controlroom.database.tables import described, facts_of, table_names
from controlroom.database.tls import TlsChoice
from controlroom.database.transacting import transacted
from controlroom.database.unit_of_work import UnitOfWork
from controlroom.redaction import redact_text
from controlroom.retrying import RetryPolicy

__all__ = ["Database"]

T = TypeVar("T")


class Database(Coordination):
    """A database and its connections. Open one for each database and process, and share it between threads.

    Args:
        url: ``sqlite:///relative/file.db``, ``sqlite:////absolute/file.db``, or ``sqlite://`` for one in memory, whose
            units run one at a time. The file is made where it is missing, its folder is not. A server:
            ``postgresql://user@host/name`` (``postgresql+psycopg``), and for `AsyncDatabase` also ``postgresql+asyncpg``.
        statement_timeout_s: No statement runs longer, seconds; less where the ambient deadline is nearer.
        lock_timeout_s: How long to wait for a lock, seconds; less where the ambient deadline is nearer.
        application_name: Who this is, for servers that list their clients (``pg_stat_activity``), 63 bytes at most; not
            given, ``controlroom <job> <run id>`` of the run in which a unit begins. SQLite has no such list.
        profile: "server" keeps connections open, with its limits set on their sessions. "pooler" does too, for a server
            behind PgBouncer in transaction mode or RDS Proxy: nothing is set or prepared that would outlive a transaction.
            "serverless" opens a connection for each unit.
        pool_size: Connections at most; a unit or stream beyond that waits.
        pool_timeout_s: How long it waits, seconds.
        commit_timeout_s: How long COMMIT may go without an answer, seconds; then the unit is in doubt. Servers only.
        idle_timeout_s: How long a unit may leave the server waiting for its next statement, seconds. Servers only.
        connect_timeout_s: How long a connection may take to open, for each address of the server, and BEGIN to be answered,
            seconds; less where the ambient deadline is nearer. psycopg: whole seconds, two at least. Behind a pooler BEGIN
            has ``pool_timeout_s``. Servers only.
        password: A text, a ``SecretStr``, or a function that returns one: it is called for each new connection, and once
            more where the server refuses what it returned, so that a token may expire (IAM). For `AsyncDatabase` also a
            coroutine function; a plain one runs in a thread. Limit its time: nobody else does. Servers only.
        tls: "disable", "require" (encrypted), "verify-ca", "verify-full" (and from whom it says it is), or a path: the
            authority's certificates to verify in full against. asyncpg: an `ssl.SSLContext` too. Not given: as the URL and
            the driver say. Servers only.

    Raises:
        ConfigError: The URL or an option is wrong. Nothing was opened.

    Guarantees:
        SQLite: WAL; write units begin with BEGIN IMMEDIATE, so that no update is lost; foreign keys are enforced;
        ``synchronous=FULL``, so that what was acknowledged survives a power cut. The file is opened by the first unit,
        not by the constructor.
        Servers: no wait is without a limit, also where the network swallows everything: connecting, BEGIN, statements
        (``statement_timeout_s`` and 2 s), COMMIT, ROLLBACK, closing. A connection that was lost while nobody used it
        (the server was restarted, say) is replaced before a unit begins on it.
        Safe after ``os.fork()``: a child opens connections of its own, and leaves the parent's alone. Passwords are
        registered with the redaction and shown nowhere.
        Not promised: a limit on how long the machine looks for a host's address (psycopg, sync); WAL on network file systems (sqlite.org/wal.html); the log says ``wal_refused`` where it is not on.
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
        commit_timeout_s: float = 15,
        idle_timeout_s: float = 300,
        connect_timeout_s: float = 10,
        password: Password | None = None,
        tls: TlsChoice | None = None,
    ) -> None:
        backend = backend_for(
            url,
            statement_timeout_s=statement_timeout_s,
            lock_timeout_s=lock_timeout_s,
            application_name=application_name,
            profile=profile,
            pool_size=pool_size,
            pool_timeout_s=pool_timeout_s,
            commit_timeout_s=commit_timeout_s,
            idle_timeout_s=idle_timeout_s,
            connect_timeout_s=connect_timeout_s,
            password=password,
            tls=tls,
        )
        self._source = Source(backend)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Database({redact_text(self._source.backend.url.render_as_string(hide_password=True))!r})"

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
        self,
        fn: Callable[[UnitOfWork], T],
        key: str | None = None,
        retry: RetryPolicy | None = None,
        payload: Any = None,
        isolation: str | None = None,
    ) -> T | None:
        """Return ``fn(uow)``, run in a unit of work of its own; the whole unit runs again after a conflict.

        Args:
            fn: The unit's body. It may run more than once: keep effects outside of the database out of it.
            key: Claim this key in the ledger first. Where it has committed already, *fn* is not called, and what it
                returned then is returned again: None, numbers, texts, lists, dictionaries with texts as keys (tuples
                come back as lists), or a `WriteCount`.
            retry: When to try again; ``RetryPolicy()`` when not given. Only errors of the database are repeated.
            payload: What *key* stands for, as in `UnitOfWork.once`.
            isolation: As in `unit_of_work`.

        Raises:
            CommitInDoubtError: COMMIT got no clear answer, and there was no key, or nobody could settle it.
            IntegrityViolationError: *key* has committed with another payload. *fn* was not called.
            QueryError: *fn* returned what the ledger cannot keep, with a key. Everything was rolled back.
            ControlRoomError: As `unit_of_work`; and what *fn* raises.

        Guarantees:
            With a key, the effects are in the database once, however often and by how many processes this is called,
            also where a COMMIT that nobody answered arrives at the server late. A commit in doubt is settled at once, on
            another connection: who claims the key again waits for the lost unit, ``lock_timeout_s`` at most; then the
            server is asked to end the lost session (PostgreSQL), and is waited for once more. Without a key, a commit in
            doubt is reported, never guessed and never repeated.
            Not promised: anything about effects of *fn* outside of this database.
        """
        return transacted(
            fn,
            Attempts(key, payload, retry),
            begin=lambda: self.unit_of_work(isolation=isolation),
            fence=lambda: self.unit_of_work(isolation="READ COMMITTED"),
        )

    def claim(self, key: str, payload: Any = None, ttl_s: float = 300) -> Claim:
        """Claim *key* in the ledger for longer than one unit: for work that has effects elsewhere, too.

        The claim is committed at once. Guard each later write with `UnitOfWork.hold`, end the work with
        `UnitOfWork.finish`, or give the claim up with `release`. An owner that dies is replaced when ``ttl_s`` has passed
        by the server's clock; should it come back after all, its `hold` and `finish` raise `LeaseLostError`.

        Args:
            key: As in `transact`; the ledger is the same.
            payload: As in `UnitOfWork.once`.
            ttl_s: For how long, seconds; from each `hold` anew.

        Returns:
            The claim; where its ``done`` is True, the work has been done before, and its ``result`` is what was kept.

        Raises:
            TransactionConflictError: Somebody else has it.
            IntegrityViolationError: The key stands for another payload.
            ConfigError: ``ttl_s`` is no length of time.
            ControlRoomError: As `unit_of_work`.
        """
        owner, lasts_s = new_owner(), checked_ttl_s(ttl_s)

        def attempt() -> Claim:
            with repeatable(), self.unit_of_work() as uow:
                return claim_for(uow._work, key, payload, owner, lasts_s)  # noqa: SLF001 - one floor, two files

        return CLAIMING.call(attempt)

    def release(self, claim: Claim) -> bool:
        """Give *claim* up, so that anybody may have it at once; False where it was no longer ours."""
        with self.unit_of_work() as uow:
            return release(uow._work, claim)  # noqa: SLF001 - one floor, two files

    @overload
    def stream(
        self,
        statement: Statement,
        params: Any = None,
        chunk: int = 2000,
        *,
        into: Callable[..., T],
        resume_by: Sequence[str] | None = None,
        retry: RetryPolicy | None = None,
    ) -> Generator[T, None, None]: ...
    @overload
    def stream(
        self,
        statement: Statement,
        params: Any = None,
        chunk: int = 2000,
        *,
        resume_by: Sequence[str] | None = None,
        retry: RetryPolicy | None = None,
    ) -> Generator[Row[Any], None, None]: ...
    def stream(
        self,
        statement: Statement,
        params: Any = None,
        chunk: int = 2000,
        *,
        into: Callable[..., Any] | None = None,
        resume_by: Sequence[str] | None = None,
        retry: RetryPolicy | None = None,
    ) -> Generator[Any, None, None]:
        """Yield the rows of a query, *chunk* of them in memory at a time, from one read-only snapshot.

        The connection goes back when the generator ends or is closed. Each chunk has ``statement_timeout_s``; what the
        caller does between rows takes its own time, up to ``idle_timeout_s`` a chunk. SQLite: while a stream is open the
        WAL file can only grow. PostgreSQL: a cursor of the server's.

        Args:
            statement: As in `UnitOfWork.execute`.
            params: As in `UnitOfWork.execute`.
            chunk: Rows to fetch at a time.
            into: As in `UnitOfWork.execute`.
            resume_by: Columns of the result that are unique together and never NULL. The rows then come in their
                ascending order, and where the connection is lost in between, the query goes on behind the last row on
                another one. A row that was changed meanwhile is seen as it is then: that is another snapshot.
            retry: How often to try that, for each loss; ``RetryPolicy()`` when not given.

        Raises:
            QueryError: The statement is wrong, or writes; *resume_by* is not unique; the columns are not those of *into*.
            DatabaseUnavailableError: The connection was lost, without *resume_by* or for longer than *retry* allows.
            DataError: A value does not fit *into*.

        Guarantees:
            With *resume_by*, each row of the result comes once, as long as nobody changes keys.
        """
        backend = self._source.backend
        reading = Reading[Any](backend, statement, params, chunk=chunk, into=into, resume_by=resume_by, retry=retry)
        return streamed(lambda: self.unit_of_work(read_only=True), reading)

    @overload
    def rows(self, statement: Statement, params: Any = None, *, into: Callable[..., T]) -> list[T]: ...
    @overload
    def rows(self, statement: Statement, params: Any = None) -> list[Row[Any]]: ...
    def rows(self, statement: Statement, params: Any = None, *, into: Callable[..., Any] | None = None) -> list[Any]:
        """Return all rows of a query, from a read-only unit of its own.

        Args:
            statement: As in `UnitOfWork.execute`.
            params: As in `UnitOfWork.execute`.
            into: As in `UnitOfWork.execute`.

        Raises:
            QueryError: The statement is wrong, or writes; the columns are not those of *into*.
            DataError: A value does not fit *into*.
        """
        with self.unit_of_work(read_only=True) as uow:
            rows: list[Any] = uow._rows(statement, params, into)  # noqa: SLF001 - one floor, two files
            uow.rollback()  # nothing to commit, so nothing to be in doubt about
        return rows

    def tables(self, schema: str | None = None) -> list[str]:
        """Return the names of all tables, sorted.

        Args:
            schema: Those of this schema, with it in front; those of the default schema when not given.
        """
        backend = self._source.backend
        return self._look(lambda connection: table_names(connection, backend, schema))

    def describe(self, table: Any) -> TableInfo:
        """Return what a table looks like, as the database declares it now.

        Args:
            table: A name; also a `sqlalchemy.Table` or a mapped class, for what the database has under its name; an
                `identifier` where a name has a dot in it. It may be a view.

        Raises:
            QueryError: There is no such table.
        """
        return self._look(lambda connection: described(table, connection, self._source.backend))

    def facts(self, table: Any) -> TableFacts:
        """Return what the database knows of a table without reading it: rows, size, locks.

        Args:
            table: As in `describe`.

        Raises:
            QueryError: There is no such table.

        Guarantees:
            PostgreSQL: cheap for a table of any size, and it waits for nobody: the size is left out while another session
            locks everybody out (ACCESS EXCLUSIVE) or waits for that. SQLite tells the rows that ANALYZE counted, if it
            ever ran. Not promised: that the rows are counted; they are an estimate.
        """
        return self._look(lambda connection: facts_of(table, connection, self._source.backend))

    def _look(self, look: Callable[[Any], T]) -> T:
        with self.unit_of_work(read_only=True) as uow:
            work = uow._work  # noqa: SLF001 - one floor, two files
            return work.run("looking at the schema", lambda: look(work.connection))

    def close(self) -> None:
        """Close every connection: at once, or when the last open unit has ended. Units can no longer begin."""
        self._source.close()
