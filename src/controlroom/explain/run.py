"""The story of one run: its tree, and what is found again in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from typing import Final

from controlroom.explain.facts import Facts, process, text
from controlroom.explain.nodes import Kind, Limits, Node
from controlroom.explain.sums import Sums

__all__ = ["Room", "RunStory"]

_ROOMY: Final[dict[Kind, Limits]] = {"run": Limits(100, 100, 100), "file": Limits(200, 200, 500)}
_OTHERWISE: Final = Limits()
_TIGHT: Final = Limits(3, 3, 10)
_MOST_NODES: Final = 10_000


@dataclass(slots=True)
class Room:
    """How many nodes there are, in all runs of a story together, and how many more are welcome."""

    nodes: int = 0
    created: int = 0
    is_tight: bool = False

    @property
    def is_full(self) -> bool:
        """Whether something has to leave."""
        return self.nodes > _MOST_NODES

    def limits(self, kind: Kind) -> Limits:
        """Return how many nodes of *kind* are welcome under one parent."""
        return _TIGHT if self.is_tight else _ROOMY.get(kind, _OTHERWISE)

    def node(self, kind: Kind, name: str, parent: Node | None, key: Hashable = None) -> Node:
        """Return a new node."""
        self.nodes += 1
        self.created += 1
        return Node(kind, name, parent, self.created, key)


@dataclass(slots=True)
class RunStory:
    """One run, or, with an empty *id*, what was logged outside of any.

    Attributes:
        id: Its run id.
        root: The run itself, and inside it all that happened.
        sums: What is added up over the run.
        untold: How many nodes of each kind had to leave, with *untold_events* of each name.
        untold_endings: How the files among them ended: how often which event was their last.
    """

    id: str
    root: Node
    room: Room = field(repr=False)
    sums: Sums = field(default_factory=Sums)
    untold: Counter[Kind] = field(default_factory=Counter)
    untold_events: Counter[str] = field(default_factory=Counter)
    untold_endings: Counter[str] = field(default_factory=Counter)
    _index: dict[Hashable, Node] = field(default_factory=dict, repr=False)

    def accounted(self) -> Counter[str]:
        """Return how many events of each name are told in this story, by adding up its parts."""
        told = Counter(self.untold_events)
        for node in self.root.subtree():
            told.update(node.counts)
        return told

    def events(self) -> Iterator[Facts]:
        """Yield the events that the story keeps: all of them, unless it had to leave some out."""
        for node in self.root.subtree():
            yield from node.events()

    def file(self, key: str) -> Node:
        """Return the node of a file."""
        return self._known("file", key, self.root, ("file", key))

    def walk(self, facts: Facts) -> Node:
        """Return the node of the walk that *facts* name; where they do not, the one of their endpoint."""
        name = facts.get("walk")
        if not isinstance(name, str):
            key: Hashable = ("endpoint", text(facts, "endpoint"), text(facts, "file"))
        else:
            key = ("walk", process(facts), name)
        return self._known("walk", text(facts, "endpoint"), lambda: self.around(facts), key)

    def page(self, facts: Facts) -> Node:
        """Return the node of a page."""
        walk, number = self.walk(facts), text(facts, "page")
        return self._known("page", number, walk, ("page", walk.key, number)) if number else self.new("page", "", walk)

    def unit(self, facts: Facts) -> Node:
        """Return the node of a unit of work."""
        name = facts.get("unit")
        if not isinstance(name, str):
            return self.new("unit", "", self.around(facts))
        return self._known("unit", name, lambda: self.around(facts), ("unit", process(facts), name))

    def rejects(self, within: Node) -> Node:
        """Return the node of the rejected records of a file or a page."""
        return self._known("rejects", within.name, within, ("rejects", within.key))

    def around(self, facts: Facts) -> Node:
        """Return what an event happened in, of what holds others: a file or the run."""
        key = facts.get("file")
        # Of a warning of Python's, `file` is the module that warned.
        return self.file(key) if isinstance(key, str) and key and facts.get("logger") != "py.warnings" else self.root

    def place(self, facts: Facts) -> Node:
        """Return the innermost that an event happened in: a page, a walk, a file or the run."""
        if isinstance(facts.get("walk"), str):
            return self.walk(facts) if facts.get("page") is None else self.page(facts)
        return self.around(facts)

    def new(self, kind: Kind, name: str, parent: Node, key: Hashable = None) -> Node:
        """Return a new node inside *parent*, after those had to leave for which it is one too many."""
        node = self.room.node(kind, name, parent, key)
        for leaving in parent.row(kind).add(node, self.room.limits(kind)):
            self._leave(leaving)
        return node

    def squeeze(self) -> None:
        """Tell the run in few words."""
        self._squeeze(self.root)

    def leave(self) -> None:
        """Give the whole run's room back."""
        for gone in list(self.root.subtree()):
            self.room.nodes -= 1
            gone.rows = None  # no cycle is left for the garbage collector

    def _known(self, kind: Kind, name: str, parent: Node | Callable[[], Node], key: Hashable) -> Node:
        node = self._index.get(key)
        if node is None:
            within = parent() if callable(parent) else parent
            node = self._index[key] = self.new(kind, name, within, key)
        elif name and not node.name:
            node.name = name
        return node

    def _squeeze(self, node: Node) -> None:
        node.forget_events()
        for row in (node.rows or {}).values():
            for leaving in row.squeezed(_TIGHT):
                self._leave(leaving)
        for child in node.children():
            self._squeeze(child)

    def _leave(self, node: Node) -> None:
        """Take a node out with all that is inside; what is left of it are counts."""
        if node.parent is not None:
            node.parent.untold = node.parent.untold or {}
            node.parent.untold[node.kind] = node.parent.untold.get(node.kind, 0) + 1
        for gone in list(node.subtree()):
            self._index.pop(gone.key, None)
            self.untold[gone.kind] += 1
            self.untold_events.update(gone.counts)
            if gone.kind == "file":
                self.untold_endings.update(_ending(gone))
            self.room.nodes -= 1
            gone.rows = None


def _ending(file: Node) -> list[str]:
    """Return the event that tells how the work on a file ended."""
    names = [text(facts, "event") for facts in file.events() if "elapsed_s" in facts]
    return [name for name in names if name.startswith("file_")][-1:]
