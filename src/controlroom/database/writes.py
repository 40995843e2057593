"""How rows get into a table: in chunks, counted, with the index of the one that was refused. Once for both colours."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from operator import itemgetter
from typing import Any, Final, NoReturn, TypeVar, cast

from sqlalchemy import Column, CursorResult, Dialect, Table

from controlroom.database.rows import CountedRows, DriverRow, RowShape, column_of, first_and_rest, named, shape_of
from controlroom.database.transaction import Transaction
from controlroom.errors import IntegrityViolationError, QueryError

__all__ = [
    "CHUNK_ROWS",
    "Keyed",
    "Numbered",
    "WriteCount",
    "Writer",
    "chunks",
    "insert_rows",
    "load_rows",
    "upsert_rows",
]

CHUNK_ROWS: Final = 2_000
"""What is in memory at once; above it, executemany gains nothing more."""

T = TypeVar("T")
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


class Writer:
    """Rows of one shape on their way into one table."""

    def __init__(self, work: Transaction, shape: RowShape) -> None:
        self.work = work
        self.shape = shape
        self.table: str = shape.table.name
        self.dialect: Dialect = work.connection.dialect

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

    def insert(self, sql: str, rows: Iterable[Any]) -> int:
        """Execute *sql*, an INSERT of one row, for each of *rows*; return how many."""
        numbered = enumerate(self.shape.driver_rows(rows))
        return sum(self.many("insert into", sql, chunk) for chunk in chunks(numbered))


class Keyed:
    """Rows of one shape that a key tells apart.

    Attributes:
        key: Its columns.
        update: The columns to update in rows that are there already.
    """

    def __init__(self, shape: RowShape, key: Sequence[str], update: Sequence[str] | None) -> None:
        self.shape = shape
        self.key: tuple[Column[Any], ...] = tuple(self._given(name) for name in named(shape.table, "key", key))
        if not self.key:
            message = f"{shape.table.name}: key=[] names no column. Nothing was run."
            raise QueryError(message, table=shape.table.name)
        others = tuple(each for each in shape.given if each not in frozenset(self.key))
        self.update: tuple[Column[Any], ...] = others
        if update is not None:
            self.update = tuple(self._given(name) for name in named(shape.table, "update", update))
        order = {each: place for place, each in enumerate(shape.columns)}
        self.places: tuple[int, ...] = tuple(order[each] for each in self.key)

    def _given(self, name: str) -> Column[Any]:
        column = column_of(self.shape.table, name)
        if column not in frozenset(self.shape.columns):
            table = self.shape.table.name
            message = f"{table}: the rows have no column {name!r}, which key or update names. Nothing was run."
            raise QueryError(message, table=table)
        return column

    def driver_rows(self, rows: Iterable[Any], start: int = 0) -> Iterator[DriverRow]:
        """Yield each row as the driver takes it; see `RowShape.driver_rows`.

        Raises:
            IntegrityViolationError: A column of the key is NULL.
        """
        for index, row in enumerate(self.shape.driver_rows(rows, start), start):
            for place in self.places:
                if row[place] is None:
                    self._refuse(index, self.shape.columns[place].name)
            yield row

    def ready(self, rows: list[Any], start: int) -> list[DriverRow]:
        """Return what `driver_rows` yields for *rows*."""
        ready = self.shape.ready(rows, start)
        if any(None in map(itemgetter(place), ready) for place in self.places):
            return list(self.driver_rows(rows, start))
        return ready

    def _refuse(self, index: int, name: str) -> NoReturn:
        table = self.shape.table.name
        message = (
            f"{table}, row {index}: its key column {name} is NULL, which equals nothing: each run would insert the "
            "row again. The unit of work can only be rolled back. Give every row its key, or set the row aside."
        )
        raise IntegrityViolationError(message, table=table, column=name, row_index=index)

    def latest(self, rows: Iterable[Numbered]) -> list[Numbered]:
        """Return the last row of each key, in the order of these.

        Raises:
            TypeError: A value of a key is not hashable.
        """
        found: dict[Any, Numbered] = {}
        for numbered in rows:
            # With the type: 1 and 1.0 are one key to Python, but not to a text column.
            identity = tuple([(type(numbered[1][place]), numbered[1][place]) for place in self.places])
            found.pop(identity, None)
            found[identity] = numbered
        return list(found.values())


def chunks(numbered: Iterator[Numbered]) -> Iterator[list[Numbered]]:
    """Yield the rows in lists of `CHUNK_ROWS` at most."""
    while chunk := list(islice(numbered, CHUNK_ROWS)):
        yield chunk


def insert_rows(work: Transaction, table: Callable[[], Table], rows: Any, columns: Sequence[str] | None) -> int:
    """Insert *rows*; return how many."""
    return _written(work, table, (rows, columns), work.backend.insert, 0)


def load_rows(work: Transaction, table: Callable[[], Table], rows: Any, columns: Sequence[str] | None) -> int:
    """Insert *rows* the fastest way there is; return how many."""
    return _written(work, table, (rows, columns), work.backend.load, 0)


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
    return _written(work, table, (rows, columns), partial(work.backend.upsert, key=key, update=update), WriteCount())


def _written(
    work: Transaction,
    table: Callable[[], Table],
    given: tuple[Any, Sequence[str] | None],
    write: Callable[[Transaction, RowShape, Iterable[Any]], T],
    nothing: T,
) -> T:
    with work.guarded():
        rows, columns = given
        if (found := first_and_rest(rows)) is None:
            return nothing
        first, every = found
        return write(work, shape_of(table(), first, columns, work.backend, work.connection.dialect), every)
