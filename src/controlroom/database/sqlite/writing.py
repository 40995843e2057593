"""How rows get into a table of SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from itertools import chain, islice
from typing import Any

from controlroom.database.rows import RowShape
from controlroom.database.sqlite.merging import insert_sql, merge_sql, merge_staged, stage_sql
from controlroom.database.transaction import Transaction
from controlroom.database.writes import CHUNK_ROWS, Keyed, Numbered, WriteCount, Writer, chunks
from controlroom.errors import DatabaseError, IntegrityViolationError, QueryError

__all__ = ["insert_rows", "upsert_rows"]


def insert_rows(work: Transaction, shape: RowShape, rows: Iterable[Any]) -> int:
    """Insert rows, in chunks; return how many."""
    writer = _Rows(work, shape)
    return writer.insert(insert_sql(shape.table, shape.columns, writer.dialect), rows)


def upsert_rows(
    work: Transaction, shape: RowShape, rows: Iterable[Any], *, key: Sequence[str], update: Sequence[str] | None
) -> WriteCount:
    """Insert the rows whose key is new, update those that differ."""
    return _Upsert(work, shape, key, update).rows(rows)


class _Rows(Writer):
    """Rows, and the name of the column whose value was refused: the driver knows the how manieth at most."""

    def many(self, what: str, sql: str, rows: Sequence[Numbered]) -> int:
        try:
            return super().many(what, sql, rows)
        except (IntegrityViolationError, QueryError) as error:
            if (named := self._named(error, rows)) is None:
                raise
            raise named from error.__cause__

    def _named(self, error: DatabaseError, rows: Sequence[Numbered]) -> DatabaseError | None:
        if error.row_index is None or error.column is not None:
            return None
        values = next(row for index, row in rows if index == error.row_index)
        columns = self.shape.columns
        for column, value in zip(columns, values[len(values) - len(columns) :], strict=True):
            if (refusal := _refusal_of(value)) is not None:
                return self.shape.unstorable(column, value, error.row_index, refusal)
        return None


def _refusal_of(value: Any) -> type[Exception] | None:
    """Return what the driver raises for *value*, by itself and whatever the table is; None where it takes it."""
    with closing(sqlite3.connect(":memory:")) as connection:
        try:
            connection.execute("SELECT ?", (value,))
        except (sqlite3.ProgrammingError, sqlite3.InterfaceError):
            return TypeError  # it has no form for such an object
        except (sqlite3.Error, OverflowError, UnicodeError) as error:
            return type(error)
    return None


class _Upsert(_Rows):
    """An upsert: directly while the rows fit into one chunk, else by way of a temporary table.

    The temporary table is what keeps memory flat and the counts true: only there can a key that came back after a
    million rows be found again.
    """

    def __init__(self, work: Transaction, shape: RowShape, key: Sequence[str], update: Sequence[str] | None) -> None:
        super().__init__(work, shape)
        self.keyed = Keyed(shape, key, update)
        self.key, self.update = self.keyed.key, self.keyed.update

    def rows(self, rows: Iterable[Any]) -> WriteCount:
        numbered = enumerate(self.keyed.driver_rows(rows))
        head = list(islice(numbered, CHUNK_ROWS + 1))
        if len(head) <= CHUNK_ROWS:
            return self._directly(head)
        return self._staged(chain(head, numbered))

    def _directly(self, rows: Iterable[Numbered]) -> WriteCount:
        kept = self.keyed.latest(rows)
        insert, update = merge_sql(self.shape.table, self.shape.columns, self.key, self.update, self.dialect)
        inserted = self.many("upsert into", insert, kept)
        updated = self.many("upsert into", update, kept) if update is not None and inserted < len(kept) else 0
        return WriteCount(inserted, updated, len(kept) - inserted - updated)

    def _staged(self, rows: Iterator[Numbered]) -> WriteCount:
        stage = f"controlroom_stage_{self.work.number()}"
        create, put = stage_sql(stage, self.shape.columns, self.key, self.dialect)
        self._control(create)
        for chunk in chunks(rows):
            self.many("staging rows for", put, [(index, (index, *row)) for index, row in chunk])
        count = self._merged(stage, int(self._control(f"SELECT count(*) FROM temp.{stage}")))  # noqa: S608 - as in stage_sql
        self._control(f"DROP TABLE temp.{stage}")
        return count

    def _merged(self, stage: str, staged: int) -> WriteCount:
        merge = merge_staged(stage, self.shape.table, self.shape.columns, self.key, self.update)
        savepoint = self.work.enter_savepoint()
        try:
            inserted = self.one("upsert into", merge.insert)
            updated = self.one("upsert into", merge.update) if merge.update is not None and inserted < staged else 0
        except IntegrityViolationError:
            self.work.undo_to(savepoint)
            self._row_by_row(stage)  # raises the same again, with the row's index
            raise
        self.work.leave_savepoint(savepoint, None)
        return WriteCount(inserted, updated, staged - inserted - updated)

    def _row_by_row(self, stage: str) -> None:
        last = -1
        sql = f"SELECT * FROM temp.{stage} WHERE row_number > ? ORDER BY row_number LIMIT {CHUNK_ROWS}"  # noqa: S608 - as in stage_sql

        def page() -> list[Any]:
            return list(self.work.connection.exec_driver_sql(sql, (last,)))

        while found := self.work.run("staging rows", page, self.table):
            self._directly((row[0], tuple(row[1:])) for row in found)
            last = found[-1][0]

    def _control(self, sql: str) -> Any:
        return self.work.control(f"staging rows for {self.table}", sql)
