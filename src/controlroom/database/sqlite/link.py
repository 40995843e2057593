"""One connection to SQLite, and what was set on it last."""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import Callable
from sqlite3 import SQLITE_BUSY, SQLITE_INTERRUPT
from typing import Any, Final

from controlroom import clock
from controlroom.database.sqlite.stopwatch import Stopwatch
from controlroom.errors import QueryError

__all__ = ["KEY", "SqliteLink", "is_busy"]

KEY: Final = "controlroom"
"""Where a pooled connection keeps its link."""

_PAUSE_S: Final = 0.02
_SLICE_S: Final = 0.25  # a wait inside of SQLite hears neither a signal nor a shutdown, so it is cut into pieces


def is_busy(error: BaseException) -> bool:
    """Tell whether *error* says that somebody else holds the lock."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == SQLITE_BUSY


class SqliteLink:
    """One connection of the driver, sync or adapted by SQLAlchemy for asyncio, and what was set on it last."""

    def __init__(self, dbapi: Any, lock_timeout_s: float, statement_timeout_s: float) -> None:
        self.dbapi = dbapi
        self.driver: Any = getattr(dbapi, "driver_connection", dbapi)
        self.stopwatch: Stopwatch = Stopwatch(statement_timeout_s)
        self.lock_timeout_s = lock_timeout_s
        self.limit_s: float = lock_timeout_s
        self.slices: int = 1
        self.waits_s: float | None = lock_timeout_s
        self.only_reads: bool | None = False
        self.is_set_up: bool = False
        self._process = os.getpid()

    @classmethod
    def of(cls, connection: Any) -> SqliteLink:
        """Return the link below a SQLAlchemy connection."""
        link: SqliteLink = connection.info[KEY]
        return link

    def start(self, what: str) -> None:
        """Give the statement that follows its time."""
        self._require_own_process()
        self.stopwatch.start(what)

    def _require_own_process(self) -> None:
        """Refuse a forked child: it has the file without the locks, which stay with its parent."""
        if self._process != os.getpid():
            message = "This unit of work belongs to the parent process. Nothing was run. Begin one in this process."
            raise QueryError(message)

    def stop(self) -> None:
        """Let what follows take the time it takes: COMMIT and ROLLBACK are never interrupted."""
        self.stopwatch.stop()

    def cancel(self, statement: asyncio.Future[Any] | None) -> None:  # noqa: ARG002 - the progress handler stops it
        """Stop the statement that runs, and refuse those that follow, until `go_on`."""
        self.stopwatch.cancelled = True

    def go_on(self) -> None:
        """Let statements run again."""
        self.stopwatch.cancelled = False

    def verdict(self, error: BaseException, what: str) -> BaseException | None:
        """Return what to raise for a statement that one of our limits stopped; None where none did."""
        stopped = getattr(getattr(error, "orig", error), "sqlite_errorcode", None) == SQLITE_INTERRUPT
        return self.stopwatch.verdict(what) if stopped else None

    @property
    def status_query(self) -> str | None:
        """What a person asks the server: there is none."""
        return None

    @property
    def pid(self) -> int | None:
        """The server's process: there is none."""
        return None

    @property
    def xid(self) -> str | None:
        """The server's number of the transaction: there is none."""
        return None

    def take_evidence(self) -> None:
        """Do nothing: a COMMIT in doubt is settled by looking into the file."""

    def commit(self) -> None:
        """COMMIT; repeated while somebody else holds the lock, for as long as locks are waited for."""
        self._require_own_process()
        self.persist(self.dbapi.commit)

    def roll_back(self) -> None:
        """ROLLBACK; nothing in a forked child, whose parent's transaction it is."""
        if self._process == os.getpid():
            self.dbapi.rollback()

    def run(self, sql: str) -> Any:
        """Execute *sql*, which the caller of the package did not write; return its first value."""
        cursor = self.dbapi.cursor()
        try:
            cursor.execute(sql)
            row = cursor.fetchone()
            return None if row is None else row[0]
        finally:
            cursor.close()

    def persist(self, action: Callable[[], Any], turns: float = math.inf, pause_s: float = _PAUSE_S) -> Any:
        """Return ``action()``, repeated while it answers SQLITE_BUSY, for as long as locks are waited for.

        SQLite waits by itself (busy_timeout), except where it sees no use in it; COMMIT and the switch to WAL are among
        those, and the transaction stays open meanwhile.

        Raises:
            ShutdownRequested: The process was asked to stop meanwhile.
        """
        began_s = clock.monotonic_s()
        while True:
            turns -= 1
            try:
                return action()
            except Exception as error:
                if not is_busy(error) or turns <= 0 or clock.monotonic_s() - began_s >= self.limit_s:
                    raise
            self._pause(pause_s)

    def take_the_lock(self) -> None:
        """Begin a transaction that writes.

        SQLite sleeps through each slice in full, so that counting them is enough: no clock has to run along.
        """
        self.persist(lambda: self.run("BEGIN IMMEDIATE"), turns=self.slices, pause_s=0)

    def _pause(self, seconds: float) -> None:
        if hasattr(self.dbapi, "run_async"):
            self.dbapi.run_async(lambda _: clock.asleep(seconds))
        else:
            clock.sleep(seconds)

    def has_committed(self) -> bool | None:
        """Tell whether a COMMIT that was interrupted has happened."""
        return not self.is_open()

    def is_open(self) -> bool:
        """Tell whether a transaction is open on it; a closed connection has none."""
        try:
            if hasattr(self.dbapi, "run_async"):
                self.run("SELECT 1")  # comes after whatever the driver's thread may still be doing
            return bool(self.driver.in_transaction)
        except Exception:  # noqa: BLE001 - sqlite3 and aiosqlite each have their own for a closed connection
            return False

    def touched(self) -> None:
        """Set everything up again before the next unit: somebody ran a PRAGMA, which outlives the unit it was run in."""
        self.is_set_up, self.waits_s, self.only_reads = False, None, None

    def wait_at_most(self, limit_s: float, *, in_slices: bool) -> None:
        """Wait for locks as long as that, from now on: SQLite itself, or `persist` in slices that SQLite waits."""
        self.limit_s = limit_s
        self.slices = max(1, math.ceil(limit_s / _SLICE_S)) if in_slices else 1
        waits_s = limit_s / self.slices
        if waits_s != self.waits_s:
            self.run(f"PRAGMA busy_timeout = {int(waits_s * 1000)}")
            self.waits_s = waits_s

    def only_read(self, wanted: bool) -> None:  # noqa: FBT001 - a switch
        """Refuse writes from now on, or allow them."""
        if wanted != self.only_reads:
            self.run(f"PRAGMA query_only = {'ON' if wanted else 'OFF'}")
            self.only_reads = wanted
