"""How rows get into a table of PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from controlroom.database.postgres.merging import insert_sql
from controlroom.database.rows import RowShape
from controlroom.database.transaction import Transaction
from controlroom.database.writes import WriteCount, Writer

__all__ = ["insert_rows", "load_rows", "upsert_rows"]


def insert_rows(work: Transaction, shape: RowShape, rows: Iterable[Any]) -> int:
    """Insert rows, in chunks; return how many."""
    writer = Writer(work, shape)
    return writer.insert(insert_sql(shape.table, shape.columns, writer.dialect), rows)


def load_rows(work: Transaction, shape: RowShape, rows: Iterable[Any]) -> int:
    """Insert rows by COPY; return how many."""
    return insert_rows(work, shape, rows)


def upsert_rows(
    work: Transaction, shape: RowShape, rows: Iterable[Any], *, key: Sequence[str], update: Sequence[str] | None
) -> WriteCount:
    """Insert the rows whose key is new, update those that differ."""
    raise NotImplementedError
