"""Where a unit of work gets its connection from, and gives it back to."""

from __future__ import annotations

import os
import threading

from sqlalchemy import Connection, Engine, create_engine, event

from controlroom import clock
from controlroom.clock import current_deadline
from controlroom.database.backend import Backend
from controlroom.database.backends import not_connected
from controlroom.database.checkouts import Checkouts
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
        self._start()

    def _start(self) -> None:
        self._process = os.getpid()
        self._turns = threading.Semaphore(self.backend.pool_size)
        self._checkouts = Checkouts(self.backend.pool_size)
        self.engine: Engine = create_engine(**self.backend.engine_arguments(asynchronous=False))
        self.backend.listen(self.engine, event.listen)

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
        self._wait_for_a_turn()
        try:
            connection = self.engine.connect()
        except BaseException as error:  # noqa: BLE001 - translated, or raised again as it is
            self._turns.release()
            reraise(error, not_connected(error, self.backend))
        return connection, self._checkouts.add(thread.ident, f"thread {thread.name}", lambda: work.holds_the_lock)

    def _wait_for_a_turn(self) -> None:
        if self._turns.acquire(blocking=False):
            return
        deadline, began_s = current_deadline(), clock.monotonic_s()
        timeout_s = self.backend.options.pool_timeout_s
        timeout_s = timeout_s if deadline is None else deadline.fit(timeout_s)
        if self._checkouts.all_are_held_by(threading.get_ident()) or not self._turns.acquire(timeout=timeout_s):
            raise self._checkouts.exhausted(clock.monotonic_s() - began_s)

    def check_in(self, number: int) -> None:
        """Take note that the connection was closed."""
        still_out = self._checkouts.remove(number)
        self._turns.release()
        if self._closed and not still_out:
            self._dispose()

    def close(self) -> None:
        """Let nobody begin any more, and close every connection: at once, or when the last unit has ended."""
        self._closed = True
        if not len(self._checkouts):
            self._dispose()

    def _dispose(self) -> None:
        if self._process == os.getpid():
            self.engine.dispose()
        else:
            left_behind.append(self.engine)

    def _start_again_after_fork(self) -> None:
        if self.backend.belongs_to_one_process:
            message = "This in-memory database belongs to the parent process. Nothing was run. Use a file."
            raise ConfigError(message)
        left_behind.append(self.engine)
        self._start()
