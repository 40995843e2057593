"""Values out of a document that anybody may have written, and how a person reads them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

__all__ = ["bytes_shown", "fact_shown", "instant", "listed", "many", "mapped", "number", "seconds_shown", "text"]

_LARGEST: Final = 2**63
_MINUTE_S: Final = 60
_HOUR_S: Final = 3_600
_KIBIBYTE: Final = 1_024


def mapped(value: object) -> Mapping[str, Any]:
    """Return *value* if it is a mapping, or an empty one."""
    return value if isinstance(value, Mapping) else {}


def listed(value: object) -> Sequence[Any]:
    """Return *value* if it is a list, or an empty one."""
    return value if isinstance(value, list | tuple) else ()


def number(value: object) -> float | None:
    """Return *value* if it is a finite number of a size that means something, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < _LARGEST and math.isfinite(value) else None


def text(value: object) -> str:
    """Return *value* as text; nothing for None."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    try:
        return json.dumps(value, ensure_ascii=False, default=repr)
    except (ValueError, TypeError, RecursionError):
        return "(no value that can be shown)"


def instant(value: object) -> datetime | None:
    """Return the instant that *value* names in ISO 8601, in UTC, or None."""
    try:
        at = datetime.fromisoformat(value if isinstance(value, str) else "")
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def many(number_: int, what: str) -> str:
    """Return how many there are of *what*."""
    return f"{number_:,} {what}" if number_ == 1 else f"{number_:,} {what}s"


def seconds_shown(seconds: float) -> str:
    """Return *seconds* as a person says them."""
    if seconds < 1:
        return "0 s" if seconds <= 0 else f"{max(1, round(seconds * 1000))} ms"
    if seconds < _MINUTE_S:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), _MINUTE_S)
    hours, minutes = divmod(minutes, _MINUTE_S)
    return f"{hours:,} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


def bytes_shown(size: float) -> str:
    """Return a number of bytes in the largest unit of which there is at least one."""
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if size < _KIBIBYTE:
            return f"{size:,.0f} bytes" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= _KIBIBYTE
    return f"{size:,.1f} TiB"


def fact_shown(name: str, value: object) -> str:
    """Return a fact as text: numbers by the unit that *name* ends on, everything else as it was logged."""
    quantity = number(value)
    if quantity is None:
        return text(value)
    if name.endswith("_s") and quantity >= _MINUTE_S:
        return f"{quantity:,.1f} ({seconds_shown(quantity)})"
    if name.endswith("bytes") and quantity >= _KIBIBYTE:
        return f"{quantity:,.0f} ({bytes_shown(quantity)})"
    return f"{quantity:,.0f}" if isinstance(value, int) else f"{quantity:,.3f}".rstrip("0").rstrip(".")
