"""What goes into SQLite is what was meant, in a form that compares."""

from __future__ import annotations

import enum
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from numbers import Integral
from uuid import UUID

import pytest
from sqlalchemy import JSON, Boolean, Date, DateTime, Float, Integer, Numeric, String
from sqlalchemy.types import NullType

from controlroom.database.sqlite.storable import as_written, in_utc, storable, storable_parameters


class Colour(enum.Enum):
    RED = "red"


class Foreign(Integral):  # stands for an integer of NumPy, which the driver would store as its bytes
    def __int__(self) -> int:
        return 7

    def _no(self, *others: object) -> object:
        raise NotImplementedError

    locals().update(dict.fromkeys(Integral.__abstractmethods__ - {"__int__"}, _no))


PLUS_TWO = timezone(timedelta(hours=2))


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (None, None),
        (True, True),
        ("a\0b", "a\0b"),
        (b"\xff", b"\xff"),
        (date(2013, 1, 7), "2013-01-07"),
        (datetime(2013, 1, 7, 5), "2013-01-07 05:00:00.000000"),  # noqa: DTZ001 - naive on purpose
        (datetime(2013, 1, 7, 5, tzinfo=UTC), "2013-01-07 05:00:00.000000"),
        (datetime(2013, 1, 7, 5, tzinfo=PLUS_TWO), "2013-01-07 03:00:00.000000"),
        (time(5, 1), "05:01:00.000000"),
        (Decimal("1.10"), "1.10"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Colour.RED, "red"),
        (enum.IntEnum("N", {"ONE": 1}).ONE, 1),
        (Foreign(), 7),
    ],
)
def test_each_type_has_one_stored_form(value: object, stored: object) -> None:
    result = storable(value)

    assert result == stored
    assert type(result) is type(stored)


def test_what_sqlite_cannot_hold_is_left_for_the_driver_to_refuse() -> None:
    value = {"a": 1}

    assert storable(value) is value


def test_an_offset_is_converted_not_dropped() -> None:
    assert in_utc(datetime(2013, 1, 7, 1, tzinfo=PLUS_TWO)) == datetime(2013, 1, 6, 23)  # noqa: DTZ001 - as stored
    assert in_utc("2013-01-07") == "2013-01-07"


def test_many_parameters_are_converted_one_by_one() -> None:
    assert storable_parameters([{"d": date(2013, 1, 7)}, {"d": None}]) == [{"d": "2013-01-07"}, {"d": None}]


@pytest.mark.parametrize("declared", [Boolean(), Date(), DateTime(), Numeric()])
def test_a_table_known_by_name_takes_texts_where_a_type_would_refuse_them(declared: object) -> None:
    assert isinstance(as_written(declared), NullType)


@pytest.mark.parametrize("declared", [Integer(), String(), Float()])
def test_other_types_stay(declared: object) -> None:
    assert as_written(declared) is declared


def test_a_json_column_takes_data_and_texts_that_are_json_already() -> None:
    convert = as_written(JSON()).bind_processor(None)

    assert convert({"a": [1]}) == '{"a": [1]}'
    assert convert('{"a": 1}') == '{"a": 1}'
