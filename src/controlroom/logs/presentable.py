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
from controlroom.redaction import (
    MASK,
    is_sensitive_name,
    longest_secret,
    numbers_may_hold_secrets,
    redact_text,
    telling_places,
)

__all__ = ["LONGEST_TEXT", "presentable"]

LONGEST_TEXT: Final = 32_768
"""Characters kept of one text; what is cut says ``truncated: true`` on its line."""

_MARGIN = 1_024  # longer than what stands in the place of a secret; and never shorter than any form of a registered one
_DEEPEST = 16
_MOST_ITEMS = 1_000
# Twice what a line may hold. Parts that are shared multiply: a few small lists can stand for millions of items.
_MOST_CHARACTERS = 524_288
_CHARACTERS_OF_AN_ITEM = 24
_KEPT_BEYOND = 1_024  # of a text, once all those are used up: as much as a shortened line keeps of it
_LARGEST = 2**63 - 1  # what readers of JSON can hold
_OWN_TEXT = (Decimal, PurePath, UUID)  # values whose text says all there is
_CONTAINERS = (Mapping, list, tuple, AbstractSet, deque)

_FIRST = ("timestamp", "level")
_LAST = ("seq", "pid")


def presentable(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return *event* masked and JSON-ready, with ``truncated`` set where something had to be cut.

    Guarantees:
        Never raises, and takes bounded time, whatever the values hold; but for values whose own methods take longer.
    """
    facts = dict(event)
    first = {key: facts.pop(key) for key in _FIRST if key in facts}  # ours, and nothing that could be a secret
    last = {key: facts.pop(key) for key in _LAST if key in facts}
    work = _Presentation()
    shown = work.mapping(facts, 0, secret=False)
    if work.cut:
        shown["truncated"] = True
    return {**first, **shown, **last}


class _Presentation:
    """One pass over one event, remembering how much it holds and whether anything was cut."""

    __slots__ = ("_characters_left", "_numbers_may_hold_secrets", "cut")

    def __init__(self) -> None:
        self.cut = False
        self._characters_left = _MOST_CHARACTERS
        self._numbers_may_hold_secrets = numbers_may_hold_secrets()

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
        kind = type(value)
        if kind is str:
            return (MASK if value else "") if secret else self._text(value)
        if value is None or kind is bool:
            return value
        try:
            if secret and not isinstance(value, _CONTAINERS):
                return MASK if text_of(value) else ""
            return self._number(value) if kind is int or kind is float else self._other(value, depth, secret=secret)
        except Exception as unreadable:  # noqa: BLE001 - a foreign container may raise anything; a log call must not
            return f"<{kind.__name__} that raised {type(unreadable).__name__}>"

    def _other(self, value: Any, depth: int, *, secret: bool) -> Any:
        if isinstance(value, _CONTAINERS):
            return self._composed(value, depth + 1, secret=secret)
        if isinstance(value, Enum):
            value = value.value
            if not isinstance(value, str | Integral | float):
                return self._value(value, depth + 1, secret=secret)
        if isinstance(value, str):
            return self._text(str.__str__(value))
        if isinstance(value, Integral | float):
            return self._number(value)
        return self._text(_marked(value))

    def _composed(self, value: Any, depth: int, *, secret: bool) -> Any:
        if depth > _DEEPEST or self._characters_left < 0:
            self.cut = True
            return "…"
        if isinstance(value, Mapping):
            return self.mapping(value, depth, secret=secret)
        telling = telling_places(value)
        items = enumerate(self._first_items(value))
        return [self._value(item, depth, secret=secret or place in telling) for place, item in items]

    def _first_items(self, items: Any) -> list[Any]:
        kept = list(islice(items, _MOST_ITEMS + 1))
        if len(kept) > _MOST_ITEMS:
            self.cut = True
            kept.pop()
        self._characters_left -= _CHARACTERS_OF_AN_ITEM * len(kept)
        return kept

    def _text(self, text: str) -> str:
        """Mask *text* and cut it; in this order, for half a secret matches no pattern."""
        longest = LONGEST_TEXT if self._characters_left >= 0 else _KEPT_BEYOND
        self._characters_left -= min(len(text), longest)
        if len(text) <= longest:
            masked = redact_text(text)
            return masked if masked.isascii() else _encodable(masked)
        self.cut = True
        margin = max(_MARGIN, longest_secret())
        masked = redact_text(text[: longest + margin])
        # The end may hold the first half of a secret. It is less than the margin, and goes.
        return _encodable(masked[: max(0, min(longest, len(masked) - margin))]) + "…"

    def _number(self, value: Any) -> Any:
        """Return *value* if JSON has a form for it and it is no secret; else its text, masked."""
        if isinstance(value, Integral):
            number: Any = int(value)
            fits = -_LARGEST <= number <= _LARGEST
        else:
            number = float(value)
            fits = math.isfinite(number)
        if fits and not self._numbers_may_hold_secrets:
            return number
        text = text_of(number)
        masked = self._text(text)
        return number if fits and masked == text else masked


def _marked(value: Any) -> str:
    """Return the text of a value that JSON has no form for, and of what class it was unless the text says all."""
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, bytes | bytearray):
        # A character has four bytes at most: what is left is cut as a text, behind what is decoded here.
        return value[: 4 * (LONGEST_TEXT + max(_MARGIN, longest_secret()))].decode("utf-8", "backslashreplace")
    text = text_of(value)
    return text if isinstance(value, _OWN_TEXT) or text.startswith("<") else f"<{type(value).__name__}: {text}>"


def _encodable(text: str) -> str:
    """Return *text* as valid UTF-8 can hold it: file names may carry lone surrogates."""
    if text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode()
