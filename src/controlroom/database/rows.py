"""Rows as the caller has them, mappings or tuples, and as the driver takes them: tuples in one order.

Every row of one call has the columns of the first. A row with one more would lose it without a word in the driver's
executemany, one with fewer would be filled with something; both are refused, with their index.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from operator import itemgetter, length_hint
from typing import Any, Final, NoReturn, cast

from sqlalchemy import Boolean, Column, Dialect, Row, Table
from sqlalchemy.sql.schema import CallableColumnDefault, ScalarElementColumnDefault

from controlroom.database.backend import Backend
from controlroom.errors import DatabaseError, IntegrityViolationError, QueryError

__all__ = ["CountedRows", "DriverRow", "RowShape", "as_it_is", "column_of", "first_and_rest", "named", "shape_of"]

DriverRow = tuple[Any, ...]

_TRUTHS: Final[frozenset[type]] = frozenset([bool, type(None)])


def as_it_is(value: Any) -> Any:
    """Return *value*: the converter of a column whose values the driver takes as they are. It is never called for rows."""
    return value


class CountedRows(list[DriverRow]):
    """Rows for a driver that remember how far it has come: the one it took last is the one that failed.

    The list's iterator knows how many it has left. To count them in Python takes half as long as to encode them in C.
    """

    _left: Iterator[DriverRow] | None = None

    def __iter__(self) -> Iterator[DriverRow]:
        self._left = super().__iter__()
        return self._left

    @property
    def taken(self) -> int:
        """How many rows were taken."""
        return 0 if self._left is None else len(self) - length_hint(self._left)


@dataclass(frozen=True, slots=True)
class RowShape:
    """Which columns the rows of one call have, and how each value is made ready for the driver.

    Attributes:
        table: Where they go.
        columns: The columns of a driver row, in the order of the table, as SQLAlchemy writes them into the statement.
        given: Those of them that the caller's rows have; Python fills the others with their defaults.
        kept: By given column, the types of values that its converter returns as they are.
    """

    table: Table
    columns: tuple[Column[Any], ...]
    given: tuple[Column[Any], ...]
    names: tuple[str, ...]
    places: tuple[int, ...]
    converters: tuple[Callable[[Any], Any], ...]
    kept: tuple[frozenset[type], ...]
    fillers: tuple[Callable[[], Any] | None, ...]
    chosen: bool

    def driver_rows(self, rows: Iterable[Any], start: int = 0) -> Iterator[DriverRow]:
        """Yield each row as the driver takes it; the first one has the index *start*.

        Raises:
            QueryError: A row has other columns than the first, or a value has a type that its column does not take.
            IntegrityViolationError: A value cannot be converted.
        """
        picked = enumerate(self._picked(rows, start), start)
        converters = [(place, each) for place, each in enumerate(self.converters) if each is not as_it_is]
        fills = any(self.fillers)
        if not converters and not fills:
            for _, values in picked:
                yield values
            return
        for index, values in picked:
            converted = list(values)
            try:
                for place, convert in converters:
                    converted[place] = convert(converted[place])
            except Exception as error:  # noqa: BLE001 - column types may raise anything, with the value in the text
                self._unconvertible(values, index, type(error))
            yield self._filled(converted) if fills else tuple(converted)

    def ready(self, rows: list[Any], start: int) -> list[DriverRow]:
        """Return what `driver_rows` yields for *rows*: at once and by columns, a quarter of the time, where rows are usual."""
        with suppress(Exception):  # what it is, and in which row, row by row finds out
            if (picked := self._picked_at_once(rows)) is not None:
                return self._converted(picked)
        return list(self.driver_rows(rows, start))

    def _picked_at_once(self, rows: list[Any]) -> list[DriverRow] | None:
        """Return the values of *rows* in the order of the columns, where all of them are of one usual kind, and whole."""
        kinds, width = set(map(type, rows)), len(self.names)
        if kinds == {tuple} and self.chosen and set(map(len, rows)) == {width}:
            return rows if self.places == tuple(range(width)) else list(map(itemgetter(*self.places), rows))
        if kinds == {dict} and (self.chosen or set(map(len, rows)) == {width}):
            return list(map(itemgetter(*self.names), rows)) if width > 1 else [(row[self.names[0]],) for row in rows]
        return None

    def _converted(self, picked: list[DriverRow]) -> list[DriverRow]:
        converting = [place for place in range(len(self.names)) if self._converts_in(place, picked)]
        fills = any(self.fillers)
        if not converting and not fills:
            return picked
        columns: list[Iterable[Any]] = list(zip(*picked, strict=True))
        for place in converting:
            columns[place] = map(self.converters[place], columns[place])
        if fills:
            given = iter(columns)
            columns = [next(given) if fill is None else (fill() for _ in picked) for fill in self.fillers]
        return list(zip(*columns, strict=True))

    def _converts_in(self, place: int, picked: list[DriverRow]) -> bool:
        if self.converters[place] is as_it_is:
            return False
        kept = self.kept[place]
        return not kept or not kept.issuperset(map(type, map(itemgetter(place), picked)))

    def _picked(self, rows: Iterable[Any], start: int) -> Iterator[DriverRow]:
        """Yield the values of each row in the order of the columns: at once for the usual kinds of rows."""
        width, pick = len(self.names), itemgetter(*self.names)
        dicts, tuples = width > 1, self.chosen and self.places == tuple(range(width))
        exact = not self.chosen
        for index, row in enumerate(rows, start):
            kind = type(row)
            if dicts and kind is dict and (not exact or len(row) == width):
                try:
                    values = pick(row)
                except KeyError:
                    values = self._values(row, index)  # which says what is missing
                yield values
            elif tuples and kind is tuple and len(row) == width:
                yield row
            else:
                yield tuple(self._values(row, index))

    def _filled(self, converted: Sequence[Any]) -> DriverRow:
        given = iter(converted)
        return tuple([next(given) if fill is None else fill() for fill in self.fillers])

    def _values(self, row: Any, index: int) -> Sequence[Any]:
        mapping = _as_mapping(row, tuples=self.chosen)
        if mapping is None:
            if not isinstance(row, Sequence) or isinstance(row, str | bytes | bytearray):
                self._refuse(index, f"is a {type(row).__name__}, neither a mapping nor a tuple")
            if not self.chosen:
                self._refuse(index, f"is a {type(row).__name__}, and the first one is a mapping")
            if len(row) != len(self.names):
                self._refuse(index, f"has {len(row)} values for {len(self.names)} columns")
            return [row[place] for place in self.places]
        try:
            values = [mapping[name] for name in self.names]
        except KeyError:
            missing = [name for name in self.names if name not in mapping]
            self._refuse(index, f"has no value for {', '.join(missing)}", missing[0])
        if not self.chosen and len(mapping) != len(values):
            extra = [str(name) for name in mapping if name not in self.names]
            self._refuse(index, f"has more columns than the first row: {', '.join(extra)}", extra[0])
        return values

    def _refuse(self, index: int, fact: str, column: str | None = None) -> NoReturn:
        message = (
            f"{self.table.name}, row {index}: it {fact}. Its unit of work can only be rolled back. "
            "Give every row of one call the same columns, or name them with columns=[…]."
        )
        raise QueryError(message, table=self.table.name, column=column, row_index=index)

    def _unconvertible(self, values: Sequence[Any], index: int, raised: type[Exception]) -> NoReturn:
        culprit = next((place for place, value in enumerate(values) if not _converts(self.converters[place], value)), 0)
        raise self.unstorable(self.given[culprit], values[culprit], index, raised) from None

    def unstorable(
        self, column: Column[Any] | None, value: Any, index: int, raised: type[BaseException]
    ) -> DatabaseError:
        """Return the error for a *value* that *column* cannot take; without a column where nobody knows which it was.

        What was *raised* for it is not its cause: its text would show the value.
        """
        kind = QueryError if issubclass(raised, TypeError) else IntegrityViolationError
        what = "one of its values" if column is None else f"the value of {column.name} (a {type(value).__name__})"
        taken_by = "by its column" if column is None else f"as {column.type!r}"
        message = (
            f"{self.table.name}, row {index}: {what} cannot be stored {taken_by}. Its unit of work can only be rolled "
            "back. Convert it first, or set the row aside."
        )
        return kind(message, table=self.table.name, column=column.name if column is not None else None, row_index=index)


def _converts(convert: Callable[[Any], Any], value: Any) -> bool:
    try:
        convert(value)
    except Exception:  # noqa: BLE001 - see driver_rows
        return False
    return True


def _as_mapping(row: Any, *, tuples: bool) -> Mapping[str, Any] | None:
    if isinstance(row, Row) and not tuples:
        return cast("Mapping[str, Any]", row._mapping)  # noqa: SLF001 - public, despite its name
    return row if isinstance(row, Mapping) else None


def first_and_rest(rows: Any) -> tuple[Any, Iterable[Any]] | None:
    """Return the first row, and all of them; None where there is none. One mapping counts as one row.

    Raises:
        QueryError: *rows* cannot be iterated over.
    """
    if not isinstance(rows, Iterable) or isinstance(rows, str | bytes):
        message = f"The rows are a {type(rows).__name__}. Nothing was run. Give an iterable of mappings or tuples."
        raise QueryError(message)
    if type(rows) in (list, tuple):  # no other: an iterator of their own may see more than their items
        listed = cast("Sequence[Any]", rows)
        return (listed[0], listed) if listed else None
    remaining = iter([rows] if isinstance(rows, Mapping) else rows)
    for first in remaining:
        return first, chain([first], remaining)
    return None


def shape_of(table: Table, first: Any, columns: Sequence[str] | None, backend: Backend, dialect: Dialect) -> RowShape:
    """Return the shape of rows that begin with *first*.

    Raises:
        QueryError: A column is unknown or named twice, or *first* does not say which columns it has.
    """
    names = tuple(map(str, named(table, "columns", columns))) if columns is not None else _names_in(table, first)
    return _shape(table, names, columns is not None, backend, dialect)


def named(table: Table, what: str, given: Any) -> tuple[Any, ...]:
    """Return the names of columns in *given*, the argument *what*: a text is one name.

    Raises:
        QueryError: They cannot be iterated over.
    """
    if isinstance(given, str):
        return (given,)
    if not isinstance(given, Iterable):
        message = f"{table.name}: {what}={given!r} names no columns. Nothing was run. Give their names in a list."
        raise QueryError(message, table=table.name)
    return tuple(given)


@lru_cache(maxsize=256)
def _shape(table: Table, names: tuple[str, ...], chosen: bool, backend: Backend, dialect: Dialect) -> RowShape:  # noqa: FBT001 - part of the cache's key
    given = tuple(column_of(table, name) for name in names)
    if len(set(given)) != len(names) or not names:
        message = f"{table.name}: columns={list(names)} names none, or one twice. Nothing was run."
        raise QueryError(message, table=table.name)
    # By hash, never by ==, which makes SQL of two columns.
    ours = frozenset(given)
    fillers = {each: _filler(each, backend, dialect) for each in table.columns if each not in ours}
    written = tuple(each for each in table.columns if each in ours or fillers[each] is not None)
    order = {each: place for place, each in enumerate(written)}
    places = tuple(sorted(range(len(given)), key=lambda place: order[given[place]]))
    return RowShape(
        table=table,
        columns=written,
        given=tuple(given[place] for place in places),
        names=tuple(names[place] for place in places),
        places=places,
        converters=tuple(backend.converter(given[place], dialect) for place in places),
        kept=tuple(_kept(given[place], dialect) for place in places),
        fillers=tuple(None if each in ours else fillers[each] for each in written),
        chosen=chosen,
    )


def _kept(column: Column[Any], dialect: Dialect) -> frozenset[type]:
    """Return the types of values that the converter of *column* returns as they are: true and false, where there are such."""
    converts_truths = type(column.type.dialect_impl(dialect)).bind_processor is Boolean.bind_processor
    return _TRUTHS if converts_truths and dialect.supports_native_boolean else frozenset()


def _names_in(table: Table, first: Any) -> tuple[str, ...]:
    mapping = _as_mapping(first, tuples=False)
    if mapping is None:
        message = (
            f"{table.name}: the rows are no mappings (the first is a {type(first).__name__}). Nothing was run. "
            "Name the columns of tuples with columns=[…]."
        )
        raise QueryError(message, table=table.name, row_index=0)
    return tuple(mapping)


def column_of(table: Table, name: Any) -> Column[Any]:
    """Return the column called *name*.

    Raises:
        QueryError: There is none.
    """
    column = table.columns.get(name) if isinstance(name, str) else None
    if column is None:
        close = difflib.get_close_matches(str(name), list(table.columns.keys()), n=1)
        hint = f"Did you mean {close[0]!r}?" if close else f"It has {', '.join(table.columns.keys())}."
        message = f"{table.name} has no column {str(name)!r}. Nothing was run. {hint}"
        raise QueryError(message, table=table.name, column=str(name))
    return column


def _filler(column: Column[Any], backend: Backend, dialect: Dialect) -> Callable[[], Any] | None:
    """Return what computes the default that *column* has on the Python side; SQL computes the others itself."""
    convert = backend.converter(column, dialect)
    match column.default:
        case ScalarElementColumnDefault(arg=value):
            return lambda: convert(value)
        case CallableColumnDefault(arg=function):
            return lambda: convert(function(None))  # type: ignore[arg-type]  # no context: there is no statement yet
        case _:
            return None
