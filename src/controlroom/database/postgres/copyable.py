"""Whether values may go by COPY, and how.

Binary COPY has the server take bytes as the column's own type, without a conversion; the text form has it read a text as the
column's type. Both store what INSERT stores only where the value is of the kind that the column has: an aware time, read as a
``timestamp``, would lose its offset without a word. So the kinds are looked at, and INSERT does the rest.
"""

from __future__ import annotations

import datetime as dt
from array import array
from collections.abc import Iterable, Sequence
from decimal import Decimal
from operator import itemgetter
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import Column, Connection, Dialect, Table, bindparam, text
from sqlalchemy.types import TypeEngine

from controlroom.database.postgres.merging import plain_name
from controlroom.database.rows import DriverRow

__all__ = ["Facts", "copies_columns", "facts_of", "have_expressions", "unfit", "way_of"]

_FACTS: Final = text("""
    SELECT a.attname::text, a.attidentity::text || a.attgenerated::text,
           coalesce(nullif(t.typbasetype, 0), t.oid)::bigint, t.typtype::text,
           c.relkind::text, c.relname::text, c.relhastriggers,
           c.relkind NOT IN ('r', 'p') OR c.relhasrules OR row_security_active(c.oid)
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid JOIN pg_type t ON t.oid = a.atttypid
    WHERE c.oid = to_regclass(CAST(:name AS text)) AND a.attnum > 0 AND NOT a.attisdropped
""")

_TEXT: Final = 25
_NAIVE, _AWARE = "naive", "aware"
_KINDS: Final[dict[int, frozenset[Any]]] = {
    16: frozenset([bool]),
    17: frozenset([bytes, bytearray, memoryview]),
    20: frozenset([int]),
    21: frozenset([int]),
    23: frozenset([int]),
    _TEXT: frozenset([str]),
    1042: frozenset([str]),
    1043: frozenset([str]),
    700: frozenset([float, int]),
    701: frozenset([float, int]),
    1082: frozenset([dt.date]),
    1083: frozenset([dt.time]),
    1114: frozenset([_NAIVE]),
    1184: frozenset([_AWARE]),
    1186: frozenset([dt.timedelta]),
    1700: frozenset([Decimal, int]),
    2950: frozenset([UUID]),
    114: frozenset(["Json"]),
    3802: frozenset(["Jsonb"]),
}
"""By the type's number in pg_type (they never change): the kinds of values whose binary form is the column's."""

_ELEMENTS: Final = {
    1000: 16,
    1001: 17,
    1005: 21,
    1007: 23,
    1009: _TEXT,
    1015: 1043,
    1016: 20,
    1021: 700,
    1022: 701,
    1115: 1114,
    1182: 1082,
    1183: 1083,
    1185: 1184,
    1187: 1186,
    1231: 1700,
    2951: 2950,
}
"""The type of the elements of each type of arrays."""

# psycopg cuts a whole number, and a float, to the width of the column, without a word. An array of that width does not.
_WIDTHS: Final = {21: "h", 23: "i"}
_CUT_IN_BINARY: Final = frozenset([700, 1005, 1007, 1021])


class Facts(NamedTuple):
    """What the server says of a table.

    Attributes:
        name: Its bare name, as errors of COPY have it.
        plain: Whether it is a plain table: no partitioned one, no view.
        fires: Whether something may refuse a row behind COPY's back: a trigger, a foreign key.
        copies: Whether COPY does to it what INSERT does.
        types: The number of each column's type; None where only its text form is known.
        fixed: Columns whose values the server computes and INSERT would refuse.
    """

    name: str
    plain: bool
    fires: bool
    copies: bool
    types: dict[str, int | None]
    fixed: frozenset[str]


def facts_of(table: Table, connection: Connection) -> Facts | None:
    """Return what the server says of *table*; None where there is none."""
    name = plain_name(table, connection.dialect)
    found = connection.execute(_FACTS, {"name": name}).all()
    if not found:
        return None
    kind, bare, fires, otherwise = found[0][4:]
    types = {each[0]: _TEXT if each[3] == "e" else int(each[2]) for each in found}
    known = {column: number if number in _KINDS or number in _ELEMENTS else None for column, number in types.items()}
    fixed = frozenset(each[0] for each in found if each[1].startswith("a") or each[1].endswith("s"))
    return Facts(bare, kind == "r", bool(fires), not otherwise, known, fixed)


def copies_columns(columns: Sequence[Column[Any]], table: Table, facts: Facts, dialect: Dialect) -> bool:
    """Tell whether COPY stores in *columns*, and in those that are not among them, what INSERT does."""
    given = frozenset(columns)
    computed = any(each.default is not None and each not in given for each in table.columns)
    fixed = any(each.name in facts.fixed for each in columns)
    return facts.copies and not computed and not fixed and not have_expressions(columns, dialect)


def have_expressions(columns: Sequence[Column[Any]], dialect: Dialect) -> bool:
    """Tell whether the type of one of *columns* has SQL compute what is stored, which only a statement can do."""
    kinds: list[TypeEngine[Any]] = [each.type.dialect_impl(dialect) for each in columns]
    return any(kind.bind_expression(bindparam(None, type_=kind)) is not None for kind in kinds)


def way_of(
    rows: Sequence[DriverRow], columns: Sequence[Column[Any]], facts: Facts, dialect: Dialect
) -> tuple[int, ...] | str | None:
    """Return the numbers of the types for binary COPY, "text" for the text form, None where only INSERT will do."""
    numbers = [facts.types.get(each.name) for each in columns]
    kinds = [_kinds_in(values) for values in zip(*rows, strict=True)]
    if dialect.driver == "asyncpg":  # which has one form for each type, and the same one for INSERT
        known = [number for number in numbers if number is not None]
        return tuple(known) if len(known) == len(numbers) else None
    ways = [_way_of(each, number) for each, number in zip(kinds, numbers, strict=True)]
    if all(way == "binary" for way in ways):
        return tuple(number for number in numbers if number is not None)
    return None if None in ways else "text"


def _way_of(kinds: set[Any], number: int | None) -> str | None:
    allowed = _KINDS.get(number or 0, frozenset())
    if number in _CUT_IN_BINARY:
        return "text" if kinds <= allowed | {str} else None
    if number in _ELEMENTS:
        return "binary" if kinds <= {("list", each) for each in _KINDS[_ELEMENTS[number]]} else None
    if number is not None and kinds <= allowed:
        return "binary"
    # A text is read as the column's type, by COPY as by INSERT.
    return "text" if kinds <= allowed | {str} else None


def unfit(rows: Sequence[DriverRow], types: Sequence[int]) -> tuple[int, int] | None:
    """Return the row and the column of a whole number that does not fit into its column; None where all do."""
    for place, number in enumerate(types):
        if number in _WIDTHS and not _fit(_WIDTHS[number], list(map(itemgetter(place), rows))):
            for at, row in enumerate(rows):
                if not _fit(_WIDTHS[number], [row[place]]):
                    return at, place
    return None


def _fit(width: str, values: list[Any]) -> bool:
    if None in values:
        values = [value for value in values if value is not None]
    try:
        array(width, values)
    except (OverflowError, TypeError):
        return False
    return True


def _kinds_in(values: Iterable[Any]) -> set[Any]:
    values = tuple(values)
    kinds: set[Any] = set(map(type, values))
    kinds.discard(type(None))
    for kind in [each for each in kinds if each not in _PLAIN]:
        kinds.discard(kind)
        kinds |= {_kind_of(value) for value in values if type(value) is kind}
    return kinds


_PLAIN: Final = frozenset(each for kinds in _KINDS.values() for each in kinds if isinstance(each, type)) - {dt.time}


def _kind_of(value: Any) -> Any:
    match value:
        case dt.datetime():
            return _NAIVE if value.tzinfo is None else _AWARE
        case dt.time():
            return dt.time if value.tzinfo is None else _AWARE
        case list():
            inner = _kinds_in(value)
            nested = any(isinstance(each, tuple) for each in inner)
            return ("list", next(iter(inner))) if len(inner) == 1 and not nested else ("list", "several")
        case _:
            return type(value).__name__
