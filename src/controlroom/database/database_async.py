"""The database as control plane, for asyncio."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar, overload

from sqlalchemy import URL, Row

from controlroom.database.backends import backend_for
from controlroom.database.claims import CLAIMING, Claim, checked_ttl_s, claim_for, release, repeatable
from controlroom.database.coordination_async import AsyncCoordination
from controlroom.database.credentials import Password
from controlroom.database.identifiers import Statement
from controlroom.database.ledger import new_owner
from controlroom.database.metadata import TableFacts, TableInfo
from controlroom.database.options import Profile, checked_isolation
from controlroom.database.retried import Attempts
from controlroom.database.sources_async import AsyncSource
from controlroom.database.streaming import Reading
from controlroom.database.streaming_async import streamed_async
from controlroom.database.tables import described, facts_of, table_names
from controlroom.database.tls import TlsChoice
from controlroom.database.transacting import transacted_async
from controlroom.database.unit_of_work_async import AsyncUnitOfWork
from controlroom.redaction import redact_text
from controlroom.retrying import RetryPolicy

__all__ = ["AsyncDatabase"]

T = TypeVar("T")


class AsyncDatabase(AsyncCoordination):
    """A database and its connections, for one event loop at a time; the same as `Database`, awaited.

    SQLite needs the extra ``aiosqlite``: each connection has a thread of its own, closed by `aclose`.

    Args:
        url: As for `Database`.
        statement_timeout_s: As for `Database`.
        lock_timeout_s: As for `Database`.
        application_name: As for `Database`.
        profile: As for `Database`.
        pool_size: As for `Database`.
        pool_timeout_s: As for `Database`.
        commit_timeout_s: As for `Database`.
        idle_timeout_s: As for `Database`.
        connect_timeout_s: As for `Database`.
        password: As for `Database`.
        tls: As for `Database`.

    Raises:
        ConfigError: The URL or an option is wrong, or the driver is not installed. Nothing was opened.

    Guarantees:
        Those of `Database`. A cancelled task leaves no connection behind, and no outcome unreported.
        One event loop at a time: another one is refused while units are open; after that it gets connections of its own.
        Those to servers are closed with their loop, where it is closed as ``asyncio.run`` does.
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
        self._source = AsyncSource(backend)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"AsyncDatabase({redact_text(self._source.backend.url.render_as_string(hide_password=True))!r})"

    def unit_of_work(self, read_only: bool = False, isolation: str | None = None) -> AsyncUnitOfWork:  # noqa: FBT001, FBT002 - the contract's signature
        """Return a unit of work, to be used in a ``with`` block.

        An ``async with`` block here; else as `Database.unit_of_work`.
        """
        return AsyncUnitOfWork(self._source, read_only=read_only, isolation=checked_isolation(isolation))

    async def transact(
        self,
        fn: Callable[[AsyncUnitOfWork], Awaitable[T]],
        key: str | None = None,
        retry: RetryPolicy | None = None,
        payload: Any = None,
        isolation: str | None = None,
    ) -> T | None:
        """Return ``fn(uow)``, run in a unit of work of its own; the whole unit runs again after a conflict.

        *fn* is awaited; else as `Database.transact`.
        """
        return await transacted_async(
            fn,
            Attempts(key, payload, retry),
            begin=lambda: self.unit_of_work(isolation=isolation),
            fence=lambda: self.unit_of_work(isolation="READ COMMITTED"),
        )

    async def claim(self, key: str, payload: Any = None, ttl_s: float = 300) -> Claim:
        """Claim *key* in the ledger for longer than one unit: for work that has effects elsewhere, too."""
        owner, lasts_s = new_owner(), checked_ttl_s(ttl_s)

        async def attempt() -> Claim:
            with repeatable():
                async with self.unit_of_work() as uow:
                    claimed: Claim = await uow._run(claim_for, uow._work, key, payload, owner, lasts_s)  # noqa: SLF001 - one floor, two files
                    return claimed

        return await CLAIMING.acall(attempt)

    async def release(self, claim: Claim) -> bool:
        """Give *claim* up, so that anybody may have it at once; False where it was no longer ours."""
        async with self.unit_of_work() as uow:
            released: bool = await uow._run(release, uow._work, claim)  # noqa: SLF001 - one floor, two files
            return released

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
    ) -> AsyncGenerator[T, None]: ...
    @overload
    def stream(
        self,
        statement: Statement,
        params: Any = None,
        chunk: int = 2000,
        *,
        resume_by: Sequence[str] | None = None,
        retry: RetryPolicy | None = None,
    ) -> AsyncGenerator[Row[Any], None]: ...
    def stream(
        self,
        statement: Statement,
        params: Any = None,
        chunk: int = 2000,
        *,
        into: Callable[..., Any] | None = None,
        resume_by: Sequence[str] | None = None,
        retry: RetryPolicy | None = None,
    ) -> AsyncGenerator[Any, None]:
        """Yield the rows of a query, *chunk* of them in memory at a time, from one read-only snapshot.

        The connection goes back when the generator ends or is closed (``contextlib.aclosing``, where the loop over it
        is left early: asyncio closes it later otherwise); else as `Database.stream`.
        """
        backend = self._source.backend
        reading = Reading[Any](backend, statement, params, chunk=chunk, into=into, resume_by=resume_by, retry=retry)
        return streamed_async(lambda: self.unit_of_work(read_only=True), reading)

    @overload
    async def rows(self, statement: Statement, params: Any = None, *, into: Callable[..., T]) -> list[T]: ...
    @overload
    async def rows(self, statement: Statement, params: Any = None) -> list[Row[Any]]: ...
    async def rows(
        self, statement: Statement, params: Any = None, *, into: Callable[..., Any] | None = None
    ) -> list[Any]:
        """Return all rows of a query, from a read-only unit of its own."""
        async with self.unit_of_work(read_only=True) as uow:
            rows: list[Any] = await uow._run(uow._unit._rows, statement, params, into)  # noqa: SLF001 - one floor, two files
            await uow.rollback()  # nothing to commit, so nothing to be in doubt about
        return rows

    async def tables(self, schema: str | None = None) -> list[str]:
        """Return the names of all tables, sorted."""
        backend = self._source.backend
        return await self._look(lambda connection: table_names(connection, backend, schema))

    async def describe(self, table: Any) -> TableInfo:
        """Return what a table looks like, as the database declares it now."""
        return await self._look(lambda connection: described(table, connection, self._source.backend))

    async def facts(self, table: Any) -> TableFacts:
        """Return what the database knows of a table without reading it: rows, size, locks."""
        return await self._look(lambda connection: facts_of(table, connection, self._source.backend))

    async def _look(self, look: Callable[[Any], T]) -> T:
        async with self.unit_of_work(read_only=True) as uow:
            work = uow._work  # noqa: SLF001 - one floor, two files
            seen: T = await uow._run(lambda: work.run("looking at the schema", lambda: look(work.connection)))  # noqa: SLF001 - as above
            return seen

    async def aclose(self) -> None:
        """Close every connection: at once, or when the last open unit has ended. Units can no longer begin."""
        await self._source.close()
