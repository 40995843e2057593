"""Which tables there are and what they look like."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, overload

from sqlalchemy import Column, Connection, MetaData, Table, inspect
from sqlalchemy.exc import NoSuchTableError

from controlroom.database.backend import Backend
from controlroom.errors import QueryError

__all__ = ["Catalog", "ColumnInfo", "Columns", "TableInfo", "described", "table_names"]


@dataclass(frozen=True, slots=True)
class ColumnInfo:
    """One column, as the database declares it.

    Attributes:
        name: Its name.
        type: Its declared type, as SQL.
        nullable: Whether it may be NULL.
        default: The SQL of its default, or None.
    """

    name: str
    type: str
    nullable: bool
    default: str | None


class Columns(Sequence[ColumnInfo]):
    """The columns of a table in their order; also found by name: ``columns["id"]``, ``"id" in columns``."""

    def __init__(self, columns: Sequence[ColumnInfo]) -> None:
        self._columns = tuple(columns)
        self._by_name = {column.name: column for column in columns}

    @property
    def names(self) -> tuple[str, ...]:
        """Their names, in order."""
        return tuple(self._by_name)

    @overload
    def __getitem__(self, place: int | str) -> ColumnInfo: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[ColumnInfo, ...]: ...
    def __getitem__(self, place: int | str | slice) -> ColumnInfo | tuple[ColumnInfo, ...]:
        return self._by_name[place] if isinstance(place, str) else self._columns[place]

    def __contains__(self, wanted: object) -> bool:
        return wanted in self._by_name or wanted in self._columns

    def __iter__(self) -> Iterator[ColumnInfo]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Columns) and self._columns == other._columns

    def __hash__(self) -> int:
        return hash(self._columns)

    def __repr__(self) -> str:
        return f"Columns({list(self._columns)!r})"


@dataclass(frozen=True, slots=True)
class TableInfo:
    """What a table looks like.

    Attributes:
        name: Its name, as it was asked for.
        columns: Its columns, by place and by name.
        primary_key: Names of the columns of its primary key; empty where it has none.
        uniques: For each further unique constraint or unique index, the names of its columns.
    """

    name: str
    columns: Columns
    primary_key: tuple[str, ...]
    uniques: tuple[tuple[str, ...], ...]


def _split(name: str) -> tuple[str | None, str]:
    schema, _, table = name.rpartition(".")
    return schema or None, table


def no_such_table(name: str) -> QueryError:
    """Return the error for a name that no table has."""
    message = f"There is no table {name!r}. Nothing was run. Create it first, or correct the name."
    return QueryError(message, table=name)


class Catalog:
    """Tables by what callers give: a `Table`, a mapped class, or a name, which is looked up in the database once."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._reflected: dict[str, Table] = {}

    def resolve(self, given: Any, connection: Connection) -> Table:
        """Return the table that *given* stands for.

        Raises:
            QueryError: There is none.
        """
        table = getattr(given, "__table__", given)
        if isinstance(table, Table):
            return table
        if not isinstance(given, str):
            message = f"A {type(given).__name__} is no table. Nothing was run. Give a Table, a mapped class or a name."
            raise QueryError(message)
        known = self._reflected.get(given)
        return self._reflect(given, connection) if known is None else known

    def _reflect(self, name: str, connection: Connection) -> Table:
        schema, bare = _split(name)
        found = _columns(name, connection)
        columns = [
            Column(each["name"], self._backend.as_written(each["type"])) for each in found if "computed" not in each
        ]
        table = self._reflected[name] = Table(bare, MetaData(), *columns, schema=schema)
        return table

    def forget(self) -> None:
        """Look every table up again: a statement failed, and one may have changed."""
        self._reflected.clear()


def _columns(name: str, connection: Connection) -> list[Any]:
    schema, bare = _split(name)
    try:
        return list(inspect(connection).get_columns(bare, schema=schema))
    except NoSuchTableError as error:
        raise no_such_table(name) from error


def table_names(connection: Connection) -> list[str]:
    """Return the names of all tables, sorted."""
    return sorted(inspect(connection).get_table_names())


def described(given: Any, connection: Connection, backend: Backend) -> TableInfo:
    """Return what the table that *given* stands for looks like.

    Raises:
        QueryError: There is no such table.
    """
    table = getattr(given, "__table__", given)
    name = table.fullname if isinstance(table, Table) else str(table)
    columns = _columns(name, connection)
    schema, bare = _split(name)
    return TableInfo(
        name=name,
        columns=Columns([_column_info(each, connection) for each in columns]),
        primary_key=tuple(inspect(connection).get_pk_constraint(bare, schema=schema)["constrained_columns"]),
        uniques=tuple(backend.uniques(bare, schema, connection)),
    )


def _column_info(column: Any, connection: Connection) -> ColumnInfo:
    declared = "" if str(column["type"]) == "NULL" else column["type"].compile(connection.dialect)
    return ColumnInfo(column["name"], declared, bool(column["nullable"]), column["default"])
