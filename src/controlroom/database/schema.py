"""Creating the control tables, once and for all who start at the same time."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import select

from controlroom import clock
from controlroom.database.control import SCHEMA_VERSION, metadata, schema
from controlroom.database.unit import Unit
from controlroom.errors import ConfigError

__all__ = ["create_tables"]

_PART: Final = "control"


def create_tables(unit: Unit) -> None:
    """Create what is missing, inside *unit*: it holds the write lock, so nobody else is creating.

    Raises:
        ConfigError: A newer release has written the tables.
    """
    work = unit._work  # noqa: SLF001 - one floor, two files
    work.run("creating the control tables", lambda: metadata.create_all(work.connection))
    found = unit.scalar(select(schema.c.version).where(schema.c.part == _PART))
    if found is None:
        unit.execute(work.backend.insert_unless_there(schema, _row()))
    elif found > SCHEMA_VERSION:
        message = (
            f"The control tables have version {found}; this release knows up to {SCHEMA_VERSION}. Nothing was changed. "
            "Use the release that wrote them, or a later one."
        )
        raise ConfigError(message)


def _row() -> dict[str, Any]:
    return {"part": _PART, "version": SCHEMA_VERSION, "updated_at": clock.utcnow().isoformat()}
