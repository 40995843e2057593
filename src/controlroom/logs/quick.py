"""The short way for the usual line: a few scalar facts and nothing that looks like a secret. It decides; it masks nothing.

A line goes the long way (`presentable`, then `json_line`) at the slightest doubt, so that both ways show the same.

* A registered secret: every text stands in the finished line verbatim, with all names and numbers, unless something had
  to be escaped, and then there is a backslash. So one look at the line settles it.
* A secret by its place: each text by itself, for what stands beside it in the line could mislead. Texts without any of
  the signs that make a place need no look.
* A secret by its name: the names.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any, Final

from controlroom.logs.jsonlines import one_line
from controlroom.redaction import is_sensitive_name, redact_text

__all__ = ["quick_line"]

_LONGEST: Final = 8_192  # a longer line may hold something that has to be cut
_LARGEST: Final = 2**63 - 1
_NUMBERS: Final = frozenset({int, float})
_SCALARS: Final = _NUMBERS | {bool, type(None)}
_SIGNS: Final = re.compile(r"[:=%@\s]")  # no place of a secret does without: name=value, user:password@, Bearer …
_MOST_NAMES: Final = 4_096

_harmless: set[str] = set()  # fact names already judged; names are few, they stand in source code


def quick_line(event: Mapping[str, Any]) -> str | None:
    """Return the JSON of *event*, a stamped one, if it can be shown as it is; else None: it has to be made presentable."""
    texts = _texts(event)
    line = None if texts is None else _encoder()(event)
    if texts is None or line is None or len(line) > _LONGEST or "\\" in line or redact_text(line) != line:
        return None
    del texts[0]  # the timestamp, whose colons make no place
    if _SIGNS.search("\0".join(texts)) and any(redact_text(text) != text for text in texts):
        return None
    return one_line(line)


def _texts(event: Mapping[str, Any]) -> list[str] | None:
    """Return the texts among the values of *event*, or None where a value or a name is not of the usual kind."""
    texts: list[str] = []
    for name, value in event.items():
        kind = type(value)
        if kind is str:
            texts.append(value)
        elif kind not in _SCALARS or (kind in _NUMBERS and not -_LARGEST <= value <= _LARGEST):  # also not a number
            return None
        if name not in _harmless and not _is_harmless(name):
            return None
    return texts


def _is_harmless(name: str) -> bool:
    if is_sensitive_name(name):
        return False
    if len(_harmless) < _MOST_NAMES:
        _harmless.add(name)
    return True


@cache
def _encoder() -> Callable[[Mapping[str, Any]], str | None]:
    try:
        from orjson import dumps  # noqa: PLC0415 - the extra "speed", if installed, comes with the first line
    except ImportError:
        return _with_json
    return partial(_with_orjson, dumps)


def _with_json(event: Mapping[str, Any]) -> str | None:
    line = _encode(event)
    try:
        line.encode()
    except UnicodeEncodeError:  # a lone surrogate
        return None
    return line


def _with_orjson(dumps: Callable[[Any], bytes], event: Mapping[str, Any]) -> str | None:
    try:
        return dumps(event).decode()
    except TypeError:  # a lone surrogate
        return None


_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
