"""Anything as JSON-ready data that may be shown: every key and text masked, nothing too long, nothing that raises."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from datetime import date, time
from decimal import Decimal
from enum import Enum
from itertools import islice
from numbers import Integral
from pathlib import PurePath
from typing import Any, Final
from uuid import UUID

from controlroom.errors.text import text_of
from controlroom.redaction import MASK, is_sensitive_name, redact_text

__all__ = ["LONGEST_TEXT", "presentable"]

LONGEST_TEXT: Final = 32_768
"""Characters kept of one text; what is cut says ``truncated: true`` on its line."""

_MARGIN = 8_192  # longer than any form of a registered secret: a text is cut outside of one, never in its middle
_DEEPEST = 16
_MOST_ITEMS = 1_000
_OWN_TEXT = (Decimal, PurePath, UUID)  # values whose text says all there is


_FIRST = ("timestamp", "level")
_LAST = ("seq", "pid")


def presentable(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return *event* masked and JSON-ready, with ``truncated`` set where something had to be cut."""
    work = _Presentation()
    first = {key: event[key] for key in _FIRST if key in event}  # ours, and nothing that could be a secret
    last = {key: event[key] for key in _LAST if key in event}
    facts = {key: value for key, value in event.items() if key not in first and key not in last}
    shown = work.mapping(facts, 0, secret=False)
    if work.cut:
        shown["truncated"] = True
    return {**first, **shown, **last}


class _Presentation:
    """One pass over one event, remembering whether anything was cut."""

    def __init__(self) -> None:
        self.cut = False

    def mapping(self, value: Mapping[Any, Any], depth: int, *, secret: bool) -> dict[str, Any]:
        shown: dict[str, Any] = {}
        for key, item in self._first_items(value.items()):
            name = key if type(key) is str else text_of(key)
            masked = self._text(name)
            while masked in shown:  # two keys that differed only in the secret they held
                masked += "_"
            shown[masked] = self._value(item, depth, secret=secret or is_sensitive_name(name))
        return shown

    def _value(self, value: Any, depth: int, *, secret: bool) -> Any:
        try:
            return self._shown(value, depth, secret=secret)
        except Exception as unreadable:  # noqa: BLE001 - a foreign container may raise anything; a log call must not
            return f"<{type(value).__name__} that raised {type(unreadable).__name__}>"

    def _shown(self, value: Any, depth: int, *, secret: bool) -> Any:
        if value is None or isinstance(value, bool):
            return value
        if secret and not isinstance(value, Mapping | list | tuple | AbstractSet | deque):
            return MASK if text_of(value) else ""
        if isinstance(value, Enum):
            value = value.value
        if isinstance(value, str):
            return self._text(str.__str__(value))
        if isinstance(value, Integral | float):
            return _number(value)
        return self._composed(value, depth + 1, secret=secret)

    def _composed(self, value: Any, depth: int, *, secret: bool) -> Any:
        if depth > _DEEPEST:
            self.cut = True
            return "…"
        if isinstance(value, Mapping):
            return self.mapping(value, depth, secret=secret)
        if isinstance(value, list | tuple | AbstractSet | deque):
            return [self._value(item, depth, secret=secret) for item in self._first_items(value)]
        return self._text(_marked(value))

    def _first_items(self, items: Any) -> list[Any]:
        kept = list(islice(items, _MOST_ITEMS + 1))
        if len(kept) > _MOST_ITEMS:
            self.cut = True
            kept.pop()
        return kept

    def _text(self, text: str) -> str:
        """Mask *text* and cut it; in this order, for half a secret matches no pattern."""
        if len(text) <= LONGEST_TEXT:
            return _encodable(redact_text(text))
        self.cut = True
        masked = redact_text(text[: LONGEST_TEXT + _MARGIN])
        # The end may hold the first half of a secret. It is less than the margin, and goes.
        return _encodable(masked[: max(0, min(LONGEST_TEXT, len(masked) - _MARGIN))]) + "…"


def _number(value: Any) -> Any:
    """Return *value* if JSON has a form for it and it is no secret; else its text, masked."""
    if isinstance(value, float):
        number: Any = float(value)
        fits = math.isfinite(number)
    else:
        number = int(value)
        fits = abs(number) < 2**63  # what readers of JSON can hold; Python itself refuses the text of a huge one
    text = text_of(number)
    masked = redact_text(text)
    return number if fits and masked == text else masked


def _marked(value: Any) -> str:
    """Return the text of a value that JSON has no form for, and of what class it was unless the text says all."""
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, bytes | bytearray):
        return value.decode("utf-8", "backslashreplace")
    text = text_of(value)
    return text if isinstance(value, _OWN_TEXT) or text.startswith("<") else f"<{type(value).__name__}: {text}>"


def _encodable(text: str) -> str:
    """Return *text* as valid UTF-8 can hold it: file names may carry lone surrogates."""
    if text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode()
