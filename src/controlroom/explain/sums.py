"""What is added up over a whole run, whatever of it is kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from controlroom.explain.facts import Facts, count, number, text

__all__ = ["Sums"]

_MOST_KINDS: Final = 20
_REST: Final = "(others)"


def _tally(counter: Counter[str], kind: str, number: int = 1) -> None:
    """Count *kind*, in a counter that stays small whatever the kinds are."""
    counter[kind if kind in counter or len(counter) < _MOST_KINDS else _REST] += number


@dataclass(slots=True)
class Sums:
    """Numbers of one run.

    Attributes:
        waited_s: Seconds waited before retries; *waited_in_files_s*: of them, while a file was worked on.
        pages_s: Seconds spent fetching pages that came, without those waits; *pages_in_files_s*: of them, likewise.
        files_s: Seconds of work on files, all of that included.
        downloads_s: Seconds of downloads, their waits included; *downloads_in_files_s*: of them, likewise.
        requests_s: Seconds until requests were answered; logged at DEBUG, so often none.
        records: Those on pages that were handed out; *set_aside*: those that were not, by endpoint.
        warnings: Those that tell of nothing in the tree, by name.
    """

    waited_s: float = 0.0
    waited_in_files_s: float = 0.0
    pages_s: float = 0.0
    pages_in_files_s: float = 0.0
    files_s: float = 0.0
    downloads_s: float = 0.0
    downloads_in_files_s: float = 0.0
    requests_s: float = 0.0
    pages: int = 0
    records: int = 0
    retries: int = 0
    published: int = 0
    published_bytes: int = 0
    committed: int = 0
    in_doubt: int = 0
    rejected: int = 0
    suppressed: int = 0
    lost: int = 0
    rolled_back: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    signals: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    set_aside: Counter[str] = field(default_factory=Counter)
    warnings: Counter[str] = field(default_factory=Counter)

    def add(self, name: str, facts: Facts) -> None:
        """Add an event up."""
        if adding := _ADDING.get(name):
            adding(self, facts)

    def warned_of(self, name: str) -> None:
        """Count a warning that tells of nothing in the tree."""
        _tally(self.warnings, name)

    def page_took(self, facts: Facts, waited_s: float) -> None:
        """Add up what a page took, of which *waited_s* were waits before retries."""
        fetching_s = max(0.0, _elapsed_s(facts) - waited_s)
        self.pages_s += fetching_s
        if facts.get("file") is not None:
            self.pages_in_files_s += fetching_s

    def effects(self) -> dict[str, Any]:
        """Return what the run did, where it did any of it."""
        told = {
            "pages": self.pages,
            "records": self.records + self.set_aside.total(),
            "records_set_aside": dict(self.set_aside),
            "retries": self.retries,
            "retry_codes": dict(self.codes),
            "units_committed": self.committed,
            "units_rolled_back": dict(self.rolled_back),
            "commits_in_doubt": self.in_doubt,
            "rejected_records": self.rejected,
            "events_suppressed": self.suppressed,
            "log_lines_lost": self.lost,
            "published": self.published,
            "published_bytes": self.published_bytes,
            "requests": dict(self.statuses),
            "signals": dict(self.signals),
            "warnings": dict(self.warnings),
        }
        return {name: value for name, value in told.items() if value}


def _retry_scheduled(sums: Sums, facts: Facts) -> None:
    wait_s = max(0.0, number(facts, "wait_s") or 0.0)
    sums.retries += 1
    sums.waited_s += wait_s
    _tally(sums.codes, text(facts, "code") or "no code")
    if facts.get("file") is not None:
        sums.waited_in_files_s += wait_s


def _page_fetched(sums: Sums, facts: Facts) -> None:
    sums.pages += 1
    sums.records += count(facts, "records")


def _records_rejected(sums: Sums, facts: Facts) -> None:
    _tally(sums.set_aside, text(facts, "endpoint"), count(facts, "rejected"))


def _file_ended(sums: Sums, facts: Facts) -> None:
    sums.files_s += _elapsed_s(facts)
    sums.rejected += count(facts, "rejected")


def _file_downloaded(sums: Sums, facts: Facts) -> None:
    elapsed_s = _elapsed_s(facts)
    sums.downloads_s += elapsed_s
    if facts.get("file") is not None:
        sums.downloads_in_files_s += elapsed_s


def _request_finished(sums: Sums, facts: Facts) -> None:
    sums.requests_s += _elapsed_s(facts)
    _tally(sums.statuses, text(facts, "status_code"))


def _file_published(sums: Sums, facts: Facts) -> None:
    sums.published += 1
    sums.published_bytes += count(facts, "size_bytes")


def _unit_committed(sums: Sums, _facts: Facts) -> None:
    sums.committed += 1


def _unit_rolled_back(sums: Sums, facts: Facts) -> None:
    _tally(sums.rolled_back, text(facts, "reason") or "no reason given")


def _commit_left_in_doubt(sums: Sums, _facts: Facts) -> None:
    sums.in_doubt += 1


def _events_suppressed(sums: Sums, facts: Facts) -> None:
    sums.suppressed += count(facts, "count")


def _log_lines_lost(sums: Sums, facts: Facts) -> None:
    sums.lost += count(facts, "count")


def _shutdown_requested(sums: Sums, facts: Facts) -> None:
    _tally(sums.signals, text(facts, "signal"))


def _elapsed_s(facts: Facts) -> float:
    return max(0.0, number(facts, "elapsed_s") or 0.0)


_ADDING: Final[dict[str, Callable[[Sums, Facts], None]]] = {
    "retry_scheduled": _retry_scheduled,
    "page_fetched": _page_fetched,
    "records_rejected": _records_rejected,
    "file_ingested": _file_ended,
    "file_quarantined": _file_ended,
    "file_released": _file_ended,
    "file_skipped": _file_ended,
    "file_downloaded": _file_downloaded,
    "request_finished": _request_finished,
    "file_published": _file_published,
    "unit_committed": _unit_committed,
    "unit_rolled_back": _unit_rolled_back,
    "commit_left_in_doubt": _commit_left_in_doubt,
    "events_suppressed": _events_suppressed,
    "log_lines_lost": _log_lines_lost,
    "shutdown_requested": _shutdown_requested,
}
