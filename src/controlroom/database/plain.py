"""Values of the caller's as JSON: what comes back is what was given, or it is refused before anything is written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from controlroom.errors import QueryError

__all__ = ["json_of"]


def json_of(value: Any, what: str, state: str, *, canonical: bool = False) -> str:
    """Return *value* as JSON: what is read back equals it, but for tuples, which come back as lists.

    Args:
        value: Plain data: None, booleans, numbers, texts, lists and mappings with texts as keys.
        what: What it is called in an error.
        state: What an error leaves behind, as a sentence.
        canonical: Equal values give one text, whatever the order of their keys.

    Raises:
        QueryError: *value* is not JSON-ready.
    """
    try:
        text = json.dumps(value, allow_nan=False, sort_keys=canonical, separators=(",", ":") if canonical else None)
    except (TypeError, ValueError, RecursionError) as error:
        raise _not_json(what, str(error), state) from error
    if not _keys_are_texts(value):
        raise _not_json(what, "a key is no text, and JSON would make it one", state)
    return text


def _not_json(what: str, why: str, state: str) -> QueryError:
    return QueryError(f"{what}: the value is not JSON-ready ({why}). {state} Give plain data.")


def _keys_are_texts(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and _keys_are_texts(item) for key, item in value.items())
    return all(map(_keys_are_texts, value)) if isinstance(value, list | tuple) else True
