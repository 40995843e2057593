"""The story of one run: its parts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from typing import Final

from controlroom.explain.facts import Facts, instant, text
from controlroom.explain.parts import Failure, FileStory, Part, RequestStory, RetryStory, WalkStory

__all__ = ["RunStory"]

_MOST_FAILURES: Final = 100


@dataclass(slots=True)
class RunStory(Part):
    """One run, or, with an empty *id*, what was logged outside of any.

    Attributes:
        first_at: When its first line was written; *last_at* its last.
        outcome: As `run_finished` says; empty where no such line was found: it was killed, or the log ends early.
        reason: Why it ended so, where that was no failure.
        files: By key; *walks* by endpoint; *retries* by what was repeated. Beyond ten thousand, together.
        failures: The first hundred of *failures_total*.
    """

    id: str = ""
    job: str = ""
    host: str = ""
    first_at: datetime | None = None
    last_at: datetime | None = None
    outcome: str = ""
    reason: str = ""
    exit_code: int | None = None
    elapsed_s: float | None = None
    done: int = 0
    total: int | None = None
    published: int = 0
    published_bytes: int = 0
    committed: int = 0
    rolled_back: Counter[str] = field(default_factory=Counter)
    signals: Counter[str] = field(default_factory=Counter)
    files: dict[str, FileStory] = field(default_factory=dict)
    walks: dict[str, WalkStory] = field(default_factory=dict)
    retries: dict[str, RetryStory] = field(default_factory=dict)
    requests: RequestStory = field(default_factory=RequestStory)
    failures: list[Failure] = field(default_factory=list)
    failures_total: int = 0
    other_events: Counter[str] = field(default_factory=Counter)

    def accounted(self) -> Counter[str]:
        """Return how many events of each known name are told in this story, by adding up its parts."""
        parts: Iterator[Part] = chain(
            [self, self.requests], self.files.values(), self.walks.values(), self.retries.values()
        )
        return sum((part.events for part in parts), Counter())

    def seen_at(self, at: datetime | None) -> None:
        """Let the run last from its first line to its last."""
        if at is not None:
            self.first_at = at if self.first_at is None else min(self.first_at, at)
            self.last_at = at if self.last_at is None else max(self.last_at, at)

    def failed(self, facts: Facts) -> None:
        """Remember a failure, unless there are too many already."""
        self.failures_total += 1
        if len(self.failures) < _MOST_FAILURES:
            subjects = (text(facts, name) for name in ("key", "what", "endpoint", "ref", "file"))
            self.failures.append(
                Failure(
                    at=instant(facts),
                    event=text(facts, "event"),
                    subject=next(filter(None, subjects), ""),
                    code=text(facts, "code"),
                    disposition=text(facts, "disposition"),
                    error=text(facts, "error"),
                )
            )
