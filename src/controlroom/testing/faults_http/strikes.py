"""What the faults do to a turn, each at its stage. A strike does it where it is due, and tells whether it did."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from email.utils import format_datetime
from functools import cache
from typing import Any, Final, Literal

from controlroom.clock import utcnow
from controlroom.testing.faults_http.lists import Place
from controlroom.testing.faults_http.turns import Manner, Turn

__all__ = ["Strike"]

Strike = Callable[[Turn, int], bool]
"""Takes the turn and the page that the fault concerns."""

RETRY_AFTER_S: Final = 1
BOMB_BYTES: Final = 128 * 2**20
_RESERVED: Final = "&=?/ +%#;"


def ignored(turn: Turn, _page: int) -> bool:
    strikes = turn.place.start > 0
    turn.place = Place(0, turn.place.count)
    return strikes


def clamped(turn: Turn, _page: int) -> bool:
    largest = max(1, turn.listed.page_size // 2)
    strikes = turn.place.count > largest
    turn.place = turn.listed.place(turn.query, None, largest)
    return strikes


def short(turn: Turn, page: int) -> bool:
    strikes = turn.concerns(page)
    place = turn.place
    if turn.listed.style == "page":  # the record that is missing comes first on the next page: all bounds move by one
        later = place.start > turn.listed.first_of(page)
        turn.place = replace(place, start=place.start - later, count=place.count - strikes)
    elif strikes:
        turn.place = replace(place, count=max(1, place.count - 1))
    return strikes


def nothing_before(kind: Literal["e", "z"]) -> Strike:
    def strike(turn: Turn, page: int) -> bool:
        if not turn.leads_to(page):
            return False
        turn.next_token = f"{kind}{turn.listed.first_of(page)}"
        return True

    return strike


def points_to(page_of: Callable[[int], int]) -> Strike:
    def strike(turn: Turn, page: int) -> bool:
        if not turn.concerns(page):
            return False
        turn.next_token = f"r{turn.listed.first_of(page_of(page))}"
        return True

    return strike


def ends_early(turn: Turn, page: int) -> bool:
    if turn.listed.points:
        if not turn.leads_to(page):
            return False
        turn.next_token = None
        return True
    if turn.place.start < turn.listed.first_of(page):
        return False
    turn.records = []
    return True


def doubled(turn: Turn, page: int) -> bool:
    if not turn.concerns(page) or not turn.place.start:
        return False
    turn.records = [turn.listed.records[turn.place.start - 1], *(turn.records or [])]
    return True


def reserved(turn: Turn, _page: int) -> bool:
    if turn.next_token is None:
        return False
    turn.next_token = _RESERVED + turn.next_token
    return True


def at_the_end(**changes: Any) -> Strike:
    def strike(turn: Turn, _page: int) -> bool:
        if turn.next_token is not None:
            return False
        for name, value in changes.items():
            setattr(turn, name, value)
        return True

    return strike


def links(**changes: Any) -> Strike:
    def strike(turn: Turn, _page: int) -> bool:
        for name, value in changes.items():
            setattr(turn, name, value)
        return turn.next_token is not None

    return strike


def to_another_origin(turn: Turn, _page: int) -> bool:
    turn.origin = turn.other_origin
    return turn.next_token is not None


def answers(status: int = 200, body: Any = b"", kind: str = "application/json", **headers: str) -> Strike:
    def strike(turn: Turn, page: int) -> bool:
        if not turn.concerns(page):
            return False
        turn.status, turn.content = status, body if isinstance(body, bytes) else json.dumps(body).encode()
        turn.headers = {"Content-Type": kind, **{name.replace("_", "-"): value for name, value in headers.items()}}
        return True

    return strike


def asks_to_wait(turn: Turn, page: int) -> bool:
    return _to_wait(turn, page, 503, Retry_After=str(RETRY_AFTER_S))


def asks_to_wait_until(turn: Turn, page: int) -> bool:
    now = utcnow().replace(
        microsecond=0
    )  # a date has no fractions: until the second after next, it is a second at least
    until = now + timedelta(seconds=RETRY_AFTER_S + 1)
    dates = {"Date": format_datetime(now, usegmt=True), "Retry_After": format_datetime(until, usegmt=True)}
    return _to_wait(turn, page, 429, **dates)


def _to_wait(turn: Turn, page: int, status: int, **headers: str) -> bool:
    strikes = answers(status, **headers)(turn, page)
    turn.wait_s = RETRY_AFTER_S if strikes else 0
    return strikes


def echoes(turn: Turn, page: int) -> bool:
    sent = {"query": dict(turn.query), "headers": dict(turn.sent_headers)}
    return answers(400, {"error": "this request was not understood", "you sent": sent})(turn, page)


def goes_out(manner: Manner) -> Strike:
    def strike(turn: Turn, page: int) -> bool:
        strikes = turn.concerns(page)
        turn.manner = manner if strikes else turn.manner
        return strikes

    return strike


def packed(pack: Callable[[bytes], bytes]) -> Strike:
    def strike(turn: Turn, page: int) -> bool:
        if not turn.concerns(page) or "gzip" not in turn.sent_headers.get("accept-encoding", ""):
            return False
        turn.content = pack(turn.content)
        turn.headers["Content-Encoding"] = "gzip"
        return True

    return strike


def cut_gzip(content: bytes) -> bytes:
    packed = gzip.compress(content)
    return packed[: len(packed) // 2]


def bomb(content: bytes) -> bytes:
    """Return *content* behind blanks, which JSON allows anywhere, as one gzip member."""
    packed, packer = _packed_blanks()
    packer = packer.copy()
    return b"".join([packed, packer.compress(content), packer.flush()])


@cache
def _packed_blanks() -> tuple[bytes, zlib._Compress]:
    packer = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    blanks = b" " * 2**20
    return b"".join(packer.compress(blanks) for _ in range(BOMB_BYTES // 2**20)), packer
