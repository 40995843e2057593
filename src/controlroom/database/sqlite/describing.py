"""What SQLite tells of its tables.

Indexes and foreign keys not by SQLAlchemy's inspector, which reads the text of CREATE TABLE and warns of indexes on expressions
and overlooks ON DELETE.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection, text

from controlroom.database.backend import Backend
from controlroom.database.describing import Inspected, Named, no_such_table
from controlroom.database.grammar import SQLITE
from controlroom.database.identifiers import identifier, quoted
from controlroom.database.metadata import ForeignKeyInfo, IndexInfo, TableFacts

__all__ = ["DescribedBySqlite"]

_INDEXES: Final = """
    SELECT i.name, i."unique", c.name, m.sql, i.partial
    FROM pragma_index_list(:table_name, :schema) AS i, pragma_index_info(i.name, :schema) AS c
    LEFT JOIN {master} AS m ON m.type = 'index' AND m.name = i.name
    WHERE i.origin <> 'pk' ORDER BY i.name, c.seqno
"""


_FOREIGN_KEYS: Final = text("""
    SELECT id, "table", "from", "to", on_delete FROM pragma_foreign_key_list(:table_name, :schema) ORDER BY id DESC, seq
""")


class DescribedBySqlite(Inspected):
    """The tables of a SQLite database."""

    def columns(self, name: Named, connection: Connection) -> list[Any]:
        """Return the columns of a table, as the inspector has them; of a schema that is attached."""
        attached = text("SELECT 1 FROM pragma_database_list WHERE name = :schema")
        if name.schema is not None and connection.scalar(attached, {"schema": name.schema}) is None:
            raise no_such_table(name.shown)
        return super().columns(name, connection)

    def foreign_keys(self, name: Named, connection: Connection) -> tuple[ForeignKeyInfo, ...]:
        """Return the foreign keys of a table; one that names no columns refers to the primary key of the other one."""
        found: dict[int, list[tuple[str, str, str | None, str]]] = {}
        values = {"table_name": name.bare, "schema": name.schema or "main"}
        for number, table, own, other, on_delete in connection.execute(_FOREIGN_KEYS, values):
            found.setdefault(number, []).append((table, own, other, on_delete))
        return tuple(
            ForeignKeyInfo(
                tuple(own for _, own, _, _ in parts),
                parts[0][0],
                tuple(other for _, _, other, _ in parts if other is not None),
                parts[0][3],
            )
            for parts in found.values()
        )

    def indexes(self, name: Named, connection: Connection) -> tuple[IndexInfo, ...]:
        """Return the indexes of a table. The text of an expression is not told, that of a condition is."""
        schema = name.schema or "main"
        master = quoted(identifier(schema, "sqlite_master"), SQLITE)
        found: dict[str, list[tuple[bool, str | None, str | None]]] = {}
        values = {"table_name": name.bare, "schema": schema}
        for index, unique, column, sql, partial in connection.execute(text(_INDEXES.format(master=master)), values):
            where = str(sql).upper().rfind(" WHERE ") if partial else -1
            found.setdefault(index, []).append((bool(unique), column, str(sql)[where + 7 :] if where >= 0 else None))
        return tuple(
            IndexInfo(index, tuple(column or "?" for _, column, _ in parts), parts[0][0], parts[0][2])
            for index, parts in found.items()
        )

    def facts(self, name: Named, connection: Connection, backend: Backend) -> TableFacts:
        """Return how many rows ANALYZE found, if it ever ran."""
        super().facts(name, connection, backend)
        schema = name.schema or "main"
        master = quoted(identifier(schema, "sqlite_master"), SQLITE)
        if connection.scalar(text(f"SELECT 1 FROM {master} WHERE name = 'sqlite_stat1'")) is None:  # noqa: S608 - quoted
            return TableFacts(name.shown)
        stats = quoted(identifier(schema, "sqlite_stat1"), SQLITE)
        stat = connection.scalar(text(f"SELECT stat FROM {stats} WHERE tbl = :name"), {"name": name.bare})  # noqa: S608 - quoted
        return TableFacts(name.shown, rows_estimate=None if stat is None else int(str(stat).split()[0]))
