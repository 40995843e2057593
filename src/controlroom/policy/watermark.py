"""A watermark says "complete up to here", in data time; it never goes back.

Values are datetimes, dates, whole numbers or texts. Each is stored as JSON with a tag, so that what is read back has
the type that was written, and a watermark of dates is never compared with one of numbers. Aware datetimes are the
same instant in any zone and come back in UTC. Naive ones are another type: nobody knows which instant they mean.
Texts compare by code point, so number them with a fixed width: "10" stands before "9".
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any, Final

from controlroom.errors import ConfigError, DataError

__all__ = ["WatermarkValue", "advanced", "decode", "encode"]

WatermarkValue = datetime | date | int | str
"""What a watermark can be."""

_DECODERS: Final[dict[str, Callable[[Any], WatermarkValue]]] = {
    "datetime": datetime.fromisoformat,
    "naive datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
    "int": int,
    "str": str,
}


def _tag(name: str, value: WatermarkValue) -> str:
    match value:
        case datetime():
            return "naive datetime" if value.utcoffset() is None else "datetime"
        case date():
            return "date"
        case int() if type(value) is not bool:
            return "int"
        case str():
            return "str"
        case _:
            pass
    message = (
        f"Watermark {name!r} cannot be a {type(value).__name__}. Nothing was changed. "
        "Give a datetime, a date, a whole number or a text."
    )
    raise ConfigError(message)


def encode(name: str, value: WatermarkValue) -> str:
    """Return *value* as tagged JSON, ``{"type": "date", "value": "2026-01-05"}``.

    Args:
        name: The watermark, for the error.
        value: What to store. Aware datetimes are stored in UTC.

    Raises:
        ConfigError: *value* has a type that a watermark cannot have.
    """
    match tag := _tag(name, value):
        case "datetime":
            plain: str | int = value.astimezone(UTC).isoformat()  # type: ignore[union-attr]  # the tag says datetime
        case "naive datetime" | "date":
            plain = value.isoformat()  # type: ignore[union-attr]  # the tag says datetime or date
        case _:
            plain = int(value) if tag == "int" else str(value)  # type: ignore[arg-type]  # the tag says int or str
    return json.dumps({"type": tag, "value": plain})


def decode(name: str, text: str) -> WatermarkValue:
    """Return what `encode` stored.

    Raises:
        DataError: *text* is not a watermark's: someone else wrote it.
    """
    try:
        stored = json.loads(text)
        return _DECODERS[stored["type"]](stored["value"])
    except (ValueError, TypeError, KeyError) as error:
        message = (
            f"Watermark {name!r} holds something that controlroom did not write. Nothing was changed. "
            "Correct or delete its row in controlroom_watermarks."
        )
        raise DataError(message) from error


def advanced(name: str, current: WatermarkValue | None, value: WatermarkValue) -> bool:
    """Tell whether *value* moves the watermark on; False when it stands there already.

    Args:
        name: The watermark, for the error.
        current: Where it stands; None where it was never set.
        value: Where it shall stand.

    Raises:
        DataError: *value* lies before *current*: the data is older than what was declared complete.
        ConfigError: *value* has another type than *current*, or one that a watermark cannot have.
    """
    tag = _tag(name, value)
    if current is None:
        return True
    if (stands := _tag(name, current)) != tag:
        message = (
            f"Watermark {name!r} is a {stands} and cannot become a {tag}. Nothing was changed. "
            "Use another name, or delete its row in controlroom_watermarks."
        )
        raise ConfigError(message)
    if value < current:  # type: ignore[operator]  # equal tags: equal types
        message = (
            f"Watermark {name!r} stands at {current} and cannot go back to {value}. Nothing was changed. "
            "Load what is late without moving the watermark, or delete its row to start again."
        )
        raise DataError(message)
    return value != current
