"""Values go by COPY only where it stores what INSERT would."""

# ruff: noqa: DTZ001 - times without a zone are what is looked at

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Column, Integer
from sqlalchemy.dialects.postgresql import asyncpg, psycopg

from controlroom.database.postgres.copyable import Facts, unfit, way_of

INT2, INT4, INT8, TEXT, FLOAT4, TIMESTAMP, NUMERIC, INTS = 21, 23, 20, 25, 700, 1114, 1700, 1007


def way(kind: int | None, *values: Any, dialect: Any = psycopg.dialect) -> Any:
    facts = Facts("t", plain=True, fires=False, copies=True, types={"v": kind}, fixed=frozenset())
    return way_of([(value,) for value in values], [Column("v", Integer)], facts, dialect())


@pytest.mark.parametrize(
    ("kind", "values", "wanted"),
    [
        (INT4, [1, None], (INT4,)),
        (INT4, [1, "2"], "text"),
        (INT4, [1, 2.0], None),
        (TEXT, ["a"], (TEXT,)),
        (FLOAT4, [1.5], "text"),
        (TIMESTAMP, [dt.datetime(2026, 1, 1)], (TIMESTAMP,)),
        (TIMESTAMP, [dt.datetime(2026, 1, 1, tzinfo=dt.UTC)], None),
        (NUMERIC, [Decimal(1), 2], (NUMERIC,)),
        (INTS, [[1], []], None),
        (None, ["10.0.0.1"], "text"),
        (None, [1], None),
    ],
)
def test_the_kinds_of_the_values_say_which_way_they_go(kind: int | None, values: list[Any], wanted: Any) -> None:
    assert way(kind, *values) == wanted


def test_asyncpg_has_one_form_for_each_type_and_none_for_others() -> None:
    assert way(INT4, 1, "2", dialect=asyncpg.dialect) == (INT4,)
    assert way(None, "10.0.0.1", dialect=asyncpg.dialect) is None


WHOLE = st.none() | st.integers(-(2**33), 2**33) | st.integers(-(2**15) - 2, 2**15 + 2)


@given(st.lists(st.tuples(WHOLE, WHOLE, st.text()), max_size=20))
def test_no_number_is_cut_to_the_width_of_its_column(rows: list[tuple[Any, ...]]) -> None:
    def fits(value: int | None, bits: int) -> bool:
        return value is None or -(2 ** (bits - 1)) <= value < 2 ** (bits - 1)

    first = next((at for at, row in enumerate(rows) if not fits(row[0], 32)), None)
    second = next((at for at, row in enumerate(rows) if not fits(row[1], 16)), None)
    expected = (first, 0) if first is not None else None if second is None else (second, 1)

    assert unfit(rows, (INT4, INT2, TEXT)) == expected
    assert unfit(rows, (INT8, INT8, TEXT)) is None


@pytest.mark.parametrize("value", [1.5, "7", b"1", [1]])
def test_what_is_no_whole_number_does_not_fit(value: Any) -> None:
    assert unfit([(None,), (1,), (True,), (value,)], (INT4,)) == (3, 0)
