"""The short way for the usual line: a few scalar facts and nothing that looks like a secret. It decides; it masks nothing.

A line goes the long way (`presentable`, then `json_line`) at the slightest doubt, so that both ways show the same. One look
at the finished line settles it: every text stands in it verbatim, with its names and numbers, unless something had to be
escaped, and then there is a backslash.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any, Final

from controlroom.logs.jsonlines import one_line
from controlroom.redaction import is_sensitive_name, redact_text

__all__ = ["quick_line"]

_LONGEST: Final = 8_192  # a longer line may hold something that has to be cut
_LARGEST: Final = 2**63 - 1
_NUMBERS: Final = frozenset({int, float})
_SCALARS: Final = _NUMBERS | {str, bool, type(None)}
_MOST_NAMES: Final = 4_096

_harmless: set[str] = set()  # fact names already judged; names are few, they stand in source code


def quick_line(event: Mapping[str, Any]) -> str | None:
    """Return the JSON of *event*, a stamped one, if it can be shown as it is; else None: it has to be made presentable."""
    if not _is_usual(event):
        return None
    line = _encoder()(event)
    if line is None or len(line) > _LONGEST or "\\" in line:
        return None
    # A value that ends in "=", as base64 does, would look like the name before a quoted value.
    return one_line(line) if redact_text(line) == line and '="' not in line else None


def _is_usual(event: Mapping[str, Any]) -> bool:
    for name, value in event.items():
        kind = type(value)
        if kind not in _SCALARS or (kind in _NUMBERS and not -_LARGEST <= value <= _LARGEST):  # also not a number
            return False
        if name not in _harmless and not _is_harmless(name):
            return False
    return True


def _is_harmless(name: str) -> bool:
    if not name.isidentifier() or is_sensitive_name(name):
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
