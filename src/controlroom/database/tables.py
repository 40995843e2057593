"""Which tables there are and what they look like: what callers give, and what the database has under that name."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, Connection, MetaData, Table

from controlroom.database.backend import Backend
from controlroom.database.describing import Inspected, Named, describer_for, no_such_table
from controlroom.database.identifiers import Identifier
from controlroom.database.metadata import ColumnInfo, Columns, TableFacts, TableInfo
from controlroom.errors import QueryError

__all__ = ["Catalog", "ColumnInfo", "Columns", "TableInfo", "described", "facts_of", "no_such_table", "table_names"]


class Catalog:
    """Tables by what callers give: a `Table`, a mapped class, or a name, which is looked up in the database once."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._reflected: dict[str | Identifier, Table] = {}

    def resolve(self, given: Any, connection: Connection) -> Table:
        """Return the table that *given* stands for.

        Raises:
            QueryError: There is none.
        """
        table = getattr(given, "__table__", given)
        if isinstance(table, Table):
            return table
        if not isinstance(given, str | Identifier):
            message = f"A {type(given).__name__} is no table. Nothing was run. Give a Table, a mapped class or a name."
            raise QueryError(message)
        known = self._reflected.get(given)
        return self._reflect(given, connection) if known is None else known

    def _reflect(self, given: str | Identifier, connection: Connection) -> Table:
        name = Named(given)
        found = Inspected().columns(name, connection)
        columns = [
            Column(each["name"], self._backend.as_written(each["type"])) for each in found if "computed" not in each
        ]
        table = self._reflected[given] = Table(name.bare, MetaData(), *columns, schema=name.schema)
        return table

    def forget(self) -> None:
        """Look every table up again: a statement failed, and one may have changed."""
        self._reflected.clear()


def table_names(connection: Connection, backend: Backend, schema: str | None) -> list[str]:
    """Return the names of all tables, sorted.

    Raises:
        QueryError: *schema* is no name.
    """
    if not isinstance(schema, str | None):
        message = (
            f"A {type(schema).__name__} is no schema. Nothing was run. Give its name, or None for the default one."
        )
        raise QueryError(message)
    return describer_for(backend).names(schema, connection)


def described(given: Any, connection: Connection, backend: Backend) -> TableInfo:
    """Return what the table that *given* stands for looks like.

    Raises:
        QueryError: There is no such table.
    """
    return describer_for(backend).described(Named(given), connection, backend)


def facts_of(given: Any, connection: Connection, backend: Backend) -> TableFacts:
    """Return what is known of the table that *given* stands for, without reading it.

    Raises:
        QueryError: There is no such table.
    """
    return describer_for(backend).facts(Named(given), connection, backend)
