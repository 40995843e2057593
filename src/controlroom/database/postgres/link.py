"""One connection to PostgreSQL, and what was set on it last."""

from __future__ import annotations

import asyncio
import math
from abc import ABC, abstractmethod
from asyncio import CancelledError
from typing import Any, Final

from controlroom.clock import current_deadline
from controlroom.database.options import Options
from controlroom.database.postgres.limits import GRACE_S
from controlroom.errors import DeadlineExceededError, DoomedTransactionError, QueryError

__all__ = ["KEY", "AsyncpgLink", "PostgresLink", "PsycopgLink"]

KEY: Final = "controlroom"
"""Where a pooled connection keeps its link."""

_QUERY_CANCELED: Final = "57014"
_XID: Final = "SELECT pg_current_xact_id_if_assigned()::text"


class PostgresLink(ABC):
    """What both drivers share: limits of time, and how a transaction ends."""

    def __init__(self, dbapi: Any, options: Options) -> None:
        self.dbapi = dbapi
        self.driver: Any = getattr(dbapi, "driver_connection", dbapi)
        self.options = options
        self.only_reads = False
        self.xid: str | None = None
        self._cancelled = False
        self._set_s = options.statement_timeout_s  # what the server stops statements after
        self._limit_s = options.statement_timeout_s
        self._rule = "statement_timeout_s"

    @property
    @abstractmethod
    def pid(self) -> int | None:
        """The server's process that serves this connection."""

    @abstractmethod
    def run(self, sql: str) -> Any:
        """Execute *sql*, one query or several commands; return the first value of the query, or the last command's tag."""

    @abstractmethod
    def is_open(self) -> bool:
        """Tell whether a transaction is open on it, failed or not; a closed connection has none."""

    @abstractmethod
    def has_failed(self) -> bool:
        """Tell whether the transaction can only be rolled back."""

    @abstractmethod
    def limit(self, seconds: float | None) -> None:
        """Leave the server where it says nothing for *seconds*, closing the connection; None: wait."""

    def begin(self, sql: str, statement_timeout_s: float) -> None:
        """Run *sql*, which begins a transaction and sets its limits; *statement_timeout_s* is among them."""
        self.xid, self._set_s = None, statement_timeout_s
        self.limit(statement_timeout_s + GRACE_S)
        try:
            self.run(sql)
        finally:
            self.limit(None)

    def start(self, what: str) -> None:
        """Give the statement that follows its time.

        Raises:
            DeadlineExceededError: The ambient deadline has passed. The statement was not begun.
            CancelledError: Whoever waits for it has been cancelled meanwhile. The statement was not begun.
        """
        if self._cancelled:
            raise CancelledError
        deadline = current_deadline()
        self._limit_s, self._rule = self.options.statement_timeout_s, "statement_timeout_s"
        if deadline is not None:
            deadline.require(what)
            if deadline.remaining_s() < self._limit_s:
                self._limit_s, self._rule = deadline.remaining_s(), "deadline"
        self.limit(self._limit_s + GRACE_S)
        if self._limit_s < self._set_s:
            self.run(f"SET LOCAL statement_timeout = {milliseconds(self._limit_s)}")
            self._set_s = self._limit_s

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
        if self._rule == "deadline":
            message = (
                f"{what}: stopped after {self._limit_s:.1f} s, at the deadline. Its unit of work can only be rolled "
                "back. Run the unit again with more time."
            )
            return DeadlineExceededError(message)
        message = (
            f"{what}: stopped after statement_timeout_s={self._limit_s:g} s. Its unit of work can only be rolled back. "
            "Make the statement cheaper (an index, a smaller range), or give the Database a longer statement_timeout_s."
        )
        return QueryError(message)

    def commit(self) -> None:
        """COMMIT, within its own limit: not the deadline's, since nobody could say what became of it.

        Raises:
            DoomedTransactionError: The server rolled back instead, as it does where a statement has failed.
        """
        self.limit(self.options.commit_timeout_s)
        try:
            if not self.only_reads and not self.has_failed() and self.xid is None:
                self.xid = self.run(_XID)
            answer = self.run("COMMIT")
        finally:
            self.limit(None)
        if answer != "COMMIT":
            message = (
                f"The server answered COMMIT with {answer}: a statement had failed, and its error never reached this unit. "
                "Everything was rolled back. Let errors out, and run the unit again."
            )
            raise DoomedTransactionError(message)

    def roll_back(self) -> None:
        """ROLLBACK."""
        self.limit(self.options.commit_timeout_s)
        try:
            self.run("ROLLBACK")
        finally:
            self.limit(None)

    def touched(self) -> None:
        """Nothing outlives a unit that was not committed by it."""


class PsycopgLink(PostgresLink):
    """A connection of psycopg, sync or adapted for asyncio."""

    @property
    def pid(self) -> int | None:
        """The server's process that serves this connection."""
        return None if self.driver.closed else int(self.driver.info.backend_pid)

    def run(self, sql: str) -> Any:
        """Execute *sql*, one query or several commands; return the first value of the query, or the last command's tag."""
        if hasattr(self.dbapi, "run_async"):
            return self.dbapi.run_async(lambda driver: _asked(driver, sql))
        with self.driver.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchone()[0] if cursor.description else cursor.statusmessage

    def is_open(self) -> bool:
        """Tell whether a transaction is open on it, failed or not; a closed connection has none."""
        return not self.driver.closed and self.driver.info.transaction_status.name != "IDLE"

    def has_failed(self) -> bool:
        """Tell whether the transaction can only be rolled back."""
        return bool(self.driver.info.transaction_status.name == "INERROR")

    def limit(self, seconds: float | None) -> None:
        """Leave the server where it says nothing for *seconds*, closing the connection; None: wait."""
        if seconds is None:
            self.driver.limit.lift()
        else:
            self.driver.limit.begin(seconds)


async def _asked(driver: Any, sql: str) -> Any:
    async with driver.cursor() as cursor:
        await cursor.execute(sql)
        return (await cursor.fetchone())[0] if cursor.description else cursor.statusmessage


class AsyncpgLink(PostgresLink):
    """A connection of asyncpg, adapted for SQLAlchemy."""

    def __init__(self, dbapi: Any, options: Options) -> None:
        super().__init__(dbapi, options)
        self._alarm: asyncio.TimerHandle | None = None
        self.pid_at_first: int = self.driver.get_server_pid()

    @property
    def pid(self) -> int | None:
        """The server's process that serves this connection."""
        return self.pid_at_first

    def run(self, sql: str) -> Any:
        """Execute *sql*, one query or several commands; return the first value of the query, or the last command's tag."""
        ask = self.driver.fetchval if sql.startswith("SELECT") else self.driver.execute
        return self.dbapi.run_async(lambda _: ask(sql))

    def is_open(self) -> bool:
        """Tell whether a transaction is open on it, failed or not; a closed connection has none."""
        return not self.driver.is_closed() and bool(self.driver.is_in_transaction())

    def has_failed(self) -> bool:
        """Tell whether the transaction can only be rolled back: asyncpg learns that from COMMIT's tag only."""
        return False

    def limit(self, seconds: float | None) -> None:
        """Leave the server where it says nothing for *seconds*, closing the connection; None: wait."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if seconds is not None:
            # The loop's own timer: a sleeping task for every statement would cost more than the statement.
            self._alarm = asyncio.get_running_loop().call_later(seconds, self.driver.terminate)


def milliseconds(seconds: float) -> int:
    """Return *seconds* as the server counts them; never 0, which would mean no limit."""
    return max(1, math.ceil(seconds * 1000))
