"""Everything that is SQLite's own: how it is opened, begun and stopped, and what it can store.

* ``isolation_level=None``: the driver begins nothing by itself. Its default begins at the first write only, and a
  read-modify-write then loses updates without a word; write units therefore start with BEGIN IMMEDIATE.
* WAL, so that readers and the writer do not wait for each other (sqlite.org/wal.html).
* ``synchronous=FULL``: with NORMAL, WAL does not sync on COMMIT, and a power cut may undo what was acknowledged
  (sqlite.org/pragma.html#pragma_synchronous). It costs one fsync a unit.
* ``foreign_keys=ON``: off by default, for compatibility only.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from sqlite3 import SQLITE_BUSY, SQLITE_READONLY
from typing import Any, Final

from sqlalchemy import URL, Connection, text
from sqlalchemy.pool import AsyncAdaptedQueuePool, NullPool, QueuePool, StaticPool

from controlroom import clock
from controlroom.clock import current_deadline
from controlroom.database.options import Options
from controlroom.database.stopwatch import Stopwatch
from controlroom.logs import get_logger

__all__ = ["Link", "Sqlite", "is_busy", "uniques"]

_OPS_BETWEEN_LOOKS: Final = 10_000  # of SQLite's virtual machine: well under a millisecond of work
_PAUSE_S: Final = 0.02
_SLICE_S: Final = 0.25  # a wait inside of SQLite hears neither a signal nor a shutdown, so it is cut into pieces
_KEY: Final = "controlroom"

_log = get_logger(__name__)


def is_busy(error: BaseException) -> bool:
    """Tell whether *error* says that somebody else holds the lock."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == SQLITE_BUSY


_UNIQUES = text("""
    SELECT i.name, c.name FROM pragma_index_list(:table_name, :schema) AS i, pragma_index_info(i.name, :schema) AS c
    WHERE i."unique" AND NOT i.partial AND i.origin <> 'pk' ORDER BY i.seq DESC, c.seqno
""")


def uniques(table: str, schema: str | None, connection: Connection) -> list[tuple[str, ...]]:
    """Return the columns of each unique constraint and unique index of *table*, but for its primary key.

    Not by SQLAlchemy's inspector, which reads the text of CREATE TABLE and warns of indexes on expressions. An index on
    an expression or on part of the rows says nothing about columns, and is left out.
    """
    found: dict[str, list[str | None]] = {}
    for index, column in connection.execute(_UNIQUES, {"table_name": table, "schema": schema or "main"}):
        found.setdefault(index, []).append(column)
    return [tuple(str(each) for each in columns) for columns in found.values() if None not in columns]


class Link:
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

    @classmethod
    def of(cls, connection: Any) -> Link:
        """Return the link below a SQLAlchemy connection."""
        link: Link = connection.info[_KEY]
        return link

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


class Sqlite:
    """The SQLite backend of a `Database`."""

    def __init__(self, url: URL, options: Options) -> None:
        self.options = options
        database = url.database or ":memory:"
        self.in_memory: bool = ":memory:" in database or url.query.get("mode") == "memory"
        is_uri = database.startswith("file:")
        self.path: Path | None = None if self.in_memory or is_uri else Path(database).absolute()
        self.url = url
        self.pool_size: int = 1 if self.in_memory else options.pool_size

    def engine_arguments(self, *, asynchronous: bool) -> dict[str, Any]:
        """Return the arguments of ``create_engine``, its URL included."""
        driver = "sqlite+aiosqlite" if asynchronous else "sqlite+pysqlite"
        return {
            "url": self.url.set(drivername=driver),
            "hide_parameters": True,
            "connect_args": {
                "isolation_level": None,
                "timeout": self.options.lock_timeout_s,
                "check_same_thread": False,  # a connection serves one thread at a time, but not always the same
            },
            "pool_reset_on_return": None,  # every unit ends its own transaction, and looks whether it has
            **self._pool(asynchronous=asynchronous),
        }

    def _pool(self, *, asynchronous: bool) -> dict[str, Any]:
        if self.in_memory:
            return {"poolclass": StaticPool}
        if self.options.profile == "serverless":
            return {"poolclass": NullPool}
        pool = AsyncAdaptedQueuePool if asynchronous else QueuePool
        return {"poolclass": pool, "pool_size": self.pool_size, "max_overflow": 0}

    def attach(self, dbapi: Any, record: Any) -> None:
        """Keep a link for a new connection. Listens to the pool's ``connect`` event, and waits for nothing there.

        SQLAlchemy lets one thread at a time through that event at first; `begin` may have to wait for a lock.
        """
        record.info[_KEY] = Link(dbapi, self.options.lock_timeout_s, self.options.statement_timeout_s)

    def _set_up(self, link: Link) -> None:
        if hasattr(link.dbapi, "run_async"):
            link.dbapi.run_async(lambda driver: driver.set_progress_handler(link.stopwatch.look, _OPS_BETWEEN_LOOKS))
        else:
            link.dbapi.set_progress_handler(link.stopwatch.look, _OPS_BETWEEN_LOOKS)
        self._use_wal(link)
        link.run("PRAGMA synchronous = FULL")
        link.run("PRAGMA foreign_keys = ON")
        link.is_set_up = True

    def _use_wal(self, link: Link) -> None:
        mode = link.persist(lambda: link.run("PRAGMA journal_mode"))
        if mode in ("wal", "memory"):
            return
        try:
            mode = link.persist(lambda: link.run("PRAGMA journal_mode = WAL"))
        except Exception as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF != SQLITE_READONLY:
                raise  # a file that is only read keeps the mode it has
        if mode not in ("wal", "memory"):
            _log.warning("wal_refused", database=str(self.path or self.url.database), journal_mode=mode)

    def begin(self, link: Link, *, read_only: bool) -> None:
        """Begin a transaction. SQLite knows one isolation level, SERIALIZABLE, which satisfies every other.

        Once it has the lock, a write unit waits for nothing but COMMIT; a unit that only reads waits in its statements.
        """
        deadline = current_deadline()
        if deadline is not None:
            deadline.require("a unit of work")
        limit_s = link.lock_timeout_s if deadline is None else deadline.fit(link.lock_timeout_s)
        if not link.is_set_up:
            link.wait_at_most(limit_s, in_slices=True)
            self._set_up(link)
        link.wait_at_most(limit_s, in_slices=not read_only)
        link.only_read(read_only)
        if read_only:
            link.run("BEGIN")
        else:
            link.take_the_lock()

    def why_it_cannot_open(self) -> str | None:
        """Return what is wrong with the path, where that can be seen from here."""
        if self.path is None:
            return None
        if self.path.is_dir():
            return f"{self.path} is a folder, not a file"
        if not self.path.parent.is_dir():
            return f"the folder {self.path.parent} does not exist"
        return None
