"""What a server says about how many requests it will still take: three families of header fields.

* ``RateLimit: "burst";r=0;t=12`` (draft-ietf-httpapi-ratelimit-headers, since 08), a list of structured fields (RFC 9651);
  before that ``RateLimit: limit=100, remaining=0, reset=12`` (07).
* ``RateLimit-Limit``, ``RateLimit-Remaining``, ``RateLimit-Reset`` (until 06): reset in seconds from now.
* ``X-RateLimit-…`` and ``X-Rate-Limit-…``: never specified. The reset is seconds from now, or an instant since 1970 in
  seconds or milliseconds; no server means a wait of thirty years, so its size tells which.

What cannot be read is ignored, as the draft says (-10, section 7): a sign, an exponent, NaN, a date. The RetryPolicy's own
waits are left then.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

__all__ = ["Quota", "quotas_in"]

_FAMILIES: Final = ("ratelimit-", "x-ratelimit-", "x-rate-limit-")
_SINCE_1970_S: Final = 10**9
_SINCE_1970_MS: Final = 10**12

_TEXT = re.compile(r'"(?:[^"\\]|\\.)*"')
_MEMBER = re.compile(r'(?:"(?:[^"\\]|\\.)*"|[^,"])+')
_PARAMETER = re.compile(r'(?:;\s*([a-z*][a-z0-9_.*-]*)=("(?:[^"\\]|\\.)*"|[^;,"\s]*))|"(?:[^"\\]|\\.)*"')
_ENTRY = re.compile(r"\s*(limit|remaining|reset)\s*=\s*(\S+?)\s*")
_NUMBER = re.compile(r"\d+(?:\.\d+)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Quota:
    """One limit of a server.

    Attributes:
        remaining: Requests that it will still take …
        reset_s: … for so many seconds: finite, however many digits it named.
    """

    remaining: float
    reset_s: float


def quotas_in(headers: Mapping[str, str], now: Callable[[], datetime]) -> list[Quota]:
    """Return what *headers* say, in no particular order; nothing for what cannot be read.

    Args:
        headers: Of an answer; look-up ignores case.
        now: Asked where an instant has to be measured: the server's clock, or ours where it does not tell.
    """
    field = headers.get("ratelimit")
    quotas = [] if field is None else [*_structured(field, now)]
    for family in _FAMILIES:
        remaining = headers.get(f"{family}remaining")
        if remaining is not None:
            quotas += _quota(remaining, headers.get(f"{family}reset", ""), now)
    return quotas


def _structured(field: str, now: Callable[[], datetime]) -> Iterator[Quota]:
    if '"' in _TEXT.sub("", field):  # a text that does not end: the whole field cannot be read (RFC 9651 section 4.2)
        return
    entries: dict[str, str] = {}
    for member in _MEMBER.findall(field):
        if entry := _ENTRY.fullmatch(member):
            entries[entry[1]] = entry[2]
            continue
        parameters = {found[1]: found[2] for found in _PARAMETER.finditer(member) if found[1]}
        yield from _quota(parameters.get("r", ""), parameters.get("t", ""), now)
    yield from _quota(entries.get("remaining", ""), entries.get("reset", ""), now)


def _quota(remaining: str, reset: str, now: Callable[[], datetime]) -> Iterator[Quota]:
    left, seconds = _number(remaining), _number(reset)
    if left is None or seconds is None:
        return
    if seconds >= _SINCE_1970_S:
        instant_s = seconds / 1000 if seconds >= _SINCE_1970_MS else seconds
        seconds = max(0.0, instant_s - now().timestamp())
    yield Quota(left, seconds)


def _number(text: str) -> float | None:
    """Return the number that *text* begins with ("100, 100;w=60" is 100), or None. None is negative: -1 means "no limit"."""
    found = _NUMBER.fullmatch(re.split(r"[,;]", text, maxsplit=1)[0].strip())
    return None if found is None else min(float(found[0]), sys.float_info.max)
