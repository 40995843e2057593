"""The unit of work for asyncio: the same unit, awaited, and cancelled without losing the truth."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterable, AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self, TypeVar, overload

from sqlalchemy import CursorResult, Executable, Result, UpdateBase
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.util import await_only

from controlroom import clock
from controlroom.database.ending import Ended, Outcome, RollBack, Step, conclude, told
from controlroom.database.marks import Checkpoints, Watermarks
from controlroom.database.sources_async import AsyncSource
from controlroom.database.transaction import SavepointState, Transaction
from controlroom.database.unit import Unit
from controlroom.database.unit_of_work import log_end, log_failed_hook
from controlroom.database.writes import WriteCount
from controlroom.draining import drained
from controlroom.errors import QueryError
from controlroom.policy.flow import drive_async
from controlroom.policy.watermark import WatermarkValue

__all__ = ["AsyncCheckpoints", "AsyncSavepoint", "AsyncUnitOfWork", "AsyncWatermarks"]

T = TypeVar("T")
Run = Callable[..., Coroutine[Any, Any, Any]]


class AsyncCheckpoints:
    """Resumable positions by name; they commit with the data. ``uow.checkpoints``."""

    def __init__(self, checkpoints: Checkpoints, run: Run) -> None:
        self._checkpoints = checkpoints
        self._run = run

    async def get(self, name: str, default: Any = None) -> Any:
        """Return the value stored under *name*, or *default*."""
        return await self._run(self._checkpoints.get, name, default)

    async def set(self, name: str, value: Any) -> None:
        """Store *value* under *name*, in place of what was there."""
        await self._run(self._checkpoints.set, name, value)


class AsyncWatermarks:
    """How far the data is complete, by name; they commit with the data and never go back. ``uow.watermarks``."""

    def __init__(self, watermarks: Watermarks, run: Run) -> None:
        self._watermarks = watermarks
        self._run = run

    async def get(self, name: str) -> WatermarkValue | None:
        """Return where *name* stands; None where it was never advanced."""
        stands: WatermarkValue | None = await self._run(self._watermarks.get, name)
        return stands

    async def advance(self, name: str, value: WatermarkValue) -> None:
        """Move *name* on to *value*. Where it stands there already, nothing is written."""
        await self._run(self._watermarks.advance, name, value)


class AsyncSavepoint:
    """A place inside a unit that one can go back to; made by `AsyncUnitOfWork.savepoint`."""

    def __init__(self, work: Transaction, state: SavepointState, run: Run) -> None:
        self._work = work
        self._state = state
        self._run = run

    async def rollback(self) -> None:
        """Undo everything since the savepoint; an error that was swallowed there is forgiven. The block goes on."""
        await self._run(self._work.undo_to, self._state)


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
        self._awaits_rows = False
        self.checkpoints: AsyncCheckpoints = AsyncCheckpoints(self._unit.checkpoints, self._run)
        self.watermarks: AsyncWatermarks = AsyncWatermarks(self._unit.watermarks, self._run)

    async def __aenter__(self) -> Self:
        if self._work.outcome is not Outcome.NOT_BEGUN or self._number:
            message = "A unit of work is used once. Nothing was begun. Ask db.unit_of_work() for another."
            raise QueryError(message)
        self._number = await self._source.take_turn(self._work)
        self._began_s = clock.monotonic_s()
        try:
            await drained(self._open())
        except BaseException:
            await drained(self._close())
            raise
        return self

    async def _open(self) -> None:
        self._connection = await self._source.connect()
        await self._connection.run_sync(self._work.begin)

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
        try:
            ended.append(await self._end(error))
        finally:
            await self._close()
        log_end(self._work, ended[0], self._began_s, error)
        if ended[0].outcome is Outcome.COMMITTED:
            await self._run_hooks()

    async def _end(self, error: BaseException | None) -> Ended:
        if self._work.outcome is not Outcome.OPEN:  # rolled back inside the block
            return Ended(self._work.outcome)
        ended = await drive_async(conclude(error, self._work.swallowed), self._perform)
        self._work.outcome = ended.outcome
        return ended

    async def _perform(self, step: Step) -> bool | None:
        return await self._in_greenlet(self._work.perform, step)

    async def _close(self) -> None:
        try:
            if self._connection is not None:
                await self._in_greenlet(self._work.close)
        finally:
            await self._source.give_back(self._number)

    async def _in_greenlet(self, fn: Callable[..., T], *args: Any) -> T:
        """Call *fn*, synchronous code over SQLAlchemy, so that the driver below it is awaited."""
        if self._connection is None:
            return fn(*args)  # which refuses: the unit has not begun
        return await self._connection.run_sync(lambda _: fn(*args))

    async def _run(self, fn: Callable[..., Any], *args: Any) -> Any:
        """Run one statement to its end, or to where a cancellation stops it."""
        if self._busy:
            message = "This unit of work is running another statement. Nothing was run. Await one before the next."
            raise QueryError(message)
        self._busy = True
        try:
            return await drained(self._in_greenlet(fn, *args), self._hurry)
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
    async def execute(self, statement: str | UpdateBase, params: Any = None) -> CursorResult[Any]: ...
    @overload
    async def execute(self, statement: Executable, params: Any = None) -> Result[Any]: ...
    async def execute(self, statement: str | Executable, params: Any = None) -> Result[Any]:
        """Run one statement and return its result, with all rows in memory."""
        result: Result[Any] = await self._run(self._unit.execute, statement, params)
        return result

    async def scalar(self, statement: str | Executable, params: Any = None) -> Any:
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

    async def once(self, key: str) -> bool:
        """Claim *key* in the ledger: True the first time it commits, else False."""
        first: bool = await self._run(self._unit.once, key)
        return first

    async def rollback(self) -> None:
        """Roll everything back now and end the unit. The block goes on without it and ends without an error."""
        self._work.require_own()
        await drained(self._perform(RollBack("asked for")))
        self._work.outcome = Outcome.ROLLED_BACK

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[AsyncSavepoint]:
        """Open a part of the unit that can fail alone: ``async with uow.savepoint():``."""
        state = await self._run(self._work.enter_savepoint)
        try:
            yield AsyncSavepoint(self._work, state, self._run)
        except BaseException as error:
            await self._run(self._work.leave_savepoint, state, error)
            raise
        await self._run(self._work.leave_savepoint, state, None)

    def on_commit(self, fn: Callable[[], object]) -> None:
        """Call *fn* once this unit has committed, after the connection was returned; never otherwise.

        What *fn* returns is awaited, where it can be.
        """
        self._work.require_open()
        self._work.hooks.append(fn)


async def _next(iterator: AsyncIterator[Any]) -> Any:
    return await anext(iterator)
