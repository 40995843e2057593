"""Plain data from anything, and the one seam through which every text of every error is masked."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from datetime import date, datetime, time
from typing import Any

__all__ = ["masked", "plain", "redact_with", "text_of"]

_redact: Callable[[Any], Any] | None = None


def redact_with(redact: Callable[[Any], Any]) -> None:
    """Mask every text of every error with *redact* from now on (called by `controlroom.redaction` when it is loaded)."""
    global _redact  # noqa: PLW0603 - the one seam between floor 0 and floor 1, set once on import
    _redact = redact


def masked(value: Any) -> Any:
    """Return *value*, a text or JSON-like data, with secrets masked."""
    return value if _redact is None else _redact(value)


def plain(value: Any) -> Any:
    """Return *value* as JSON-ready data; what JSON has no form for becomes its text."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else str(value)
        case Mapping():
            return {str(key): plain(item) for key, item in value.items()}
        case list() | tuple() | AbstractSet():
            return [plain(item) for item in value]
        case date() | datetime() | time():
            return value.isoformat()
        case _:
            return text_of(value)


def text_of(value: object) -> str:
    """Return ``str(value)``, or a remark in its place where that raises."""
    try:
        return str(value)
    except Exception as unprintable:  # noqa: BLE001 - a foreign __str__ may raise anything; the report must not
        return f"<{type(value).__name__} whose text raised {type(unprintable).__name__}>"
