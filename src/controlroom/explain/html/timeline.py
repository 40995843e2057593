"""The timeline: a row for every node, a bar where it lay in time, everything else about it behind the row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from controlroom.explain.html.axis import Axis
from controlroom.explain.html.budget import Budget
from controlroom.explain.html.facts import described, folded, tally
from controlroom.explain.html.failures import attempts_table
from controlroom.explain.html.markup import Html, cleaned, element, joined
from controlroom.explain.html.tree import CALM, OUTCOMES, Node, walked
from controlroom.explain.html.values import instant, mapped, seconds_shown, text

__all__ = ["kind_of", "tag", "timeline"]

_MARKS: Final = {
    "ok": "✓",
    "retried": "↻",
    "failed": "✗",
    "quarantined": "⚑",
    "released": "↩",
    "rolled_back": "⟲",
    "in_doubt": "?",
    "unfinished": "…",
    "skipped": "↷",
}
_AROUND: Final = '<li class="calm failing"><details id="r100n10000" open><div class="inside d10"></div></details></li>'
_MOST_IN_SIGHT: Final = 40
_MOST_OPEN: Final = 25
_SHORTEST_WAIT: Final = 0.003  # of the run: many that are shorter would together look like a long one
_LONGEST_TITLE: Final = 200
_LONGEST_KIND: Final = 30


@dataclass(frozen=True, slots=True)
class _Drawing:
    """What every row needs to know: the axis, how its ids begin, and the failures told of each node."""

    axis: Axis
    prefix: str
    failures: Mapping[int, list[int]]
    rows: int


def timeline(
    roots: list[Node], axis: Axis, prefix: str, failures: Mapping[int, list[int]], budget: Budget
) -> Html | None:
    """Return the tree over the axis. Where not all of it fits, what went well is left out first, and counted."""
    order = list(walked(roots))
    if not order:
        return None
    drawing = _Drawing(axis=axis, prefix=prefix, failures=failures, rows=len(order))
    afforded = _afforded(order, drawing, budget)
    lists: dict[Node | None, list[Node]] = {}
    drawn: dict[Node, Html] = {}
    for node in reversed(order):  # children before their parents
        if (inside := afforded.get(node)) is not None:
            drawn[node] = _item(node, inside, _children(lists.pop(node, [])[::-1], drawn), drawing)
            lists.setdefault(node.parent, []).append(node)
    names = (element("span", "What", class_="name"), element("span", "Took", class_="took"))
    tree = element("div", axis.grid(), _children(lists.get(None, [])[::-1], drawn), class_="tree")
    return element("div", element("div", *names, axis.labels(), class_="row head"), tree, class_="chart")


def tag(outcome: str, count: int | None = None) -> Html:
    """Return *outcome* as a mark and a word, for those who do not see colours; *count* how often it came."""
    word = OUTCOMES[outcome] if count is None else f"{count:,} {OUTCOMES[outcome]}"
    mark = element("span", _MARKS[outcome], aria_hidden="true")
    return element("span", mark, f" {word}", class_=f"tag {outcome}")


def kind_of(node: Node) -> str:
    """Return what the node is, and a space, unless its title begins with that."""
    kind = cleaned(node.kind, _LONGEST_KIND)
    return "" if text(node.raw.get("title")).startswith(kind) else f"{kind} "


def _afforded(order: list[Node], drawing: _Drawing, budget: Budget) -> dict[Node, tuple[Html, Html]]:
    """Return row and inside of every node that fits on the page, parents always with their children."""
    afforded: dict[Node, tuple[Html, Html]] = {}
    short = element("p", "Its facts are left out here: the page would become too long.", class_="cut")
    for node in sorted(order, key=lambda node: node.calm):  # stable: parents stay before their children
        row = _row(node, drawing)
        choices = (_inside(node, drawing), short) if node.parent is None or node.parent in afforded else ()
        inside = next((choice for choice in choices if budget.pays_for(row, choice, _AROUND)), None)
        if inside is None:
            budget.cut += 1
        else:
            afforded[node] = (row, inside)
    return afforded


def _item(node: Node, drawn: tuple[Html, Html], children: Html | None, drawing: _Drawing) -> Html:
    row, inside = drawn
    if children is not None and inside:
        inside = folded("Details", inside)
    few = drawing.rows <= _MOST_OPEN and children is not None
    details = element(
        "details",
        row,
        element("div", inside, class_=f"inside d{node.depth}") if inside else None,
        children,
        id=f"{drawing.prefix}n{node.number}",
        open=node.parent is None or node.failing or few,
    )
    return element("li", details, class_=_classes(node))


def _classes(node: Node) -> str | None:
    return " ".join(name for name, holds in (("calm", node.calm), ("failing", node.failing)) if holds) or None


def _row(node: Node, drawing: _Drawing) -> Html:
    title = cleaned(text(node.raw.get("title")).replace("\n", " "), _LONGEST_TITLE)
    name = element(
        "span",
        element("span", kind_of(node), class_="kind"),
        element("span", title, class_="title data"),
        " ",
        None if node.outcome == "ok" or (node.kind, node.outcome) == ("retry", "retried") else tag(node.outcome),
        element("span", "trouble inside", class_="hint") if node.outcome in CALM and not node.calm else None,
        class_=f"name d{node.depth}",
    )
    took = seconds_shown(node.elapsed_s) if node.elapsed_s is not None else _waited(node)
    lane = element("svg", *_bars(node, drawing.axis), class_="lane", aria_hidden="true")
    return element("summary", name, element("span", took, class_="took"), lane, class_="row")


def _waited(node: Node) -> str:
    return "" if node.wait_s is None else seconds_shown(node.wait_s)


def _bars(node: Node, axis: Axis) -> Iterator[Html]:
    if node.began_s is None:
        return
    if node.kind != "retry" or node.wait_s is None:
        until_s = axis.whole_s - node.began_s if node.outcome == "unfinished" else 0.0
        length_s = until_s if node.elapsed_s is None else node.elapsed_s
        yield axis.bar(node.began_s, length_s, f"bar {node.outcome}", is_thin=bool(node.children))
    for began_s, wait_s in node.waits:
        if node.kind == "retry" or wait_s > axis.whole_s * _SHORTEST_WAIT:
            yield axis.bar(began_s, wait_s, "bar wait")


def _inside(node: Node, drawing: _Drawing) -> Html:
    facts, events, untold = (mapped(node.raw.get(name)) for name in ("facts", "events", "untold"))
    at = instant(node.raw.get("began_at"))
    began = {} if at is None else {"began": f"{at:%Y-%m-%d %H:%M:%S.%f} UTC, {_offset(node.began_s)} into the run"}
    links = (
        element("a", "See the failure", href=f"#{drawing.prefix}f{place}")
        for place in drawing.failures.get(node.number, ())
    )
    told = [
        described({**began, **{name: value for name, value in facts.items() if not _is_told_apart(name, value)}}),
        attempts_table(facts.get("attempts")),
        element("p", "Events: ", tally(events), class_="events") if events else None,
        element("p", "Inside, beyond what a story tells one by one: ", tally(untold), class_="cut") if untold else None,
        *(element("p", link) for link in links),
    ]
    return joined(told)


def _is_told_apart(name: str, value: object) -> bool:
    return name == "attempts" and isinstance(value, list)


def _offset(began_s: float | None) -> str:
    return "unknown" if began_s is None else seconds_shown(began_s)


def _children(nodes: list[Node], drawn: dict[Node, Html]) -> Html | None:
    """Return the list below a node: what went well is folded beyond the first few."""
    if not nodes:
        return None
    seen = {True: 0, False: 0}
    near: list[Html] = []
    rest: list[Html] = []
    for node in nodes:
        seen[node.calm] += 1
        few = seen[node.calm] <= _MOST_IN_SIGHT * (1 if node.calm else 5) or node.failing
        (near if few else rest).append(drawn.pop(node))
    if rest:
        what = "all ok or skipped" if seen[False] <= _MOST_IN_SIGHT * 5 else "of all outcomes"
        more = element("summary", f"{len(rest):,} more, {what}", class_="more")
        calm = "calm" if seen[False] <= _MOST_IN_SIGHT * 5 else None
        near.append(element("li", element("details", more, element("ul", *rest)), class_=calm))
    return element("ul", *near)
