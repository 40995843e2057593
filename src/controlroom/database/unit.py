"""What a unit of work can do, written once: `UnitOfWork` offers it as it is, `AsyncUnitOfWork` awaited."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar, overload

from sqlalchemy import CursorResult, Executable, Result, Table, UpdateBase
from sqlalchemy.schema import DDLElement

from controlroom.database.classify import converting
from controlroom.database.marks import Checkpoints, Watermarks, claim
from controlroom.database.statements import executable, parameters_of
from controlroom.database.tables import Catalog
from controlroom.database.transaction import Transaction
from controlroom.database.writes import WriteCount, insert_rows, load_rows, upsert_rows
from controlroom.errors import QueryError

__all__ = ["Unit"]

T = TypeVar("T")

_DDL = ("CREATE", "ALTER", "DROP")


def _buffered(result: CursorResult[Any]) -> Result[Any]:
    """Read every row at once: what can fail fails here, and no open cursor stands in the way of COMMIT."""
    if not result.returns_rows:
        return result
    with converting():
        return result.freeze()()


def _first_value(result: CursorResult[Any]) -> Any:
    if not result.returns_rows:
        return None
    with converting():
        return result.scalar()


class Unit:
    """The statements of one unit of work; see `UnitOfWork`."""

    def __init__(self, work: Transaction, catalog: Catalog) -> None:
        self._work = work
        self._catalog = catalog
        self._checkpoints = Checkpoints(work)
        self._watermarks = Watermarks(work)

    @property
    def checkpoints(self) -> Checkpoints:
        """Resumable positions, by name: ``get(name)``, ``set(name, value)``. They commit with the data."""
        return self._checkpoints

    @property
    def watermarks(self) -> Watermarks:
        """How far the data is complete, by name: ``get(name)``, ``advance(name, value)``. They never go back."""
        return self._watermarks

    @overload
    def execute(self, statement: str | UpdateBase, params: Any = None) -> CursorResult[Any]: ...
    @overload
    def execute(self, statement: Executable, params: Any = None) -> Result[Any]: ...
    def execute(self, statement: str | Executable, params: Any = None) -> Result[Any]:
        """Run one statement and return its result, with all rows in memory.

        Args:
            statement: A SQLAlchemy construct, or text with ``:name`` parameters. Colons inside quotes and comments of a
                text are no parameters.
            params: Values by name; a list of such mappings runs the statement once for each. For a text, dates, instants
                (in UTC), decimals and UUIDs are stored as text.

        Returns:
            A SQLAlchemy result. That of a statement that returns no rows has ``rowcount``. It can be read after the
            unit has ended; for more rows than fit into memory use `Database.stream`.

        Raises:
            QueryError: The statement or its parameters are wrong; it holds several statements; it would end the
                transaction.
            IntegrityViolationError: A constraint refused the data.
            DeadlineExceededError: It was stopped at the ambient deadline.
            DoomedTransactionError: The database has already rolled the unit back, after an error that was swallowed.
        """
        return self._run(statement, params, _buffered)

    def _run(self, statement: str | Executable, params: Any, read: Callable[[CursorResult[Any]], T]) -> T:
        prepared, what = executable(statement)
        parameters = parameters_of(prepared, params, self._work.backend)
        if isinstance(prepared, DDLElement) or what in _DDL:
            self._catalog.forget()
        target = getattr(prepared, "table", None)
        table = target.name if isinstance(target, Table) else None
        try:
            return self._work.run(what, lambda: read(self._work.connection.execute(prepared, parameters)), table)
        finally:
            if what == "PRAGMA":
                self._work.link.touched()

    def scalar(self, statement: str | Executable, params: Any = None) -> Any:
        """Run one statement and return the first value of its first row; None where there is no row."""
        return self._run(statement, params, _first_value)

    def insert(self, table: Any, rows: Any, columns: Sequence[str] | None = None) -> int:
        """Insert rows and return how many.

        Args:
            table: A `sqlalchemy.Table`, a mapped class, or a name (looked up in the database once).
            rows: Mappings, all with the keys of the first, or tuples with *columns*; any iterable. A generator is
                consumed in chunks of 2,000 rows, so that memory stays flat. One mapping is one row.
            columns: Names of the columns, for tuples; of mappings, only these are taken.

        Raises:
            IntegrityViolationError: A row was refused; ``.table`` and ``.row_index`` (0-based) say which.
            QueryError: An unknown table or column; a row with other columns than the first.
        """
        count: int = self._writing(insert_rows, table, rows, columns)
        return count

    def upsert(
        self,
        table: Any,
        rows: Any,
        key: Sequence[str],
        update: Sequence[str] | None = None,
        columns: Sequence[str] | None = None,
    ) -> WriteCount:
        """Insert the rows whose key is new and update those that differ.

        Args:
            table: As in `insert`.
            rows: As in `insert`. Where a key comes more than once, the last row wins and is the only one counted.
            key: Columns of the primary key or of a unique constraint. Their values may not be NULL.
            update: Columns to update in rows that are there already; all that are given, when not said. ``[]`` leaves
                those rows alone and counts them as unchanged.
            columns: As in `insert`.

        Returns:
            How many rows were inserted, updated, and left alone because nothing differs (NULL is the same as NULL).

        Raises:
            IntegrityViolationError: A row was refused; ``.table`` and ``.row_index`` (0-based) say which.
            QueryError: As in `insert`; *key* names no unique constraint.

        Guarantees:
            The counts are those of rows of the table. Memory is flat: above 2,000 rows they go by way of a temporary
            table and are merged by two statements, for each of which ``statement_timeout_s`` holds. Not promised: that keys which only a collation makes equal ("a" and "A" under NOCASE) are counted
            once; they are applied in order.
        """
        count: WriteCount = self._writing(upsert_rows, table, rows, key=key, update=update, columns=columns)
        return count

    def load(
        self, table: Any, rows: Any, key: Sequence[str] | None = None, columns: Sequence[str] | None = None
    ) -> WriteCount:
        """Write many rows the fastest way this database has, inside this transaction.

        Args:
            table: As in `insert`.
            rows: As in `insert`.
            key: Merge by this key, as `upsert` does; without it, rows are only added.
            columns: As in `insert`.

        Raises:
            IntegrityViolationError: A row was refused; ``.table`` and ``.row_index`` (0-based) say which.
            QueryError: As in `insert`.
        """
        if key is None:
            return WriteCount(inserted=self._writing(load_rows, table, rows, columns))
        return self.upsert(table, rows, key, columns=columns)

    def once(self, key: str) -> bool:
        """Claim *key* in the ledger: True the first time it commits, else False.

        Call it before the work that *key* stands for, and skip that work on False. The claim commits with the work, or
        not at all; another unit with the same key waits for this one.

        Raises:
            QueryError: The control tables are missing (`Database.create_control_tables`).
        """
        return claim(self._work, key)

    def _writing(self, write: Callable[..., Any], table: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return write(self._work, partial(self._table, table), *args, **kwargs)
        except QueryError:
            self._catalog.forget()
            raise

    def _table(self, given: Any) -> Table:
        return self._work.run("looking a table up", lambda: self._catalog.resolve(given, self._work.connection))
