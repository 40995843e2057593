"""The statements that write rows. Pure: nothing is executed here.

An upsert is one INSERT … ON CONFLICT: MERGE raises unique violations against others who insert the same key. Whether a row
was inserted is what ``xmax = 0`` says: a version that ON CONFLICT updated was locked first, and carries its locker. Only a
plain table has that column, so elsewhere two statements tell: what the first (DO NOTHING) returns was inserted, what the
second returns was updated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import (
    JSON,
    ClauseElement,
    Column,
    ColumnElement,
    Dialect,
    Label,
    Select,
    String,
    Table,
    UpdateBase,
    bindparam,
    cast,
    column,
    literal_column,
    or_,
    select,
    table,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, insert
from sqlalchemy.dialects.postgresql.dml import Insert
from sqlalchemy.sql.schema import ColumnElementColumnDefault
from sqlalchemy.types import NullType, TypeDecorator, TypeEngine

__all__ = ["Upsert", "counted", "insert_sql", "plain_name", "ranked_sql", "stage_sql", "staged_upsert", "upsert_sql"]

_WAS_INSERTED: Final[Label[bool]] = literal_column("(xmax = 0)").label("inserted")
_INSERTED: Final[Label[bool]] = literal_column("true").label("inserted")
_UPDATED: Final[Label[bool]] = literal_column("false").label("inserted")


@dataclass(frozen=True, slots=True)
class Upsert:
    """What an upsert writes: driver rows of *columns*, by *key*; in rows that are there already, the columns *update*.

    Attributes:
        plain: Whether the target is a plain table, whose rows say whether they were inserted.
    """

    target: Table
    columns: tuple[Column[Any], ...]
    key: tuple[Column[Any], ...]
    update: tuple[Column[Any], ...]
    plain: bool


def _keys(columns: Sequence[Column[Any]]) -> list[str]:
    return [each.key for each in columns]


def _compiled(statement: UpdateBase, columns: Sequence[Column[Any]], dialect: Dialect) -> str:
    return str(statement.compile(dialect=dialect, column_keys=_keys(columns)))


def _with_defaults(target: Table, columns: Sequence[Column[Any]], dialect: Dialect) -> Insert:
    """Return an INSERT into *target* with the defaults that SQL computes for what is not in *columns*, spelled out.

    SQLAlchemy would make parameters of what stands in them, and the rows have no values for these.
    """
    given = frozenset(columns)
    computed: dict[str, Any] = {
        each.key: literal_column(_spelled_out(each.default.arg, dialect))
        for each in target.columns
        if each not in given and isinstance(each.default, ColumnElementColumnDefault)
    }
    statement = insert(target).inline()
    if not computed:
        return statement
    return statement.values({each.key: bindparam(each.key, type_=each.type) for each in columns} | computed)


def _spelled_out(expression: ClauseElement, dialect: Dialect) -> str:
    spelled = str(expression.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
    return spelled.replace("%%", "%") if dialect.paramstyle in ("format", "pyformat") else spelled


@lru_cache(maxsize=256)
def insert_sql(target: Table, columns: tuple[Column[Any], ...], dialect: Dialect) -> str:
    """Return the INSERT for driver rows of *columns*.

    asyncpg does not say how many rows many executions have touched; for it, each row is returned.
    """
    statement = _with_defaults(target, columns, dialect)
    return _compiled(statement.returning(_INSERTED) if dialect.driver == "asyncpg" else statement, columns, dialect)


@lru_cache(maxsize=256)
def upsert_sql(upsert: Upsert, dialect: Dialect) -> tuple[str, ...]:
    """Return the statements for driver rows. What they return says of each row that was written if it was inserted."""
    source = _with_defaults(upsert.target, upsert.columns, dialect)
    return tuple(_compiled(each, upsert.columns, dialect) for each in _upserts(source, upsert, dialect))


def _upserts(source: Insert, upsert: Upsert, dialect: Dialect) -> list[UpdateBase]:
    only_new = source.on_conflict_do_nothing(index_elements=upsert.key).returning(_INSERTED)
    if not upsert.update:
        return [only_new]
    merged = source.on_conflict_do_update(
        index_elements=upsert.key,
        set_={each: source.excluded[each.key] for each in upsert.update},
        where=_differs(upsert.update, source, dialect),
    )
    return [merged.returning(_WAS_INSERTED)] if upsert.plain else [only_new, merged.returning(_UPDATED)]


def _differs(columns: Sequence[Column[Any]], source: Insert, dialect: Dialect) -> ColumnElement[bool]:
    # IS DISTINCT FROM, not <>: NULL differs from a value, and is the same as NULL.
    pairs = [(each, source.excluded[each.key]) for each in columns]
    return or_(
        *(
            old.is_distinct_from(new)
            if _has_equality(old.type, dialect)
            else cast(old, String).is_distinct_from(cast(new, String))
            for old, new in pairs
        )
    )


def _has_equality(kind: TypeEngine[Any], dialect: Dialect) -> bool:
    """Tell whether values of *kind* can be compared: json has no ``=``, and what SQLAlchemy does not know may have none."""
    actual = kind.dialect_impl(dialect)
    while isinstance(actual, TypeDecorator):
        actual = actual.impl_instance
    if isinstance(actual, ARRAY):
        return _has_equality(actual.item_type, dialect)
    return isinstance(actual, JSONB) or not isinstance(actual, JSON | NullType)


def plain_name(name: Any, dialect: Dialect) -> str:
    """Return the quoted name of a table or column for SQL that goes to the driver without parameters."""
    preparer = dialect.identifier_preparer
    quoted = preparer.format_table(name) if isinstance(name, Table) else preparer.quote(str(name))
    return quoted.replace("%%", "%") if dialect.paramstyle in ("format", "pyformat") else quoted


def stage_sql(stage: str, target: Table, columns: Sequence[Column[Any]], dialect: Dialect) -> str:
    """Return the statement that creates a staging table, with columns of the very types of the target's.

    It has no constraint but the types, and it is a heap made in this transaction: rows that are copied into it stand in
    the order in which they came, since nothing looks for space in earlier pages (HEAP_INSERT_SKIP_FSM).
    """
    names = ", ".join(plain_name(each.name, dialect) for each in columns)
    source = f"SELECT {names} FROM {plain_name(target, dialect)}"  # noqa: S608 - quoted names
    return f"CREATE TEMP TABLE {stage} USING heap ON COMMIT DROP AS {source} WITH NO DATA"


def _staged(stage: str, columns: Sequence[Column[Any]]) -> Any:
    return table(stage, *(column(each.name, each.type) for each in columns), schema="pg_temp")


def _latest(stage: str, upsert: Upsert, dialect: Dialect) -> Select[Any]:
    """Return the last row of each key, in the order of the keys: whoever writes the same keys locks them in one order."""
    staged = _staged(stage, upsert.columns)
    key = ", ".join(plain_name(each.name, dialect) for each in upsert.key)
    rows = select(*(staged.c[each.name] for each in upsert.columns))
    # As a prefix: what else SQLAlchemy has for it differs between its releases.
    return rows.prefix_with(text(f"DISTINCT ON ({key})")).order_by(text(f"{key}, ctid DESC"))


def staged_upsert(
    stage: str, upsert: Upsert, dialect: Dialect, places: tuple[int, int] | None = None
) -> tuple[str, ...]:
    """Return the statements that upsert what is staged, each of which returns two counts: inserted, updated.

    *places*, from and to, choose some of the rows that `ranked_sql` has ranked.
    """
    rows = _latest(stage, upsert, dialect)
    if places is not None:
        ranked = _staged(f"{stage}_ranked", upsert.columns)
        rows = select(*(ranked.c[each.name] for each in upsert.columns))
        rows = rows.where(literal_column(f"place BETWEEN {places[0]} AND {places[1] - 1}"))
        rows = rows.order_by(literal_column("place"))
    source = insert(upsert.target).from_select(_keys(upsert.columns), rows)
    return tuple(counted(_spelled(each, dialect)) for each in _upserts(source, upsert, dialect))


def _spelled(statement: UpdateBase, dialect: Dialect) -> str:
    return str(statement.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))


def counted(written: str) -> str:
    """Return *written*, a statement that returns whether a row was inserted, as one that counts what it returns."""
    counts = "count(*) FILTER (WHERE inserted), count(*) FILTER (WHERE NOT inserted)"
    return f"WITH written AS ({written}) SELECT {counts} FROM written"  # noqa: S608 - made by SQLAlchemy


def ranked_sql(stage: str, upsert: Upsert, dialect: Dialect) -> str:
    """Return the statement that ranks what is staged in the order in which it is merged, with the index of each row."""
    names = ", ".join(plain_name(each.name, dialect) for each in upsert.columns)
    key = ", ".join(plain_name(each.name, dialect) for each in upsert.key)
    numbered = f"SELECT {names}, ctid AS controlroom_ctid, row_number() OVER (ORDER BY ctid) - 1 AS controlroom_row FROM pg_temp.{stage}"  # noqa: S608 - quoted names
    latest = f"SELECT DISTINCT ON ({key}) * FROM ({numbered}) n ORDER BY {key}, controlroom_ctid DESC"  # noqa: S608 - quoted names
    ranked = f"SELECT *, row_number() OVER (ORDER BY {key}) AS place FROM ({latest}) l"  # noqa: S608 - quoted names
    return f"CREATE TEMP TABLE {stage}_ranked ON COMMIT DROP AS {ranked}"
