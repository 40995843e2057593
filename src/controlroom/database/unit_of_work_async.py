"""The unit of work for asyncio: the same unit, awaited, and cancelled without losing the truth."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from types import TracebackType
from typing import Any, LiteralString, Self, TypeVar, overload

from sqlalchemy import CursorResult, Executable, Result, UpdateBase
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.util import await_only, greenlet_spawn

from controlroom import clock
from controlroom.database.claims import Claim
from controlroom.database.ending import Ended, Outcome, RollBack, Step, as_hook, told
from controlroom.database.identifiers import Sql, Statement
from controlroom.database.lease_rows import Hold
from controlroom.database.lease_state import LeaseState
from controlroom.database.marks_async import AsyncCheckpoints, AsyncWatermarks
from controlroom.database.outbox_async import AsyncOutbox
from controlroom.database.sources_async import AsyncSource
from controlroom.database.transaction import Transaction
from controlroom.database.unit import Unit
from controlroom.database.unit_of_work import Savepoint, log_end, log_failed_hook
from controlroom.database.writes import WriteCount
from controlroom.draining import drained
from controlroom.errors import QueryError

__all__ = ["AsyncSavepoint", "AsyncUnitOfWork"]

T = TypeVar("T")
Run = Callable[..., Coroutine[Any, Any, Any]]


class AsyncSavepoint:
    """A place inside a unit that one can go back to; made by `AsyncUnitOfWork.savepoint`."""

    def __init__(self, savepoint: Savepoint, run: Run) -> None:
        self._savepoint = savepoint
        self._run = run

    async def rollback(self) -> None:
        """Undo everything since the savepoint; an error that was swallowed there is forgiven. The block goes on."""
        await self._run(self._savepoint.rollback)


class AsyncUnitOfWork:
    """One transaction: ``async with db.unit_of_work() as uow:``; the same as `UnitOfWork`, awaited.

    Guarantees:
        Those of `UnitOfWork`. A cancellation is delivered when the statement in hand has stopped, which is at once,
        unless it waits for a lock (at most ``lock_timeout_s``). COMMIT is always awaited to its end: the
        `CancelledError` that comes after it has a note that says what became of the unit, and the hooks have run if it
        committed. Not promised: two statements of one unit at once (``asyncio.gather``); that is refused.
    """

    def __init__(self, source: AsyncSource, *, read_only: bool, isolation: str | None = None) -> None:
        self._work = Transaction(source.backend, read_only=read_only, isolation=isolation)
        self._unit = Unit(self._work, source.catalog)
        self._source = source
        self._connection: AsyncConnection | None = None
        self._began_s = 0.0
        self._number = 0
        self._busy = False
        self._is_kept = False
        self._awaits_rows = False
        self._session: AsyncSession | None = None
        self.checkpoints: AsyncCheckpoints = AsyncCheckpoints(self._unit.checkpoints, self._run)
        self.watermarks: AsyncWatermarks = AsyncWatermarks(self._unit.watermarks, self._run)
        self.outbox: AsyncOutbox = AsyncOutbox(self._unit.outbox, self._run)

    async def __aenter__(self) -> Self:
        if self._work.outcome is not Outcome.NOT_BEGUN or self._number:
            message = "A unit of work is used once. Nothing was begun. Ask db.unit_of_work() for another."
            raise QueryError(message)
        self._number = await self._source.take_turn(self._work)
        self._began_s = clock.monotonic_s()
        try:
            self._connection = self._source.kept()
            if self._connection is not None and self._source.backend.stops_when_cancelled:
                await self._in_greenlet(self._work.begin, self._connection.sync_connection)
            else:
                await drained(self._open())
        except BaseException:
            await drained(self._close(self._let_go))
            raise
        return self

    async def _open(self) -> None:
        self._connection = self._connection or await self._source.connect()
        await self._in_greenlet(self._work.begin, self._connection.sync_connection)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        ended: list[Ended] = []
        try:
            await drained(self._finish(error, ended))
        except asyncio.CancelledError as cancelled:
            if ended:
                raise told(cancelled, ended[0]) from ended[0].error
            raise
        if ended[0].error is not None:
            raise ended[0].error

    async def _finish(self, error: BaseException | None, ended: list[Ended]) -> None:
        """End the unit and all that follows from it: one piece, which no cancellation divides."""
        await self._close(partial(self._end, error, ended))
        log_end(self._work, ended[0], self._began_s, error)
        if ended[0].outcome is Outcome.COMMITTED and self._work.hooks:
            await self._run_hooks()

    def _end(self, error: BaseException | None, ended: list[Ended]) -> None:
        try:
            ended.append(self._unit._end(error))  # noqa: SLF001 - its other half
        finally:
            self._let_go()

    def _let_go(self) -> None:
        self._is_kept = self._unit._let_go() is not None  # noqa: SLF001 - its other half

    async def _perform(self, step: Step) -> bool | None:
        return await self._in_greenlet(self._work.perform, step)

    async def _close(self, let_go: Callable[[], None]) -> None:
        try:
            await self._in_greenlet(let_go)
        finally:
            await self._source.give_back(self._number, self._connection if self._is_kept else None)

    async def _in_greenlet(self, fn: Callable[..., T], *args: Any) -> T:
        """Call *fn*, synchronous code over SQLAlchemy, so that the driver below it is awaited."""
        if self._connection is None:
            return fn(*args)  # which refuses: the unit has not begun
        return await greenlet_spawn(fn, *args)

    async def _run(self, fn: Callable[..., Any], *args: Any) -> Any:
        """Run one statement to its end, or to where a cancellation stops it."""
        return await self._seen_through(lambda: self._in_greenlet(fn, *args))

    async def _seen_through(self, begin: Callable[[], Awaitable[T]]) -> T:
        """Await what *begin* returns to its end, or to where a cancellation stops it."""
        if self._busy:
            message = "This unit of work is running another statement. Nothing was run. Await one before the next."
            raise QueryError(message)
        self._busy = True
        try:
            if self._source.backend.stops_when_cancelled:
                return await _unless_cancelled(begin())
            return await drained(begin(), self._hurry)
        except asyncio.CancelledError as error:
            self._work.interrupted_by(error)
            raise
        finally:
            self._busy = False
            self._work.take_back_cancellation()

    def _hurry(self, statement: asyncio.Future[Any]) -> None:
        if self._awaits_rows:
            statement.cancel()  # it waits for the caller's rows, not for the database
        else:
            self._work.cancel(statement)

    async def _run_hooks(self) -> None:
        for hook in self._work.hooks:
            try:
                outcome = hook()
                if inspect.isawaitable(outcome):
                    await outcome
            except Exception as error:  # noqa: BLE001 - it may be anything, and the unit has committed
                log_failed_hook(self._work, hook, error)

    def _rows(self, rows: Any) -> Any:
        return self._pumped(rows) if isinstance(rows, AsyncIterable) else rows

    def _pumped(self, rows: AsyncIterable[Any]) -> Iterator[Any]:
        """Yield the rows of an asynchronous iterable to synchronous code in a greenlet."""
        iterator = aiter(rows)
        while True:
            self._awaits_rows = True
            try:
                row = await_only(_next(iterator))
            except StopAsyncIteration:
                return
            finally:
                self._awaits_rows = False
            yield row

    @overload
    async def execute(self, statement: Statement, params: Any = None, *, into: Callable[..., T]) -> list[T]: ...
    @overload
    async def execute(self, statement: LiteralString | Sql | UpdateBase, params: Any = None) -> CursorResult[Any]: ...
    @overload
    async def execute(self, statement: Executable, params: Any = None) -> Result[Any]: ...
    async def execute(
        self,
        statement: Statement,
        params: Any = None,
        *,
        into: Callable[..., Any] | None = None,
    ) -> Result[Any] | list[Any]:
        """Run one statement and return its result, with all rows in memory."""
        if into is not None:
            rows: list[Any] = await self._run(self._unit._rows, statement, params, into)  # noqa: SLF001 - its other half
            return rows
        result: Result[Any] = await self._run(self._unit.execute, statement, params)
        return result

    async def scalar(self, statement: Statement, params: Any = None) -> Any:
        """Run one statement and return the first value of its first row; None where there is no row."""
        return await self._run(self._unit.scalar, statement, params)

    async def insert(self, table: Any, rows: Any, columns: Sequence[str] | None = None) -> int:
        """Insert rows and return how many.

        *rows* may also be an asynchronous iterable.
        """
        count: int = await self._run(self._unit.insert, table, self._rows(rows), columns)
        return count

    async def upsert(
        self,
        table: Any,
        rows: Any,
        key: Sequence[str],
        update: Sequence[str] | None = None,
        columns: Sequence[str] | None = None,
    ) -> WriteCount:
        """Insert the rows whose key is new and update those that differ.

        *rows* may also be an asynchronous iterable.
        """
        count: WriteCount = await self._run(self._unit.upsert, table, self._rows(rows), key, update, columns)
        return count

    async def load(
        self, table: Any, rows: Any, key: Sequence[str] | None = None, columns: Sequence[str] | None = None
    ) -> WriteCount:
        """Write many rows the fastest way this database has, inside this transaction.

        *rows* may also be an asynchronous iterable.
        """
        count: WriteCount = await self._run(self._unit.load, table, self._rows(rows), key, columns)
        return count

    async def once(self, key: str, payload: Any = None) -> bool:
        """Claim *key* in the ledger: True the first time it commits, else False."""
        first: bool = await self._run(self._unit.once, key, payload)
        return first

    async def hold(self, claim: Claim) -> None:
        """Make sure that *claim*, of `Database.claim`, is still ours, and keep it ours until this unit has ended."""
        await self._run(self._unit.hold, claim)

    async def finish(self, claim: Claim, result: Any = None) -> None:
        """Have the work of *claim* done once this unit commits: nobody gets the key any more."""
        await self._run(self._unit.finish, claim, result)

    async def received(self, message_id: str) -> bool:
        """Take note of a message, and tell whether it had been received before."""
        before: bool = await self._run(self._unit.received, message_id)
        return before

    async def require_lease(self, lease: LeaseState | Hold) -> None:
        """Commit this unit only under *lease*: nobody takes it over before the unit ends."""
        await self._run(self._unit.require_lease, lease)

    async def rollback(self) -> None:
        """Roll everything back now and end the unit. The block goes on without it and ends without an error."""
        self._work.require_own()
        await drained(self._perform(RollBack("asked for")))
        self._work.outcome = Outcome.ROLLED_BACK

    @property
    def session(self) -> AsyncSession:
        """A session of SQLAlchemy's ORM inside this unit: what it does commits with the rest, or not at all.

        Its statements are awaited; else as `UnitOfWork.session`.
        """
        session = self._unit._objects.session  # noqa: SLF001 - its other half
        if self._session is None:
            from controlroom.database.orm_async import AsyncUnitSession  # noqa: PLC0415 - with the ORM, on first use

            self._session = AsyncUnitSession(session, self._seen_through)
        return self._session

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[AsyncSavepoint]:
        """Open a part of the unit that can fail alone: ``async with uow.savepoint():``."""
        objects = self._unit._objects  # noqa: SLF001 - its other half
        await self._run(objects.flush)
        state = await self._run(self._work.enter_savepoint)
        try:
            await self._run(objects.enter, state)
            yield AsyncSavepoint(Savepoint(self._work, state, objects), self._run)
            await self._run(objects.keep, state)
        except BaseException as error:
            objects.undo(state)
            await self._run(self._work.leave_savepoint, state, error)
            raise
        await self._run(self._work.leave_savepoint, state, None)

    def on_commit(self, fn: Callable[[], object]) -> None:
        """Call *fn* once this unit has committed, after the connection was returned; never otherwise.

        What *fn* returns is awaited, where it can be.
        """
        self._work.require_open()
        self._work.hooks.append(as_hook(fn))


async def _unless_cancelled(statement: Awaitable[T]) -> T:
    """Await *statement*, whose driver stops it where its task is cancelled, also at the server, and waits for that.

    As `drained`, without the cost of a task of its own. Should the driver, or SQLAlchemy, make something
    else of the cancellation, it is delivered all the same.
    """
    task = asyncio.current_task()
    before = 0 if task is None else task.cancelling()
    failure: BaseException | None = None
    try:
        result = await statement
    except asyncio.CancelledError:
        raise
    except BaseException as error:
        if task is None or task.cancelling() == before:
            raise
        failure = error
    if task is not None and task.cancelling() > before:
        raise asyncio.CancelledError from failure
    return result


async def _next(iterator: AsyncIterator[Any]) -> Any:
    return await anext(iterator)
