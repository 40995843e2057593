"""What a database tells of its tables: by SQLAlchemy's inspector, where a kind of database has nothing of its own."""

from __future__ import annotations

from typing import Any, Protocol

from sqlalchemy import Connection, Table, inspect
from sqlalchemy.exc import NoSuchTableError

from controlroom.database.backend import Backend
from controlroom.database.grammar import grammar_for
from controlroom.database.identifiers import Identifier, identifier, quoted
from controlroom.database.metadata import ColumnInfo, Columns, ForeignKeyInfo, IndexInfo, TableFacts, TableInfo
from controlroom.errors import QueryError

__all__ = ["Describer", "Inspected", "Named", "describer_for", "no_such_table"]


class Named:
    """The name of a table as it was given: a text, perhaps with a schema in front; an `Identifier`; a `Table`; a mapped class."""

    def __init__(self, given: Any) -> None:
        schema, bare, shown = _parts(getattr(given, "__table__", given))
        self.schema: str | None = schema
        self.bare: str = bare
        self.shown: str = shown

    def quoted(self, backend: Backend) -> str:
        """Return it as SQL."""
        parts = [self.bare] if self.schema is None else [self.schema, self.bare]
        if not all(parts):
            raise no_such_table(self.shown)
        return quoted(identifier(*parts), grammar_for(backend.url.drivername))


def _parts(table: Any) -> tuple[str | None, str, str]:
    """Return schema and name of a table, and both as they are shown."""
    if isinstance(table, Table):
        return table.schema, table.name, table.fullname
    if isinstance(table, Identifier):
        return (table.parts[-2] if len(table.parts) > 1 else None), table.parts[-1], ".".join(table.parts)
    schema, _, bare = str(table).rpartition(".")
    return schema or None, bare, str(table)


def no_such_table(name: str) -> QueryError:
    """Return the error for a name that no table has."""
    message = f"There is no table {name!r}. Nothing was run. Create it first, or correct the name."
    return QueryError(message, table=name)


class Describer(Protocol):
    """What one kind of database tells of its tables."""

    def names(self, schema: str | None, connection: Connection) -> list[str]:
        """Return the names of all tables of *schema*, as `described` takes them, sorted."""

    def described(self, name: Named, connection: Connection, backend: Backend) -> TableInfo:
        """Return what a table looks like.

        Raises:
            QueryError: There is none.
        """

    def facts(self, name: Named, connection: Connection, backend: Backend) -> TableFacts:
        """Return what is known of a table without reading it.

        Raises:
            QueryError: There is none.
        """


class Inspected:
    """By SQLAlchemy's inspector."""

    def names(self, schema: str | None, connection: Connection) -> list[str]:
        """Return the names of all tables of *schema*, as `described` takes them, sorted."""
        front = "" if schema is None else f"{schema}."
        return sorted(front + name for name in inspect(connection).get_table_names(schema=schema))

    def columns(self, name: Named, connection: Connection) -> list[Any]:
        """Return the columns of a table, as the inspector has them."""
        try:
            return list(inspect(connection).get_columns(name.bare, schema=name.schema))
        except NoSuchTableError as error:
            raise no_such_table(name.shown) from error

    def described(self, name: Named, connection: Connection, backend: Backend) -> TableInfo:
        """Return what a table looks like."""
        columns = self.columns(name, connection)
        found = inspect(connection)
        return TableInfo(
            name=name.shown,
            columns=Columns([_column_info(each, connection) for each in columns]),
            primary_key=tuple(found.get_pk_constraint(name.bare, schema=name.schema)["constrained_columns"]),
            uniques=tuple(backend.uniques(name.bare, name.schema, connection)),
            kind="view" if name.bare in found.get_view_names(schema=name.schema) else "table",
            foreign_keys=self.foreign_keys(name, connection),
            indexes=self.indexes(name, connection),
        )

    def foreign_keys(self, name: Named, connection: Connection) -> tuple[ForeignKeyInfo, ...]:
        """Return the foreign keys of a table."""
        found = inspect(connection).get_foreign_keys(name.bare, schema=name.schema)
        return tuple(_foreign_key(each) for each in found)

    def indexes(self, name: Named, connection: Connection) -> tuple[IndexInfo, ...]:
        """Return the indexes of a table."""
        found = inspect(connection).get_indexes(name.bare, schema=name.schema)
        return tuple(
            IndexInfo(str(each["name"]), tuple(column or "?" for column in each["column_names"]), bool(each["unique"]))
            for each in sorted(found, key=lambda each: str(each["name"]))
        )

    def facts(self, name: Named, connection: Connection, backend: Backend) -> TableFacts:  # noqa: ARG002 - the protocol's
        """Return what is known of a table without reading it: nothing."""
        self.columns(name, connection)
        return TableFacts(name.shown)


def _column_info(column: Any, connection: Connection) -> ColumnInfo:
    declared = "" if str(column["type"]) == "NULL" else column["type"].compile(connection.dialect)
    generated = column.get("computed", {}).get("sqltext")
    default = None if generated is not None else column["default"]
    return ColumnInfo(column["name"], declared, bool(column["nullable"]), default, "identity" in column, generated)


def _foreign_key(found: Any) -> ForeignKeyInfo:
    schema = found["referred_schema"]
    table = found["referred_table"] if schema is None else f"{schema}.{found['referred_table']}"
    on_delete = found.get("options", {}).get("ondelete") or "NO ACTION"
    return ForeignKeyInfo(tuple(found["constrained_columns"]), table, tuple(found["referred_columns"]), on_delete)


def describer_for(backend: Backend) -> Describer:
    """Return what describes the tables of *backend*."""
    kind = backend.url.get_backend_name()
    if kind == "postgresql":
        from controlroom.database.postgres.describing import DescribedByPostgres  # noqa: PLC0415 - each database loads its own

        return DescribedByPostgres()
    if kind == "sqlite":
        from controlroom.database.sqlite.describing import DescribedBySqlite  # noqa: PLC0415 - each database loads its own

        return DescribedBySqlite()
    return Inspected()
