"""The parts of a run's story. Each sums up events of its kind and knows how many of them it took in."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from controlroom.explain.facts import Facts, count, number, text

__all__ = ["Failure", "FileStory", "Part", "RequestStory", "RetryStory", "WalkStory", "tally"]

_MOST_KINDS: Final = 20
_REST: Final = "(others)"


def tally(counter: Counter[str], kind: str) -> None:
    """Count *kind*, in a counter that stays small whatever the kinds are."""
    counter[kind if kind in counter or len(counter) < _MOST_KINDS else _REST] += 1


@dataclass(slots=True)
class Part:
    """What every part has.

    Attributes:
        events: How many events of each name went into this part.
    """

    events: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class FileStory(Part):
    """What became of one file.

    Attributes:
        outcome: ``"claimed"`` (no end was logged), ``"ingested"``, ``"quarantined"``, ``"released"``, ``"skipped"``.
        attempt: The last attempt at it, 1-based; 0 if none was logged.
        records: How many records it gave, where that was logged.
        rejected: How many records of it were set aside.
        reason: Why it was quarantined, released or skipped.
        elapsed_s: Seconds of work on it, all attempts that were logged.
    """

    outcome: str = ""
    attempt: int = 0
    records: int | None = None
    rejected: int = 0
    reason: str = ""
    elapsed_s: float = 0.0

    def claimed(self, facts: Facts) -> None:
        """Take a `file_claimed` in."""
        self.outcome, self.reason = "claimed", ""
        self.attempt = max(self.attempt, count(facts, "attempt"))

    def ended(self, outcome: str, facts: Facts) -> None:
        """Take the event in that says how the work on the file ended."""
        self.outcome = outcome
        self.attempt = max(self.attempt, count(facts, "attempt"))
        self.elapsed_s += number(facts, "elapsed_s") or 0.0
        self.reason = text(facts, "reason")
        if same_as := text(facts, "same_as"):
            self.reason = f"{self.reason or 'duplicate'}: same as {same_as}"
        if "records" in facts:
            self.records = count(facts, "records")
        if "rejected" in facts:
            self.rejected = count(facts, "rejected")

    def record_rejected(self) -> None:
        """Take a `record_rejected` in."""
        self.rejected += 1


@dataclass(slots=True)
class WalkStory(Part):
    """The pages of one endpoint."""

    pages: int = 0
    records: int = 0
    elapsed_s: float = 0.0
    walks: int = 0
    expected: int | None = None
    verified: bool = False
    stop_reason: str = ""

    def page_fetched(self, facts: Facts) -> None:
        """Take a `page_fetched` in."""
        self.pages += 1
        self.records += count(facts, "records")
        self.elapsed_s += number(facts, "elapsed_s") or 0.0

    def walk_finished(self, facts: Facts) -> None:
        """Take a `walk_finished` in."""
        self.walks += 1
        self.stop_reason = text(facts, "stop_reason")
        self.verified = facts.get("verified") is True
        if number(facts, "expected") is not None:
            self.expected = (self.expected or 0) + count(facts, "expected")


@dataclass(slots=True)
class RetryStory(Part):
    """The retries of one kind of call.

    Attributes:
        codes: How often which error was the reason; the last time it was *last_reason*.
        given_up: How often the retries ended without success; *why_given_up* the last time.
    """

    scheduled: int = 0
    waited_s: float = 0.0
    codes: Counter[str] = field(default_factory=Counter)
    last_reason: str = ""
    given_up: int = 0
    why_given_up: str = ""

    def retry_scheduled(self, facts: Facts) -> None:
        """Take a `retry_scheduled` in."""
        self.scheduled += 1
        self.waited_s += number(facts, "wait_s") or 0.0
        tally(self.codes, text(facts, "code") or "no code")
        self.last_reason = text(facts, "reason") or text(facts, "error")

    def gave_up(self, facts: Facts) -> None:
        """Take a `gave_up` in."""
        self.given_up += 1
        self.why_given_up = text(facts, "reason") or text(facts, "rule")


@dataclass(slots=True)
class RequestStory(Part):
    """All HTTP requests of a run; logged at DEBUG, so often none."""

    finished: int = 0
    elapsed_s: float = 0.0
    statuses: Counter[str] = field(default_factory=Counter)

    def request_finished(self, facts: Facts) -> None:
        """Take a `request_finished` in."""
        self.finished += 1
        self.elapsed_s += number(facts, "elapsed_s") or 0.0
        tally(self.statuses, text(facts, "status_code"))


@dataclass(frozen=True, slots=True)
class Failure:
    """One ERROR that carried a code.

    Attributes:
        at: When it was logged.
        event: Its name.
        subject: What it was about: a file, a call, an endpoint.
        code: Of the error.
        disposition: What has to be done about it; who does it follows from that.
        error: The error as text.
    """

    at: datetime | None
    event: str
    subject: str
    code: str
    disposition: str
    error: str
