"""Facts as they are needed here, out of lines that anybody may have written."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

__all__ = ["Facts", "count", "instant", "number", "text"]

Facts = Mapping[str, Any]


def text(facts: Facts, name: str) -> str:
    """Return the fact as text; nothing where it is missing or no text or number."""
    value = facts.get(name)
    return str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""


def number(facts: Facts, name: str) -> float | None:
    """Return the fact as a finite number, or None."""
    value = facts.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < 2**63 and math.isfinite(value) else None


def count(facts: Facts, name: str) -> int:
    """Return the fact as a whole number of zero or more; zero where it is none."""
    return max(0, int(number(facts, name) or 0))


def instant(facts: Facts) -> datetime | None:
    """Return when the line was written, in UTC, or None."""
    try:
        at = datetime.fromisoformat(text(facts, "timestamp"))
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
