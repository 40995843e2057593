"""The tree that a story is kept in: what happened, under what it happened in, and no more of it than fits."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from typing import Final, Literal

from controlroom.explain.facts import Facts, order
from controlroom.logs.events import EVENTS

__all__ = ["Kind", "Limits", "Node", "Row"]

Kind = Literal["run", "file", "walk", "page", "retry", "unit", "publication", "rejects", "failure", "other"]

_MOST_NAMES: Final = 64  # in one node, besides our own
_FEW_OF_A_NAME: Final = 3
_FIRST_OF_A_NAME: Final = 16
_MOST_OF_A_NAME: Final = 32  # events of one name in one node: the first sixteen and the last


@dataclass(frozen=True, slots=True)
class Limits:
    """How many nodes of one kind are kept under one parent: the first, the last, and those with troubles between.

    Attributes:
        first: Kept whatever becomes of them.
        last: Likewise; as more come, calm ones leave, and troubled ones go on below.
        troubled: So many of the first troubled ones, and as many of the last.
    """

    first: int = 20
    last: int = 20
    troubled: int = 100


class Row:
    """The nodes of one kind under one parent."""

    __slots__ = ("first", "last", "troubled_first", "troubled_last")

    def __init__(self) -> None:
        self.first: list[Node] = []
        self.troubled_first: list[Node] = []
        self.troubled_last: deque[Node] = deque()
        self.last: deque[Node] = deque()

    def __iter__(self) -> Iterator[Node]:
        yield from self.first
        yield from self.troubled_first
        yield from self.troubled_last
        yield from self.last

    def add(self, node: Node, limits: Limits) -> Iterator[Node]:
        """Take *node* in, and yield those that have to leave."""
        if len(self.first) < limits.first:
            self.first.append(node)
            return
        self.last.append(node)
        yield from self._trimmed(limits)

    def squeezed(self, limits: Limits) -> Iterator[Node]:
        """Yield the nodes that have to leave where *limits* got narrower."""
        every = list(self)
        self.first, self.troubled_first = every[: limits.first], []
        self.troubled_last, self.last = deque(), deque(every[limits.first :])
        yield from self._trimmed(limits)

    def _trimmed(self, limits: Limits) -> Iterator[Node]:
        while len(self.last) > limits.last:
            node = self.last.popleft()
            if node.is_calm:
                yield node
            elif node.is_troubled and len(self.troubled_first) < limits.troubled:
                self.troubled_first.append(node)
            else:
                self.troubled_last.append(node)
        while len(self.troubled_last) > limits.troubled:
            yield self.troubled_last.popleft()


@dataclass(slots=True, eq=False)
class Node:
    """One thing that happened, with the events that tell of it and what happened inside.

    Attributes:
        kind: What it is.
        name: What tells it apart from its like: a key, an endpoint, a number.
        parent: What it happened in; None of a run.
        arrival: How many nodes there were before; sorts those that have no time.
        key: Under which it is found again.
        counts: How many events of each name it has.
        kept: The first and the last of them.
        first_at: The stamp of its first event, *last_at* of its last; empty where none had one.
        rows: What happened inside, by kind.
        untold: How many nodes of each kind were inside and had to leave.
    """

    kind: Kind
    name: str
    parent: Node | None
    arrival: int
    key: Hashable = None
    is_finished: bool = False
    is_troubled: bool = False
    first_at: str = ""
    last_at: str = ""
    counts: dict[str, int] = field(default_factory=dict)
    kept: dict[str, list[Facts]] = field(default_factory=dict)
    rows: dict[Kind, Row] | None = None
    untold: dict[Kind, int] | None = None

    @property
    def is_calm(self) -> bool:
        """Whether it ended, and well, as far as is known."""
        return self.is_finished and not self.is_troubled

    def take(self, name: str, facts: Facts, at: str) -> None:
        """Take an event in that tells of this node."""
        if at:
            if not self.first_at or at < self.first_at:
                self.first_at = at
            self.last_at = max(self.last_at, at)
        number = self.counts.get(name, 0)
        self.counts[name] = number + 1
        if number == 0:
            if len(self.kept) < _MOST_NAMES or name in EVENTS:
                self.kept[name] = [facts]
        elif name in self.kept:
            self._keep(self.kept[name], number, facts)

    def trouble(self) -> None:
        """Say that something went wrong in it, and so in all that it happened in."""
        node: Node | None = self
        while node is not None and not node.is_troubled:
            node.is_troubled = True
            node = node.parent

    def children(self) -> Iterator[Node]:
        """Yield what happened inside and is kept, by kind."""
        for row in (self.rows or {}).values():
            yield from row

    def subtree(self) -> Iterator[Node]:
        """Yield the node and everything inside it."""
        yield self
        for child in self.children():
            yield from child.subtree()

    def events(self) -> list[Facts]:
        """Return the events that are kept, in their order."""
        return sorted((facts for kept in self.kept.values() for facts in kept), key=order)

    def row(self, kind: Kind) -> Row:
        """Return the row of one kind of children."""
        if self.rows is None:
            self.rows = {}
        if kind not in self.rows:
            self.rows[kind] = Row()
        return self.rows[kind]

    def forget_events(self) -> None:
        """Keep a few events of our own, which tell how the node went, and of others what is a node of its own."""
        self.kept = {
            name: kept[:1] + kept[1:][-_FEW_OF_A_NAME:]
            for name, kept in self.kept.items()
            if name in EVENTS or self.kind in {"failure", "other"}
        }

    @staticmethod
    def _keep(kept: list[Facts], number: int, facts: Facts) -> None:
        """The last ones go round in what lies behind the first ones."""
        if len(kept) < _MOST_OF_A_NAME:
            kept.append(facts)
        else:
            kept[_FIRST_OF_A_NAME + number % (_MOST_OF_A_NAME - _FIRST_OF_A_NAME)] = facts
