"""Rows reach the driver whole and in order, and whatever is wrong with one is said with its index."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import JSON, Boolean, Column, Date, Integer, MetaData, Table, Text, func
from sqlalchemy.dialects.postgresql import psycopg
from sqlalchemy.dialects.sqlite import dialect

from controlroom.database.backends import backend_for
from controlroom.database.rows import CountedRows, first_and_rest, shape_of
from controlroom.errors import IntegrityViolationError, QueryError

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
POSTGRES = backend_for("postgresql+psycopg://u@h/d")


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


TRUTHS = Table(
    "truths",
    MetaData(),
    Column("id", Integer),
    Column("sure", Boolean),
    Column("j", JSON),
    Column("d", Text, default="d"),
)
VALUES = st.tuples(st.integers(), st.none() | st.booleans() | st.sampled_from([0, 1, 1.0, 2, "x", []]), st.integers())


@given(st.lists(VALUES, min_size=1, max_size=6), st.permutations(["id", "sure", "j"]), st.booleans(), st.data())
def test_rows_made_ready_at_once_are_those_made_ready_one_by_one(rows, names, chosen, data) -> None:
    given = [tuple(row[["id", "sure", "j"].index(name)] for name in names) for row in rows]
    if not chosen or data.draw(st.booleans()):
        given = [dict(zip(names, row, strict=True)) for row in given]
    if data.draw(st.booleans()):
        odd = data.draw(st.sampled_from([(1,), {"id": 1}, "abc", {"id": 1, "sure": None, "j": 2, "more": 3}, None]))
        given[data.draw(st.integers(0, len(given) - 1))] = odd
    shape = shape_of(TRUTHS, dict.fromkeys(names), names if chosen else None, POSTGRES, psycopg.dialect())

    def outcome(make):
        try:
            return repr([tuple(getattr(value, "obj", value) for value in row) for row in make(given, 7)])
        except (QueryError, IntegrityViolationError) as error:
            return (type(error), str(error), error.row_index)

    assert outcome(shape.ready) == outcome(shape.driver_rows)


def test_a_list_of_its_own_kind_is_iterated_as_it_wants() -> None:
    class Doubled(list):
        def __iter__(self):
            return (2 * each for each in super().__iter__())

    assert list(first_and_rest(Doubled([(1,), (2,)]))[1]) == [(1, 1), (2, 2)]


@pytest.mark.parametrize("width", [1, 3])
def test_a_tuple_of_another_width_is_refused_where_nothing_is_converted(width: int) -> None:
    table = Table("plain", MetaData(), Column("a", Integer), Column("b", Integer))
    shape = shape_of(table, (1, 2), ["a", "b"], POSTGRES, psycopg.dialect())

    with pytest.raises(QueryError, match=f"row 8: it has {width} values for 2 columns"):
        shape.ready([(1, 2), (3,) * width], 7)
