"""Where an asynchronous unit of work gets its connection from, and gives it back to."""

from __future__ import annotations

import asyncio
import os
import weakref
from collections.abc import AsyncGenerator
from typing import Any

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from controlroom import clock
from controlroom.clock import current_deadline
from controlroom.database.backend import Backend
from controlroom.database.backends import not_connected
from controlroom.database.checkouts import Checkouts, next_number
from controlroom.database.classify import reraise
from controlroom.database.sources import closed, left_behind
from controlroom.database.tables import Catalog
from controlroom.database.transaction import Transaction
from controlroom.draining import drained
from controlroom.errors import ConfigError, QueryError

__all__ = ["AsyncSource"]


class AsyncSource:
    """The pool of one `AsyncDatabase`. One event loop at a time."""

    def __init__(self, backend: Backend) -> None:
        backend.require_driver(asynchronous=True)
        self.backend = backend
        self.catalog: Catalog = Catalog(backend)
        self._closed = False
        self._start()

    def _start(self) -> None:
        self._process = os.getpid()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._farewell: AsyncGenerator[None, None] | None = None
        self._checkouts = Checkouts(self.backend.pool_size)
        self.engine: AsyncEngine = create_async_engine(**self.backend.engine_arguments(asynchronous=True))
        self.backend.listen(self.engine.sync_engine, event.listen)
        self.idle: list[AsyncConnection] = []  # as in `Source`
        self._forgotten = weakref.finalize(self, _forgotten, self.idle)

    async def take_turn(self, work: Transaction) -> int:
        """Wait until a connection may be opened for *work*; return the number to give the turn back with.

        Raises:
            PoolExhaustedError: None became free in time.
            QueryError: The database was closed, or belongs to another event loop, or this task is writing in another
                unit.
        """
        if self._closed:
            raise closed()
        if self._process != os.getpid():
            self._start_again_after_fork()
        await self._settle_in(asyncio.get_running_loop())
        task = asyncio.current_task()
        if self.backend.serializes_writers and not work.read_only:
            self._checkouts.require_no_write_unit_of(task)
        if self._turns.locked():
            await self._wait_for_a_turn(task)
        else:
            await self._turns.acquire()  # at once
        name = f"task {task.get_name() if task else '?'}"
        number = next_number()
        self._checkouts.add(number, task, name, lambda: work.holds_the_lock)
        return number

    async def _wait_for_a_turn(self, task: asyncio.Task[object] | None) -> None:
        deadline, began_s = current_deadline(), clock.monotonic_s()
        timeout_s = self.backend.options.pool_timeout_s
        timeout_s = timeout_s if deadline is None else deadline.fit(timeout_s)
        if self._checkouts.all_are_held_by(task):
            raise self._checkouts.exhausted(0.0)
        try:
            async with asyncio.timeout(timeout_s):
                await self._turns.acquire()
        except TimeoutError:
            raise self._checkouts.exhausted(clock.monotonic_s() - began_s) from None

    async def _settle_in(self, loop: asyncio.AbstractEventLoop) -> None:
        """Serve one loop after the other (two calls of ``asyncio.run``), never two at once."""
        if loop is self._loop:
            return
        if len(self._checkouts):
            message = (
                "This AsyncDatabase is in use in another event loop. Nothing was run. Open one for each loop, "
                "or end the units of the other first."
            )
            raise QueryError(message)
        if self._loop is not None and self.backend.belongs_to_one_loop:
            self._leave_behind()
            self._start()
        self._loop = loop
        self._turns = asyncio.Semaphore(self.backend.pool_size)
        self._leaving = asyncio.Lock()
        if self.backend.belongs_to_one_loop:
            self._forgotten.detach()
            self._forgotten = weakref.finalize(self, _forgotten, self.idle, loop)
            self._farewell = _disposed_with_the_loop(self.engine, self.idle)
            await anext(self._farewell)  # from now on the loop knows it; nothing is waited for

    def kept(self) -> AsyncConnection | None:
        """Return the connection that was kept last, if it still serves; take a turn first."""
        return self.idle.pop() if self.idle and self._serves(self.idle[-1]) else None

    def _serves(self, connection: AsyncConnection) -> bool:
        below = connection.sync_connection
        return below is not None and self.backend.still_serves(self.backend.link_of(below))

    async def connect(self) -> AsyncConnection:
        """Return a connection; take a turn first."""
        try:
            while self.idle:
                connection = self.idle.pop()
                if self._serves(connection):
                    return connection
                await connection.invalidate()
                await connection.close()
            return await self.engine.connect()
        except BaseException as error:  # noqa: BLE001 - translated, or raised again as it is
            reraise(error, not_connected(error, self.backend))

    async def give_back(self, number: int, connection: AsyncConnection | None) -> None:
        """Take note that the connection was closed, or keep it where it is given; and let the next one have its turn."""
        if number not in self._checkouts:
            left_behind.append(connection)  # a unit of the parent process, which ended in its child
            return
        if connection is not None:
            self.idle.append(connection)
        still_out = self._checkouts.remove(number)
        self._turns.release()
        if self._closed and not still_out:
            await self._dispose()

    async def close(self) -> None:
        """Let nobody begin any more, and close every connection: at once, or when the last unit has ended."""
        self._closed = True
        if not len(self._checkouts):
            await drained(self._dispose())

    async def _dispose(self) -> None:
        is_ours = self._process == os.getpid()
        elsewhere = self.backend.belongs_to_one_loop and self._loop not in (None, asyncio.get_running_loop())
        if not is_ours or elsewhere:
            self._leave_behind()
        elif self._farewell is not None:
            async with self._leaving:
                await self._farewell.aclose()
        else:
            await _disposed(self.engine, self.idle)

    def _start_again_after_fork(self) -> None:
        if self.backend.belongs_to_one_process:
            message = "This in-memory database belongs to the parent process. Nothing was run. Use a file."
            raise ConfigError(message)
        self._leave_behind()
        self._start()

    def _leave_behind(self) -> None:
        """Keep what nobody can close any more: unless it was closed, with its loop."""
        if not self._is_over(self._farewell):
            left_behind.append((self.engine, self.idle, self._farewell))

    @staticmethod
    def _is_over(farewell: Any) -> bool:
        return farewell is not None and farewell.ag_frame is None


def _forgotten(idle: list[AsyncConnection], loop: asyncio.AbstractEventLoop | None = None) -> None:
    """Let go of the connections of a database that nobody closed, and has any more.

    Its *loop*, if it is still there, closes them by `_disposed_with_the_loop`. Otherwise they are left to the drivers, each of
    which has a warning of its own (a ResourceWarning); SQLAlchemy's, which everybody sees, would come on top.
    """
    if loop is not None and not loop.is_closed():
        return
    for connection in idle:
        if connection.sync_connection is not None:
            connection.sync_connection.detach()


async def _disposed(engine: AsyncEngine, idle: list[AsyncConnection]) -> None:
    while idle:
        await idle.pop().close()
    await engine.dispose()


async def _disposed_with_the_loop(engine: AsyncEngine, idle: list[AsyncConnection]) -> AsyncGenerator[None, None]:
    """Close the connections with their loop: whoever closes one runs its async generators to their end first.

    ``asyncio.run`` does so (``loop.shutdown_asyncgens``); later, nobody could say goodbye to the server any more.
    """
    try:
        yield
    finally:
        await _disposed(engine, idle)
