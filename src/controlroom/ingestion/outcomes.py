"""The rules of an inbox and what it did, in numbers and in the log; one voice for both colours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from controlroom.errors import ConfigError, ControlRoomError, Disposition, LeaseLostError, NothingToDo
from controlroom.ingestion.claims import Ticket
from controlroom.ingestion.places import Places
from controlroom.logs import get_logger
from controlroom.policy.delivery import Settled

__all__ = [
    "DuplicateContent",
    "InboxReport",
    "Rules",
    "abandoned",
    "claimed",
    "finished",
    "lease_lost",
    "left_alone",
    "passed_over",
    "postponed",
    "record",
    "released",
    "unsettled",
    "vanished",
]

_log = get_logger("controlroom.ingestion")


@dataclass(frozen=True, slots=True)
class Rules:
    """How an inbox works."""

    name: str
    places: Places
    lease_s: float
    max_attempts: int
    duplicates: Literal["skip", "process"]
    max_rejects: int | None

    def __post_init__(self) -> None:
        """Refuse rules under which no file could be worked on."""
        problems = []
        if not self.lease_s > 0:
            problems.append(f"lease_s={self.lease_s} must be more than zero seconds")
        if self.max_attempts < 1:
            problems.append(f"max_attempts={self.max_attempts} must be at least 1")
        if self.duplicates not in {"skip", "process"}:
            problems.append(f'duplicates={self.duplicates!r} must be "skip" or "process"')
        if self.max_rejects is not None and self.max_rejects < 0:
            problems.append(f"max_rejects={self.max_rejects} must be zero or more, or None")
        if problems:
            message = f"Inbox: {'; '.join(problems)}."
            raise ConfigError(message, problems=problems)

    @property
    def skips_duplicates(self) -> bool:
        """Tell whether the same content under another name is left out."""
        return self.duplicates == "skip"


@dataclass(slots=True)
class InboxReport:
    """What an inbox did so far.

    Attributes:
        ingested: Files whose writes committed.
        skipped: Files left out: the same content was ingested before, or there was nothing to do.
        quarantined: Files set aside because of their content, or after too many attempts.
        released: Files given back after a failure that is not their content's; they are delivered again next time.
        busy: Files that another worker was at.
        finished_for_others: Files whose fate a worker had decided but not lived to carry out.
        rejected: Single records set aside in files that were ingested.
        unsettled: Files that somebody was still writing; they are left for a later call.
    """

    ingested: int = 0
    skipped: int = 0
    quarantined: int = 0
    released: int = 0
    busy: int = 0
    finished_for_others: int = 0
    rejected: int = 0
    unsettled: int = 0

    @property
    def left(self) -> int:
        """Files that were seen and not settled: released, busy or unsettled. Acknowledge no message while this grows."""
        return self.released + self.busy + self.unsettled

    def to_dict(self) -> dict[str, int]:
        """Return the counts as JSON-ready data."""
        return {name: getattr(self, name) for name in self.__slots__}


class DuplicateContent(NothingToDo):
    """The same bytes were ingested before, under the key *same_as* if that is known. It never leaves the inbox."""

    code = "nothing-to-do"

    def __init__(self, message: str, *, same_as: str | None = None) -> None:
        super().__init__(message)
        self.same_as = same_as


def lease_lost(ticket: Ticket) -> LeaseLostError:
    """Return the error of a worker that finds its claim gone."""
    message = (
        f"{ticket.info.key}: the claim of attempt {ticket.attempt} ran out and another worker took the file. Nothing of "
        "this attempt was written. Give the inbox a lease_s longer than the longest file takes."
    )
    return LeaseLostError(message, lease=ticket.ref)


def claimed(ticket: Ticket, rules: Rules) -> None:
    """Log that this worker has the file."""
    key, size_bytes = ticket.info.key, ticket.info.size_bytes
    attempt, attempts = ticket.attempt, rules.max_attempts
    _log.info("file_claimed", file=key, key=key, attempt=attempt, attempts=attempts, size_bytes=size_bytes)


def left_alone(ticket: Ticket) -> None:
    """Log that another worker has the file."""
    _log.debug("file_left_alone", file=ticket.info.key, key=ticket.info.key)


def unsettled(key: str) -> None:
    """Log that somebody is still writing the file."""
    _log.debug("file_unsettled", file=key, key=key)


def passed_over(key: str, kind: str, reason: str) -> None:
    """Log that a notification led to no work."""
    _log.debug("notification_passed_over", key=key, kind=kind, reason=reason)


def vanished(ticket: Ticket) -> None:
    """Log that the file was gone before it could be read."""
    _log.info("file_vanished", file=ticket.info.key, key=ticket.info.key, attempt=ticket.attempt)


def record(
    report: InboxReport,
    settled: Settled,
    ticket: Ticket,
    rules: Rules,
    *,
    rejected: int,
    to: str | None,
    elapsed_s: float,
) -> None:
    """Count and log what became of one file.

    Its failure first, which is told once and in full; the line of its fate does not repeat it. An error that goes up is
    left to the boundary to log.
    """
    setattr(report, settled.outcome, getattr(report, settled.outcome) + 1)
    key, attempt, error = ticket.info.key, ticket.attempt, settled.error
    nothing_to_do = isinstance(error, ControlRoomError) and error.disposition is Disposition.SKIP
    if error is not None and not settled.goes_up and not nothing_to_do:
        _log.failure("file_failed", error, file=key, key=key, attempt=attempt)
    match settled.outcome:
        case "ingested":
            report.rejected += rejected
            _log.info("file_ingested", file=key, key=key, attempt=attempt, rejected=rejected, elapsed_s=elapsed_s)
        case "skipped":
            _log_skip(ticket, error if nothing_to_do else None, elapsed_s)
        case "quarantined":
            _log.warning(
                "file_quarantined",
                file=key,
                key=key,
                attempt=attempt,
                attempts=rules.max_attempts,
                to=to,
                reason=type(error).__name__,
                elapsed_s=elapsed_s,
            )
        case "released":
            released(ticket, error, elapsed_s)


def _log_skip(ticket: Ticket, why: BaseException | None, elapsed_s: float) -> None:
    _log.info(
        "file_skipped",
        file=ticket.info.key,
        key=ticket.info.key,
        attempt=ticket.attempt,
        reason=getattr(why, "message", "there was nothing to do"),
        same_as=getattr(why, "same_as", None),
        elapsed_s=elapsed_s,
    )


def released(ticket: Ticket, error: BaseException | None, elapsed_s: float) -> None:
    """Log that the file was given back."""
    key, reason = ticket.info.key, type(error).__name__
    _log.warning("file_released", file=key, key=key, attempt=ticket.attempt, reason=reason, elapsed_s=elapsed_s)


def abandoned(ticket: Ticket, error: BaseException) -> None:
    """Log that nothing could be settled about the file: it waits for the end of the claim's lease."""
    key, reason = ticket.info.key, type(error).__name__
    _log.warning("file_abandoned", file=key, key=key, attempt=ticket.attempt, reason=reason)


def finished(*, key: str, fate: str, reason: str | None) -> None:
    """Log that the decision of a worker that died was carried out."""
    _log.info("file_finished", file=key, key=key, fate=fate, reason=reason)


def postponed(error: BaseException, *, key: str, fate: str) -> None:
    """Log that a decision could not be carried out yet; the next run will."""
    _log.failure("file_failed", error, file=key, key=key, fate=fate)
