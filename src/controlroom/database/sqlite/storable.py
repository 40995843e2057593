"""What SQLite can hold, and the text forms of what it cannot.

SQLite has no type for an instant, a date or a decimal, and the driver's own conversions are deprecated since Python 3.12.
These are used for every parameter of a textual statement and for every value whose column has no type to convert it.
Instants have the form of SQLAlchemy's ``DateTime``, so that both compare as text.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import Enum
from numbers import Integral, Real
from typing import Any, Final
from uuid import UUID

from sqlalchemy import JSON, Boolean, Date, DateTime, Dialect, Interval, Numeric, Time
from sqlalchemy.types import Float, NullType, TypeDecorator, TypeEngine

__all__ = ["as_written", "in_utc", "storable", "storable_parameters"]

_AS_THEY_ARE: Final = frozenset([type(None), bool, int, float, str, bytes, bytearray, memoryview])
_CONVERTED_BY_THEIR_TYPE = (Boolean, Date, DateTime, Interval, Numeric, Time)


def storable(value: Any) -> Any:  # noqa: PLR0911 - a table of types
    """Return *value* in the form SQLite stores.

    Aware datetimes become UTC, without an offset; decimals and UUIDs their text; numbers of other libraries plain ones
    (the driver would store the bytes of a NumPy integer as a blob). What is left is for the driver to refuse.
    """
    if type(value) in _AS_THEY_ARE:
        return value
    match value:
        case datetime():
            return in_utc(value).isoformat(" ", "microseconds")
        case date():
            return value.isoformat()
        case time():
            return value.isoformat("microseconds")
        case Decimal() | UUID():
            return str(value)
        case Enum():
            return storable(value.value)
        case Integral():
            return int(value)
        case Real() if hasattr(value, "dtype"):
            return float(value)
        case _:
            return value


def in_utc(value: Any) -> Any:
    """Return an aware datetime in UTC and without its offset; anything else as it is.

    SQLAlchemy's ``DateTime`` drops the offset on SQLite, whatever it is: 12:00+02:00 would be stored as noon.
    """
    if isinstance(value, datetime) and value.utcoffset() is not None:
        return value.astimezone(UTC).replace(tzinfo=None)
    return value


def storable_parameters(parameters: Any) -> Any:
    """Return the parameters of a statement given as text, each in the form SQLite stores."""
    if isinstance(parameters, list):
        return [storable_parameters(each) for each in parameters]
    return {name: storable(value) for name, value in parameters.items()}


class _JsonText(TypeDecorator[Any]):
    """A JSON column of a table that is known by name only: texts are JSON already."""

    impl = JSON
    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], Any]:  # noqa: ARG002 - SQLAlchemy's signature
        return lambda value: json.dumps(value) if isinstance(value, dict | list) else storable(value)


def as_written(declared: TypeEngine[Any]) -> TypeEngine[Any]:
    """Return the type to write with, for a column of a table that is known by name only.

    SQLite takes any value in any column, and so do we: a date of a CSV file is a text and stays one. SQLAlchemy's types
    for the declared names would refuse it.
    """
    if isinstance(declared, JSON):
        return _JsonText()
    if isinstance(declared, _CONVERTED_BY_THEIR_TYPE) and not isinstance(declared, Float):
        return NullType()
    return declared
