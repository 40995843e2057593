"""What a flight and an airport are: the tables, and one CSV row made a record or refused with a reason. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from csv import DictReader
from typing import Any, TextIO

from sqlalchemy import Column, Float, Integer, MetaData, Table, Text

from controlroom import DataError, InvalidRecordError

__all__ = ["COLUMNS", "FLIGHT_KEY", "airports", "flights", "good_flights", "metadata"]

metadata = MetaData()

airports = Table(
    "airports",
    metadata,
    Column("iata", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("city", Text),
    Column("tz", Text, nullable=False),
    Column("lat", Float, nullable=False),
    Column("lon", Float, nullable=False),
)

FLIGHT_KEY = ["year", "month", "day", "carrier", "flight", "origin"]
_TEXTS = {"carrier", "tailnum", "origin", "dest", "time_hour"}
_MAY_BE_EMPTY = {"dep_time", "dep_delay", "arr_time", "arr_delay", "tailnum", "air_time"}  # cancelled or not reported
_TIMES = {"dep_time", "sched_dep_time", "arr_time", "sched_arr_time"}
COLUMNS = [
    "year",
    "month",
    "day",
    "dep_time",
    "sched_dep_time",
    "dep_delay",
    "arr_time",
    "sched_arr_time",
    "arr_delay",
    "carrier",
    "flight",
    "tailnum",
    "origin",
    "dest",
    "air_time",
    "distance",
    "hour",
    "minute",
    "time_hour",
]

flights = Table(
    "flights",
    metadata,
    *(
        Column(
            name, Text if name in _TEXTS else Integer, primary_key=name in FLIGHT_KEY, nullable=name in _MAY_BE_EMPTY
        )
        for name in COLUMNS
    ),
)


def good_flights(text: TextIO, reject: Callable[..., None]) -> Iterator[dict[str, Any]]:
    """Yield the records of one CSV file; a bad one goes to *reject* with its line and reason, and the file goes on."""
    reader = DictReader(text)
    if reader.fieldnames != COLUMNS:
        message = f"not a file of flights: its first line is {','.join(reader.fieldnames or [])[:80]!r}"
        raise DataError(message)
    for row in reader:
        try:
            yield _flight(row, line=reader.line_num)
        except InvalidRecordError as bad:
            reject(row, bad.message, line=bad.line)


def _flight(row: dict[str, str], *, line: int) -> dict[str, Any]:
    if None in row or None in row.values():
        message = f"line {line} does not have {len(COLUMNS)} fields"
        raise InvalidRecordError(message, line=line)
    return {name: _value(name, row[name], line) for name in COLUMNS}


def _value(name: str, text: str, line: int) -> str | int | None:
    if text == "" and name in _MAY_BE_EMPTY:
        return None
    if name in _TEXTS and text:
        return text
    try:
        number = int(text)
    except ValueError:
        message = f"line {line}: {name} is {text!r}"
        raise InvalidRecordError(message, line=line) from None
    if name in _TIMES and not (0 <= number <= 2400 and number % 100 < 60):  # HHMM; midnight is written 2400
        message = f"line {line}: {name} is {text!r}, not a time of day"
        raise InvalidRecordError(message, line=line)
    return number
