"""The finished tree of a run: every node with its begin, its end and its outcome, in the order in which they began."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from controlroom.errors.text import plain
from controlroom.explain.facts import Facts, is_grave, number, seconds_between, shifted, text
from controlroom.explain.nodes import Node
from controlroom.explain.placing import ENDINGS, KNOWN_EVENTS

__all__ = ["Branch", "grown"]

_NOT_TOLD: Final = frozenset(
    {"timestamp", "level", "event", "logger", "seq", "pid", "run_id", "exception", "settings", "host_facts"}
)
_BEGINNINGS: Final = frozenset({"run_started", "walk_started", "file_claimed"})
_OF_RUNS: Final = {"succeeded": "ok", "skipped": "skipped", "failed": "failed"}
_OF_MOMENTS: Final = {"retry": "retried", "publication": "ok", "rejects": "quarantined", "failure": "failed"}


@dataclass(slots=True, eq=False)
class Branch:
    """A node with what its events, taken together, say of it.

    Attributes:
        events: Those of the node itself that were kept, in their order.
        facts: What they say; where they differ, what the last one says.
        began_at: A stamp, like *ended_at*; empty where nothing has a time.
        elapsed_s: As its last event says; else from begin to end.
        id: In the document.
    """

    node: Node
    events: list[Facts]
    facts: dict[str, Any]
    children: list[Branch]
    began_at: str = ""
    ended_at: str = ""
    elapsed_s: float | None = None
    outcome: str = "ok"
    id: int = 0
    parent: Branch | None = field(default=None, repr=False)

    def walk(self) -> Iterator[Branch]:
        """Yield the branch and all inside, depth first."""
        yield self
        for child in self.children:
            yield from child.walk()

    def path(self) -> list[Branch]:
        """Return what it lies in, the run first, itself last."""
        return [*(self.parent.path() if self.parent else ()), self]

    def hang_on(self, parent: Branch) -> None:
        """Move it to where it belongs."""
        if self.parent is not None:
            self.parent.children.remove(self)
        self.parent = parent
        parent.children.append(self)
        parent.children.sort(key=_position)


def grown(node: Node, parent: Branch | None = None) -> Branch:
    """Return *node* with everything inside."""
    events = node.events()
    branch = Branch(node, events, _merged(node, events), [], parent=parent)
    branch.children = sorted((grown(child, branch) for child in node.children()), key=_position)
    _time(branch)
    branch.outcome = _outcome(branch)
    return branch


def _position(branch: Branch) -> tuple[str, float, int]:
    return branch.began_at, _first_number(branch), branch.node.arrival


def _first_number(branch: Branch) -> float:
    """Return the lowest number of a line in it: the order of what began in the same instant."""
    own = [number(facts, "seq") or 0.0 for facts in branch.events]
    return min([*own, *map(_first_number, branch.children)], default=0.0)


def _merged(node: Node, events: list[Facts]) -> dict[str, Any]:
    """Leave out what merely happened there: a user's own event in a file says nothing of the file."""
    is_of_its_own = node.kind in {"other", "failure"}
    facts: dict[str, Any] = {}
    for event in events:
        if is_of_its_own or event["event"] in KNOWN_EVENTS:
            facts |= {name: plain(value) for name, value in event.items() if name not in _NOT_TOLD}
    return facts


def _time(branch: Branch) -> None:
    node, ending = branch.node, _ending(branch)
    said_s = None if ending is None else number(ending, "elapsed_s")
    if node.kind == "retry":
        said_s = number(branch.facts, "wait_s")
    begins = [node.first_at, *(child.began_at for child in branch.children)]
    ends = [node.last_at, *(child.ended_at for child in branch.children)]
    if said_s is not None and said_s > 0 and node.last_at:
        if node.kind == "retry":
            ends.append(shifted(node.last_at, said_s))
        elif _BEGINNINGS.isdisjoint(node.counts):  # only its end was logged
            begins.append(shifted(node.last_at, -said_s))
    branch.began_at, branch.ended_at = min(filter(None, begins), default=""), max(ends)
    if node.kind == "file":
        said_s = _sum_of_attempts(branch)
    is_long = node.kind in {"run", "walk"}
    if said_s is None and (is_long or not node.is_finished):
        said_s = seconds_between(branch.began_at, branch.ended_at) or (0.0 if is_long else None)  # one line: no length
    branch.elapsed_s = None if said_s is None else round(max(0.0, said_s), 6)


def _sum_of_attempts(branch: Branch) -> float | None:
    ends = [facts for facts in branch.events if facts["event"] in ENDINGS and facts["event"] != "file_finished"]
    said = [value for facts in ends if (value := number(facts, "elapsed_s")) is not None]
    return sum(said) if said else None


def _ending(branch: Branch) -> Facts | None:
    """Return the last event that says how the node ended."""
    return next((facts for facts in reversed(branch.events) if facts["event"] in ENDINGS), None)


def _outcome(branch: Branch) -> str:
    kind, ending = branch.node.kind, _ending(branch)
    if kind in _OF_MOMENTS:
        return _OF_MOMENTS[kind]
    if kind == "other":
        return "failed" if any(map(is_grave, branch.events)) else "ok"
    if ending is None:
        return _of_unfinished(branch)
    if kind == "run":
        return _OF_RUNS.get(text(ending, "outcome"), "unfinished")
    return _as_told(branch, ending)


def _as_told(branch: Branch, ending: Facts) -> str:
    told = ENDINGS[ending["event"]]
    if ending["event"] == "file_finished" and text(ending, "fate") == "quarantine":
        return "quarantined"
    if ending["event"] == "walk_broken_off" and text(ending, "reason") == "closed":
        return "unfinished"  # whoever walked had seen enough, or failed elsewhere
    has_retries = any(child.node.kind == "retry" for child in branch.children)
    return "retried" if told == "ok" and branch.node.kind == "page" and has_retries else told


def _of_unfinished(branch: Branch) -> str:
    if any(child.outcome == "failed" for child in branch.children):
        return "failed"
    only_bound = branch.node.kind == "file" and not any(name.startswith("file_") for name in branch.node.counts)
    return "ok" if only_bound else "unfinished"
