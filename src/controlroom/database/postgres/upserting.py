"""How an upsert gets into a table of PostgreSQL: a few rows one by one, many by way of a temporary table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from itertools import chain, count, islice
from typing import Any, Final
from weakref import WeakKeyDictionary

from sqlalchemy import Column, MetaData, Table

from controlroom.database.backend import Backend
from controlroom.database.postgres.copyable import Facts, facts_of
from controlroom.database.postgres.merging import (
    Upsert,
    plain_name,
    ranked_sql,
    stage_sql,
    staged_upsert,
    upsert_sql,
)
from controlroom.database.postgres.writing import Batches, Loader
from controlroom.database.rows import RowShape
from controlroom.database.transaction import Transaction
from controlroom.database.writes import Keyed, Numbered, WriteCount
from controlroom.errors import IntegrityViolationError, QueryError

__all__ = ["upsert_rows"]

DIRECT_ROWS: Final = 200
"""Up to that many rows, making a temporary table costs more than it saves."""

_NO_SUCH_KEY: Final = "42P10"
_plain: WeakKeyDictionary[Backend, WeakKeyDictionary[Table, bool]] = WeakKeyDictionary()
_stages = count(1)  # never the same name twice on one connection: asyncpg remembers the types of tables by name


def upsert_rows(
    work: Transaction, shape: RowShape, rows: Iterable[Any], *, key: Sequence[str], update: Sequence[str] | None
) -> WriteCount:
    """Insert the rows whose key is new, update those that differ."""
    upsert = _Upsert(work, shape, Keyed(shape, key, update))
    try:
        return upsert.rows(rows)
    except QueryError as error:
        if error.sqlstate != _NO_SUCH_KEY:
            raise
        raise upsert.keyless(error) from error


class _Upsert(Batches):
    """An upsert of rows of one shape."""

    def __init__(self, work: Transaction, shape: RowShape, keyed: Keyed) -> None:
        super().__init__(work, shape)
        self._keyed = keyed

    def keyless(self, error: QueryError) -> QueryError:
        """Return the error for a key that no unique constraint has."""
        names = ", ".join(each.name for each in self._keyed.key)
        message = (
            f"{self.table}: no unique constraint has the columns of the key ({names}), and no others. Its unit of work can "
            "only be rolled back. Name the columns of the primary key or of a unique constraint, or create one."
        )
        return QueryError(message, table=self.table, sqlstate=error.sqlstate)

    def rows(self, rows: Iterable[Any]) -> WriteCount:
        head = list(islice(rows, DIRECT_ROWS + 1))
        if len(head) > DIRECT_ROWS:
            return self._staged(rows if isinstance(rows, list | tuple) else chain(head, rows))
        try:
            kept = self._keyed.latest(enumerate(self._keyed.driver_rows(head)))
        except TypeError:  # a key of arrays: the server can tell which are the same
            return self._staged(head)
        return self._directly(self._in_order(kept))

    def _in_order(self, rows: list[Numbered]) -> list[Numbered]:
        """Return *rows* by their keys: two units that write the same ones then wait for each other, and do not deadlock."""
        try:
            return sorted(rows, key=lambda numbered: [numbered[1][place] for place in self._keyed.places])
        except TypeError:
            return rows  # values without an order, such as JSON

    def _directly(self, rows: list[Numbered]) -> WriteCount:
        statements = upsert_sql(self._upsert(plain=self._is_plain()), self.dialect)
        written = self.each("upsert into", statements[0], rows)
        inserted = sum(written)
        if len(statements) > 1 and inserted < len(rows):
            written += self.each("upsert into", statements[1], rows)
        updated = len(written) - inserted
        return WriteCount(inserted, updated, len(rows) - inserted - updated)

    def _upsert(self, *, plain: bool) -> Upsert:
        return Upsert(self.shape.table, self.shape.columns, self._keyed.key, self._keyed.update, plain)

    def _is_plain(self) -> bool:
        known = _plain.setdefault(self.work.backend, WeakKeyDictionary())
        if self.shape.table not in known:
            facts = self._facts()
            known[self.shape.table] = facts is None or facts.plain
        return known[self.shape.table]

    def _facts(self) -> Facts | None:
        return self.work.run("looking a table up", partial(facts_of, self.shape.table, self.work.connection))

    def _staged(self, rows: Iterable[Any]) -> WriteCount:
        facts, stage = self._facts(), f"controlroom_stage_{next(_stages)}"
        self._control(stage_sql(stage, self.shape.table, self.shape.columns, self.dialect))
        if facts is None:
            message = (
                f"{self.table}: its columns cannot be looked up. Its unit of work can only be rolled back. Try again."
            )
            raise QueryError(message, table=self.table)
        upsert = self._upsert(plain=facts.plain)
        statements = staged_upsert(stage, upsert, self.dialect)
        self._two(f"EXPLAIN {statements[-1]}")  # a key that is none is refused before all the rows are sent
        columns = [Column(each.name, each.type, key=each.key) for each in self.shape.columns]
        into = Table(stage, MetaData(), *columns, schema="pg_temp")
        staged = Loader(self.work, self.shape, facts, into).load("staging rows for", rows, self._keyed.ready)
        counted = self._merged(stage, upsert, statements, staged)
        self._control(f"DROP TABLE pg_temp.{stage}")
        return counted

    def _merged(self, stage: str, upsert: Upsert, statements: Sequence[str], staged: int) -> WriteCount:
        savepoint = self.work.enter_savepoint()
        try:
            inserted, updated = self._counts(statements, staged)
        except IntegrityViolationError as error:
            if self.work.holds_the_lock and error.row_index is None:
                self.work.undo_to(savepoint)
                self._search_stage(stage, upsert)  # raises the same again, with the row's index
            raise
        self.work.leave_savepoint(savepoint, None)
        kept = staged
        if inserted + updated < staged:
            key = ", ".join(plain_name(each.name, self.dialect) for each in self._keyed.key)
            kept = int(self._control(f"SELECT count(*) FROM (SELECT DISTINCT {key} FROM pg_temp.{stage}) k"))  # noqa: S608 - quoted names
        return WriteCount(inserted, updated, kept - inserted - updated)

    def _counts(self, statements: Sequence[str], staged: int, index: int | None = None) -> tuple[int, int]:
        inserted, updated = self._two(statements[0], index)
        if len(statements) > 1 and inserted < staged:
            updated += self._two(statements[1], index)[1]
        return inserted, updated

    def _two(self, sql: str, index: int | None = None) -> tuple[int, int]:
        def execute() -> tuple[int, int]:
            found: Any = self.work.connection.exec_driver_sql(sql).first()
            return found[0], found[-1]

        return self.work.run(f"upsert into {self.table}", execute, self.table, lambda: index)

    def _search_stage(self, stage: str, upsert: Upsert) -> None:
        """Merge ever smaller parts of what is staged, in the same order, until the refused row is alone."""
        self._control(ranked_sql(stage, upsert, self.dialect))
        ranked = f"pg_temp.{stage}_ranked"
        low, high = 1, int(self._control(f"SELECT count(*) FROM {ranked}")) + 1  # noqa: S608 - a name of our own making
        while high - low > 1:
            middle = (low + high) // 2
            savepoint = self.work.enter_savepoint()
            try:
                self._counts(staged_upsert(stage, upsert, self.dialect, (low, middle)), middle - low)
            except IntegrityViolationError:
                self.work.undo_to(savepoint)
                high = middle
            else:
                low = middle
            self.work.leave_savepoint(savepoint, None)
        index = int(self._control(f"SELECT controlroom_row FROM {ranked} WHERE place = {low}"))  # noqa: S608 - as above
        self._counts(staged_upsert(stage, upsert, self.dialect, (low, high)), 1, index)

    def _control(self, sql: str) -> Any:
        return self.work.control(f"staging rows for {self.table}", sql)
