"""What went wrong: each failure with its attempts and its whole exception."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from controlroom.explain.html.budget import Budget
from controlroom.explain.html.facts import described, folded
from controlroom.explain.html.markup import Html, cleaned, element, joined
from controlroom.explain.html.values import instant, listed, many, mapped, number, seconds_shown, text

__all__ = ["attempts_table", "failure_cards"]

_MOST_FAILURES: Final = 200
_MOST_IN_SIGHT: Final = 8
_MOST_ATTEMPTS: Final = 100
_MOST_FRAMES: Final = 60
_MOST_NOTES: Final = 20
_MOST_EXCEPTIONS: Final = 40
_DEEPEST: Final = 5
_LONGEST: Final = 300
_TONES: Final = {"quarantine": "quarantined", "reconcile": "in_doubt", "skip": "skipped"}
_SHOWN_APART: Final = frozenset({"type", "message", "frames", "causes", "notes", "members", "attempts", "details"})
_FRAME: Final = frozenset({"file", "line", "function", "omitted"})


def failure_cards(
    failures: object, prefix: str, places: Mapping[object, int], ending: Sequence[Any], budget: Budget
) -> Html | None:
    """Return a card for each failure, that of the node *ending*, which ended the run, before the others.

    Args:
        failures: As the document holds them.
        prefix: What the ids of the run begin with.
        places: The number of the node on the page, by its id in the document.
        ending: The id of the last node of the failing path, or nothing.
        budget: What the page may still hold.
    """
    known = [mapped(failure) for failure in listed(failures) if mapped(failure)]
    numbered = sorted(enumerate(known, 1), key=lambda one: one[1].get("node") not in ending)
    cards: list[Html] = []
    for number_, failure in numbered[:_MOST_FAILURES]:
        node = failure.get("node")
        row = places.get(node) if isinstance(node, int | str) else None
        link = None if row is None else element("a", "Show it in the timeline", href=f"#{prefix}n{row}")
        id_ = f"{prefix}f{number_}"
        choices = (_card(failure, id_, link, whole=whole) for whole in (True, False))
        cards += [card for card in choices if budget.pays_for(card)][:1]
    left_out = len(known) - len(cards)
    if rest := cards[_MOST_IN_SIGHT:]:
        cards[_MOST_IN_SIGHT:] = [folded(many(len(rest), "more failure"), *rest)]
    if left_out:
        cards.append(element("p", f"… and {many(left_out, 'more failure')}, left out here.", class_="cut"))
    return joined(cards) if cards else None


def attempts_table(attempts: object) -> Html | None:
    """Return the attempts of one call: how each failed, and how long was waited then, and why."""
    known = [mapped(attempt) for attempt in listed(attempts) if mapped(attempt)]
    longest_s = max((number(one.get("wait_s")) or 0.0 for one in known), default=0.0)
    rows = [_attempt(one, longest_s) for one in known[:_MOST_ATTEMPTS]]
    if (more := len(known) - len(rows)) > 0:
        rows.append(element("li", f"… and {many(more, 'more attempt')}", class_="cut"))
    return element("ol", *rows, class_="attempts") if rows else None


def _card(failure: Mapping[str, Any], id_: str, link: Html | None, *, whole: bool) -> Html:
    at = instant(failure.get("at"))
    labels = [
        None if at is None else element("time", f"{at:%H:%M:%S}", title="UTC"),
        element("code", cleaned(text(failure.get("event")), _LONGEST)),
        _chip(failure.get("code")),
        _chip(failure.get("disposition")),
        link,
    ]
    who, called_from = text(failure.get("who_acts")), cleaned(text(failure.get("called_from")), _LONGEST)
    details = []
    if whole:
        exception = mapped(failure.get("exception"))
        details = [
            attempts_table(failure.get("attempts") or exception.get("attempts")),
            folded(_headline(exception), *_chain(exception), class_="fold exception") if exception else None,
        ]
    return element(
        "article",
        element("h4", cleaned(text(failure.get("subject")) or text(failure.get("event")), _LONGEST), class_="data"),
        element("p", *labels, class_="labels"),
        element("p", text(failure.get("error")), class_="error data"),
        element("p", element("b", "Who must act: "), who, class_="who") if who else None,
        element("p", element("b", "Called from: "), called_from, class_="place data") if called_from else None,
        *details,
        class_=f"failure {_TONES.get(text(failure.get('disposition')), 'failed')}",
        id=id_,
    )


def _chip(value: object) -> Html | None:
    return element("span", cleaned(text(value), _LONGEST), class_="chip") if value else None


def _attempt(attempt: Mapping[str, Any], longest_s: float) -> Html:
    wait_s, reason = number(attempt.get("wait_s")), text(attempt.get("reason"))
    decision = text(attempt.get("decision")) or ("gave up" if wait_s is None else "tried again")
    lane = None
    if wait_s is not None and longest_s > 0:
        width = f"{min(max(wait_s / longest_s * 100, 1.0), 100.0):.2f}%"
        bar = element("rect", class_="bar wait", x=0, y=2, width=width, height=10, rx=2)
        lane = element("svg", bar, class_="share", aria_hidden="true")
    waited = None if wait_s is None else element("span", f"waited {seconds_shown(wait_s)}", lane, class_="waited")
    return element(
        "li",
        element("span", cleaned(text(attempt.get("error")), _LONGEST * 4), class_="data"),
        element("span", element("b", decision), f": {cleaned(reason, _LONGEST)}" if reason else None, class_="why"),
        waited,
    )


def _headline(exception: Mapping[str, Any]) -> str:
    parts = {
        "cause": len(listed(exception.get("causes"))),
        "member": len(listed(exception.get("members"))),
        "frame": len(listed(exception.get("frames"))),
        "note": len(listed(exception.get("notes"))),
    }
    counted = ", ".join(many(count, name) for name, count in parts.items() if count)
    return f"Exception {cleaned(text(exception.get('type')), _LONGEST)}{f' ({counted})' if counted else ''}"


def _chain(exception: Mapping[str, Any]) -> Iterator[Html]:
    yield from _Chain().of(exception, "", 0)


class _Chain:
    """One exception with everything that led to it, and no more of that than anybody would read."""

    def __init__(self) -> None:
        self._left = _MOST_EXCEPTIONS

    def of(self, exception: Mapping[str, Any], how: str, depth: int) -> Iterator[Html]:
        self._left -= 1
        members = [mapped(one) for one in listed(exception.get("members"))]
        causes = [mapped(one) for one in listed(exception.get("causes"))]
        told = [
            element("div", *self._below(one, f"Member {place}", depth), class_="member")
            for place, one in enumerate(members, 1)
        ]
        yield element(
            "section",
            element("h5", f"{how}: " if how else None, element("code", cleaned(text(exception.get("type")), _LONGEST))),
            element("p", text(exception.get("message")), class_="error data"),
            *_notes(exception.get("notes")),
            described(_details(exception)),
            attempts_table(exception.get("attempts")) if how else None,
            _frames(exception.get("frames")),
            *told,
        )
        for cause in causes:
            yield from self._below(cause, "Caused by", depth)

    def _below(self, exception: Mapping[str, Any], how: str, depth: int) -> Iterator[Html]:
        if self._left <= 0 or depth >= _DEEPEST:
            yield element("p", f"{how}: left out here.", class_="cut")
        elif exception:
            yield from self.of(exception, how, depth + 1)


def _details(exception: Mapping[str, Any]) -> dict[str, Any]:
    others = {key: value for key, value in exception.items() if key not in _SHOWN_APART}
    return others | dict(mapped(exception.get("details")))


def _notes(notes: object) -> Iterator[Html]:
    for note in listed(notes)[:_MOST_NOTES]:
        yield element("p", element("b", "Note: "), text(note), class_="note data")
    if (more := len(listed(notes)) - _MOST_NOTES) > 0:
        yield element("p", f"… and {many(more, 'more note')}", class_="cut")


def _frames(frames: object) -> Html | None:
    known = [mapped(frame) for frame in listed(frames) if mapped(frame)]
    rows = [_frame(frame) for frame in known[-_MOST_FRAMES:]]
    if (more := len(known) - len(rows)) > 0:
        rows.insert(0, element("li", f"{more:,} frames are left out here", class_="cut"))
    return element("ol", *rows, class_="frames") if rows else None


def _frame(frame: Mapping[str, Any]) -> Html:
    if omitted := frame.get("omitted"):
        return element("li", f"{text(omitted)} frames were left out in the log", class_="cut")
    place = f"{cleaned(text(frame.get('file')), _LONGEST)}:{text(frame.get('line'))}"
    source = [text(value) for key, value in frame.items() if key not in _FRAME and isinstance(value, str)]
    return element(
        "li",
        element("span", element("b", cleaned(text(frame.get("function")), _LONGEST)), class_="data"),
        " ",
        element("span", place, class_="place data"),
        *(element("code", cleaned(line.strip(), _LONGEST), class_="source data") for line in source),
    )
