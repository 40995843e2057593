"""How a unit of work ends: committed, rolled back, or in doubt; never anything in between. Pure: steps are data.

An answer to COMMIT is either success, a refusal (the transaction is then rolled back) or neither. Whoever is interrupted
during COMMIT, by Ctrl-C or by a cancelled task, learns the outcome as well: the connection is asked, and where it does
not know either, the unit is in doubt.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from controlroom.errors import CommitInDoubtError, ControlRoomError, DoomedTransactionError, QueryError
from controlroom.policy.flow import Flow, StepFailed

__all__ = [
    "Abandon",
    "AskWhetherCommitted",
    "Commit",
    "Ended",
    "Outcome",
    "RollBack",
    "Step",
    "as_hook",
    "conclude",
    "doomed_by",
    "told",
]


T = TypeVar("T", bound=BaseException)


class Outcome(StrEnum):
    """Where a unit stands."""

    NOT_BEGUN = "not begun"
    OPEN = "open"
    COMMITTED = "committed"
    ROLLED_BACK = "rolled back"
    IN_DOUBT = "in doubt"


@dataclass(frozen=True, slots=True)
class Commit:
    """COMMIT."""


@dataclass(frozen=True, slots=True)
class AskWhetherCommitted:
    """Ask the connection whether an interrupted COMMIT has happened; None where it does not know."""


@dataclass(frozen=True, slots=True)
class RollBack:
    """ROLLBACK; where that fails, close the connection, which comes to the same."""

    reason: str


@dataclass(frozen=True, slots=True)
class Abandon:
    """Close the connection for good: nobody may use it for something else."""


Step = Commit | AskWhetherCommitted | RollBack | Abandon


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of the unit, and what to raise about it."""

    outcome: Outcome
    error: BaseException | None = None


def doomed_by(swallowed: BaseException, where: str) -> DoomedTransactionError:
    """Return the error for a unit or savepoint that was to end well although a statement in it had failed."""
    message = (
        f"{type(swallowed).__name__} was raised inside this {where} and swallowed. Everything in it was rolled back. "
        "Let the error out, or put what may fail into `with uow.savepoint():` and catch it around that."
    )
    table = getattr(swallowed, "table", None)
    error = DoomedTransactionError(message, table=table, row_index=getattr(swallowed, "row_index", None))
    error.__cause__ = swallowed
    return error


def conclude(failure: BaseException | None, swallowed: BaseException | None) -> Flow[Step, Ended]:
    """End a unit.

    Args:
        failure: What left the block, if anything did.
        swallowed: What a statement raised, did not leave the block, and no savepoint undid.
    """
    if failure is not None:
        yield RollBack(type(failure).__name__)
        return Ended(Outcome.ROLLED_BACK)
    if swallowed is not None:
        yield RollBack("an error was swallowed")
        return Ended(Outcome.ROLLED_BACK, doomed_by(swallowed, "unit of work"))
    try:
        yield Commit()
    except StepFailed as failed:
        return (yield from _after_a_commit_that_failed(failed.error))
    return Ended(Outcome.COMMITTED)


def _after_a_commit_that_failed(error: BaseException) -> Flow[Step, Ended]:
    if isinstance(error, CommitInDoubtError):
        yield Abandon()
        return Ended(Outcome.IN_DOUBT, error)
    if isinstance(error, ControlRoomError):  # refused
        yield RollBack(type(error).__name__)
        return Ended(Outcome.ROLLED_BACK, error)
    has_committed = yield AskWhetherCommitted()
    if has_committed is None:
        yield Abandon()
        ended = Ended(Outcome.IN_DOUBT, error)
    elif has_committed:
        ended = Ended(Outcome.COMMITTED, error)
    else:
        yield RollBack(type(error).__name__)
        ended = Ended(Outcome.ROLLED_BACK, error)
    told(error, ended)
    return ended


def told(interruption: T, ended: Ended) -> T:
    """Tell the interrupted what became of the unit: neither KeyboardInterrupt nor CancelledError says so itself."""
    interruption.add_note(f"controlroom: interrupted while the unit of work ended; it is {ended.outcome}.")
    return interruption


def as_hook(fn: Callable[[], object]) -> Callable[[], object]:
    """Return *fn*, which is to run after COMMIT: too late to learn that nobody can call it.

    Raises:
        QueryError: Nobody can.
    """
    if not callable(fn):
        message = f"on_commit takes a function without arguments, not {fn!r}. Nothing was registered."
        raise QueryError(message)
    return fn
