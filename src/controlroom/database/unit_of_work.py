"""The unit of work: one transaction that tells the truth about its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Self

from controlroom import clock
from controlroom.database.ending import Ended, Outcome, RollBack, as_hook
from controlroom.database.objects import Objects
from controlroom.database.sources import Source
from controlroom.database.transaction import SavepointState, Transaction
from controlroom.database.unit import Unit
from controlroom.errors import QueryError
from controlroom.logs import get_logger

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

__all__ = ["Savepoint", "UnitOfWork", "log_end", "log_failed_hook"]

_log = get_logger(__name__)


def log_end(work: Transaction, ended: Ended, began_s: float, failure: BaseException | None) -> None:
    """Log what became of a unit."""
    if work.read_only:
        return
    elapsed_s = round(clock.monotonic_s() - began_s, 6)
    if ended.outcome is Outcome.COMMITTED:
        _log.debug("unit_committed", unit=work.ref, elapsed_s=elapsed_s)
        if work.marks:
            _log_marks(work)
    elif ended.outcome is Outcome.ROLLED_BACK:
        _log.info("unit_rolled_back", unit=work.ref, reason=_reason(failure or ended.error), elapsed_s=elapsed_s)
    else:
        _log_doubt(work, _reason(failure or ended.error), elapsed_s)


def _log_doubt(work: Transaction, reason: str, elapsed_s: float) -> None:
    token, pid, xid, _ = work.evidence
    _log.warning(
        "commit_left_in_doubt",
        unit=work.ref,
        reason=reason,
        elapsed_s=elapsed_s,
        commit_token=token,
        server_pid=pid,
        xid=xid,
    )


def _log_marks(work: Transaction) -> None:
    for (kind, name), (before, after) in work.marks.items():
        if kind == "watermark":
            _log.info("watermark_advanced", unit=work.ref, name=name, before=before, after=after)
        else:
            _log.debug("checkpoint_saved", unit=work.ref, name=name)


def _reason(error: BaseException | None) -> str:
    """Return no more than the class: the text stands on the line of whoever tells the failure."""
    return "asked for" if error is None else type(error).__name__


def log_failed_hook(work: Transaction, hook: Callable[[], object], error: Exception) -> None:
    """Log that a hook failed: the unit has committed all the same."""
    named = getattr(hook, "__qualname__", repr(hook))
    _log.failure("on_commit_failed", error, unit=work.ref, hook=named, outcome="committed")


class Savepoint:
    """A place inside a unit that one can go back to; made by `UnitOfWork.savepoint`."""

    def __init__(self, work: Transaction, state: SavepointState, objects: Objects) -> None:
        self._work = work
        self._state = state
        self._objects = objects

    def rollback(self) -> None:
        """Undo everything since the savepoint; an error that was swallowed there is forgiven. The block goes on."""
        self._objects.undo(self._state)
        self._work.undo_to(self._state)
        self._objects.enter(self._state)


class UnitOfWork(Unit):
    """One transaction: ``with db.unit_of_work() as uow:`` commits on a clean exit and rolls back on an exception.

    Made by `Database.unit_of_work`; used by one thread.

    Raises:
        DatabaseUnavailableError, PoolExhaustedError, TransactionConflictError: On entry: no connection, or another
            connection holds the lock. Nothing was begun.
        QueryError: On entry: this thread (task) has a write unit open on this Database. Nothing was begun.
        TransactionConflictError: On exit: the lock for COMMIT could not be had. Everything was rolled back.
        IntegrityViolationError: On exit: a deferred constraint refused the data. Everything was rolled back.
        DoomedTransactionError: On exit: an error was swallowed inside. Everything was rolled back.
        CommitInDoubtError: On exit: COMMIT got no clear answer.

    Guarantees:
        The block ends committed, rolled back, or with `CommitInDoubtError`; the connection is returned in every case.
        Whoever is interrupted during COMMIT (KeyboardInterrupt, cancellation) finds the outcome in a note of that
        exception. An acknowledged commit survives a power cut, as far as disk and file system keep their word.
        Not promised: that COMMIT is not begun when the ambient deadline passes between the last statement and it.
    """

    def __init__(self, source: Source, *, read_only: bool, isolation: str | None = None) -> None:
        super().__init__(Transaction(source.backend, read_only=read_only, isolation=isolation), source.catalog)
        self._source = source
        self._began_s = 0.0
        self._number = 0

    def __enter__(self) -> Self:
        if self._work.outcome is not Outcome.NOT_BEGUN:
            message = "A unit of work is used once. Nothing was begun. Ask db.unit_of_work() for another."
            raise QueryError(message)
        connection, self._number = self._source.check_out(self._work)
        self._began_s = clock.monotonic_s()
        try:
            self._work.begin(connection)
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            ended = self._end(error)
        finally:
            self._close()
        log_end(self._work, ended, self._began_s, error)
        if ended.outcome is Outcome.COMMITTED:
            self._run_hooks()
        if ended.error is not None:
            raise ended.error

    def _close(self) -> None:
        kept = None
        try:
            kept = self._let_go()
        finally:
            self._source.check_in(self._number, kept)

    def _run_hooks(self) -> None:
        for hook in self._work.hooks:
            try:
                hook()
            except Exception as error:  # noqa: BLE001 - it may be anything, and the unit has committed
                log_failed_hook(self._work, hook, error)

    def rollback(self) -> None:
        """Roll everything back now and end the unit. The block goes on without it and ends without an error.

        Raises:
            QueryError: The unit has not begun, or has ended.
        """
        self._work.require_own()
        self._work.perform(RollBack("asked for"))
        self._work.outcome = Outcome.ROLLED_BACK

    @property
    def session(self) -> Session:
        """A session of SQLAlchemy's ORM inside this unit: what it does commits with the rest, or not at all.

        It is flushed before COMMIT and closed with the unit; its objects are detached then, with the values they had, or
        as they were before where the unit was rolled back. Savepoints of the unit are also the session's. Its own
        ``commit``, ``rollback``, ``close`` and ``begin_nested`` are refused. Loaded on first use.

        Raises:
            QueryError: The unit has not begun, or has ended.
        """
        return self._objects.session

    @contextmanager
    def savepoint(self) -> Iterator[Savepoint]:
        """Open a part of the unit that can fail alone: ``with uow.savepoint():``.

        An exception that leaves the block undoes the block only, and goes up; catch it around the ``with``.

        Raises:
            DoomedTransactionError: An error was swallowed inside the block. The block was undone.
        """
        self._objects.flush()
        state = self._work.enter_savepoint()
        try:
            self._objects.enter(state)
            yield Savepoint(self._work, state, self._objects)
            self._objects.keep(state)
        except BaseException as error:
            self._objects.undo(state)
            self._work.leave_savepoint(state, error)
            raise
        self._work.leave_savepoint(state, None)

    def on_commit(self, fn: Callable[[], object]) -> None:
        """Call *fn* once this unit has committed, after the connection was returned; never otherwise.

        An exception in it is logged and changes nothing: the unit has committed. What is registered inside a savepoint
        that is rolled back is forgotten. Not promised: that *fn* is called when the process dies after COMMIT.

        Raises:
            QueryError: *fn* cannot be called, or the unit is not open. Nothing was registered.
        """
        self._work.require_open()
        self._work.hooks.append(as_hook(fn))
