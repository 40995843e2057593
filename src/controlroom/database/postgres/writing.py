"""How rows get into a table of PostgreSQL: `insert` by many executions, `load` by COPY; with the index of the refused one.

Rows are taken from the caller before a statement begins, a chunk at a time: what the caller's iterable does meanwhile has all
the time it wants, may use the same unit, and may fail without leaving a statement half-way.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from functools import partial
from itertools import islice, pairwise
from numbers import Number
from typing import Any, Final
from uuid import UUID

from sqlalchemy import BigInteger, Column, Integer, SmallInteger, Table

from controlroom.database.postgres.batches import Refused, executed
from controlroom.database.postgres.copyable import Facts, copies_columns, facts_of, have_expressions, unfit, way_of
from controlroom.database.postgres.copying import Feed, Way, copied, line_of
from controlroom.database.postgres.link import PostgresLink
from controlroom.database.postgres.merging import insert_sql, plain_name
from controlroom.database.rows import DriverRow, RowShape
from controlroom.database.transaction import SavepointState, Transaction
from controlroom.database.writes import Numbered, Writer, chunks
from controlroom.errors import DatabaseError, IntegrityViolationError, QueryError

__all__ = ["Batches", "Loader", "insert_rows", "load_rows", "pieces"]

COPY_ROWS: Final = 10_000
"""What one COPY takes: it should cost much more than a message to the server and back."""

LISTED_ROWS: Final = 50_000
"""What one COPY takes of rows that are in memory anyway: between two of them, client and server wait for each other."""

_BITS: Final = ((SmallInteger, 16), (BigInteger, 64), (Integer, 32))
_LIBERAL: Final[dict[type, tuple[type, ...]]] = {
    float: (Number,),
    Decimal: (Number,),
    bytes: (bytearray, memoryview),
    UUID: (str,),
}

Ready = Callable[[list[Any], int], list[DriverRow]]


def insert_rows(work: Transaction, shape: RowShape, rows: Iterable[Any]) -> int:
    """Insert rows, in chunks; return how many."""
    writer = Batches(work, shape)
    sql = insert_sql(shape.table, shape.columns, writer.dialect)
    ready = enumerate(shape.driver_rows(rows))
    return sum(len(writer.each("insert into", sql, chunk)) for chunk in chunks(ready))


def load_rows(work: Transaction, shape: RowShape, rows: Iterable[Any]) -> int:
    """Insert rows by COPY where it does what INSERT does; return how many."""
    facts = work.run("looking a table up", partial(facts_of, shape.table, work.connection))
    if facts is None or not copies_columns(shape.columns, shape.table, facts, work.connection.dialect):
        return insert_rows(work, shape, rows)
    loader = Loader(work, shape, facts)
    return loader.load("load into", rows, shape.ready)


def pieces(rows: Iterable[Any]) -> Iterator[list[Any]]:
    """Yield *rows* in lists, each for one COPY."""
    if isinstance(rows, list | tuple):
        bounds = [0, *range(COPY_ROWS, len(rows), LISTED_ROWS), len(rows)]
        yield from (list(rows[begin:end]) for begin, end in pairwise(bounds) if begin < end)
        return
    remaining = iter(rows)
    while piece := list(islice(remaining, COPY_ROWS)):
        yield piece


class Batches(Writer):
    """Driver rows of one shape through one statement."""

    def each(self, what: str, sql: str, rows: Sequence[Numbered]) -> list[bool]:
        """Execute *sql* for each row; return what it returned, or True for each row of the table that it touched.

        asyncpg does not say which row failed: a savepoint is what the search for it goes back to.
        """
        if self.dialect.driver != "asyncpg" or len(rows) == 1:
            return self._sent(what, sql, rows)
        savepoint = self.work.enter_savepoint()
        try:
            touched = self._sent(what, sql, rows)
        except (IntegrityViolationError, QueryError) as error:
            if error.row_index is None and self.work.holds_the_lock and not _blames_the_statement(error.sqlstate):
                self._search(what, sql, rows, savepoint)  # raises the same again, with the row's index
            raise
        self.work.leave_savepoint(savepoint, None)
        return touched

    def _search(self, what: str, sql: str, rows: Sequence[Numbered], savepoint: SavepointState) -> None:
        self.work.undo_to(savepoint)
        while len(rows) > 1:
            half, rest = rows[: len(rows) // 2], rows[len(rows) // 2 :]
            savepoint = self.work.enter_savepoint()
            try:
                self._sent(what, sql, half)
            except (IntegrityViolationError, QueryError):
                self.work.undo_to(savepoint)
                rows = half
            else:
                rows = rest
            self.work.leave_savepoint(savepoint, None)
        self._sent(what, sql, rows)

    def _sent(self, what: str, sql: str, rows: Sequence[Numbered]) -> list[bool]:
        link: Any = self.work.link
        driver_rows = [row for _, row in rows]
        progress: list[int] = []

        def row_index() -> int | None:
            if len(rows) == 1:
                return rows[0][0]
            return rows[progress[0]][0] if progress and progress[0] < len(rows) else None

        def execute() -> list[bool]:
            try:
                return executed(link, sql, driver_rows, progress)
            except Refused as refused:
                raise self.unstorable(rows[refused.place], refused.cause) from None
            except Exception as error:
                if progress == [0] and _blames_the_statement(getattr(error, "sqlstate", None)):
                    progress.clear()
                raise

        return self.work.run(f"{what} {self.table}", execute, self.table, row_index)

    def unstorable(self, numbered: Numbered, cause: Exception) -> DatabaseError:
        """Return the error for a row that the driver could not send."""
        index, row = numbered
        place = _culprit(row, cause, self.shape.columns)
        column = None if place is None else self.shape.columns[place]
        return self.shape.unstorable(column, None if place is None else row[place], index, type(cause))


def _blames_the_statement(sqlstate: str | None) -> bool:
    """Tell whether the statement itself is wrong, not one of its rows; which a policy of the table refuses with 42501."""
    return sqlstate is not None and sqlstate.startswith("42") and sqlstate != "42501"


def _culprit(row: DriverRow, cause: Exception, columns: Sequence[Column[Any]]) -> int | None:
    """Return the place of the value that the driver could not send, as far as that can be seen."""
    if argument := re.search(r"query argument \$(\d+)", str(cause)):
        return int(argument[1]) - 1
    formless = re.search(r"cannot adapt type '(\w+)'", str(cause))
    suspects = (
        place
        for place, value in enumerate(row)
        if (formless and type(value).__name__ == formless[1]) or (isinstance(value, str) and _is_no_text(value))
    )
    only = 0 if len(row) == 1 else _stranger(row, columns)
    return next(suspects, only)


def _stranger(row: DriverRow, columns: Sequence[Column[Any]]) -> int | None:
    """Return the place of the value that is not of its column's kind, where one alone is: asyncpg's COPY names none."""
    strange = [place for place, value in enumerate(row) if not _is_of_the_kind(value, columns[place])]
    return strange[0] if len(strange) == 1 else None


def _is_of_the_kind(value: Any, column: Column[Any]) -> bool:
    """Tell whether *column* takes values like this one; asyncpg is more liberal with some kinds."""
    try:
        kind = column.type.python_type
    except NotImplementedError:  # SQLAlchemy knows no type of Python's for it
        return True
    if kind is int and isinstance(value, int):
        bits = next((bits for each, bits in _BITS if isinstance(column.type, each)), 64)
        return bool(-(1 << bits - 1) <= value < 1 << bits - 1)
    return value is None or isinstance(value, (kind, *_LIBERAL.get(kind, ())))


def _is_no_text(value: str) -> bool:
    """Tell whether no server takes *value* for a text: NUL, or half of a surrogate pair."""
    return "\0" in value or any("\ud800" <= each <= "\udfff" for each in value)


class Loader(Batches):
    """Rows of one shape on their way by COPY into their table, or into one that has columns of the same types."""

    def __init__(self, work: Transaction, shape: RowShape, facts: Facts, into: Table | None = None) -> None:
        super().__init__(work, shape)
        self._into = shape.table if into is None else into
        self._facts = facts
        self._relation = facts.name if into is None else into.name
        self._fires = facts.fires and into is None
        self._copies = not have_expressions(shape.columns, self.dialect)
        self._types: tuple[int, ...] | None = None

    def load(self, what: str, rows: Iterable[Any], ready: Ready) -> int:
        """Load *rows*, made *ready* for the driver; return how many.

        A trigger or a foreign key refuses a row without saying which one it was: where there are some, the search for it
        goes back to a savepoint.
        """
        savepoint = self.work.enter_savepoint() if self._fires else None
        start = count = 0
        for piece in pieces(rows):
            try:
                count += self._piece(what, piece, start, ready)
            except (IntegrityViolationError, QueryError) as error:
                error.table = self.table  # not a temporary one
                if savepoint is not None and error.row_index is None and self.work.holds_the_lock:
                    self.work.undo_to(savepoint)
                    self._inserted(what, enumerate(ready(piece, start), start))  # raises it with the row's index
                raise
            start += len(piece)
        if savepoint is not None:
            self.work.leave_savepoint(savepoint, None)
        return count

    def _piece(self, what: str, piece: list[Any], start: int, ready: Ready) -> int:
        if self._types is None:
            rows = ready(piece, start)
            way = way_of(rows, self.shape.columns, self._facts, self.dialect) if self._copies else None
            if way is None:
                return self._inserted(what, enumerate(rows, start))
            self._types = None if isinstance(way, str) else way
            return self._copied(what, rows, start, lambda block, _: block)
        # Once binary, always binary: a value of another kind cannot be sent, and is never stored as something else.
        return self._copied(what, piece, start, ready)

    def _inserted(self, what: str, rows: Iterator[Numbered]) -> int:
        sql = insert_sql(self._into, self._columns, self.dialect)
        return sum(len(self.each(what, sql, chunk)) for chunk in chunks(rows))

    @property
    def _columns(self) -> tuple[Column[Any], ...]:
        return tuple(self._into.columns[each.key] for each in self.shape.columns)

    def _copied(self, what: str, rows: list[Any], start: int, ready: Ready) -> int:
        link: PostgresLink = self.work.link  # type: ignore[assignment]  # this backend's own
        lines: list[int] = []

        def copy() -> int:
            try:
                return copied(link, self._way, Feed(rows, lambda block, at: self._sendable(ready, block, start + at)))
            except Refused as refused:
                raise self.unstorable((start + refused.place, refused.row), refused.cause) from None
            except Exception as error:
                line = line_of(error, self._relation)
                lines.extend([] if line is None else [start + line])
                raise

        def row_index() -> int | None:
            return lines[0] if lines else None

        return self.work.run(f"{what} {self.table}", copy, self.table, row_index)

    @property
    def _way(self) -> Way:
        return Way(
            target=plain_name(self._into, self.dialect),
            schema=self._into.schema,
            relation=self._into.name,
            columns=tuple(each.name for each in self.shape.columns),
            types=self._types,
            dialect=self.dialect,
        )

    def _sendable(self, ready: Ready, block: list[Any], start: int) -> list[DriverRow]:
        rows = ready(block, start)
        if self._types is not None and self.dialect.driver != "asyncpg" and (found := unfit(rows, self._types)):
            at, place = found
            raise self.shape.unstorable(self.shape.columns[place], rows[at][place], start + at, OverflowError)
        return rows
