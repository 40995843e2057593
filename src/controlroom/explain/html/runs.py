"""One run on the page: how it ended and who must act, then why, then everything else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

from controlroom.explain.html.axis import Axis
from controlroom.explain.html.budget import Budget
from controlroom.explain.html.endings import beginning, id_of, is_calm, outcome_tag, run_name, summary, who_acts
from controlroom.explain.html.facts import bars, described, effects, folded, settings_table, tally
from controlroom.explain.html.failures import failure_cards
from controlroom.explain.html.markup import Html, cleaned, element, joined
from controlroom.explain.html.timeline import kind_of, tag, timeline
from controlroom.explain.html.tree import OUTCOMES, Node, planted, walked
from controlroom.explain.html.values import listed, many, mapped, number, text

__all__ = ["run_article"]

_SHORTEST_S: Final = 0.001
_WHOLE: Final = 1.01  # beyond rounding
_LONGEST_TALLY: Final = 400
_MOST_STEPS: Final = 30
_LONGEST_NAME: Final = 120


def run_article(run: Mapping[str, Any], place: int, budget: Budget, *, is_open: bool | None) -> Html:
    """Return the run number *place* of the document, in no more than *budget*; *is_open*: None, it cannot be closed."""
    prefix = f"r{place}"
    roots, by_id = planted(run, beginning(run))
    parts = joined([who_acts(run), *_sections(run, prefix, roots, by_id, budget)])
    name = element("span", run_name(run), class_="data")
    if is_open is None:
        head, body = element("h2", name, " ", outcome_tag(run), id=f"{prefix}h"), parts
    else:
        head = element("h2", name, " ", outcome_tag(run), " ", id_of(run), id=f"{prefix}h")
        body = folded("The whole run", parts, class_="whole", open_=is_open)
    return element("article", head, body, class_="run", id=prefix, aria_labelledby=f"{prefix}h")


def _sections(
    run: Mapping[str, Any], prefix: str, roots: list[Node], by_id: Mapping[object, Node], budget: Budget
) -> list[Html]:
    """Return the sections as they are read; what says most for its length is paid for before the others."""
    nodes = list(walked(roots))
    numbers = {key: node.number for key, node in by_id.items()}
    axis = Axis(max([number(run.get("elapsed_s")) or 0.0, _SHORTEST_S, *(node.end_s for node in nodes)]))
    ending = listed(run.get("failing_path"))[-1:]
    facts = _paid(budget, summary(run))
    path = _paid(budget, _section(prefix, "path", _path_title(run), _path(run, by_id, prefix)))
    after = [
        _paid(budget, _section(prefix, "times", "Where the time went", *_times(run, axis.whole_s))),
        _paid(budget, _section(prefix, "effects", "What it left behind", effects(run.get("effects")))),
        _paid(budget, _section(prefix, "host", "Host", described(mapped(run.get("host_facts"))))),
    ]
    cards = failure_cards(run.get("failures"), prefix, numbers, ending, budget)
    drawn = timeline(roots, axis, prefix, _told_of(run, numbers), budget)
    told = [
        _section(prefix, "failures", "Failures", cards),
        _section(prefix, "timeline", "What happened when", _legend(nodes, prefix), drawn, _left_out(run, budget)),
    ]
    after.insert(-1, _paid(budget, _section(prefix, "settings", "Settings", _settings(run))))
    return [section for section in (facts, path, *told, *after) if section is not None]


def _paid(budget: Budget, section: Html | None) -> Html | None:
    if section is None or budget.pays_for(section):
        return section
    return element("p", "A part is left out here: the page would become too long.", class_="cut")


def _times(run: Mapping[str, Any], whole_s: float) -> tuple[Html | None, Html | None]:
    drawn = bars(run.get("times"), whole_s)
    shares = (number(mapped(time).get("share")) or 0.0 for time in listed(run.get("times")))
    overlap = element("p", "What ran side by side is counted side by side.", class_="hint")
    return drawn, overlap if sum(shares) > _WHOLE else None


def _section(prefix: str, name: str, title: str, *parts: Html | None) -> Html | None:
    if not parts or parts[0] is None:
        return None
    head = element("h3", title, id=f"{prefix}-{name}")
    return element("section", head, *parts, class_=name, aria_labelledby=f"{prefix}-{name}")


def _path_title(run: Mapping[str, Any]) -> str:
    return "What somebody should look at" if is_calm(run) else "The failing path"


def _told_of(run: Mapping[str, Any], numbers: Mapping[object, int]) -> Mapping[int, list[int]]:
    """Return which failures belong to which node, both by their numbers on the page."""
    told: dict[int, list[int]] = {}
    failures = (mapped(failure) for failure in listed(run.get("failures")) if mapped(failure))
    for place, failure in enumerate(failures, 1):
        key = failure.get("node")
        if isinstance(key, int | str) and key in numbers:
            told.setdefault(numbers[key], []).append(place)
    return told


def _path(run: Mapping[str, Any], by_id: Mapping[object, Node], prefix: str) -> Html | None:
    keys = [key for key in listed(run.get("failing_path")) if isinstance(key, int | str)]
    nodes = [by_id[key] for key in keys if key in by_id][-_MOST_STEPS:]
    steps = (
        element(
            "li",
            element("span", kind_of(node), class_="kind"),
            element("a", _title(node), href=f"#{prefix}n{node.number}", class_="data"),
            " ",
            tag(node.outcome) if node is nodes[-1] else None,
        )
        for node in nodes
    )
    return element("ol", *steps) if nodes else None


def _title(node: Node) -> str:
    return cleaned(text(node.raw.get("title")).replace("\n", " "), _LONGEST_NAME) or "without a title"


def _legend(nodes: list[Node], prefix: str) -> Html | None:
    counts = Counter(node.outcome for node in nodes)
    if not counts:
        return None
    waits = any(node.waits for node in nodes)
    wait = element("svg", element("rect", class_="bar wait", width=26, y=2, height=12, rx=2), class_="sample")
    calm = sum(1 for node in nodes if node.calm)
    switch = element("input", type="checkbox", id=f"{prefix}-calm", class_="only")
    label = element("label", switch, " Only what went wrong") if 0 < calm < len(nodes) else None
    tags: Iterator[Html] = (element("li", tag(outcome, counts[outcome])) for outcome in OUTCOMES if counts[outcome])
    waiting = element("li", wait, " waiting before a retry") if waits else None
    return element("div", element("ul", *tags, waiting), label, class_="legend")


def _left_out(run: Mapping[str, Any], budget: Budget) -> Html | None:
    untold, events = mapped(run.get("untold")), mapped(run.get("untold_events"))
    told = [f"Beyond what a story tells one by one: {tally(untold)}."] if untold else []
    if events:
        told.append(f"Events of these: {tally(events)}.")
    if budget.cut:
        told.insert(0, f"Left out here, or the page would become too long: {many(budget.cut, 'row')}.")
    return element("p", cleaned(" ".join(told), _LONGEST_TALLY), class_="cut") if told else None


def _settings(run: Mapping[str, Any]) -> Html | None:
    table = settings_table(run.get("settings"))
    return None if table is None else folded(many(len(listed(run.get("settings"))), "setting"), table)
