"""The database as control plane, for asyncio."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from types import TracebackType
from typing import Any, Self, TypeVar

from sqlalchemy import URL, Executable, Row

from controlroom.database.backends import backend_for
from controlroom.database.options import Profile, checked_isolation
from controlroom.database.retried import Attempts, awaitable
from controlroom.database.schema import create_tables
from controlroom.database.sources_async import AsyncSource
from controlroom.database.streaming import Stream
from controlroom.database.tables import TableInfo, described, table_names
from controlroom.database.unit_of_work_async import AsyncUnitOfWork
from controlroom.retrying import RetryPolicy

__all__ = ["AsyncDatabase"]

T = TypeVar("T")


class AsyncDatabase:
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

    Raises:
        ConfigError: The URL or an option is wrong, or the driver is not installed. Nothing was opened.

    Guarantees:
        Those of `Database`. A cancelled task leaves no connection behind, and no outcome unreported.
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
        self._source = AsyncSource(backend)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"AsyncDatabase({self._source.backend.url.render_as_string(hide_password=True)!r})"

    def unit_of_work(self, read_only: bool = False, isolation: str | None = None) -> AsyncUnitOfWork:  # noqa: FBT001, FBT002 - the contract's signature
        """Return a unit of work, to be used in a ``with`` block.

        An ``async with`` block here; else as `Database.unit_of_work`.
        """
        return AsyncUnitOfWork(self._source, read_only=read_only, isolation=checked_isolation(isolation))

    async def transact(
        self, fn: Callable[[AsyncUnitOfWork], Awaitable[T]], key: str | None = None, retry: RetryPolicy | None = None
    ) -> T | None:
        """Return ``fn(uow)``, run in a unit of work of its own; the whole unit runs again after a conflict.

        *fn* is awaited; else as `Database.transact`.
        """
        attempts: Attempts[T] = Attempts(key)

        async def attempt() -> T | None:
            with attempts.watched():
                async with self.unit_of_work() as uow:
                    if key is not None and not attempts.claimed(await uow.once(key)):
                        return attempts.settled()
                    return attempts.remember(await awaitable(fn(uow)))

        with attempts.truthful():
            return await attempts.policy(retry).acall(attempt)

    async def stream(
        self, statement: str | Executable, params: Any = None, chunk: int = 2000
    ) -> AsyncGenerator[Row[Any], None]:
        """Yield the rows of a query, *chunk* of them in memory at a time, from one read-only snapshot.

        The connection goes back when the generator ends or is closed (``contextlib.aclosing``, where the loop over it
        is left early: asyncio closes it later otherwise); else as `Database.stream`.
        """
        async with self.unit_of_work(read_only=True) as uow:
            stream = Stream(uow._work, statement, params, chunk)  # noqa: SLF001 - one floor, two files
            try:
                while rows := await uow._run(stream.next_chunk):  # noqa: SLF001 - as above
                    for row in rows:
                        yield row
            finally:
                await uow._run(stream.close)  # noqa: SLF001 - as above

    async def rows(self, statement: str | Executable, params: Any = None) -> list[Row[Any]]:
        """Return all rows of a query, from a read-only unit of its own."""
        return [row async for row in self.stream(statement, params)]

    async def tables(self) -> list[str]:
        """Return the names of all tables, sorted."""
        return await self._look(table_names)

    async def describe(self, table: Any) -> TableInfo:
        """Return what a table looks like, as the database declares it now."""
        return await self._look(lambda connection: described(table, connection, self._source.backend))

    async def _look(self, look: Callable[[Any], T]) -> T:
        async with self.unit_of_work(read_only=True) as uow:
            work = uow._work  # noqa: SLF001 - one floor, two files
            seen: T = await uow._run(lambda: work.run("looking at the schema", lambda: look(work.connection)))  # noqa: SLF001 - as above
            return seen

    async def create_control_tables(self) -> None:
        """Create the tables that controlroom keeps here, where they are missing. Idempotent."""

        async def create(uow: AsyncUnitOfWork) -> None:
            await uow._run(create_tables, uow._unit)  # noqa: SLF001 - one floor, two files

        await self.transact(create)

    async def aclose(self) -> None:
        """Close every connection: at once, or when the last open unit has ended. Units can no longer begin."""
        await self._source.close()
