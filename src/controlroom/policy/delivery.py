"""What becomes of one delivered file: who may claim it, and what is done, in which order, when its unit ends.

The order is the guarantee. The ledger row and the user's writes commit together; everything after the commit
(archiving) and after a quarantine decision can be repeated by whoever finds it undone. So a worker killed at any
instruction leaves a file that the next one finishes or repeats, and its effects are in the database exactly once.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import Literal

from controlroom.errors import ControlRoomError, Disposition, ShutdownRequested
from controlroom.policy.flow import Flow, StepFailed

__all__ = [
    "Archive",
    "Claim",
    "ClaimRow",
    "Commit",
    "Forget",
    "Found",
    "LeaveAlone",
    "MarkQuarantined",
    "MoveToQuarantine",
    "PublishReason",
    "PublishRejects",
    "Release",
    "Rollback",
    "SettleStep",
    "Settled",
    "is_about_content",
    "is_worth_repeating",
    "judge_claim",
    "reason_of",
    "settle",
]

State = Literal["claimed", "released", "done", "skipped", "quarantined"]


@dataclass(frozen=True, slots=True)
class ClaimRow:
    """What the inbox table knows of a file; ``lease_until_s`` is in epoch seconds, UTC."""

    state: State
    attempt: int
    lease_until_s: float | None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """Take the file; this is attempt number *attempt*."""

    attempt: int


@dataclass(frozen=True, slots=True)
class LeaveAlone:
    """Another worker has it."""


@dataclass(frozen=True, slots=True)
class Found:
    """Its fate was decided by a worker that did not live to carry it out: finish that."""

    fate: Literal["archive", "quarantine"]
    reason: str | None = None


def judge_claim(
    row: ClaimRow | None, *, now_s: float, max_attempts: int, owner_is_gone: bool = False
) -> Claim | LeaveAlone | Found:
    """Decide what a worker that finds a file may do with it.

    Args:
        row: The file's row, None where there is none.
        now_s: The present instant, epoch seconds, UTC.
        max_attempts: Attempts allowed before the file itself is held to be the cause.
        owner_is_gone: Whether the worker that holds the claim is known to be dead: its lease need not be waited for.
    """
    if row is None:
        return Claim(1)
    if row.state in {"done", "skipped"}:
        return Found("archive")
    if row.state == "quarantined":
        return Found("quarantine", row.reason)
    if row.state == "claimed" and not owner_is_gone and row.lease_until_s is not None and row.lease_until_s > now_s:
        return LeaveAlone()
    if row.attempt >= max_attempts:
        # Claimed again and again and never settled: every worker that took it died. Such a file is poison.
        return Found("quarantine", row.reason or f"claimed {row.attempt} times and never finished: its workers died")
    return Claim(row.attempt + 1)


@dataclass(frozen=True, slots=True)
class PublishRejects:
    """Write the rejected records beside the quarantine, if there are any."""


@dataclass(frozen=True, slots=True)
class Commit:
    """Mark the file done, fenced by owner and attempt, and commit it with the user's writes."""


@dataclass(frozen=True, slots=True)
class Rollback:
    """Undo the user's writes. Idempotent."""

    error: BaseException


@dataclass(frozen=True, slots=True)
class Archive:
    """Move the file to the archive. Idempotent."""


@dataclass(frozen=True, slots=True)
class Release:
    """Give the claim back; an attempt that is not the file's fault is not counted."""

    reason: str
    counted: bool


@dataclass(frozen=True, slots=True)
class Forget:
    """Mark the file done without effects: its handler said that there was nothing to do."""


@dataclass(frozen=True, slots=True)
class MarkQuarantined:
    """Record the decision. From here on any worker may carry it out."""

    reason: str


@dataclass(frozen=True, slots=True)
class PublishReason:
    """Write ``<name>.reason.json``, before the file arrives beside it: no quarantined file is without its reason."""

    reason: str
    error: BaseException | None


@dataclass(frozen=True, slots=True)
class MoveToQuarantine:
    """Move the file. Idempotent."""


SettleStep = (
    PublishRejects | Commit | Rollback | Archive | Release | Forget | MarkQuarantined | PublishReason | MoveToQuarantine
)


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of a file; *error*, where there was one, and whether it goes up to the caller."""

    outcome: Literal["ingested", "skipped", "quarantined", "released"]
    error: BaseException | None = None
    goes_up: bool = False


def settle(error: BaseException | None, *, attempt: int, max_attempts: int) -> Flow[SettleStep, Settled]:
    """End a file's unit: *error* is what its handler raised, None after a clean exit."""
    if error is None:
        try:
            yield PublishRejects()
            yield Commit()
        except StepFailed as failed:
            error = failed.error
        else:
            return (yield from _carry_out("ingested", Archive()))
    yield Rollback(error)
    if _disposition(error) is Disposition.QUARANTINE:
        return (yield from _quarantine(error, reason_of(error)))
    if _disposition(error) is Disposition.SKIP:
        yield Forget()
        settled = yield from _carry_out("skipped", Archive())
        return Settled("skipped", settled.error or error, settled.goes_up)
    if is_worth_repeating(error) and attempt >= max_attempts:
        return (yield from _quarantine(error, f"attempt {attempt} of {max_attempts} failed: {reason_of(error)}"))
    return (yield from _release(error))


def _quarantine(error: BaseException, reason: str) -> Flow[SettleStep, Settled]:
    yield MarkQuarantined(reason)
    settled = yield from _carry_out("quarantined", PublishReason(reason, error), MoveToQuarantine())
    return Settled("quarantined", settled.error or error, settled.goes_up)


def _carry_out(outcome: Literal["ingested", "skipped", "quarantined"], *steps: SettleStep) -> Flow[SettleStep, Settled]:
    """Perform what follows a recorded decision. What fails now is left to the next run: the decision stands."""
    try:
        yield from steps
    except StepFailed as failed:
        return Settled(outcome, failed.error, goes_up=not is_worth_repeating(failed.error))
    return Settled(outcome)


def _release(error: BaseException) -> Flow[SettleStep, Settled]:
    counted = isinstance(error, Exception) and not isinstance(error, ShutdownRequested)
    if _disposition(error) is not Disposition.RECONCILE:  # in doubt: the lease runs out, then the row tells the truth
        try:
            yield Release(reason_of(error), counted)
        except StepFailed as failed:
            error.add_note(f"The claim was not given back ({reason_of(failed.error)}); it ends with its lease.")
    return Settled("released", error, goes_up=not is_worth_repeating(error))


def _disposition(error: BaseException) -> Disposition:
    if isinstance(error, ControlRoomError):
        return error.disposition
    return Disposition.QUARANTINE if is_about_content(error) else Disposition.STOP


def is_about_content(error: BaseException) -> bool:
    """Tell whether a foreign *error* speaks of the file's content: not text in its encoding, or not CSV."""
    return isinstance(error, UnicodeDecodeError | csv.Error)


def is_worth_repeating(error: BaseException) -> bool:
    """Tell whether the same file may succeed later; a requested shutdown is not about the file."""
    return _disposition(error) is Disposition.RETRY and not isinstance(error, ShutdownRequested)


def reason_of(error: BaseException) -> str:
    """Return the one line that says why, for tables and reports."""
    text = error.message if isinstance(error, ControlRoomError) else str(error)
    return f"{type(error).__name__}: {text}".splitlines()[0]
