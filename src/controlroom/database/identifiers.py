"""Names inside of statements, quoted as their database quotes them: never by formatting of texts."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import LiteralString, TypeAlias

from sqlalchemy import Executable

from controlroom.database.grammar import Grammar, Kind
from controlroom.errors import QueryError

__all__ = ["Identifier", "Sql", "Statement", "identifier", "rendered", "sql"]

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True, slots=True)
class Identifier:
    """A name of the database's, with the schema in front where one was given; made by `identifier`."""

    parts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sql:
    """A statement put together on purpose; made by `sql`."""

    text: str
    pieces: tuple[tuple[str, tuple[Identifier | Sql, ...]], ...] = ()


Statement: TypeAlias = LiteralString | Sql | Executable
"""What can be run: a text that stands in the source, one that was put together by `sql`, or a construct of SQLAlchemy's."""


def identifier(*parts: str) -> Identifier:
    """Return a name for `sql`: ``identifier("orders")``, ``identifier("schema", "odd name")``.

    Args:
        parts: Schema, table, column, as far as wanted; each exactly as the database has it, capitals included.

    Raises:
        QueryError: A part is empty, no text, or holds a NUL character.
    """
    given: tuple[object, ...] = parts
    if not parts or not all(isinstance(part, str) and part and "\0" not in part for part in given):
        message = "A name is a text of one character or more, without NUL. Nothing was run. Give identifier('table')."
        raise QueryError(message)
    return Identifier(parts)


def sql(text: str, /, **pieces: Identifier | Sql | Iterable[Identifier | Sql]) -> Sql:
    """Return a statement from a text that was put together, with names quoted: ``sql("SELECT * FROM {t}", t=identifier("t"))``.

    Under a type checker, `UnitOfWork.execute` and its kin take a text that stands in the source (`typing.LiteralString`);
    this says that another one is meant. Values never belong into it: give them as parameters, ``:name``.

    Args:
        text: The statement. ``{name}`` stands for a piece; inside quotes and comments braces are braces.
        pieces: An `identifier`, a part made by `sql`, or several of them, to be separated by commas.

    Raises:
        QueryError: A piece is something else; a plain text would be a way around the quotes.
    """
    return Sql(text, tuple((name, _checked(name, piece)) for name, piece in pieces.items()))


def _checked(name: str, piece: object) -> tuple[Identifier | Sql, ...]:
    several = (piece,) if isinstance(piece, Identifier | Sql | str) or not isinstance(piece, Iterable) else tuple(piece)
    if not several or not all(isinstance(each, Identifier | Sql) for each in several):
        message = (
            f"The piece {name!r} is neither a name nor SQL. Nothing was run. Give identifier(…), sql(…), or several of "
            "them; give values as parameters."
        )
        raise QueryError(message)
    return several


@lru_cache(maxsize=1024)
def rendered(statement: Sql, grammar: Grammar) -> str:
    """Return the text of *statement*.

    Raises:
        QueryError: A placeholder has no piece, a piece no placeholder, or a name is too long.
    """
    pieces = dict(statement.pieces)
    used: set[str] = set()

    def filled(match: re.Match[str]) -> str:
        name = match[1]
        if name not in pieces:
            message = f"{{{name}}} stands for nothing. Nothing was run. Give sql(…, {name or 'name'}=identifier(…))."
            raise QueryError(message)
        used.add(name)
        return ", ".join(_shown(each, grammar) for each in pieces[name])

    parts = grammar.pieces(statement.text)
    text = "".join(_PLACEHOLDER.sub(filled, part) if kind is Kind.CODE else part for part, kind in parts)
    if left := sorted(pieces.keys() - used):
        message = (
            f"{{{left[0]}}} does not stand in the statement, quotes and comments aside. Nothing was run. Names are quoted "
            "by the library: leave out the quotes around them."
        )
        raise QueryError(message)
    return text


def _shown(piece: Identifier | Sql, grammar: Grammar) -> str:
    return rendered(piece, grammar) if isinstance(piece, Sql) else quoted(piece, grammar)


def quoted(name: Identifier, grammar: Grammar) -> str:
    """Return *name* as SQL.

    Raises:
        QueryError: It is longer than the database keeps, and would stand for another one.
    """
    limit, quote = grammar.longest_name_bytes, grammar.quote
    for part in name.parts:
        if limit is not None and len(part.encode()) > limit:
            message = (
                f"A name has more than {limit} bytes, which {grammar.name} would cut. Nothing was run. Shorten it."
            )
            raise QueryError(message)
    return ".".join(quote + part.replace(quote, quote * 2) + quote for part in name.parts)
