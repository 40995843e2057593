"""Going on behind the last row that was handed out: the same query, asked again from a key on."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import Any, Final

from sqlalchemy import Executable, Row, SelectBase, TextClause, bindparam, select, text, tuple_
from sqlalchemy.types import NullType

from controlroom.database.grammar import Grammar, Kind
from controlroom.database.identifiers import identifier, quoted
from controlroom.errors import QueryError

__all__ = ["Resumable"]

_ROWS: Final = "controlroom_rows"
_READ: Final = {"SELECT", "VALUES", "WITH"}


class Resumable:
    """A query whose rows have a unique key: it is asked in the order of that key, from the beginning or from behind a row.

    Attributes:
        count: How many rows were read.

    Raises:
        QueryError: It is no query, or *key* names no columns. Nothing was run.
    """

    def __init__(self, statement: Executable, what: str, key: Sequence[str], grammar: Grammar) -> None:
        if isinstance(key, str) or not key or not all(isinstance(name, str) for name in key):
            message = "resume_by takes the names of one column or more: ['id']. Nothing was run."
            raise QueryError(message)
        if not isinstance(statement, SelectBase) and not (isinstance(statement, TextClause) and what in _READ):
            message = f"{what} cannot be resumed. Nothing was run. Give a query, or leave out resume_by=…"
            raise QueryError(message)
        self.count: int = 0
        self._statement: Any = statement
        self._key = tuple(key)
        self._grammar = grammar
        self._last: tuple[Any, ...] | None = None

    def query(self) -> tuple[Executable, dict[str, Any]]:
        """Return the query for the rows that are left, and its further parameters."""
        after = {} if self._last is None else {f"{_ROWS}_{place}": value for place, value in enumerate(self._last)}
        made = self._as_text(list(after)) if isinstance(self._statement, TextClause) else self._as_select(list(after))
        return made, after

    def _as_text(self, after: list[str]) -> TextClause:
        columns = ", ".join(f"{_ROWS}.{quoted(identifier(name), self._grammar)}" for name in self._key)
        behind = f" WHERE ({columns}) > ({', '.join(f':{name}' for name in after)})" if after else ""
        parts = self._grammar.pieces(self._statement.text)
        inner = "".join(part.replace(";", "") if kind is Kind.CODE else part for part, kind in parts)  # one at the end
        made = text(f"SELECT * FROM (\n{inner}\n) AS {_ROWS}{behind} ORDER BY {columns}")  # noqa: S608 - the caller's query, and quoted names
        # Without a type of Python's: the server knows that of the column beside it.
        untyped = [bindparam(name, type_=NullType()) for name in after]
        return made.bindparams(*self._statement._bindparams.values(), *untyped)  # noqa: SLF001 - what the caller gave types and values

    def _as_select(self, after: list[str]) -> Executable:
        rows = self._statement.subquery(_ROWS)
        missing = [name for name in self._key if name not in rows.c]
        if missing:
            message = f"resume_by: the query has no column {', '.join(missing)}. Nothing was run."
            raise QueryError(message)
        columns = [rows.c[name] for name in self._key]
        made = select(rows).order_by(*columns)
        if not after:
            return made
        last = [bindparam(name, type_=column.type) for name, column in zip(after, columns, strict=True)]
        return made.where(tuple_(*columns) > tuple_(*last))

    def note(self, rows: Sequence[Row[Any]]) -> None:
        """Remember where *rows*, which follow those before, end.

        Raises:
            QueryError: A key comes twice or has no value: rows would be lost or doubled. These were not handed out.
        """
        if not rows:
            return
        names = list(rows[0]._fields)
        if not set(self._key) <= set(names):
            message = f"resume_by={list(self._key)!r}: the rows do not have these columns. None was handed out."
            raise QueryError(message)
        key_of = itemgetter(*(names.index(name) for name in self._key))
        single = len(self._key) == 1
        for index, row in enumerate(rows, start=self.count):
            key = (key_of(row),) if single else key_of(row)
            if key == self._last or None in key:
                fact = "has no value (NULL)" if None in key else "came twice"
                message = (
                    f"resume_by={list(self._key)!r}: the key of row {index} {fact}, so nobody could go on behind it. "
                    "Its chunk was not handed out. Name columns that are unique together."
                )
                raise QueryError(message, row_index=index)
            self._last = key
        self.count += len(rows)
