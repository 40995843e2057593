"""Statements as values: the caller's, made safe to run, and the ones that write rows. Pure: nothing is executed here."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, cast

from sqlalchemy import (
    BindParameter,
    Column,
    ColumnElement,
    Dialect,
    Executable,
    Insert,
    Table,
    TextClause,
    Update,
    column,
    false,
    or_,
    select,
    table,
    text,
    true,
)
from sqlalchemy.dialects.sqlite import Insert as SqliteInsert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.sql.visitors import iterate
from sqlalchemy.types import NullType

from controlroom.database.storable import storable_parameters
from controlroom.errors import QueryError

__all__ = ["Merge", "executable", "insert_sql", "merge_sql", "merge_staged", "parameters_of", "stage_sql"]

_TRANSACTION_CONTROL: Final = {"BEGIN", "COMMIT", "END", "ROLLBACK", "SAVEPOINT", "RELEASE"}
# What the database reads as one piece: a colon inside it is no parameter.
_OPAQUE = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|/\*.*?\*/", re.DOTALL)
_COMMENTS = re.compile(r"(?:\s+|--[^\n]*(?:\n|$)|/\*.*?\*/)*", re.DOTALL)


def executable(statement: Any) -> tuple[Executable, str]:
    """Return *statement* as SQLAlchemy runs it, and what to call it in an error.

    Raises:
        QueryError: It is empty, no statement, or one that ends the transaction behind the unit's back.
    """
    if isinstance(statement, str):
        return _from_text(statement)
    if isinstance(statement, TextClause):
        _from_text(statement.text)
        return statement, "the statement"
    if not isinstance(statement, Executable):
        message = f"A {type(statement).__name__} is no statement. Nothing was run. Give text or a SQLAlchemy construct."
        raise QueryError(message)
    return statement, _name_of(statement)


@lru_cache(maxsize=1024)
def _from_text(statement: str) -> tuple[TextClause, str]:
    start = cast("re.Match[str]", _COMMENTS.match(statement)).end()
    words = statement[start:].split(None, 1)
    first = words[0].upper().rstrip(";") if words else ""
    if not first:
        message = "The statement is empty. Nothing was run."
        raise QueryError(message)
    if first in _TRANSACTION_CONTROL:
        message = (
            f"{first} is not for a statement: the unit of work commits or rolls back itself. Nothing was run. "
            "Use uow.rollback() or uow.savepoint(), or leave the block."
        )
        raise QueryError(message)
    return text(_OPAQUE.sub(lambda match: match[0].replace(":", "\\:"), statement)), first


def _name_of(statement: Executable) -> str:
    name = type(statement).__name__.upper()
    target = getattr(statement, "table", None)
    return f"{name} {target.name}" if isinstance(target, Table) else name


def parameters_of(statement: Executable, params: Any) -> Any:
    """Return *params* as SQLAlchemy takes them: a mapping, or a list of mappings for many executions.

    Raises:
        QueryError: They are positional.
    """
    if params is None:
        return None
    many = isinstance(params, Sequence) and not isinstance(params, str | bytes)
    given = [params] if not many else list(params)
    if not given:
        message = "The empty list of parameters runs nothing, not even once. Nothing was run. Ask before you execute."
        raise QueryError(message)
    if not all(isinstance(each, Mapping) for each in given):
        message = (
            "Parameters are given by name: {'id': 7} for :id, or a list of such mappings. Nothing was run; "
            f"a {type(params).__name__} of something else was given."
        )
        raise QueryError(message)
    if isinstance(statement, Insert | Update):
        _require_columns(statement, given)
    if isinstance(statement, TextClause):  # SQLAlchemy's own constructs know the types of their parameters
        given = storable_parameters([dict(each) for each in given])
    return given if many else given[0]


def _require_columns(statement: Insert | Update, given: list[Mapping[str, Any]]) -> None:
    """Refuse values that SQLAlchemy would drop without a word: of unknown columns, or not in the first of many rows."""
    first = set(given[0])
    known = {str(each) for each in getattr(statement.table.c, "keys", list)()}
    unknown = first - known
    if unknown:
        unknown -= {each.key for each in iterate(statement) if isinstance(each, BindParameter)}
    index, surplus = next(
        ((place, set(each) - first) for place, each in enumerate(given) if set(each) - first), (0, set())
    )
    if unknown or surplus:
        fact = "its table has no column" if unknown else f"row {index} has more columns than the first row:"
        message = (
            f"{_name_of(statement)}: {fact} {', '.join(sorted(unknown or surplus))}. Nothing was run. "
            "Give every row of one call the same columns, all of them known."
        )
        raise QueryError(message, table=getattr(statement.table, "name", None), row_index=None if unknown else index)


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
