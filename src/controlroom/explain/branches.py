"""The tree of a run as lines: what went wrong in full, what went well in a word."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Final

from controlroom.explain.phrases import phrase
from controlroom.explain.style import Style, many

if TYPE_CHECKING:
    from controlroom.explain.document import NodeDocument, RunDocument

__all__ = ["tree_lines"]

_FEW: Final = {"page": 4}  # of a kind: all of them are shown
_FEW_OF_OTHERS: Final = 10
_MOST_TROUBLED: Final = 8
_MOST_CALM: Final = {"page": 0, "file": 6}
_MOST_CALM_OF_OTHERS: Final = 3
_MOST_SHOWN: Final = 120
_CALM: Final = frozenset({"ok", "skipped"})
_OF_A_COMMIT: Final = frozenset({"unit", "publication"})
_CALLED: Final = {"retry": "attempt", "rejects": "reject", "other": "event"}
_GRAVEST_FIRST: Final = ("failed", "in_doubt", "quarantined", "released", "unfinished", "rolled_back", "retried")
_NO_TIME: Final = " " * 8


def tree_lines(run: RunDocument, style: Style) -> Iterator[str]:
    """Yield the lines of the tree, each with the time at which it began; the failing path is marked."""
    if run["nodes"]:
        yield from _Drawing(run, style).drawn(run["nodes"][0], "    ", "", "")


class _Drawing:
    """One drawing: how much was shown is counted."""

    def __init__(self, run: RunDocument, style: Style) -> None:
        self._style = style
        self._path = frozenset(run["failing_path"])
        self._children: dict[int, list[NodeDocument]] = {}
        for node in run["nodes"]:
            if node["parent"] is not None:
                self._children.setdefault(node["parent"], []).append(node)
        self._calm: dict[int, bool] = {}
        for node in reversed(run["nodes"]):  # children stand behind their parents
            within = self._children.get(node["id"], ())
            went_well = node["outcome"] in _CALM and not node["troubled"]
            self._calm[node["id"]] = went_well and all(self._calm[child["id"]] for child in within)
        self._left = _MOST_SHOWN

    def drawn(
        self, node: NodeDocument, margin: str, lead: str, below: str, before: NodeDocument | None = None
    ) -> Iterator[str]:
        """Yield *node* behind *lead* and what is inside behind *below*; *before* stands above it."""
        self._left -= 1
        shown, hidden = self._chosen(node)
        head = f"{margin}{_time(node)} {lead}"
        into = f"{margin}{_NO_TIME} {below}{self._style.sign('│  ') if shown or hidden else '   '}"
        colour = self._colour(node)
        mark = f"{self._style.sign('✗')} " if colour == "bad" else ""
        yield from self._style.lines(mark + phrase(node, before), head, into, colour=colour)
        for place, child in enumerate(shown, start=1):
            is_last = place == len(shown) and not hidden
            sign, under = ("└─ ", "   ") if is_last else ("├─ ", self._style.sign("│  "))
            above = shown[place - 2] if place > 1 else None
            yield from self.drawn(child, margin, below + self._style.sign(sign), below + under, above)
        if hidden:
            lead = f"{margin}{_NO_TIME} {below}{self._style.sign('└─ ')}"
            text = f"{self._style.sign('…')} {_summed(hidden)}"
            yield from self._style.lines(text, lead, " " * len(lead), colour="faint")

    def _colour(self, node: NodeDocument) -> str:
        if node["outcome"] in _CALM:
            return ""  # also on the path: a run that went on, and well, after what failed in it
        return "bad" if node["id"] in self._path else "warned"

    def _chosen(self, node: NodeDocument) -> tuple[list[NodeDocument], Mapping[tuple[str, bool], int]]:
        """Return the children that are shown, and how many of each kind, without troubles or with, are not."""
        within = self._children.get(node["id"], [])
        if node["kind"] == "file" and node["outcome"] == "ok":  # that it was committed goes without saying
            within = [child for child in within if not self._calm[child["id"]] or child["kind"] not in _OF_A_COMMIT]
        if node["parent"] is not None and self._calm[node["id"]] and node["id"] not in self._path:
            return [], {}  # it went well: how, its own line says
        by_kind: dict[str, list[NodeDocument]] = {}
        for child in within:
            by_kind.setdefault(child["kind"], []).append(child)
        is_open = node["outcome"] == "unfinished"  # the last thing that went well says how far it came
        chosen = {child["id"] for children in by_kind.values() for child in self._worth_showing(children, last=is_open)}
        shown = [child for child in within if child["id"] in chosen]
        left_out = [child for child in within if child["id"] not in chosen]
        hidden = Counter((child["kind"], self._calm[child["id"]]) for child in left_out)
        hidden.update({(kind, True): number for kind, number in node["untold"].items()})
        return shown, hidden

    def _worth_showing(self, children: list[NodeDocument], *, last: bool) -> Iterable[NodeDocument]:
        kind = children[0]["kind"]
        if len(children) <= _FEW.get(kind, _FEW_OF_OTHERS) and self._left > 0:
            return children
        ranked = sorted(children, key=self._rank)
        on_path = [child for child in ranked if child["id"] in self._path]
        if self._left <= 0:
            return on_path
        troubled = [child for child in ranked if not self._calm[child["id"]]]
        calm = [child for child in children if self._calm[child["id"]]]
        most_calm = _MOST_CALM.get(kind, _MOST_CALM_OF_OTHERS)
        return [*on_path, *troubled[:_MOST_TROUBLED], *calm[:most_calm], *(calm[-1:] if last else ())]

    def _rank(self, node: NodeDocument) -> tuple[bool, int]:
        outcome = node["outcome"]
        return node["id"] not in self._path, _GRAVEST_FIRST.index(outcome) if outcome in _GRAVEST_FIRST else 99


def _time(node: NodeDocument) -> str:
    return (node["began_at"] or "")[11:19] or _NO_TIME


def _summed(hidden: Mapping[tuple[str, bool], int]) -> str:
    return ", ".join(
        f"{many(number, f'more {_CALLED.get(kind, kind)}')}{'' if is_calm else ' with troubles'}"
        for (kind, is_calm), number in sorted(hidden.items(), key=lambda item: item[0][1])
    )
