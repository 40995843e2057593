"""The short way for the usual line: scalar facts, and nothing that looks like a secret. It decides; it masks nothing.

A line goes the long way (`presentable`, then `json_line`) at the slightest doubt, so that both ways show the same. What a
line is made of comes again and again, so each part is judged once, as the long way would judge it, and remembered until
another secret is registered: its names, which stand in source code, all together; each text by itself; a number only when
a registered secret could be one.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any, Final

from controlroom.logs.encoding import encoder
from controlroom.logs.jsonlines import LONGEST_LINE_BYTES, one_line
from controlroom.redaction import generation, is_clean, is_sensitive_name, numbers_may_hold_secrets

__all__ = ["quick_line"]

_FIRST, _LAST = ("timestamp", "level"), ("seq", "pid")  # of each line: ours, and new each time
_FIRST_OURS, _LAST_OURS = len(_FIRST), len(_LAST)
_LONGEST: Final = 4_096  # a longer text may have to be cut
_LONGEST_REMEMBERED: Final = 256
_MOST_REMEMBERED: Final = 4_096
_MOST_FACTS: Final = 32
_SMALLEST, _LARGEST = -(2**63) + 1, 2**63 - 1


class _Judged:
    """What was found harmless as long as no other secret is registered."""

    __slots__ = ("encode", "generation", "names", "numbers_may_hold_secrets", "texts")

    def __init__(self) -> None:
        self.generation = generation()  # first: what is judged while a secret is being registered is forgotten
        self.numbers_may_hold_secrets = numbers_may_hold_secrets()
        self.names: set[tuple[str, ...]] = set()
        self.texts: set[str] = set()
        self.encode = encoder().flat


_judged: _Judged | None = None  # the first line makes it: it loads the encoder


def quick_line(event: Mapping[str, Any]) -> bytes | None:
    """Return *event*, a stamped one, as a line of JSON with its end, if it can be shown as it is.

    Else None: it has to be made presentable.
    """
    global _judged  # noqa: PLW0603 - replaced as a whole when a secret was registered
    judged = _judged
    if judged is None or judged.generation != generation():
        judged = _judged = _Judged()
    names = tuple(event)
    if (names not in judged.names and not _are_harmless(names, judged)) or not _can_be_shown(event, judged):
        return None
    try:
        line = judged.encode(event)
    except (TypeError, ValueError):  # a lone surrogate
        return None
    if not line.isascii():
        line = one_line(line)
    return line if len(line) <= LONGEST_LINE_BYTES else None


def _can_be_shown(event: Mapping[str, Any], judged: _Judged) -> bool:
    texts = judged.texts
    for value in islice(event.values(), _FIRST_OURS, len(event) - _LAST_OURS):
        kind = type(value)
        if kind is str:
            if value not in texts and not _is_harmless(value, texts):
                return False
        elif kind is int or kind is float:
            if not _SMALLEST <= value <= _LARGEST:  # also what is not a number
                return False
            if judged.numbers_may_hold_secrets and not is_clean(str(value)):
                return False
        elif value is not None and kind is not bool:
            return False
    return True


def _is_harmless(text: str, texts: set[str]) -> bool:
    if len(text) > _LONGEST or not is_clean(text):
        return False
    if len(text) <= _LONGEST_REMEMBERED:
        if len(texts) >= _MOST_REMEMBERED:
            texts.clear()
        texts.add(text)
    return True


def _are_harmless(names: tuple[Any, ...], judged: _Judged) -> bool:
    if names[:_FIRST_OURS] != _FIRST or names[-_LAST_OURS:] != _LAST or len(names) > _MOST_FACTS:
        return False
    for name in names:
        if type(name) is not str or is_sensitive_name(name) or not _is_harmless(name, judged.texts):
            return False
    if len(judged.names) >= _MOST_REMEMBERED:
        judged.names.clear()
    judged.names.add(names)
    return True
