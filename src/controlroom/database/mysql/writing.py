"""How rows get into a table of MySQL.

The drivers make one statement of many rows, and a server that refuses it does not say which row it was. So a chunk that was
refused is undone and tried again in halves.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import inspect

from controlroom.database.mysql.merging import insert_sql, merge_sql, merge_staged, stage_sql
from controlroom.database.rows import RowShape
from controlroom.database.transaction import Transaction
from controlroom.database.writes import CHUNK_ROWS, Keyed, Numbered, WriteCount, Writer, chunks
from controlroom.errors import IntegrityViolationError, QueryError

if TYPE_CHECKING:
    from controlroom.database.mysql.link import MysqlLink

__all__ = ["insert_rows", "upsert_rows"]


def insert_rows(work: Transaction, shape: RowShape, rows: Iterable[Any]) -> int:
    """Insert rows, in chunks; return how many."""
    writer = _Batches(work, shape)
    return writer.insert(insert_sql(shape.table, shape.columns, writer.dialect), rows)


def upsert_rows(
    work: Transaction, shape: RowShape, rows: Iterable[Any], *, key: Sequence[str], update: Sequence[str] | None
) -> WriteCount:
    """Insert the rows whose key is new, update those that differ."""
    return _Upsert(work, shape, key, update).rows(rows)


class _Batches(Writer):
    """Many rows by one statement, and the index of the one that was refused."""

    def many(self, what: str, sql: str, rows: Sequence[Numbered]) -> int:
        if len(rows) == 1:
            return super().many(what, sql, rows)
        savepoint = self.work.enter_savepoint()
        try:
            count = super().many(what, sql, rows)
        except (IntegrityViolationError, QueryError):
            self.work.undo_to(savepoint)
            self._one_by_half(what, sql, rows)  # raises the same again, with the row's index
            raise
        self.work.leave_savepoint(savepoint, None)
        return count

    def _one_by_half(self, what: str, sql: str, rows: Sequence[Numbered]) -> None:
        while len(rows) > 1:
            half = rows[: len(rows) // 2]
            savepoint = self.work.enter_savepoint()
            try:
                super().many(what, sql, half)
            except (IntegrityViolationError, QueryError):
                self.work.undo_to(savepoint)
                rows = half
            else:
                rows = rows[len(half) :]
        super().many(what, sql, rows)


class _Upsert(_Batches):
    """An upsert: directly while the rows fit into one chunk, else by way of a temporary table.

    The temporary table is what keeps memory flat and the counts true: only there can a key that came back after a
    million rows be found again.
    """

    def __init__(self, work: Transaction, shape: RowShape, key: Sequence[str], update: Sequence[str] | None) -> None:
        super().__init__(work, shape)
        self.keyed = Keyed(shape, key, update)
        self.key, self.update = self.keyed.key, self.keyed.update
        self._require_unique()

    def _require_unique(self) -> None:
        """Refuse a key that no constraint makes one: MySQL would insert the rows again and again."""
        schema, name, work = self.shape.table.schema, self.table, self.work

        def look() -> list[tuple[str, ...]]:
            primary = inspect(work.connection).get_pk_constraint(name, schema=schema)["constrained_columns"]
            return [tuple(primary), *work.backend.uniques(name, schema, work.connection)]

        wanted = {each.name for each in self.key}
        if wanted not in [set(each) for each in work.run("looking a key up", look, name)]:
            message = (
                f"{name}: key={[each.name for each in self.key]} is neither its primary key nor a unique constraint. "
                "Nothing was run. Create a unique index on these columns, or name those of one."
            )
            raise QueryError(message, table=name)

    def rows(self, rows: Iterable[Any]) -> WriteCount:
        numbered = enumerate(self.keyed.driver_rows(rows))
        head = list(islice(numbered, CHUNK_ROWS + 1))
        if len(head) <= CHUNK_ROWS:
            return self._directly(head)
        return self._staged(chain(head, numbered))

    def _directly(self, rows: Iterable[Numbered]) -> WriteCount:
        kept = self.keyed.latest(rows)
        sql = merge_sql(self.shape.table, self.shape.columns, self.key, self.update, self.dialect)
        self._driver.updated = 0
        return self._counted(self.many("upsert into", sql, kept), len(kept))

    @property
    def _driver(self) -> Any:
        return cast("MysqlLink", self.work.link).driver

    def _counted(self, touched: int, rows: int) -> WriteCount:
        """Read the count of an upsert, in which each updated row stands twice."""
        updated = self._driver.updated
        inserted = touched - 2 * updated
        return WriteCount(inserted, updated, rows - inserted - updated)

    def _staged(self, rows: Iterator[Numbered]) -> WriteCount:
        stage = f"controlroom_stage_{self.work.number()}"
        create, put = stage_sql(stage, self.shape.table, self.shape.columns, self.key, self.dialect)
        self._control(f"DROP TEMPORARY TABLE IF EXISTS {stage}")  # of a unit that failed: it outlives a transaction
        self._control(create)
        for chunk in chunks(rows):
            self.many("staging rows for", put, [(index, (index, *row)) for index, row in chunk])
        count = self._merged(stage, int(self._control(f"SELECT count(*) FROM {stage}")))  # noqa: S608 - a name of our own
        self._control(f"DROP TEMPORARY TABLE {stage}")
        return count

    def _merged(self, stage: str, staged: int) -> WriteCount:
        statement = merge_staged(stage, self.shape.table, self.shape.columns, self.key, self.update)
        savepoint = self.work.enter_savepoint()
        self._driver.updated = 0
        try:
            count = self._counted(self.one("upsert into", statement), staged)
        except IntegrityViolationError:
            self.work.undo_to(savepoint)
            self._row_by_row(stage)  # raises the same again, with the row's index
            raise
        self.work.leave_savepoint(savepoint, None)
        return count

    def _row_by_row(self, stage: str) -> None:
        last = -1
        sql = f"SELECT * FROM {stage} WHERE stage_row > %s ORDER BY stage_row LIMIT {CHUNK_ROWS}"  # noqa: S608 - as above

        def page() -> list[Any]:
            return list(self.work.connection.exec_driver_sql(sql, (last,)))

        while found := self.work.run("staging rows", page, self.table):
            self._directly((row[0], tuple(row[1:])) for row in found)
            last = found[-1][0]

    def _control(self, sql: str) -> Any:
        return self.work.control(f"staging rows for {self.table}", sql)
