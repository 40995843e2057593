"""JSON as bytes, by the fastest encoder there is: orjson, if the extra "speed" is installed, or the standard library's."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache
from json.encoder import encode_basestring
from typing import Any, Final, Protocol

__all__ = ["encoder"]

_MOST_REMEMBERED: Final = 4_096
_CONSTANTS: Final[Mapping[Any, str]] = {None: "null", True: "true", False: "false"}

_json = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


class Encoder(Protocol):
    """Two ways to the same JSON, both in UTF-8 and without blanks."""

    def any(self, data: Any) -> bytes:
        """Return the JSON of *data*, which is JSON-ready."""

    def flat(self, event: Mapping[str, Any]) -> bytes:
        """Return the JSON of *event*, whose values are texts, finite numbers, true, false and None, with a line's end.

        Raises:
            ValueError: A text has no UTF-8: it holds a lone surrogate. As `TypeError` from orjson.
        """


@cache
def encoder() -> Encoder:
    """Return the encoder of this process. The first call imports orjson: with the first line, not with the package."""
    try:
        import orjson  # noqa: PLC0415 - see above

        return OrjsonEncoder(orjson.dumps, orjson.OPT_APPEND_NEWLINE)
    except (ImportError, AttributeError):  # the latter: a signal handler logs, in the middle of this import
        return StandardEncoder()


class OrjsonEncoder:
    """orjson needs no second way."""

    def __init__(self, dumps: Callable[..., bytes], with_end: int) -> None:
        self._dumps = dumps
        self._with_end = with_end

    def any(self, data: Any) -> bytes:
        """As of every encoder."""
        try:
            return self._dumps(data)
        except TypeError:  # an integer of more than 64 bits
            return _json(data).encode()

    def flat(self, event: Mapping[str, Any]) -> bytes:
        """As of every encoder."""
        return self._dumps(event, None, self._with_end)


class StandardEncoder:
    """The standard library builds a new encoder for each call of its own: a line's frame, filled in, takes half the time."""

    def __init__(self) -> None:
        self._frames: dict[tuple[str, ...], str] = {}

    def any(self, data: Any) -> bytes:
        """As of every encoder."""
        return _json(data).encode()

    def flat(self, event: Mapping[str, Any]) -> bytes:
        """As of every encoder."""
        names = tuple(event)
        frame = self._frames.get(names) or self._frame(names)
        values = [
            encode_basestring(value)
            if (kind := type(value)) is str
            else value
            if kind is float or kind is int
            else _CONSTANTS[value]
            for value in event.values()
        ]
        return (frame % tuple(values)).encode()

    def _frame(self, names: tuple[str, ...]) -> str:
        if len(self._frames) >= _MOST_REMEMBERED:
            self._frames.clear()
        places = ",".join(_json(name).replace("%", "%%") + ":%s" for name in names)
        frame = self._frames[names] = "{" + places + "}\n"
        return frame
