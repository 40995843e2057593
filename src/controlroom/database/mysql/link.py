"""One connection to MySQL or MariaDB, and what was set on it last."""

from __future__ import annotations

import asyncio
import math
from asyncio import CancelledError
from typing import Any, Final

from controlroom.database.mysql.statements import commits, only_looks
from controlroom.database.options import Options
from controlroom.database.time_limits import TimeLimit, limit_of
from controlroom.errors import QueryError

__all__ = ["GRACE_S", "KEY", "MysqlLink", "seconds"]

KEY: Final = "controlroom"
"""Where a pooled connection keeps its link."""

GRACE_S: Final = 2.0
"""What the server gets beyond its own limit, to say that it has stopped."""

_STOPPED: Final = {1969, 3024}  # by max_statement_time, by max_execution_time
_SILENT: Final = 3_600.0  # where nothing is limited otherwise; no statement of the library's own takes that long


class MysqlLink:
    """One connection of the driver, sync or adapted by SQLAlchemy for asyncio."""

    def __init__(self, dbapi: Any, options: Options) -> None:
        self.dbapi = dbapi
        self.driver: Any = getattr(dbapi, "driver_connection", dbapi)
        self.options = options
        self.is_maria: bool = "mariadb" in str(self.driver.server_version).lower()
        self.pid: int | None = None
        self.xid: str | None = None
        self.session: str | None = None
        self.status_query: str | None = None  # MySQL does not say what became of a transaction
        self.settings: dict[str, str] = {}
        self.level: str | None = None
        self._begin = ""
        self._has_worked = False
        self._redefines = False
        self._cancelled = False
        self._time = TimeLimit(options.statement_timeout_s)

    def run(self, sql: str) -> Any:
        """Execute *sql*; return its first value."""
        self._has_worked = self._has_worked or not only_looks(sql)
        if hasattr(self.dbapi, "run_async"):
            return self.dbapi.run_async(lambda driver: _asked(driver, sql))
        with self.driver.cursor() as cursor:
            cursor.execute(sql)
            row = cursor.fetchone() if cursor.description else None
        return None if row is None else row[0]

    def have(self, settings: dict[str, str]) -> None:
        """Set what is not set so already."""
        wanted = {name: value for name, value in settings.items() if self.settings.get(name) != value}
        if wanted:
            self.run("SET " + ", ".join(f"{name} = {value}" for name, value in wanted.items()))
            self.settings |= wanted

    def begin(self, sql: str, level: str) -> None:
        """Run *sql*, which begins a transaction, at isolation *level*."""
        if level != self.level:
            self.run(f"SET SESSION TRANSACTION ISOLATION LEVEL {level}")
            self.level = level
        self.run(sql)
        self._begin, self._has_worked, self._redefines = sql, False, False

    def limit(self, limit_s: float | None) -> None:
        """Leave the server where it says nothing for *limit_s*, closing the connection; None: wait."""
        if limit_s is None and not hasattr(self.dbapi, "run_async"):
            limit_s = _SILENT
        self.driver.limit(limit_s)

    def before(self, sql: str, *, streams: bool) -> None:
        """Look at a statement that is about to be run.

        Raises:
            QueryError: It would commit what the unit has done so far.
        """
        self._redefines = commits(sql)
        if self._redefines and self._has_worked:
            message = (
                "MySQL commits before such a statement, and what this unit has done so far could not be rolled back any "
                "more. It was not run. Run it first in its unit, or in a unit of its own."
            )
            raise QueryError(message)
        self._has_worked = self._has_worked or not (self._redefines or only_looks(sql))
        if streams:  # the server counts the time that its reader takes as its own
            self._have_no_limit()

    def _have_no_limit(self) -> None:
        self.have({self._limiting: "0"})

    @property
    def _limiting(self) -> str:
        return "max_statement_time" if self.is_maria else "max_execution_time"

    def after(self) -> None:
        """Look at where the transaction stands, a statement having been run.

        Raises:
            QueryError: It has ended: the statement committed.
        """
        if self.driver.in_transaction or not self._begin:
            return
        if not self._redefines:
            message = (
                "This statement committed what the unit had done so far, which stays; what followed would not be part of a "
                "transaction. Run what commits by itself (definitions of tables, inside procedures too) in a unit of its own."
            )
            raise QueryError(message)
        self.run(self._begin)
        self._has_worked = False

    def start(self, what: str) -> None:
        """Give the statement that follows its time.

        Raises:
            DeadlineExceededError: The ambient deadline has passed. The statement was not begun.
            CancelledError: Whoever waits for it has been cancelled meanwhile. The statement was not begun.
        """
        if self._cancelled:
            raise CancelledError
        self._time = limit_of(what, self.options.statement_timeout_s)
        self.limit(self._time.seconds + GRACE_S)
        if not self.driver.is_streaming:
            self.have(self.statement_limit(self._time.seconds))

    def statement_limit(self, limit_s: float) -> dict[str, str]:
        """Return the setting that has the server stop a statement after *limit_s*: MySQL's own knows SELECT only."""
        value = f"{max(limit_s, 0.001):.3f}" if self.is_maria else str(max(1, math.ceil(limit_s * 1000)))
        return {self._limiting: value}

    def stop(self) -> None:
        """Let what follows take the time it takes."""
        self.limit(None)

    def cancel(self, statement: asyncio.Future[Any] | None) -> None:
        """Stop waiting for the statement that runs, and refuse those that follow, until `go_on`.

        The driver closes the connection; the server rolls back when it notices, at the statement's own limit at the latest.
        """
        self._cancelled = True
        if statement is not None:
            statement.cancel()

    def go_on(self) -> None:
        """Let statements run again."""
        self._cancelled = False

    def verdict(self, error: BaseException, what: str) -> BaseException | None:
        """Return what to raise for a statement that one of our limits stopped; None where none did."""
        origin = getattr(error, "orig", error)
        number = origin.args[0] if getattr(origin, "args", ()) else None
        if number not in _STOPPED:
            return None
        return self._time.stopped(what)

    def take_evidence(self) -> None:
        """Say who serves the transaction: the session has a name of its own, which `end_session` asks for."""
        self.pid, self.xid = (self.driver.thread_id(), self.session) if self._has_worked else (None, None)

    def commit(self) -> None:
        """COMMIT, within its own limit: not the deadline's, since nobody could say what became of it."""
        self._ended_by("COMMIT")

    def roll_back(self) -> None:
        """ROLLBACK."""
        self._ended_by("ROLLBACK")

    def _ended_by(self, sql: str) -> None:
        self.limit(self.options.commit_timeout_s)
        try:
            self.run(sql)
        finally:
            self.limit(None)
        self._begin = ""

    def has_committed(self) -> bool | None:
        """Tell whether a COMMIT that was interrupted has happened; a connection that was closed does not know."""
        return None if self._is_closed() else not self.is_open()

    def is_open(self) -> bool:
        """Tell whether a transaction is open on it. The server is asked: with an error it does not say."""
        if self._is_closed():
            return False
        self.limit(self.options.commit_timeout_s)
        try:
            self.dbapi.ping(False)  # noqa: FBT003 - not to connect again
        except Exception:  # noqa: BLE001 - a driver's own; whatever it is, nobody is there
            return False
        finally:
            self.limit(None)
        return bool(self.driver.in_transaction)

    def _is_closed(self) -> bool:
        closed = getattr(self.driver, "closed", None)
        return not self.driver.open if closed is None else bool(closed)

    def touched(self) -> None:
        """Set everything up again before the next unit."""
        self.settings.clear()
        self.level = None


async def _asked(driver: Any, sql: str) -> Any:
    async with driver.cursor() as cursor:
        await cursor.execute(sql)
        row = await cursor.fetchone() if cursor.description else None
        return None if row is None else row[0]


def seconds(limit_s: float) -> str:
    """Return *limit_s* in the whole seconds that the server counts locks in; never 0."""
    return str(max(1, math.ceil(limit_s)))
