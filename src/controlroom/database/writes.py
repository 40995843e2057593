"""How rows get into a table: in chunks, counted, with the index of the one that was refused. Once for both colours."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, Final, NoReturn, cast

from sqlalchemy import Column, CursorResult, Table

from controlroom.database.rows import CountedRows, DriverRow, RowShape, column_of, first_and_rest, shape_of
from controlroom.database.statements import insert_sql, merge_sql, merge_staged, stage_sql
from controlroom.database.transaction import Transaction
from controlroom.errors import IntegrityViolationError, QueryError

__all__ = ["WriteCount", "insert_rows", "upsert_rows"]

_CHUNK_ROWS: Final = 2_000  # what is in memory at once; above it, executemany gains nothing more

Numbered = tuple[int, DriverRow]


@dataclass(frozen=True, slots=True)
class WriteCount:
    """What became of the rows of one call: each is counted once.

    Attributes:
        inserted: Rows that are new in the table.
        updated: Rows that were there and differed.
        unchanged: Rows that were there like this already; nothing was written for them.
    """

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0


class _Writer:
    """Rows of one shape on their way into one table."""

    def __init__(self, work: Transaction, shape: RowShape) -> None:
        self.work = work
        self.shape = shape
        self.table = shape.table.name
        self.dialect = work.connection.dialect

    def many(self, what: str, sql: str, rows: Sequence[Numbered]) -> int:
        """Execute *sql* for each row; return how many rows of the table it touched."""
        counted = CountedRows([row for _, row in rows])

        def row_index() -> int | None:
            if counted.taken == 0 and len(rows) > 1:
                return None  # not a row was looked at: the statement itself is wrong
            return rows[max(counted.taken, 1) - 1][0]

        def execute() -> int:
            return self.work.connection.exec_driver_sql(sql, counted).rowcount

        return self.work.run(f"{what} {self.table}", execute, self.table, row_index)

    def one(self, what: str, statement: Any) -> int:
        """Execute *statement* once; return how many rows of the table it touched."""

        def execute() -> int:
            return cast("CursorResult[Any]", self.work.connection.execute(statement)).rowcount

        return self.work.run(f"{what} {self.table}", execute, self.table)

    def insert(self, rows: Iterable[Any]) -> int:
        sql = insert_sql(self.shape.table, self.shape.columns, self.dialect)
        numbered = enumerate(self.shape.driver_rows(rows))
        return sum(self.many("insert into", sql, chunk) for chunk in _chunks(numbered))


class _Upsert(_Writer):
    """An upsert: directly while the rows fit into one chunk, else by way of a temporary table.

    The temporary table is what keeps memory flat and the counts true: only there can a key that came back after a
    million rows be found again.
    """

    def __init__(self, work: Transaction, shape: RowShape, key: Sequence[str], update: Sequence[str] | None) -> None:
        super().__init__(work, shape)
        self.key = tuple(self._given(name) for name in ([key] if isinstance(key, str) else key))
        if not self.key:
            message = f"{self.table}: key=[] names no column. Nothing was run."
            raise QueryError(message, table=self.table)
        others = tuple(each for each in shape.given if each not in self.key)
        self.update = others if update is None else tuple(self._given(name) for name in update)
        self._key_places = tuple(shape.columns.index(each) for each in self.key)

    def _given(self, name: str) -> Column[Any]:
        column = column_of(self.shape.table, name)
        if column not in self.shape.columns:
            message = f"{self.table}: the rows have no column {name!r}, which key or update names. Nothing was run."
            raise QueryError(message, table=self.table)
        return column

    def rows(self, rows: Iterable[Any]) -> WriteCount:
        numbered = self._keyed(rows)
        head = list(islice(numbered, _CHUNK_ROWS + 1))
        if len(head) <= _CHUNK_ROWS:
            return self._directly(head)
        return self._staged(chain(head, numbered))

    def _keyed(self, rows: Iterable[Any]) -> Iterator[Numbered]:
        for index, row in enumerate(self.shape.driver_rows(rows)):
            for place in self._key_places:
                if row[place] is None:
                    self._refuse(index, self.shape.columns[place].name)
            yield index, row

    def _refuse(self, index: int, name: str) -> NoReturn:
        message = (
            f"{self.table}, row {index}: its key column {name} is NULL, which equals nothing: each run would insert the "
            "row again. The unit of work can only be rolled back. Give every row its key, or set the row aside."
        )
        raise IntegrityViolationError(message, table=self.table, row_index=index)

    def _directly(self, rows: Iterable[Numbered]) -> WriteCount:
        latest: dict[Any, Numbered] = {}
        for numbered in rows:
            # With the type: 1 and 1.0 are one key to Python, but not to a text column.
            identity = tuple([(type(numbered[1][place]), numbered[1][place]) for place in self._key_places])
            latest.pop(identity, None)
            latest[identity] = numbered
        kept = list(latest.values())
        insert, update = merge_sql(self.shape.table, self.shape.columns, self.key, self.update, self.dialect)
        inserted = self.many("upsert into", insert, kept)
        updated = self.many("upsert into", update, kept) if update is not None and inserted < len(kept) else 0
        return WriteCount(inserted, updated, len(kept) - inserted - updated)

    def _staged(self, rows: Iterator[Numbered]) -> WriteCount:
        stage = f"controlroom_stage_{self.work.number()}"
        create, put = stage_sql(stage, self.shape.columns, self.key, self.dialect)
        self._control(create)
        for chunk in _chunks(rows):
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
        sql = f"SELECT * FROM temp.{stage} WHERE row_number > ? ORDER BY row_number LIMIT {_CHUNK_ROWS}"  # noqa: S608 - as in stage_sql

        def page() -> list[Any]:
            return list(self.work.connection.exec_driver_sql(sql, (last,)))

        while found := self.work.run("staging rows", page, self.table):
            self._directly((row[0], tuple(row[1:])) for row in found)
            last = found[-1][0]

    def _control(self, sql: str) -> Any:
        return self.work.control(f"staging rows for {self.table}", sql)


def _chunks(numbered: Iterator[Numbered]) -> Iterator[list[Numbered]]:
    while chunk := list(islice(numbered, _CHUNK_ROWS)):
        yield chunk


def insert_rows(work: Transaction, table: Callable[[], Table], rows: Any, columns: Sequence[str] | None) -> int:
    """Insert *rows*; return how many."""
    with work.guarded():
        if (found := first_and_rest(rows)) is None:
            return 0
        first, every = found
        return _Writer(work, shape_of(table(), first, columns, work.connection.dialect)).insert(every)


def upsert_rows(
    work: Transaction,
    table: Callable[[], Table],
    rows: Any,
    *,
    key: Sequence[str],
    update: Sequence[str] | None,
    columns: Sequence[str] | None,
) -> WriteCount:
    """Insert the rows whose key is new, update those that differ."""
    with work.guarded():
        if (found := first_and_rest(rows)) is None:
            return WriteCount()
        first, every = found
        shape = shape_of(table(), first, columns, work.connection.dialect)
        return _Upsert(work, shape, key, update).rows(every)
