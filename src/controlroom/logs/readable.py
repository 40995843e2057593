"""Texts and values as a person reads them on one line: quoted where they could be mistaken, harmless to a terminal."""

from __future__ import annotations

import json
import re
from typing import Any, Final

__all__ = ["LONGEST_SHOWN", "abridged", "escaped", "shown_value"]

LONGEST_SHOWN: Final = 240
"""Characters that a console shows of one value; the file has the rest."""

_PLAIN = re.compile(r"[^\s\"'=\x00-\x1f\x7f-\x9f]+")
# A log may hold what strangers sent: no escape sequence of theirs reaches the terminal.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def escaped(text: str) -> str:
    """Return *text* with whatever could move a cursor, end a line or turn the direction of writing as an escape."""
    return text if text.isprintable() else _CONTROL.sub(lambda match: repr(match[0])[1:-1], text)


def shown_value(value: Any, longest: int | None = None) -> str:
    """Return *value* as it stands behind ``key=``; cut to *longest* characters, if given."""
    if isinstance(value, str):
        text = value if longest is None else abridged(value, longest)
        return text if _PLAIN.fullmatch(text) else escaped(json.dumps(text, ensure_ascii=False))
    text = escaped(json.dumps(value, ensure_ascii=False, default=str))
    return text if longest is None else abridged(text, longest)


def abridged(text: str, longest: int = LONGEST_SHOWN) -> str:
    """Return *text*, or the beginning of its first line with a mark that says how much is missing."""
    first, _, further = text.rstrip("\n").partition("\n")
    if len(first) > longest:
        return f"{first[:longest]}…(+{len(text) - longest} characters)"
    if further:
        more = further.count("\n") + 1
        return f"{first} …(+{more} line{'s' if more > 1 else ''})"
    return text
