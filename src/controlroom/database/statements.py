"""The caller's statements as values, made safe to run. Pure: nothing is executed here."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import DDL, BindParameter, Executable, Insert, Table, TextClause, Update, text
from sqlalchemy.sql.visitors import iterate

from controlroom.database.backend import Backend
from controlroom.database.grammar import POSTGRESQL, STANDARD, Grammar, Kind
from controlroom.database.identifiers import Sql, rendered
from controlroom.database.refusals import refusal_of
from controlroom.errors import QueryError

__all__ = ["executable", "parameters_of"]

_WORDS = re.compile(r"\w[\w$]*|\S")
_COLONS = re.compile(r"\\:|::")
# Their bodies hold statements, semicolons included: SQLite's triggers, and routines that are written out in SQL.
_WITH_BODY = re.compile(r"CREATE (?:OR REPLACE )?(?:TEMP |TEMPORARY )?(?:TRIGGER|FUNCTION|PROCEDURE)\b")


def executable(statement: Any, grammar: Grammar = STANDARD) -> tuple[Executable, str]:
    """Return *statement* as SQLAlchemy runs it, and what to call it in an error.

    Raises:
        QueryError: It is empty, no statement, several of them, or one that breaks what the unit promises.
    """
    if isinstance(statement, str):
        return _from_text(statement, grammar)
    if isinstance(statement, Sql):
        return _from_text(rendered(statement, grammar), grammar)
    written = getattr(statement, "element", statement)  # of text(…).columns(…)
    if isinstance(written, TextClause):
        return statement, _from_text(written.text, grammar)[1]
    if isinstance(statement, DDL):
        return statement, _from_text(statement.statement, grammar)[1]
    if not isinstance(statement, Executable):
        message = f"A {type(statement).__name__} is no statement. Nothing was run. Give text or a SQLAlchemy construct."
        raise QueryError(message)
    return statement, _name_of(statement)


@lru_cache(maxsize=1024)
def _from_text(statement: str, grammar: Grammar) -> tuple[TextClause, str]:
    if "\0" in statement:  # psycopg sends what stands before it, and nothing of the rest
        message = "The statement holds a NUL character, which ends it for the driver. Nothing was run. Remove it."
        raise QueryError(message)
    parts: list[str] = []
    words: list[str] = []
    for part, kind in grammar.pieces(statement):
        if kind is Kind.CODE:
            parts.append(_COLONS.sub(_without_casts, part) if "::" in part else part)
            words += (word.upper() for word in _WORDS.findall(part))
        else:
            parts.append(part.replace(":", "\\:"))
            words += ["'"] if kind is Kind.QUOTED else []
    while words and words[0] == ";":
        del words[0]
    _require_one(words, grammar)
    said = " ".join(word for word in words if word == "'" or word[0].isalnum() or word[0] == "_")
    if (refused := refusal_of(said, grammar.name)) is not None:
        name, why, instead = refused
        message = f"{name} is not for a statement: {why}. Nothing was run. {instead}"
        raise QueryError(message)
    first = next((word for word in said.split() if word != "'"), "")
    return text("".join(parts)), first or "the statement"


def _without_casts(match: re.Match[str]) -> str:
    """Write ``::`` so that SQLAlchemy leaves it alone, and finds the parameter in front of it."""
    return "\\:\\:" if match[0] == "::" else match[0]


def _require_one(words: list[str], grammar: Grammar) -> None:
    """Refuse what holds no statement, or more than one: psycopg would run them all, where there are no parameters."""
    if not words:
        message = "The statement is empty. Nothing was run."
        raise QueryError(message)
    depth, is_over = 0, False
    body = _body_opener(words, grammar)
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if word == ";":
            is_over = is_over or depth == 0
        elif is_over:
            message = "The text holds several statements. Nothing was run. Give them one at a time, in the same unit."
            raise QueryError(message)
        elif depth:
            depth += (word == "CASE") - (word == "END")
        elif body is not None and (word, following)[: len(body)] == body:
            depth = 1


def _body_opener(words: list[str], grammar: Grammar) -> tuple[str, ...] | None:
    """Return the words that a body begins with which may hold semicolons; None where the statement has no such body."""
    if not _WITH_BODY.match(" ".join(words[:6])):
        return None
    return ("BEGIN", "ATOMIC") if grammar is POSTGRESQL else ("BEGIN",)


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
