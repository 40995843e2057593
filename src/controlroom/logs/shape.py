"""The one shape of a line: when, how grave, what, who, and then the facts."""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from controlroom.clock import utcnow

__all__ = ["HEAD", "stamped", "without_reserved"]

HEAD: Final = ("timestamp", "level", "event", "logger", "seq", "pid")

_RESERVED = frozenset(HEAD)
_last_second: tuple[tuple[int, ...], str] = ((), "")
_numbers = itertools.count(1)


def without_reserved(facts: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return *facts* with an underscore behind each name that the line itself uses."""
    if _RESERVED.isdisjoint(facts):
        return facts
    return {f"{name}_" if name in _RESERVED else name: value for name, value in facts.items()}


def stamped(event: Mapping[str, Any], *, level: str, logger: str, at: datetime | None = None) -> dict[str, Any]:
    """Return *event* with its head: when (now, unless *at*, in UTC), *level*, what, *logger*; and its numbers at the end.

    ``seq`` counts the lines of this process from 1; ``pid`` tells apart the processes that share a file.
    """
    return {
        "timestamp": _instant(at or utcnow()),
        "level": level,
        "event": event["event"],
        "logger": logger,
        **event,
        "seq": next(_numbers),
        "pid": os.getpid(),
    }


def _instant(at: datetime) -> str:
    """RFC 3339 in UTC, always with microseconds: lines sort as text."""
    global _last_second  # noqa: PLW0603 - the costly part of an instant, which many lines share
    second = (at.year, at.month, at.day, at.hour, at.minute, at.second)
    known, text = _last_second
    if second != known:
        text = "{:04d}-{:02d}-{:02d}T{:02d}:{:02d}:{:02d}".format(*second)
        _last_second = (second, text)
    return f"{text}.{at.microsecond:06d}Z"
