"""The statements that write rows. Pure: nothing is executed here.

ON DUPLICATE KEY UPDATE has no target: a collision in any unique constraint updates the row it collides with, which may have
quite another key. So the first assignment looks at the key, and makes the statement fail where it differs.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import (
    Column,
    Dialect,
    Integer,
    Select,
    Table,
    and_,
    cast,
    column,
    false,
    func,
    literal_column,
    select,
    table,
)
from sqlalchemy.dialects.mysql import Insert, insert

__all__ = ["insert_sql", "merge_sql", "merge_staged", "stage_sql", "untouched"]

_FAILS: Final = 710
"""EXP of this and of whatever is more is out of range (error 1690), in any mode; of a column's length, so that the server
looks when it comes to the row and not before."""


def _compiled(statement: Insert, columns: Sequence[Column[Any]], dialect: Dialect) -> str:
    return str(statement.inline().compile(dialect=dialect, column_keys=[each.key for each in columns]))


@lru_cache(maxsize=256)
def insert_sql(target: Table, columns: tuple[Column[Any], ...], dialect: Dialect) -> str:
    """Return the INSERT for driver rows of *columns*."""
    return _compiled(insert(target), columns, dialect)


def untouched(statement: Insert, column: Column[Any]) -> Insert:
    """Return *statement*, which leaves the row alone that it collides with."""
    return statement.on_duplicate_key_update({column.name: column})


def _merged(source: Insert, key: Sequence[Column[Any]], update: Sequence[Column[Any]]) -> Insert:
    new, first = source.inserted, key[0]
    is_the_row = and_(*(each.op("<=>", is_comparison=True)(new[each.key]) for each in key))
    fails = func.exp(func.length(new[first.key]) + literal_column(str(_FAILS)))
    guarded = func.if_(is_the_row, first, fails)
    values: list[tuple[str, Any]] = [(first.name, guarded)]
    values += [(each.name, new[each.key]) for each in update if each is not first]
    return source.on_duplicate_key_update(values)


@lru_cache(maxsize=256)
def merge_sql(
    target: Table,
    columns: tuple[Column[Any], ...],
    key: tuple[Column[Any], ...],
    update: tuple[Column[Any], ...],
    dialect: Dialect,
) -> str:
    """Return the upsert of driver rows of *columns*."""
    return _compiled(_merged(insert(target), key, update), columns, dialect)


def _staged(columns: Sequence[Column[Any]]) -> list[str]:
    return [f"c{place}" for place in range(len(columns))]


def stage_sql(
    stage: str, target: Table, columns: Sequence[Column[Any]], key: Sequence[Column[Any]], dialect: Dialect
) -> tuple[str, str]:
    """Return the statements that create a staging table and put a row there, after its number.

    Its columns are those of the target, collations too. A row with the key of an earlier one replaces it and stands at the
    end: the last wins, and the order is kept.
    """
    names = dict(zip(columns, _staged(columns), strict=True))
    number = cast(literal_column("0"), Integer).label("stage_row")
    rows: Select[Any] = select(number, *(each.label(name) for each, name in names.items()))
    unique = ", ".join(names[each] for each in key)
    shape = rows.select_from(target).where(false()).compile(dialect=dialect)
    create = f"CREATE TEMPORARY TABLE {stage} (stage_row BIGINT NOT NULL PRIMARY KEY, UNIQUE KEY ({unique})) ENGINE=InnoDB {shape}"
    slots = ", ".join("%s" for _ in range(len(names) + 1))
    return create, f"REPLACE INTO {stage} VALUES ({slots})"  # noqa: S608 - a name of our own making


def merge_staged(
    stage: str, target: Table, columns: Sequence[Column[Any]], key: Sequence[Column[Any]], update: Sequence[Column[Any]]
) -> Insert:
    """Return the upsert from a staging table."""
    staged = table(stage, column("stage_row"), *map(column, _staged(columns)))
    rows = select(*(staged.c[name] for name in _staged(columns))).order_by(staged.c.stage_row)
    source = insert(target).from_select([each.key for each in columns], rows, include_defaults=False)
    return _merged(source, key, update)
