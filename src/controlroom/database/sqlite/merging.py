"""The statements that write rows. Pure: nothing is executed here."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Column, ColumnElement, Dialect, Insert, Table, column, false, or_, select, table, true
from sqlalchemy.dialects.sqlite import Insert as SqliteInsert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.types import NullType

__all__ = ["Merge", "insert_sql", "merge_sql", "merge_staged", "stage_sql"]


def _compiled(statement: Insert, names: Sequence[str], dialect: Dialect) -> str:
    return str(statement.inline().compile(dialect=dialect, column_keys=list(names)))


@lru_cache(maxsize=256)
def insert_sql(target: Table, columns: tuple[Column[Any], ...], dialect: Dialect) -> str:
    """Return the INSERT for driver rows of *columns*."""
    return _compiled(sqlite_insert(target), _keys(columns), dialect)


def _keys(columns: Sequence[Column[Any]]) -> list[str]:
    return [each.key for each in columns]


class Merge:
    """The two statements of an upsert, with the rows as parameters or from a staging table.

    The first inserts what is new, the second updates what differs; how many rows each touched is the count. Inside a
    transaction that may write, nobody can come in between.
    """

    def __init__(self, source: SqliteInsert, key: Sequence[Column[Any]], update: Sequence[Column[Any]]) -> None:
        self.insert: Insert = source.on_conflict_do_nothing(index_elements=key)
        self.update: SqliteInsert | None = None
        if update:
            new = source.excluded
            self.update = source.on_conflict_do_update(
                index_elements=key,
                set_={each: new[each.key] for each in update},
                where=_differs(update, new),
            )


def _differs(columns: Sequence[Column[Any]], new: Any) -> ColumnElement[bool]:
    # IS NOT, not <>: NULL differs from a value, and is the same as NULL.
    return or_(false(), *(each.is_distinct_from(new[each.key]) for each in columns))


@lru_cache(maxsize=256)
def merge_sql(
    target: Table,
    columns: tuple[Column[Any], ...],
    key: tuple[Column[Any], ...],
    update: tuple[Column[Any], ...],
    dialect: Dialect,
) -> tuple[str, str | None]:
    """Return both statements of an upsert of driver rows of *columns*."""
    merge = Merge(sqlite_insert(target), key, update)
    names = _keys(columns)
    second = None if merge.update is None else _compiled(merge.update, names, dialect)
    return _compiled(merge.insert, names, dialect), second


def stage_sql(
    stage: str, columns: Sequence[Column[Any]], key: Sequence[Column[Any]], dialect: Dialect
) -> tuple[str, str]:
    """Return the statements that create a staging table and put a row there, after its number.

    A row with the key of an earlier one replaces it and stands at the end: the last wins, and the order is kept.
    """
    places = {each: f"c{place}" for place, each in enumerate(columns)}
    declared = ", ".join(
        f"{name} {each.type.compile(dialect)}" if each in key and not isinstance(each.type, NullType) else name
        for each, name in places.items()
    )
    unique = ", ".join(places[each] for each in key)
    create = f"CREATE TEMP TABLE {stage} (row_number INTEGER PRIMARY KEY, {declared}, UNIQUE ({unique}))"
    slots = ", ".join("?" for _ in range(len(places) + 1))
    return create, f"INSERT OR REPLACE INTO temp.{stage} VALUES ({slots})"  # noqa: S608 - names of our own making


def merge_staged(stage: str, target: Table, columns: Sequence[Column[Any]], key: Any, update: Any) -> Merge:
    """Return both statements of an upsert from a staging table."""
    staged = table(stage, column("row_number"), *(column(f"c{place}") for place in range(len(columns))), schema="temp")
    rows = select(*(staged.c[f"c{place}"] for place in range(len(columns))))
    # WHERE true: without it SQLite reads ON CONFLICT as the ON of a join (sqlite.org/lang_upsert.html, 2.2).
    source = sqlite_insert(target).from_select(
        _keys(columns), rows.where(true()).order_by(staged.c.row_number), include_defaults=False
    )
    return Merge(source, key, update)
