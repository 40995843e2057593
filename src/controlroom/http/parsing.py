"""JSON as RFC 8259 has it, read by the fastest reader that answers exactly as the standard library's does.

It is pydantic-core's, which a dependency brings along. orjson would be faster still, but makes floats of large integers.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache, partial
from typing import Any

__all__ = ["parsed"]


def parsed(content: bytes) -> Any:
    """Return what *content* says; NaN and Infinity are no numbers.

    Raises:
        ValueError: It is not JSON; says where.
        RecursionError: It is nested too deeply.
    """
    try:
        return _quickly()(content)
    except ValueError:
        # What the quick reader does not take (UTF-16, a byte order mark, half a character, deep nesting) may be JSON all
        # the same; and where it is not, the words are those that people know.
        return json.loads(content, parse_constant=_refuse_constant)


@cache
def _quickly() -> Callable[[bytes], Any]:
    from pydantic_core import from_json  # noqa: PLC0415 - costs 10 ms, and only who parses needs it

    return partial(from_json, allow_inf_nan=False, cache_strings="keys")


def _refuse_constant(name: str) -> Any:
    message = f"{name} is no JSON number"
    raise ValueError(message)
