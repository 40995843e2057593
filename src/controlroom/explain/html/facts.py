"""Facts, tallies and tables: what is said in words and numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from controlroom.explain.html.markup import Html, cleaned, element, joined
from controlroom.explain.html.values import fact_shown, listed, mapped, number, seconds_shown, text

__all__ = ["bars", "described", "effects", "folded", "settings_table", "tally"]

_MOST_FACTS: Final = 40
_MOST_ROWS: Final = 500
_LONGEST_FACT: Final = 600


def described(facts: Mapping[str, Any]) -> Html | None:
    """Return *facts* as a list of names and values; None where there are none."""
    known = [(name, value) for name, value in facts.items() if value not in (None, "", [], {})]
    pairs = [_pair(text(name), fact_shown(text(name), value)) for name, value in known[:_MOST_FACTS]]
    if (more := len(known) - _MOST_FACTS) > 0:
        pairs.append(_pair("more", f"{more:,} facts are left out here"))
    return element("dl", *pairs, class_="facts") if pairs else None


def tally(counts: Mapping[str, Any]) -> str:
    """Return counts as text: "page_fetched 12, retry_scheduled 1"."""
    shown = [f"{text(name)} {fact_shown('', times)}" for name, times in list(counts.items())[:_MOST_FACTS]]
    if (more := len(counts) - len(shown)) > 0:
        shown.append(f"and {more:,} more kinds")
    return ", ".join(shown)


def folded(title: str, *parts: str | None, class_: str = "fold", open_: bool = False) -> Html:
    """Return *parts* behind a line that opens them."""
    return element("details", element("summary", title), *parts, class_=class_, open=open_)


def bars(times: object, whole_s: float) -> Html | None:
    """Return where the time went, longest first."""
    named = [(text(time.get("name")), number(time.get("seconds")), time) for time in listed(times) if mapped(time)]
    known = sorted((one for one in named if one[1] is not None), key=lambda one: -(one[1] or 0.0))[:_MOST_FACTS]
    rows = [_bar_row(name, seconds or 0.0, number(time.get("share")), whole_s) for name, seconds, time in known]
    return _table(("Doing what", "Time", "Share of the run"), rows, "times") if rows else None


def effects(told: object) -> Html | None:
    """Return what the run left behind; what is nested is told in one line."""
    flat = {
        text(name).replace("_", " "): tally(value) if isinstance(value, Mapping) else fact_shown(text(name), value)
        for name, value in mapped(told).items()
    }
    return described(flat)


def settings_table(settings: object) -> Html | None:
    """Return each setting with its value and where it came from."""
    known = [mapped(row) for row in listed(settings) if mapped(row)]
    rows = [
        _row(
            *(element("code", cleaned(text(row.get(name)), _LONGEST_FACT)) for name in ("name", "value")),
            *(text(row.get(name)) for name in ("source", "key")),
            ", ".join(_place(place) for place in listed(row.get("shadowed"))),
        )
        for row in known[:_MOST_ROWS]
    ]
    if (more := len(known) - _MOST_ROWS) > 0:
        rows.append(_row(f"… and {more:,} more"))
    return _table(("Setting", "Value", "Source", "Key there", "Shadowed"), rows, "settings") if rows else None


def _place(place: object) -> str:
    return " ".join(text(part) for part in mapped(place).values()) or text(place)


def _pair(name: str, value: str) -> Html:
    term = element("dt", cleaned(name, _LONGEST_FACT))
    return element("div", term, element("dd", cleaned(value, _LONGEST_FACT)))


def _bar_row(name: str, seconds: float, share: float | None, whole_s: float) -> Html:
    if share is None:
        share = seconds / whole_s if whole_s > 0 else 0.0
    width = min(max(share * 100, 0.5), 100.0)
    waiting = "wait" if "wait" in name.lower() else "ok"
    bar = element("rect", class_=f"bar {waiting}", x=0, y=4, width=f"{width:.2f}%", height=12, rx=2)
    lane = element("svg", bar, class_="share", aria_hidden="true")
    return _row(cleaned(name, _LONGEST_FACT), seconds_shown(seconds), joined((lane, element("span", f"{share:.0%}"))))


def _row(*cells: str) -> Html:
    head, *rest = cells
    return element("tr", element("th", head, scope="row"), *(element("td", cell) for cell in rest))


def _table(heads: Iterable[str], rows: Iterable[Html], class_: str) -> Html:
    head = element("thead", element("tr", *(element("th", head, scope="col") for head in heads)))
    table = element("table", head, element("tbody", *rows))
    return element("div", table, class_=f"scroll {class_}", role="region", aria_label=class_.capitalize(), tabindex=0)
