"""The one shape of a line: when, how grave, what, who, and then the facts."""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from controlroom.clock import utcnow

__all__ = ["HEAD", "headed", "stamped", "without_reserved"]

Facts = Mapping[str, Any]

HEAD: Final = ("timestamp", "level", "event", "logger", "seq", "pid")

_RESERVED = frozenset(HEAD)
_A_SECOND = 1_000_000  # microseconds
_NONE: Facts = {}
_last_second: tuple[datetime, str] = (datetime.min.replace(tzinfo=UTC), "")
_last_number: tuple[int, str] = (0, "1970-01-01T00:00:00")
_numbers = itertools.count(1)
_pid = os.getpid()


def _forked() -> None:
    global _pid  # noqa: PLW0603 - a call of the system in every line costs more than the rest of its head
    _pid = os.getpid()


os.register_at_fork(after_in_child=_forked)


def without_reserved(facts: Facts) -> Facts:
    """Return *facts* with an underscore behind each name that the line itself uses."""
    if _RESERVED.isdisjoint(facts):
        return facts
    return {f"{name}_" if name in _RESERVED else name: value for name, value in facts.items()}


def headed(
    head: tuple[str, str, str], outer: Facts, own: Facts, facts: Facts, at: float | None = None
) -> dict[str, Any]:
    """Return a line: its *head* (level, event, logger); facts, of which the later win; its numbers.

    It is of now, unless *at* says when, as `logging` does. ``seq`` counts the lines of this process from 1; ``pid`` tells
    apart the processes that share a file. The facts have names `without_reserved`.
    """
    level, event, logger = head
    return {
        "timestamp": _instant(utcnow()) if at is None else _instant_of(at),
        "level": level,
        "event": event,
        "logger": logger,
        **outer,
        **own,
        **facts,
        "seq": next(_numbers),
        "pid": _pid,
    }


def stamped(event: Facts, *, level: str, logger: str) -> dict[str, Any]:
    """Return *event*, which has its name under ``event``, with its head of now and its numbers."""
    return headed((level, event["event"], logger), _NONE, _NONE, event)


def _instant(at: datetime) -> str:
    """RFC 3339 in UTC, always with microseconds: lines sort as text."""
    global _last_second  # noqa: PLW0603 - the costly part of an instant, which many lines share
    second, text = _last_second
    since = at - second
    if since.days or since.seconds:  # also where the clock went back: days are negative then
        second = at.replace(microsecond=0)
        text = second.isoformat()[:19]
        _last_second = (second, text)
        since = at - second
    return f"{text}.{str(_A_SECOND + since.microseconds)[1:]}Z"  # ":06d" takes twice as long


def _instant_of(at_s: float) -> str:
    """As `_instant`, of seconds since 1970."""
    global _last_number  # noqa: PLW0603 - as above
    second, microseconds = divmod(round(at_s * _A_SECOND), _A_SECOND)
    known, text = _last_number
    if second != known:
        text = datetime.fromtimestamp(second, UTC).isoformat()[:19]
        _last_number = (second, text)
    return f"{text}.{str(_A_SECOND + microseconds)[1:]}Z"
