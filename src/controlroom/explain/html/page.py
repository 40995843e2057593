"""The whole page: one file that asks nobody for anything."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final

from controlroom.explain.html.budget import Budget
from controlroom.explain.html.endings import beginning, elapsed, id_of, is_calm, outcome_tag, run_name
from controlroom.explain.html.markup import Html, cleaned, element
from controlroom.explain.html.runs import run_article
from controlroom.explain.html.values import bytes_shown, listed, many, mapped, number, text

__all__ = ["render_html"]

_LONGEST_BYTES: Final = 8_000_000  # beside it: the page's own style and the lists around the rows
_FRAME_BYTES: Final = 18_000  # of a run, at most: its names, who must act, its row in the index
_MOST_RUNS: Final = 300
_MOST_OPEN: Final = 3
_LONGEST_WHO: Final = 200


def render_html(document: Mapping[str, Any]) -> str:
    """Return the story *document* as one HTML page: who must act, the failing path, a timeline, and every fact.

    Args:
        document: A story as JSON-ready data, as ``controlroom explain --json`` writes it. What is missing in it, or of
            another type than expected, is passed over.

    Guarantees:
        The page is complete in itself: no request, no font, no script of others, and a Content-Security-Policy that
        allows none. It can be read without JavaScript. Nothing in the document becomes an element, an attribute, a link
        or a style of the page: all of it is text, in which controls, lone surrogates and marks that turn the direction
        of reading are spelled out. The page stays below ten million bytes: long texts are cut, and of too many rows those
        that went well are left out first; both are said, and counted.
    """
    runs = [mapped(run) for run in listed(document.get("runs")) if mapped(run)]
    kept = _kept(runs)
    title = f"{run_name(runs[0])}: the story of a run" if len(runs) == 1 else f"The story of {many(len(runs), 'run')}"
    wrong = sum(not is_calm(run) for run in runs)
    told = f"{title}, {wrong:,} of which did not end well" if wrong else title
    head = element("h1", "The story of a run" if len(runs) == 1 else told)
    more = len(runs) - len(kept) + int(number(document.get("untold_runs")) or 0)
    note = element("p", f"Left out here: {many(more, 'run')}; ask for one by its id.", class_="cut") if more else None
    main = element("main", note, *_articles(kept))
    read = element("footer", _read(mapped(document.get("log"))))
    index = _index(kept) if len(runs) != 1 else None
    body = element("body", _PATTERNS, element("header", head, index), main, read, element("script", _script()))
    return f"<!DOCTYPE html>\n{element('html', _head(title), body, lang='en')}\n"


def _kept(runs: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return as many runs as a page takes, those that went wrong before the others, in their order."""
    places = sorted(range(len(runs)), key=lambda place: is_calm(runs[place]))
    return [runs[place] for place in sorted(places[:_MOST_RUNS])]


def _articles(runs: list[Mapping[str, Any]]) -> Iterator[Html]:
    left_bytes = _LONGEST_BYTES - len(runs) * _FRAME_BYTES
    for place, run in enumerate(runs):
        share_bytes = left_bytes // (len(runs) - place)
        share = Budget(share_bytes)
        is_open = len(runs) <= _MOST_OPEN or not is_calm(run)
        article = run_article(run, place + 1, share, is_open=None if len(runs) == 1 else is_open)
        left_bytes -= share_bytes - share.left_bytes
        yield article


def _index(runs: list[Mapping[str, Any]]) -> Html:
    heads = ("Run", "Outcome", "Began (UTC)", "Elapsed", "Failures", "Who must act")
    rows = (_index_row(run, place) for place, run in enumerate(runs, 1))
    head = element("thead", element("tr", *(element("th", name, scope="col") for name in heads)))
    table = element("table", head, element("tbody", *rows))
    return element("nav", element("div", table, class_="scroll"), aria_label="Runs")


def _index_row(run: Mapping[str, Any], place: int) -> Html:
    began = beginning(run)
    cells = (
        outcome_tag(run),
        "" if began is None else f"{began:%Y-%m-%d %H:%M:%S}",
        elapsed(run),
        f"{len(listed(run.get('failures'))):,}",
        cleaned(text(run.get("who_acts")), _LONGEST_WHO),
    )
    name = element("a", run_name(run), href=f"#r{place}", class_="data")
    return element("tr", element("th", name, " ", id_of(run), scope="row"), *(element("td", cell) for cell in cells))


def _read(log: Mapping[str, Any]) -> Html:
    """Say how much of the log this page is told from."""
    counts = {name: int(number(log.get(name)) or 0) for name in ("events", "bytes", "foreign_lines", "truncated_lines")}
    size = f" in {bytes_shown(counts['bytes'])}" if counts["bytes"] else ""
    skipped = [
        f"{counts[name]:,} {what}"
        for name, what in (("foreign_lines", "of other programs"), ("truncated_lines", "cut short"))
        if counts[name]
    ]
    told = f"Skipped lines: {', '.join(skipped)}." if skipped else "No line was skipped."
    return element("p", f"Told from {many(counts['events'], 'event')}{size}. {told}")


def _head(title: str) -> Html:
    # Hashes rather than 'unsafe-inline': should markup of a log ever get through, it still could not run or load anything.
    policy = (
        f"default-src 'none'; style-src '{_digest(_style())}'; script-src '{_digest(_script())}'; "
        "base-uri 'none'; form-action 'none'"
    )
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="referrer", content="no-referrer"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", title),
        element("style", _style()),
    )


def _digest(source: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}"


@cache
def _style() -> Html:
    return Html(files(__package__).joinpath("page.css").read_text("utf-8"))


@cache
def _script() -> Html:
    return Html(files(__package__).joinpath("page.js").read_text("utf-8"))


def _pattern(name: str, *shapes: Html, size: int) -> Html:
    return element(
        "pattern",
        *shapes,
        id=name,
        width=size,
        height=size,
        patternUnits="userSpaceOnUse",
        patternTransform="rotate(45)",
    )


_PATTERNS: Final = element(
    "svg",
    element(
        "defs",
        _pattern(
            "hatch",
            element("rect", width=5, height=5, class_="paper"),
            element("line", x1=0, y1=0, x2=0, y2=5, class_="hatch"),
            size=5,
        ),
        _pattern(
            "dots",
            element("rect", width=4, height=4, class_="ground"),
            element("circle", cx=2, cy=2, r=1.1, class_="dot"),
            size=4,
        ),
    ),
    class_="patterns",
    aria_hidden="true",
    width=0,
    height=0,
)
