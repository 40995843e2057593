"""One connection to PostgreSQL, and what was set on it last."""

from __future__ import annotations

import asyncio
import math
import os
import select
from abc import ABC, abstractmethod
from asyncio import CancelledError
from typing import Any, Final

from sqlalchemy.util import await_only

from controlroom.database.options import Options
from controlroom.database.postgres.limits import GRACE_S
from controlroom.database.time_limits import TimeLimit, limit_of
from controlroom.errors import DoomedTransactionError, QueryError

__all__ = ["KEY", "AsyncpgLink", "PostgresLink", "PsycopgLink"]

KEY: Final = "controlroom"
"""Where a pooled connection keeps its link."""

_QUERY_CANCELED: Final = "57014"
# NULL where nothing was written: then no number was given.
_XID_AND_PID: Final = "SELECT pg_current_xact_id_if_assigned() || ' ' || pg_backend_pid()"
_IDLE, _ACTIVE, _INERROR, _UNKNOWN = 0, 1, 3, 4  # libpq-fe.h, PGTransactionStatusType
_COMMITTED: Final = {"committed": True, "aborted": False}


class PostgresLink(ABC):
    """What both drivers share: limits of time, and how a transaction ends."""

    status_query: str | None = "SELECT pg_xact_status('{xid}')"

    def __init__(self, dbapi: Any, options: Options) -> None:
        self.dbapi = dbapi
        self.driver: Any = getattr(dbapi, "driver_connection", dbapi)
        self.options = options
        self.only_reads = False
        self.xid: str | None = None
        self.pid: int | None = None  # asked for: what a pooler says when a client connects is a number of its own
        self.has_served: bool = False
        self.generation = 0
        self.application_name = ""
        self._process = os.getpid()
        self._cancelled = False
        self._is_limited = False
        self._poll: Any = None
        self._set_s = options.statement_timeout_s  # what the server stops statements after
        self._time = TimeLimit(options.statement_timeout_s)

    def run(self, sql: str) -> Any:
        """Execute *sql*, one query or several commands; return the first value of the query, or the last command's tag."""
        self._require_own_process()
        if self._is_limited:
            return self._ask(sql)
        self.limit(self.options.commit_timeout_s)
        try:
            return self._ask(sql)
        finally:
            self.limit(None)

    @abstractmethod
    def _ask(self, sql: str) -> Any:
        """Execute *sql*, within the limit that is set."""

    @abstractmethod
    def is_open(self) -> bool:
        """Tell whether a transaction is open on it, failed or not; a closed connection has none."""

    @abstractmethod
    def is_lost(self) -> bool:
        """Tell whether it is known, without asking, that nobody is at the other end."""

    def let_go(self) -> None:  # noqa: B027 - psycopg takes leave of nobody
        """Close the connection without taking leave: nobody would answer."""

    @abstractmethod
    def is_heard(self) -> bool:
        """Tell whether the driver has heard the last answer; else it does not know whether a transaction is open."""

    @abstractmethod
    def has_failed(self) -> bool:
        """Tell whether the transaction can only be rolled back."""

    def limit(self, seconds: float | None) -> None:
        """Leave the server where it says nothing for *seconds*, closing the connection; None: nothing is asked for now."""
        self._is_limited = seconds is not None
        if seconds is None:
            self.driver.limit.lift()
        else:
            self.driver.limit.begin(seconds)

    def begin(self, sql: str, statement_timeout_s: float, wait_s: float) -> None:
        """Run *sql*, which begins a transaction and sets its limits; *statement_timeout_s* is among them.

        It is answered in *wait_s*, or not at all.
        """
        self.xid, self.pid, self._set_s = None, None, statement_timeout_s
        self.limit(wait_s)
        try:
            self.run(sql)
        finally:
            self.limit(None)
        self.has_served = True

    def _require_own_process(self) -> None:
        if self._process != os.getpid():
            message = "This unit of work belongs to the parent process. Nothing was run. Begin one in this process."
            raise QueryError(message)

    def start(self, what: str) -> None:
        """Give the statement that follows its time.

        Raises:
            DeadlineExceededError: The ambient deadline has passed. The statement was not begun.
            CancelledError: Whoever waits for it has been cancelled meanwhile. The statement was not begun.
        """
        if self._cancelled:
            raise CancelledError
        self._require_own_process()
        self._time = limit_of(what, self.options.statement_timeout_s)
        self.limit(self._time.seconds + GRACE_S)
        if self._time.seconds < self._set_s:
            self.run(f"SET LOCAL statement_timeout = {milliseconds(self._time.seconds)}")
            self._set_s = self._time.seconds

    def stop(self) -> None:
        """Let what follows take the time it takes."""
        self.limit(None)

    def cancel(self, statement: asyncio.Future[Any] | None) -> None:
        """Stop the statement that runs, and refuse those that follow, until `go_on`."""
        self._cancelled = True
        if statement is not None:
            statement.cancel()  # both drivers then ask the server to cancel it, and wait for its answer

    def go_on(self) -> None:
        """Let statements run again."""
        self._cancelled = False

    def verdict(self, error: BaseException, what: str) -> BaseException | None:
        """Return what to raise for a statement that one of our limits stopped; None where none did."""
        origin = getattr(error, "orig", error)
        if getattr(origin, "sqlstate", None) != _QUERY_CANCELED or "statement timeout" not in str(origin):
            return None
        return self._time.stopped(what)

    def take_evidence(self) -> None:
        """Find out the transaction's number and who serves it, unless it only reads or has failed.

        A message of its own, which costs a small unit a quarter, and does more than ask: a COMMIT is only sent to a server
        that has just been heard. Where it was lost before, the unit is known to be rolled back, not in doubt.
        """
        if self.only_reads or self.has_failed():
            return
        self.limit(self.options.commit_timeout_s)
        try:
            found = self.run(_XID_AND_PID)
        finally:
            self.limit(None)
        if found is not None:
            self.xid, pid = found.split()
            self.pid = int(pid)

    def commit(self) -> None:
        """COMMIT, within its own limit: not the deadline's, since nobody could say what became of it.

        Raises:
            DoomedTransactionError: The server rolled back instead, as it does where a statement has failed.
            ConnectionError: What came back was the answer to something else: nobody knows.
        """
        self.limit(self.options.commit_timeout_s)
        try:
            answer = self.run("COMMIT")
        finally:
            self.limit(None)
        if answer == "ROLLBACK":
            message = (
                "The server answered COMMIT with ROLLBACK: a statement had failed, and its error never reached this unit. "
                "Everything was rolled back. Let errors out, and run the unit again."
            )
            raise DoomedTransactionError(message)
        if answer != "COMMIT":
            message = f"COMMIT was answered with {answer!r}, which answers something else"
            raise ConnectionError(message)

    def has_committed(self) -> bool | None:
        """Tell whether a COMMIT that was interrupted has happened; None where nobody here knows.

        Where it is over, psycopg may have cancelled it: the session that sent it can ask without any doubt.
        """
        if not self.is_heard():
            return None
        if self.is_open() or self.xid is None:
            return not self.is_open()
        self.limit(self.options.commit_timeout_s)
        try:
            return _COMMITTED.get(self.run(f"SELECT pg_xact_status('{self.xid}')"))
        except Exception:  # noqa: BLE001 - whatever it is: the question is still open
            return None
        finally:
            self.limit(None)

    def roll_back(self) -> None:
        """ROLLBACK; nothing in a forked child, whose parent's transaction it is."""
        if self._process != os.getpid():
            return
        self.limit(self.options.commit_timeout_s)
        try:
            self.run("ROLLBACK")
        finally:
            self.limit(None)

    def touched(self) -> None:  # noqa: B027 - what it does is nothing
        """Nothing outlives a unit that was not committed by it."""


class PsycopgLink(PostgresLink):
    """A connection of psycopg, sync or adapted for asyncio."""

    def _ask(self, sql: str) -> Any:
        """Execute *sql*, within the limit that is set."""
        answer = self.driver.ask(sql)
        return answer if self.driver is self.dbapi else await_only(answer)

    def is_open(self) -> bool:
        """Tell whether a transaction is open on it, failed or not; a closed connection has none."""
        return not self.driver.closed and self._status() != _IDLE

    def _status(self) -> int:
        return int(self.driver.pgconn.transaction_status)

    def is_lost(self) -> bool:
        """Tell whether it is known, without asking, that nobody is at the other end.

        An idle server says nothing, but for its farewell (or a notice, after which a new connection does no harm).
        """
        if self.driver.closed:
            return True
        if self._poll is None:
            self._poll = _poll_of(self.driver.fileno())
        return bool(self._poll is not None and self._poll.poll(0))

    def is_heard(self) -> bool:
        """Tell whether the driver has heard the last answer; else it does not know whether a transaction is open."""
        return self._status() not in (_ACTIVE, _UNKNOWN)

    def has_failed(self) -> bool:
        """Tell whether the transaction can only be rolled back."""
        return self._status() == _INERROR


def _poll_of(fileno: int) -> Any:
    if not hasattr(select, "poll"):  # Windows: BEGIN finds out
        return None
    poll = select.poll()
    poll.register(fileno, select.POLLIN)
    return poll


class AsyncpgLink(PostgresLink):
    """A connection of asyncpg, adapted for SQLAlchemy."""

    def _ask(self, sql: str) -> Any:
        """Execute *sql*, within the limit that is set."""
        ask = self.driver.fetchval if sql.startswith("SELECT") else self.driver.execute
        return self.dbapi.run_async(lambda _: ask(sql))

    def is_open(self) -> bool:
        """Tell whether a transaction is open on it, failed or not; a closed connection has none."""
        return not self.driver.is_closed() and bool(self.driver.is_in_transaction())

    def is_lost(self) -> bool:
        """Tell whether it is known, without asking, that nobody is at the other end: the loop listens."""
        return bool(self.driver.is_closed())

    def let_go(self) -> None:
        """Close the connection without taking leave: nobody would answer."""
        self.driver.terminate()

    def is_heard(self) -> bool:
        """Tell whether the driver has heard the last answer; else it does not know whether a transaction is open."""
        return not self.driver.is_closed()

    def has_failed(self) -> bool:
        """Tell whether the transaction can only be rolled back: asyncpg learns that from COMMIT's tag only."""
        return False


def milliseconds(seconds: float) -> int:
    """Return *seconds* as the server counts them; never 0, which would mean no limit."""
    return max(1, math.ceil(seconds * 1000))
