"""The rules of an inbox and what it did, in numbers and in the log; one voice for both colours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from controlroom.errors import ConfigError, LeaseLostError, NothingToDo
from controlroom.ingestion.claims import Ticket
from controlroom.ingestion.places import Places
from controlroom.logs import get_logger
from controlroom.policy.delivery import Settled, reason_of

__all__ = ["DuplicateContent", "InboxReport", "Rules", "finished", "lease_lost", "postponed", "record"]

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
    """

    ingested: int = 0
    skipped: int = 0
    quarantined: int = 0
    released: int = 0
    busy: int = 0
    finished_for_others: int = 0
    rejected: int = 0

    def to_dict(self) -> dict[str, int]:
        """Return the counts as JSON-ready data."""
        return {name: getattr(self, name) for name in self.__slots__}


class DuplicateContent(NothingToDo):
    """The same bytes were ingested before, under this or another name. It never leaves the inbox."""

    code = "nothing-to-do"


def lease_lost(ticket: Ticket) -> LeaseLostError:
    """Return the error of a worker that finds its claim gone."""
    message = (
        f"{ticket.info.key}: the claim of attempt {ticket.attempt} ran out and another worker took the file. Nothing of "
        "this attempt was written. Give the inbox a lease_s longer than the longest file takes."
    )
    return LeaseLostError(message, lease=ticket.ref)


def record(report: InboxReport, settled: Settled, *, rejected: int, facts: dict[str, Any]) -> None:
    """Count and log what became of one file. An error that goes up is left to the boundary to log."""
    setattr(report, settled.outcome, getattr(report, settled.outcome) + 1)
    reason = None if settled.error is None else reason_of(settled.error)
    match settled.outcome:
        case "ingested":
            report.rejected += rejected
            _log.info("file_ingested", rejected=rejected, **facts)
        case "skipped":
            _log.info("file_skipped", reason=getattr(settled.error, "message", None), **facts)
            return
        case "quarantined":
            _log.warning("file_quarantined", reason=reason, **facts)
        case "released":
            _log.warning("file_released", reason=reason, **facts)
    if settled.error is not None and not settled.goes_up:
        _log.failure("file_failed", settled.error, **facts)


def finished(*, key: str, fate: str, reason: str | None) -> None:
    """Log that the decision of a worker that died was carried out."""
    _log.info("file_finished", key=key, fate=fate, reason=reason)


def postponed(error: BaseException, *, key: str, fate: str) -> None:
    """Log that a decision could not be carried out yet; the next run will."""
    _log.failure("file_failed", error, key=key, fate=fate)
