"""Rows reach the driver whole and in order, and whatever is wrong with one is said with its index."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Column, Date, Integer, MetaData, Table, Text, func
from sqlalchemy.dialects.sqlite import dialect

from controlroom.database.backends import backend_for
from controlroom.database.rows import CountedRows, first_and_rest, shape_of
from controlroom.errors import QueryError

TABLE = Table(
    "t",
    MetaData(),
    Column("id", Integer),
    Column("day", Date),
    Column("note", Text, default="none"),
    Column("at", Text, default=lambda: "now"),
    Column("by_sql", Text, default=func.lower("X")),
)

BACKEND = backend_for("sqlite://")


def driver_rows(rows, columns=None):
    first, every = first_and_rest(rows)
    return list(shape_of(TABLE, first, columns, BACKEND, dialect()).driver_rows(every))


def test_values_stand_in_the_order_of_the_table_whatever_the_order_given() -> None:
    day = date(2026, 1, 5)

    assert driver_rows([{"day": day, "id": 1}]) == [(1, "2026-01-05", "none", "now")]
    assert driver_rows([("x", 1), ("y", 2)], ["note", "id"]) == [(1, "x", "now"), (2, "y", "now")]


def test_what_sql_computes_is_left_to_sql() -> None:
    shape = shape_of(TABLE, {"id": 1}, None, BACKEND, dialect())

    assert [column.name for column in shape.columns] == ["id", "note", "at"]


@given(st.permutations(["id", "day", "note", "at", "by_sql"]), st.integers(1, 5))
def test_no_value_changes_its_column(names: list[str], count: int) -> None:
    chosen = names[:count]
    row = tuple(f"value of {name}" if name != "day" else None for name in chosen)
    shape = shape_of(TABLE, row, chosen, BACKEND, dialect())

    (written,) = shape.driver_rows([row])

    defaults = {"note": "none", "at": "now"}
    by_name = dict(zip(chosen, row, strict=True))
    expected = tuple(by_name.get(column.name, defaults.get(column.name)) for column in shape.columns)
    assert written == expected
    assert set(chosen) <= {column.name for column in shape.columns}


def test_counted_rows_know_how_far_they_were_taken() -> None:
    rows = CountedRows([(1,), (2,), (3,)])
    iterator = iter(rows)
    next(iterator)
    next(iterator)

    assert (rows.taken, len(rows), rows[0]) == (2, 3, (1,))


def test_nothing_comes_of_nothing_and_one_mapping_is_one_row() -> None:
    assert first_and_rest([]) is None
    first, every = first_and_rest({"id": 1})
    assert (first, list(every)) == ({"id": 1}, [{"id": 1}])


def test_a_generator_is_not_read_ahead() -> None:
    taken = []

    def rows():
        for number in range(3):
            taken.append(number)
            yield {"id": number}

    first, every = first_and_rest(rows())
    assert taken == [0]
    written = shape_of(TABLE, first, None, BACKEND, dialect()).driver_rows(every)
    next(written)
    assert taken == [0]
    next(written)
    assert taken == [0, 1]


def test_a_name_that_is_none_is_refused_with_what_was_probably_meant() -> None:
    with pytest.raises(QueryError, match="Did you mean 'note'"):
        shape_of(TABLE, {"notes": 1}, None, BACKEND, dialect())
    with pytest.raises(QueryError, match="It has id, day, note, at, by_sql"):
        shape_of(TABLE, {7: 1}, None, BACKEND, dialect())
