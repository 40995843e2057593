"""One event as one line of JSON: always valid, always one line, never longer than a host takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from controlroom.logs.encoding import encoder
from controlroom.logs.shape import HEAD

__all__ = ["LONGEST_LINE_BYTES", "json_line", "one_line"]

LONGEST_LINE_BYTES: Final = 262_144
"""CloudWatch Logs cut longer events for years. A longer line is shortened and says ``truncated: true``."""

_KEPT_OF_EACH = 1_024
_ENDS_OF_LINES = {ord(end): f"\\u{ord(end):04x}" for end in "\x85\u2028\u2029"}


def json_line(event: Mapping[str, Any]) -> bytes:
    """Return the JSON of *event*, which is presentable, with the line's end."""
    line = _line(event)
    return line if len(line) <= LONGEST_LINE_BYTES else _line(_shortened(event))


def _line(event: Mapping[str, Any]) -> bytes:
    return one_line(encoder().any(event)) + b"\n"


def one_line(text: bytes) -> bytes:
    """Return *text*, JSON without line feeds inside, without what else some readers end a line at (``str.splitlines``)."""
    return text if text.isascii() else text.decode().translate(_ENDS_OF_LINES).encode()


def _shortened(event: Mapping[str, Any]) -> dict[str, Any]:
    """Keep the head, and of each fact what fits: small ones whole, large ones as the beginning of their JSON."""
    head = {key: event[key] for key in HEAD if key in event}
    short = {key: value[:_KEPT_OF_EACH] if isinstance(value, str) else value for key, value in head.items()}
    left = LONGEST_LINE_BYTES // 2
    for key, value in event.items():
        text = encoder().any(value).decode()
        kept = value if len(text) <= _KEPT_OF_EACH else text[:_KEPT_OF_EACH] + "…"
        left -= 4 * (len(key) + min(len(text), _KEPT_OF_EACH))
        if key not in short and left > 0:
            short[key] = kept
    short["truncated"] = True
    return short
