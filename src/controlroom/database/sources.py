"""Where a unit of work gets its connection from, and gives it back to."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from queue import Empty, SimpleQueue

from sqlalchemy import Connection, Engine, create_engine, event

from controlroom import clock
from controlroom.clock import current_deadline
from controlroom.database.backend import Backend
from controlroom.database.backends import not_connected
from controlroom.database.checkouts import Checkouts, next_number
from controlroom.database.classify import reraise
from controlroom.database.tables import Catalog
from controlroom.database.transaction import Transaction
from controlroom.errors import ConfigError, QueryError

__all__ = ["Source", "closed", "left_behind"]

# Engines of a parent process, kept for ever: to close a connection that crossed fork() is as wrong as to use it. SQLite
# loses its locks (sqlite.org/howtocorrupt.html, 2.6), and a server would be told goodbye in the parent's name.
left_behind: list[object] = []


def closed() -> QueryError:
    """Return the error for whoever uses a database after it was closed."""
    return QueryError("This Database was closed. Nothing was run. Open another one, or close it later.")


class Source:
    """The pool of one `Database`. Thread-safe."""

    def __init__(self, backend: Backend) -> None:
        backend.require_driver(asynchronous=False)
        self.backend = backend
        self.catalog: Catalog = Catalog(backend)
        self._closed = False
        self._starting = threading.Lock()
        self._start()

    def _start(self) -> None:
        self._turns: SimpleQueue[None] = SimpleQueue()  # takes a tenth of the time of a semaphore, which is no C
        for _ in range(self.backend.pool_size):
            self._turns.put(None)
        self._checkouts = Checkouts(self.backend.pool_size)
        self.engine: Engine = create_engine(**self.backend.engine_arguments(asynchronous=False))
        self.backend.listen(self.engine, event.listen)
        # Between units, connections are kept whole: to have SQLAlchemy make one (a connection, its proxy and a transaction
        # of its own) costs a small unit as much as one more round trip, 17 µs of 60 on SQLite.
        self.idle: list[Connection] = []
        self._process = os.getpid()

    def check_out(self, work: Transaction) -> tuple[Connection, int]:
        """Return a connection for *work*, and the number to check it in with.

        Raises:
            PoolExhaustedError: None became free in time.
            QueryError: The database was closed, or this thread is writing in another unit.
        """
        if self._closed:
            raise closed()
        if self._process != os.getpid():
            self._start_again_after_fork()
        thread = threading.current_thread()
        if self.backend.serializes_writers and not work.read_only:
            self._checkouts.require_no_write_unit_of(thread.ident)
        turn: list[None] = []
        number, connection = next_number(), None
        try:
            self._wait_for_a_turn(turn)
            connection = self._kept() or self._opened()
            self._checkouts.add(number, thread.ident, f"thread {thread.name}", lambda: work.holds_the_lock)
            return connection, number  # noqa: TRY300 - interrupted there, it would be lost
        except BaseException:
            if turn:
                self._take_back(number, connection)
            raise

    def _opened(self) -> Connection:
        try:
            return self.engine.connect()
        except BaseException as error:  # noqa: BLE001 - translated, or raised again as it is
            reraise(error, not_connected(error, self.backend))

    def _kept(self) -> Connection | None:
        """Return the connection that was kept last, and still serves; close those that do not."""
        while self.idle:
            with suppress(IndexError):  # another thread was faster
                connection = self.idle.pop()
                if self.backend.still_serves(self.backend.link_of(connection)):
                    return connection
                connection.invalidate()
                connection.close()
        return None

    def _wait_for_a_turn(self, turn: list[None]) -> None:
        """Put a turn into *turn*."""
        if self._has_turn(turn, 0):
            return
        deadline, began_s = current_deadline(), clock.monotonic_s()
        timeout_s = self.backend.options.pool_timeout_s
        timeout_s = timeout_s if deadline is None else deadline.fit(timeout_s)
        if self._checkouts.all_are_held_by(threading.get_ident()) or not self._has_turn(turn, timeout_s):
            raise self._checkouts.exhausted(clock.monotonic_s() - began_s)

    def _has_turn(self, turn: list[None], timeout_s: float) -> bool:
        try:
            # One call, of C: no KeyboardInterrupt comes between a turn and the note that it was taken.
            turn.extend(map(self._turns.get, (timeout_s > 0,), (timeout_s,)))
        except Empty:
            return False
        return True

    def check_in(self, number: int, connection: Connection | None) -> None:
        """Take note that the connection was closed; or, where it is given, keep it for another unit."""
        if number not in self._checkouts:
            left_behind.append(connection)  # a unit of the parent process, which ended in its child
            return
        if connection is not None:
            self.idle.append(connection)
        self._take_back(number, None)

    def _take_back(self, number: int, connection: Connection | None) -> None:
        """Take back the turn of *number*, and its *connection*, on which nothing has begun."""
        if connection is not None:
            with suppress(Exception):
                connection.close()
        still_out = self._checkouts.remove(number)
        self._turns.put(None)
        if self._closed and not still_out:
            self._dispose()

    def close(self) -> None:
        """Let nobody begin any more, and close every connection: at once, or when the last unit has ended."""
        self._closed = True
        if not len(self._checkouts):
            self._dispose()

    def _dispose(self) -> None:
        if self._process != os.getpid():
            self._leave_behind()
            return
        with suppress(IndexError):  # another thread was faster
            while self.idle:
                self.idle.pop().close()
        self.engine.dispose()

    def _leave_behind(self) -> None:
        left_behind.append((self.engine, self.idle))

    def _start_again_after_fork(self) -> None:
        if self.backend.belongs_to_one_process:
            message = "This in-memory database belongs to the parent process. Nothing was run. Use a file."
            raise ConfigError(message)
        with self._starting:  # once, however many threads of the child come at the same time
            if self._process != os.getpid():
                self._leave_behind()
                self._start()
