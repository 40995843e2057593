"""The nodes of a run as a tree that can be drawn, however the document holds them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from heapq import nlargest
from operator import itemgetter
from typing import Any, Final

from controlroom.explain.html.values import instant, listed, mapped, number, text

__all__ = ["CALM", "OUTCOMES", "Node", "planted", "walked"]

OUTCOMES: Final = {
    "ok": "ok",
    "retried": "retried",
    "failed": "failed",
    "quarantined": "quarantined",
    "released": "released",
    "rolled_back": "rolled back",
    "in_doubt": "in doubt",
    "unfinished": "unfinished",
    "skipped": "skipped",
}
CALM: Final = frozenset({"ok", "skipped"})
_DEEPEST: Final = 12  # what lies deeper is drawn there: no browser nests, and nobody reads, without end
_MOST_WAITS: Final = 60


@dataclass(slots=True, eq=False)
class Node:
    """One row of the timeline.

    Attributes:
        number: Its place in the document, from 0: what an id on the page is made of.
        began_s: Seconds from the beginning of the run; None where nothing was logged about that.
        waits: Begin and length, in seconds, of the waits before retries in it and below it; of very many the longest.
        calm: There is nothing but ok and skipped, and no warning, here and below.
        failing: It lies on the failing path.
    """

    number: int
    raw: Mapping[str, Any]
    kind: str
    outcome: str
    began_s: float | None
    elapsed_s: float | None
    parent: Node | None = None
    children: list[Node] = field(default_factory=list)
    depth: int = 0
    waits: list[tuple[float, float]] = field(default_factory=list)
    calm: bool = True
    failing: bool = False

    @property
    def wait_s(self) -> float | None:
        """How long was waited before this retry."""
        return number(mapped(self.raw.get("facts")).get("wait_s")) if self.kind == "retry" else None

    @property
    def end_s(self) -> float:
        """When it was over, as far as that is known; 0 where nothing is."""
        return (self.began_s or 0.0) + max(self.elapsed_s or 0.0, self.wait_s or 0.0)


def planted(run: Mapping[str, Any], origin: datetime | None) -> tuple[list[Node], dict[object, Node]]:
    """Return the roots of the tree of *run*, and its nodes by their ids. Every node is in the tree once.

    A node whose parent is missing, or among its own descendants, is a root.
    """
    raws = [raw for raw in listed(run.get("nodes")) if isinstance(raw, Mapping)]
    nodes = [_node(place, raw, origin) for place, raw in enumerate(raws)]
    by_id: dict[object, Node] = {}
    for node in nodes:
        if isinstance(key := node.raw.get("id"), int | str):
            by_id.setdefault(key, node)
    for node in nodes:
        if isinstance(key := node.raw.get("parent"), int | str) and (parent := by_id.get(key)) is not None:
            node.parent = parent
    roots = _rooted(nodes)
    for key in listed(run.get("failing_path")):
        if isinstance(key, int | str) and key in by_id:
            by_id[key].failing = True
    ordered = list(walked(roots))
    for node in reversed(ordered):  # children before their parents
        _sum_up(node)
    return roots, by_id


def walked(roots: Iterable[Node]) -> Iterable[Node]:
    """Yield the nodes below *roots* as they are read from top to bottom."""
    stack = list(roots)[::-1]
    while stack:
        node = stack.pop()
        yield node
        stack.extend(reversed(node.children))


def _node(place: int, raw: Mapping[str, Any], origin: datetime | None) -> Node:
    outcome, at, elapsed_s = text(raw.get("outcome")), instant(raw.get("began_at")), number(raw.get("elapsed_s"))
    return Node(
        number=place,
        raw=raw,
        kind=text(raw.get("kind")) or "other",
        outcome=outcome if outcome in OUTCOMES else "unfinished",
        began_s=None if at is None or origin is None else (at - origin).total_seconds(),
        elapsed_s=None if elapsed_s is None else max(0.0, elapsed_s),
    )


def _rooted(nodes: list[Node]) -> list[Node]:
    """Hang every node below its parent, and return those that have none; a circle is opened at its first node."""
    below: dict[Node, list[Node]] = {}
    for node in nodes:
        if node.parent is not None:
            below.setdefault(node.parent, []).append(node)
    roots: list[Node] = []
    placed: set[Node] = set()
    for circular in (False, True):
        for node in nodes:
            if node not in placed and (circular or node.parent is None):
                node.parent = None
                roots.append(node)
                _place(node, below, placed)
    return roots


def _place(root: Node, below: dict[Node, list[Node]], placed: set[Node]) -> None:
    placed.add(root)
    stack = [root]
    while stack:
        node = stack.pop()
        holder = node if node.depth < _DEEPEST or node.parent is None else node.parent
        for child in below.get(node, []):
            if child not in placed:
                placed.add(child)
                child.parent, child.depth = holder, min(node.depth + 1, _DEEPEST)
                holder.children.append(child)
                stack.append(child)


def _sum_up(node: Node) -> None:
    is_well = node.outcome in CALM and node.raw.get("troubled") is not True
    node.calm = node.calm and is_well and not node.failing
    if (wait_s := node.wait_s) and node.began_s is not None:
        node.waits.append((node.began_s, wait_s))
    node.waits = nlargest(_MOST_WAITS, node.waits, key=itemgetter(1))
    if node.parent is not None:
        node.parent.calm = node.parent.calm and node.calm
        node.parent.waits += node.waits
