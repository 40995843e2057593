"""Facts as they are needed here, out of lines that anybody may have written."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

__all__ = ["Facts", "ProcessKey", "count", "is_grave", "is_warning", "number", "order", "process", "seconds_between"]
__all__ += ["shifted", "stamp", "text"]

Facts = Mapping[str, Any]
ProcessKey = int | str | None

_LENGTH_OF_OURS: Final = len("2026-11-21T23:17:00.000000Z")
_WARNINGS: Final = frozenset({"WARNING", "WARN"})
_GRAVE: Final = frozenset({"ERROR", "CRITICAL", "FATAL", "EXCEPTION"})


def text(facts: Facts, name: str) -> str:
    """Return the fact as text; nothing where it is missing or no text or number."""
    value = facts.get(name)
    return str(value) if isinstance(value, (str, int, float)) and not isinstance(value, bool) else ""


def number(facts: Facts, name: str) -> float | None:
    """Return the fact as a finite number, or None."""
    value = facts.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if abs(value) < 2**63 and math.isfinite(value) else None


def count(facts: Facts, name: str) -> int:
    """Return the fact as a whole number of zero or more; zero where it is none."""
    return max(0, int(number(facts, name) or 0))


def process(facts: Facts) -> ProcessKey:
    """Return which process wrote the line, as far as it says."""
    pid = facts.get("pid")
    return pid if isinstance(pid, int | str) else None


def is_grave(facts: Facts) -> bool:
    """Tell whether the line says that something failed; hosts write levels in either case."""
    return str(facts["level"]).upper() in _GRAVE


def is_warning(facts: Facts) -> bool:
    """Tell whether the line is a warning."""
    return str(facts["level"]).upper() in _WARNINGS


def stamp(facts: Facts) -> str:
    """Return when the line was written: RFC 3339 in UTC with microseconds, so that stamps sort as text; else nothing."""
    value = facts.get("timestamp")
    if not isinstance(value, str):
        return ""
    try:
        at = datetime.fromisoformat(value)
        if len(value) == _LENGTH_OF_OURS and value[-1] == "Z":
            return value
        return _written(at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC))
    except (ValueError, OverflowError):
        return ""


def shifted(at: str, seconds: float) -> str:
    """Return the stamp *seconds* later; the same one where there is no such instant."""
    try:
        return _written(datetime.fromisoformat(at) + timedelta(seconds=seconds))
    except (ValueError, OverflowError):
        return at


def seconds_between(first: str, last: str) -> float | None:
    """Return the seconds from one stamp to another, or None where either is missing."""
    if not first or not last:
        return None
    return (datetime.fromisoformat(last) - datetime.fromisoformat(first)).total_seconds()


def order(facts: Facts) -> tuple[str, float]:
    """Return what sorts the events of one process: when, and the number of the line among those of an instant."""
    return stamp(facts), number(facts, "seq") or 0.0


def _written(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond:06d}Z".rjust(_LENGTH_OF_OURS, "0")
