"""Text as Python literals: equal to the text, printable, and as `ruff format` would write them."""

from __future__ import annotations

from typing import Final

__all__ = ["LINE_LENGTH", "literal", "quoted", "width_at_most"]

LINE_LENGTH: Final = 120
_SHORT: Final = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_LATIN_1: Final = 0x100
_BASIC_PLANE: Final = 0x10000


def quoted(text: str, *, ascii_only: bool = False) -> str:
    """Return *text* as a literal. What cannot be seen (controls, bidirectional marks, half characters) is escaped."""
    quote = "'" if text.count('"') > text.count("'") else '"'
    return quote + "".join(_escaped(sign, quote, ascii_only=ascii_only) for sign in text) + quote


def _escaped(sign: str, quote: str, *, ascii_only: bool) -> str:
    if sign == quote:
        return f"\\{sign}"
    if short := _SHORT.get(sign):
        return short
    if sign.isprintable() and (sign.isascii() or not ascii_only):
        return sign
    code = ord(sign)
    if code < _LATIN_1:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < _BASIC_PLANE else f"\\U{code:08x}"


def literal(value: str | int | bool | None) -> str:  # noqa: FBT001 - any value that an enum may hold
    """Return *value* as a literal."""
    return quoted(value) if isinstance(value, str) else repr(value)


def width_at_most(text: str) -> int:
    """Return the most columns that a formatter may count for *text*: how wide other signs are, is a matter of taste."""
    return sum(1 if sign.isascii() else 2 for sign in text)
