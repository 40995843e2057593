"""The faults by name: what each one is, and what a client should make of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from controlroom.errors import ConfigError
from controlroom.testing.faults_http import strikes
from controlroom.testing.faults_http.lists import POINTING, STYLES, Style

__all__ = ["FAULTS", "Fault", "FaultKind"]

_COUNTING: Final[tuple[Style, ...]] = ("offset", "page", "keyset")
_LINKS: Final[tuple[Style, ...]] = ("next_url", "link")
_NOT_OFFSET: Final = tuple(style for style in STYLES if style != "offset")
_ERROR: Final = {"error": {"code": 17, "message": "internal"}}
_LOGIN: Final = b"<!doctype html><title>Sign in</title><form action=/login method=post></form>"
_SEVERAL: Final = '<{url}#first>; title="one, two; rel=\\"next\\""; rel=first, <{url}>; rel="last next"'
_AS_MEANT: Final = -1


@dataclass(frozen=True, slots=True)
class FaultKind:
    """What a fault is.

    Attributes:
        does: What goes wrong.
        strike: Does it.
        wanted: What a client should make of it: all "records", an "error", or "either".
        stage: When it is laid over the answer: on what is "asked", on what the "page" says, on how the "answer" goes out.
        styles: Where it can be.
        passes: Whether it strikes once when nothing else is said.
        needs_total: Whether only a stated total lets a client see it.
    """

    does: str
    strike: strikes.Strike
    wanted: Literal["records", "error", "either"] = "records"
    stage: Literal["asked", "page", "answer"] = "answer"
    styles: tuple[Style, ...] = STYLES
    passes: bool = False
    needs_total: bool = False


FAULTS: Final[Mapping[str, FaultKind]] = MappingProxyType(
    {
        "empty page": FaultKind(
            "A page is empty and points on.", strikes.nothing_before("e"), stage="page", styles=POINTING
        ),
        "short page": FaultKind("A page holds a record less; the next begins with it.", strikes.short, stage="asked"),
        "limit clamped": FaultKind(
            "Pages hold half of what is asked for.", strikes.clamped, stage="asked", styles=_COUNTING
        ),
        "page ignored": FaultKind("Every request gets the first page.", strikes.ignored, "error", "asked"),
        "same cursor": FaultKind(
            "A page points to itself.", strikes.points_to(lambda page: page), "error", "page", POINTING
        ),
        "cursor cycle": FaultKind(
            "A page points back.", strikes.points_to(lambda page: max(1, page - 1)), "error", "page", POINTING
        ),
        "wrong total": FaultKind(
            "The list ends before the page, the stated total does not.",
            strikes.ends_early,
            "error",
            "page",
            needs_total=True,
        ),
        "duplicate record": FaultKind(
            "A page repeats the last record of the one before.",
            strikes.doubled,
            "error",
            "page",
            _NOT_OFFSET,  # who counts by records received would skip one for it: nobody could see that
            needs_total=True,
        ),
        "null items": FaultKind(
            "A page has null for records, and points on.",
            strikes.nothing_before("z"),
            stage="page",
            styles=POINTING,
        ),
        "empty text at the end": FaultKind(
            'The end is told by "".', strikes.at_the_end(end=""), stage="page", styles=("cursor", "next_url", "post")
        ),
        "no key at the end": FaultKind(
            "The end is told by nothing.",
            strikes.at_the_end(drops_nulls=True),
            stage="page",
            styles=("cursor", "next_url", "post"),
        ),
        "reserved characters": FaultKind(
            "Cursors are full of &, =, +, % and blanks.",
            strikes.reserved,
            stage="page",
            styles=POINTING,
        ),
        "relative link": FaultKind("Links are relative.", strikes.links(relative=True), stage="page", styles=_LINKS),
        "several relations": FaultKind(
            'A Link header with quoted commas, and rel="last next".',
            strikes.links(form=_SEVERAL),
            stage="page",
            styles=("link",),
        ),
        "other origin": FaultKind(
            "The next page is on another host, which notes what it is sent.",
            strikes.to_another_origin,
            "either",
            "page",
            _LINKS,
        ),
        "error in a 200": FaultKind("An error object, with status 200.", strikes.answers(body=_ERROR), "error"),
        "login page": FaultKind(
            "An HTML form, with status 200.", strikes.answers(body=_LOGIN, kind="text/html"), "error"
        ),
        "no items": FaultKind("An empty object, with status 200.", strikes.answers(body={}), "error"),
        "400 with echo": FaultKind("A 400 that repeats the request, credentials included.", strikes.echoes, "error"),
        "403": FaultKind("A 403.", strikes.answers(403), "error"),
        "500": FaultKind("A 500, once.", strikes.answers(500), passes=True),
        "503 with Retry-After": FaultKind("A 503 with seconds to wait, once.", strikes.asks_to_wait, passes=True),
        "429 with a date": FaultKind("A 429 with a date to wait for, once.", strikes.asks_to_wait_until, passes=True),
        "body cut": FaultKind("Half a body, then the end, once.", strikes.goes_out("cut"), passes=True),
        "chunks cut": FaultKind(
            "Half a chunked body, then the end, once.", strikes.goes_out("chunks cut"), passes=True
        ),
        "no answer": FaultKind("The connection ends without a word, once.", strikes.goes_out("hang up"), passes=True),
        "reset": FaultKind("The connection is reset, once.", strikes.goes_out("reset"), passes=True),
        "stall": FaultKind("Half a body, then silence, once.", strikes.goes_out("stall"), "either", passes=True),
        "drip": FaultKind(
            "A blank of the body at a time, without end.", strikes.goes_out("drip"), "either", passes=True
        ),
        "truncated gzip": FaultKind("Half a gzip stream, once.", strikes.packed(strikes.cut_gzip), passes=True),
        "bomb": FaultKind("A page blown up to 128 MiB by blanks, in gzip.", strikes.packed(strikes.bomb), "error"),
    }
)
"""What can be wrong, by name."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong.

    Args:
        name: One of `FAULTS`.
        page: The page that it concerns, 1-based, in the list's own page size; what is wrong with all of a list (cursors,
            links, the limit) concerns all pages.
        times: How often it strikes; None: always. When not given: once for what passes (a reset, a 503), always for what a
            server is like (a cursor that repeats itself).

    Raises:
        ConfigError: There is no such fault, page or number of times.
    """

    name: str
    page: int = 3
    times: int | None = _AS_MEANT

    def __post_init__(self) -> None:
        """Refuse what would never strike."""
        if self.name not in FAULTS:
            message = f"{self.name!r} is no fault: choose {', '.join(FAULTS)}."
            raise ConfigError(message)
        if self.times == _AS_MEANT:
            object.__setattr__(self, "times", 1 if FAULTS[self.name].passes else None)  # frozen from here on
        if self.page < 1 or (self.times is not None and self.times < 1):
            message = f"{self} would never strike: pages and times count from 1."
            raise ConfigError(message)

    @property
    def kind(self) -> FaultKind:
        """What it is."""
        return FAULTS[self.name]
