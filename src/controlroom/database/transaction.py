"""One transaction on one connection: what every statement of a unit goes through, written once for both colours.

Rules:

* Whatever leaves a method that may have written dooms the transaction, until a savepoint around it is rolled back.
* SQLite sometimes rolls the whole transaction back by itself (sqlite.org/lang_transaction.html, "Response To Errors
  Within A Transaction"). Further statements would then commit one by one; so after each error the driver is asked
  whether the transaction is still open, and if not, nothing further runs.
* COMMIT and ROLLBACK go to the driver directly: where a signal interrupts SQLAlchemy, it closes the connection, and
  with it the answer to whether the COMMIT had happened.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import Connection

from controlroom.database.backend import Backend, Link
from controlroom.database.classify import Situation, forget_what_was_handled, reraise, translated
from controlroom.database.ending import Abandon, AskWhetherCommitted, Commit, Outcome, RollBack, Step, doomed_by
from controlroom.database.evidence import Evidence
from controlroom.database.stand_ins import without_values
from controlroom.errors import ControlRoomError, DoomedTransactionError, QueryError
from controlroom.logs.links import new_link

__all__ = ["SavepointState", "Transaction"]

T = TypeVar("T")


class SavepointState(NamedTuple):
    """What a savepoint goes back to."""

    name: str
    swallowed: BaseException | None
    hooks: int
    marks: dict[tuple[str, str], tuple[Any, Any]]
    token: str | None


class Transaction:
    """The state of one unit of work below its public face.

    Attributes:
        ref: What ties its lines in the log together.
        marks: What it moved, by kind and name: before and after.
        token: The ledger key that it has claimed, if any.
    """

    def __init__(self, backend: Backend, *, read_only: bool, isolation: str | None = None) -> None:
        self.backend = backend
        self.read_only = read_only
        self.isolation = isolation
        self.outcome: Outcome = Outcome.NOT_BEGUN
        self.swallowed: BaseException | None = None
        self.hooks: list[Callable[[], object]] = []
        self.token: str | None = None
        self.ref: str = new_link("unit")
        self.marks: dict[tuple[str, str], tuple[Any, Any]] = {}
        self._lost = False
        self._numbers = 0
        self._connection: Connection | None = None
        self._link: Link
        self._thread = 0

    @property
    def connection(self) -> Connection:
        """The SQLAlchemy connection; only inside `run`."""
        if self._connection is None:
            raise self._unusable()
        return self._connection

    @property
    def holds_the_lock(self) -> bool:
        """Whether writes of others wait for this unit to end."""
        return self.outcome is Outcome.OPEN and not self.read_only and not self._lost

    @property
    def will_commit(self) -> bool:
        """Whether it commits, should the block end now without an error."""
        return self.outcome is Outcome.OPEN and self.swallowed is None

    @property
    def evidence(self) -> Evidence:
        """What its COMMIT could be settled with."""
        return Evidence(self.token, self._link.pid, self._link.xid, self._link.status_query)

    @property
    def link(self) -> Link:
        """The driver's connection."""
        return self._link

    def begin(self, connection: Connection) -> None:
        """Begin on *connection*."""
        self._connection, self._thread = connection, threading.get_ident()
        self._link = self.backend.link_of(connection)
        try:
            try:
                self._begin_on_link()
            except Exception:
                if not self.backend.may_begin_again(self._link):
                    raise
                connection.invalidate()
                connection.rollback()  # SQLAlchemy's own state, where the connection was kept; nothing is sent
                self._link = self.backend.link_of(connection)  # which opens another one
                self._begin_on_link()
        except BaseException as error:  # noqa: BLE001 - translated, or raised again as it is
            if not isinstance(error, Exception):
                connection.invalidate()  # interrupted: BEGIN may still be on its way
            reraise(error, self.translated(error, Situation("BEGIN", "begin")))
        self.outcome = Outcome.OPEN

    def _begin_on_link(self) -> None:
        self.backend.begin(self._link, read_only=self.read_only, isolation=self.isolation)

    def require_own(self) -> None:
        """Refuse whoever comes before the begin, after the end, or from another thread.

        Raises:
            QueryError: That is so.
        """
        if self.outcome is not Outcome.OPEN or self._thread != threading.get_ident():
            raise self._unusable()

    def require_open(self) -> None:
        """Refuse to go on where there is nothing to go on with.

        Raises:
            QueryError: The unit has not begun, has ended, or belongs to another thread.
            DoomedTransactionError: The database has rolled it back by itself.
        """
        self.require_own()
        if self._lost:
            message = (
                "The database rolled the whole unit back when an earlier statement failed. Nothing of it is left; "
                "this statement was not run. Let the first error out, and run the unit again."
            )
            raise DoomedTransactionError(message) from self.swallowed

    def _unusable(self) -> QueryError:
        if self.outcome is Outcome.OPEN:
            fact = "This unit of work belongs to another thread. A unit is not shared: give each thread its own"
        elif self.outcome is Outcome.NOT_BEGUN:
            fact = "This unit of work has not begun. Use it as `with db.unit_of_work() as uow:`"
        else:
            fact = f"This unit of work has ended: {self.outcome}. Begin another one"
        return QueryError(f"{fact}. Nothing was run.")

    def run(
        self,
        what: str,
        action: Callable[[], T],
        table: str | None = None,
        row_index: Callable[[], int | None] = lambda: None,
    ) -> T:
        """Return ``action()``, one statement of this unit; translate what it raises, and doom the unit by it."""
        self.require_open()
        try:
            self._link.start(what)
            return action()
        except BaseException as error:  # noqa: BLE001 - translated, or raised again as it is
            ours = self._stopped(error, what)
            if ours is None:
                ours = self.translated(error, Situation(what, "statement", table, row_index(), self.read_only))
            if isinstance(ours, DoomedTransactionError) and self.swallowed is not None:
                ours.__cause__ = self.swallowed  # why the server refused this one
            self.doom(ours)
            reraise(error, ours)
        finally:
            self._link.stop()

    def _stopped(self, error: BaseException, what: str) -> BaseException | None:
        """Return what to raise where one of our limits stopped the statement."""
        ours = self._link.verdict(error, what)
        if isinstance(ours, ControlRoomError) and ours.__cause__ is None:
            ours.__cause__ = without_values(error, self.backend.meanings)
        return ours

    def translated(self, error: BaseException, situation: Situation) -> BaseException:
        """Return *error* as one of ours; as it is where it is not the database's."""
        return translated(error, situation, self.backend.meanings)

    def doom(self, error: BaseException) -> None:
        """Remember that *error* was raised: should it not leave the block, the unit may not commit."""
        self.swallowed = self.swallowed or error
        self._lost = self._lost or not self._link.is_open()

    def interrupted_by(self, error: BaseException) -> None:
        """Remember that a statement did not return its result to the caller, whether it was run or not."""
        self.swallowed = self.swallowed or error

    def cancel(self, statement: asyncio.Future[Any] | None = None) -> None:
        """Stop the statement that runs, in the task *statement*, and those that would follow it."""
        self._link.cancel(statement)

    def take_back_cancellation(self) -> None:
        """Let statements run again: whoever was cancelled has stopped."""
        if self._connection is not None:
            self._link.go_on()

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Doom the unit by whatever leaves the block: rows were written before the iterable of rows failed, say."""
        self.require_open()
        try:
            yield
        except BaseException as error:
            forget_what_was_handled(error)
            self.doom(error)
            raise

    def control(self, what: str, sql: str) -> Any:
        """Run a statement of the library's own; return its first value."""
        return self.run(what, lambda: self._link.run(sql))

    def number(self) -> int:
        """Return a number that this transaction has not used: for names."""
        self._numbers += 1
        return self._numbers

    def enter_savepoint(self) -> SavepointState:
        """Set a savepoint."""
        name = f"controlroom_{self.number()}"
        self.control("SAVEPOINT", f"SAVEPOINT {name}")
        return SavepointState(name, self.swallowed, len(self.hooks), dict(self.marks), self.token)

    def undo_to(self, savepoint: SavepointState) -> None:
        """Undo everything since *savepoint*, its errors included. The savepoint stays."""
        if self._lost:
            return
        self._settle(f"ROLLBACK TO {savepoint.name}")
        self.swallowed = savepoint.swallowed
        del self.hooks[savepoint.hooks :]
        self.marks = dict(savepoint.marks)
        self.token = savepoint.token

    def leave_savepoint(self, savepoint: SavepointState, error: BaseException | None) -> None:
        """Keep what was done since *savepoint*, or undo it where *error* left the block or one was swallowed.

        Raises:
            DoomedTransactionError: An error was swallowed inside; everything since the savepoint was undone.
        """
        if self.outcome is not Outcome.OPEN or self._lost:
            return  # rolled back as a whole: by the user, or by the database
        swallowed = self.swallowed if self.swallowed is not savepoint.swallowed else None
        if error is not None or swallowed is not None:
            self.undo_to(savepoint)
        self._settle(f"RELEASE SAVEPOINT {savepoint.name}")
        if error is None and swallowed is not None:
            raise doomed_by(swallowed, "savepoint")

    def _settle(self, sql: str) -> None:
        """Run what ends a savepoint: like COMMIT and ROLLBACK it takes the time it takes, after the deadline too."""
        self.require_open()
        try:
            self._link.run(sql)
        except BaseException as error:  # noqa: BLE001 - translated, or raised again as it is
            ours = self.translated(error, Situation(sql))
            self.doom(ours)
            reraise(error, ours)

    def perform(self, step: Step) -> bool | None:
        """Perform one step of the ending."""
        match step:
            case Commit():
                self._commit()
            case AskWhetherCommitted():
                return self._link.has_committed()
            case RollBack():
                self._roll_back()
            case Abandon():
                self.connection.invalidate()
        return None

    def _commit(self) -> None:
        try:
            self._link.take_evidence()
        except BaseException as error:  # noqa: BLE001 - translated, or raised again as it is
            reraise(error, self.translated(error, Situation("COMMIT, before it was sent", "ending")))
        try:
            self._link.commit()
        except BaseException as error:  # noqa: BLE001 - translated, or raised again as it is
            reraise(error, self.translated(error, Situation("COMMIT", "commit", evidence=self.evidence)))

    def _roll_back(self) -> None:
        if not self._link.is_open():
            return
        try:
            self._link.roll_back()
        except Exception:  # noqa: BLE001 - whatever it is: a closed connection is rolled back
            with suppress(Exception):
                self.connection.invalidate()

    def close(self) -> Connection | None:
        """Let go of the connection, never with a transaction open on it; return it if it can be kept for another unit.

        Else it was closed.
        """
        if self.outcome is Outcome.OPEN:
            self.outcome = Outcome.ROLLED_BACK
        connection, kept = self._connection, False
        if connection is None:
            return None
        try:
            if self.outcome is not Outcome.COMMITTED and not connection.invalidated:
                self._roll_back()
            # The second: an ORM session has a connection of its own, which may have found out first that it is lost.
            kept = self.backend.keeps_connections and not connection.invalidated and connection.connection.is_valid
        except BaseException:
            connection.invalidate()  # interrupted: nobody knows whether the transaction is still open
            raise
        finally:
            self._connection = None
            if not kept:
                _give_back(connection)
        return connection if kept else None


def _give_back(connection: Connection) -> None:
    """Close *connection*; one that the server has ended fails at that (SQLAlchemy rolls back once more), and is left out."""
    with suppress(Exception):
        connection.close()
    if not connection.closed:
        connection.invalidate()
        connection.close()
