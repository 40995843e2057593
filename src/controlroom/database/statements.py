"""The caller's statements as values, made safe to run. Pure: nothing is executed here."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, cast

from sqlalchemy import BindParameter, Executable, Insert, Table, TextClause, Update, text
from sqlalchemy.sql.visitors import iterate

from controlroom.database.backend import Backend
from controlroom.errors import QueryError

__all__ = ["executable", "parameters_of"]

_TRANSACTION_CONTROL: Final = {"BEGIN", "COMMIT", "END", "ROLLBACK", "SAVEPOINT", "RELEASE"}
# What the database reads as one piece: a colon inside it is no parameter.
_OPAQUE = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|/\*.*?\*/", re.DOTALL)
_COMMENTS = re.compile(r"(?:\s+|--[^\n]*(?:\n|$)|/\*.*?\*/)*", re.DOTALL)


def executable(statement: Any) -> tuple[Executable, str]:
    """Return *statement* as SQLAlchemy runs it, and what to call it in an error.

    Raises:
        QueryError: It is empty, no statement, or one that ends the transaction behind the unit's back.
    """
    if isinstance(statement, str):
        return _from_text(statement)
    if isinstance(statement, TextClause):
        _from_text(statement.text)
        return statement, "the statement"
    if not isinstance(statement, Executable):
        message = f"A {type(statement).__name__} is no statement. Nothing was run. Give text or a SQLAlchemy construct."
        raise QueryError(message)
    return statement, _name_of(statement)


@lru_cache(maxsize=1024)
def _from_text(statement: str) -> tuple[TextClause, str]:
    start = cast("re.Match[str]", _COMMENTS.match(statement)).end()
    words = statement[start:].split(None, 1)
    first = words[0].upper().rstrip(";") if words else ""
    if not first:
        message = "The statement is empty. Nothing was run."
        raise QueryError(message)
    if first in _TRANSACTION_CONTROL:
        message = (
            f"{first} is not for a statement: the unit of work commits or rolls back itself. Nothing was run. "
            "Use uow.rollback() or uow.savepoint(), or leave the block."
        )
        raise QueryError(message)
    return text(_OPAQUE.sub(lambda match: match[0].replace(":", "\\:"), statement)), first


def _name_of(statement: Executable) -> str:
    name = type(statement).__name__.upper()
    target = getattr(statement, "table", None)
    return f"{name} {target.name}" if isinstance(target, Table) else name


def parameters_of(statement: Executable, params: Any, backend: Backend) -> Any:
    """Return *params* as SQLAlchemy takes them: a mapping, or a list of mappings for many executions.

    Raises:
        QueryError: They are positional.
    """
    if params is None:
        return None
    many = isinstance(params, Sequence) and not isinstance(params, str | bytes)
    given = [params] if not many else list(params)
    if not given:
        message = "The empty list of parameters runs nothing, not even once. Nothing was run. Ask before you execute."
        raise QueryError(message)
    if not all(isinstance(each, Mapping) for each in given):
        message = (
            "Parameters are given by name: {'id': 7} for :id, or a list of such mappings. Nothing was run; "
            f"a {type(params).__name__} of something else was given."
        )
        raise QueryError(message)
    if isinstance(statement, Insert | Update):
        _require_columns(statement, given)
    if isinstance(statement, TextClause):  # SQLAlchemy's own constructs know the types of their parameters
        given = backend.parameters([dict(each) for each in given])
    return given if many else given[0]


def _require_columns(statement: Insert | Update, given: list[Mapping[str, Any]]) -> None:
    """Refuse values that SQLAlchemy would drop without a word: of unknown columns, or not in the first of many rows."""
    first = set(given[0])
    known = {str(each) for each in getattr(statement.table.c, "keys", list)()}
    unknown = first - known
    if unknown:
        unknown -= {each.key for each in iterate(statement) if isinstance(each, BindParameter)}
    index, surplus = next(
        ((place, set(each) - first) for place, each in enumerate(given) if set(each) - first), (0, set())
    )
    if unknown or surplus:
        fact = "its table has no column" if unknown else f"row {index} has more columns than the first row:"
        message = (
            f"{_name_of(statement)}: {fact} {', '.join(sorted(unknown or surplus))}. Nothing was run. "
            "Give every row of one call the same columns, all of them known."
        )
        raise QueryError(message, table=getattr(statement.table, "name", None), row_index=None if unknown else index)
