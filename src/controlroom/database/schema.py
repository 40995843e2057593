"""Creating the control tables and bringing them up to date, once and for all who start at the same time.

A step from one version to the next only adds: tables, and columns that may be NULL. So it is the same for every version:
what is declared in `controlroom.database.control` and missing is added.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy import Table, inspect, select, text
from sqlalchemy.schema import CreateColumn

from controlroom import clock
from controlroom.database.control import ADVISORY_CLASS, SCHEMA_VERSION, leases, metadata, schema
from controlroom.database.transaction import Transaction
from controlroom.database.unit import Unit
from controlroom.errors import ConfigError
from controlroom.logs import get_logger

__all__ = ["create_tables"]

_PART: Final = "control"
_WHAT: Final = "creating the control tables"

_log = get_logger(__name__)


def create_tables(unit: Unit) -> None:
    """Create what is missing, inside *unit*, while nobody else does.

    Raises:
        ConfigError: A newer release has written the tables.
    """
    work = unit._work  # noqa: SLF001 - one floor, two files
    _stand_in_line(work)
    found = _version(work)
    if found is not None and found > SCHEMA_VERSION:
        message = (
            f"The control tables have version {found}; this release knows up to {SCHEMA_VERSION}. Nothing was changed. "
            "Use the release that wrote them, or a later one."
        )
        raise ConfigError(message)
    work.run(_WHAT, lambda: metadata.create_all(work.connection))
    if found == SCHEMA_VERSION:
        return
    _add_columns(work)
    unit.execute(work.backend.insert_unless_there(leases, {"name": "", "epoch": 0, "expires_at": 0.0}))
    unit.execute(work.backend.insert_or_replace(schema, _row(), key="part"))
    if found is not None:
        unit_of = work.ref
        work.hooks.append(lambda: _log.info("schema_migrated", unit=unit_of, before=found, after=SCHEMA_VERSION))


def _stand_in_line(work: Transaction) -> None:
    """Wait for whoever is creating them already.

    CREATE TABLE IF NOT EXISTS alone is no way: two at once meet in PostgreSQL's own catalogue, and one fails with a unique
    violation there. SQLite's write units have the lock already.
    """
    if work.connection.dialect.name == "postgresql":
        statement = text(f"SELECT pg_advisory_xact_lock({ADVISORY_CLASS}, 0)")
        work.run(_WHAT, lambda: work.connection.execute(statement))


def _version(work: Transaction) -> int | None:
    """Return the version of the tables; None where there are none."""

    def look() -> int | None:
        if not inspect(work.connection).has_table(schema.name):
            return None
        query = select(schema.c.version).where(schema.c.part == _PART)
        version: int | None = work.connection.execute(query).scalar()
        return version

    return work.run(_WHAT, look)


def _add_columns(work: Transaction) -> None:
    """Add the columns that tables of an earlier version lack."""
    dialect = work.connection.dialect
    quoted = dialect.identifier_preparer.format_table

    def add() -> None:
        for table, column in list(_missing(work)):
            declared = CreateColumn(table.c[column]).compile(dialect=dialect)
            work.connection.execute(text(f"ALTER TABLE {quoted(table)} ADD COLUMN {declared}"))

    work.run("adding columns to the control tables", add)


def _missing(work: Transaction) -> Iterator[tuple[Table, str]]:
    look = inspect(work.connection)
    for table in metadata.sorted_tables:
        there = {column["name"] for column in look.get_columns(table.name)}
        yield from ((table, column.name) for column in table.columns if column.name not in there)


def _row() -> dict[str, Any]:
    return {"part": _PART, "version": SCHEMA_VERSION, "updated_at": clock.utcnow().isoformat()}
