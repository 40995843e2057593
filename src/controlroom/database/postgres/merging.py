"""The statements that write rows. Pure: nothing is executed here."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from sqlalchemy import Column, Dialect, Table
from sqlalchemy.dialects.postgresql import insert

__all__ = ["insert_sql"]


@lru_cache(maxsize=256)
def insert_sql(target: Table, columns: tuple[Column[Any], ...], dialect: Dialect) -> str:
    """Return the INSERT for driver rows of *columns*."""
    return str(insert(target).inline().compile(dialect=dialect, column_keys=[each.key for each in columns]))
