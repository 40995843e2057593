"""From lines to stories: one pass, one line at a time."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from controlroom.explain.facts import text
from controlroom.explain.run import RunStory
from controlroom.explain.sorting import take

__all__ = ["Story", "story"]

_MOST_RUNS: Final = 10_000
_FURTHER: Final = "(further runs)"


@dataclass(slots=True)
class Story:
    """What a log tells.

    Attributes:
        runs: By run id, in order of appearance; with an empty id, what was logged outside of any run.
        events: How many lines were events.
        foreign_lines: How many lines were something else: another program's, or text.
        truncated_lines: How many began like an event and did not end like one.
    """

    runs: dict[str, RunStory] = field(default_factory=dict)
    events: int = 0
    foreign_lines: int = 0
    truncated_lines: int = 0

    def accounted(self) -> Counter[str]:
        """Return how many events of each known name the stories tell: as many as were read, or a story is wrong."""
        return sum((run.accounted() for run in self.runs.values()), Counter())

    def _take(self, line: str) -> None:
        facts = _parsed(line)
        if facts is None:
            if line.lstrip().startswith("{"):
                self.truncated_lines += 1
            elif line.strip():
                self.foreign_lines += 1
        elif isinstance(facts.get("event"), str) and isinstance(facts.get("level"), str):
            self.events += 1
            take(self._run(text(facts, "run_id")), facts)
        else:
            self.foreign_lines += 1

    def _run(self, run_id: str) -> RunStory:
        if run_id not in self.runs and len(self.runs) >= _MOST_RUNS:
            run_id = _FURTHER
        return self.runs.setdefault(run_id, RunStory(id=run_id))


def story(lines: Iterable[str]) -> Story:
    """Return what *lines* of a log tell: JSON lines as `controlroom.logs` writes them, among any others.

    Lines of several runs and processes may be mixed. The lines are read once and not kept.
    """
    told = Story()
    for line in lines:
        told._take(line)  # noqa: SLF001 - a story grows only here; to its readers it is finished
    return told


def _parsed(line: str) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
