"""SQLAlchemy's and the driver's exceptions as ours: the fact, the state left behind, the next act.

No message here shows a row: constraint texts of the database name tables and columns only, parameters are hidden by the
engine (``hide_parameters``), and what a column type says about a value it cannot convert is left out, cause included.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Literal, NoReturn

from sqlalchemy import exc

from controlroom.database.meanings import Meaning, Meanings
from controlroom.errors import (
    CommitInDoubtError,
    ControlRoomError,
    DatabaseError,
    IntegrityViolationError,
    QueryError,
)

__all__ = ["Situation", "converting", "reraise", "translated"]

Phase = Literal["connect", "begin", "statement", "commit"]

_STATES: Final[dict[Phase, str]] = {
    "connect": "Nothing was begun.",
    "begin": "Nothing was begun.",
    "statement": "Its unit of work can only be rolled back.",
    "commit": "The whole unit was rolled back.",
}
_ONLY_READS: Final = Meaning(QueryError, "this unit only reads", "Open it without read_only=True in order to write.")
_MISSING_PARAMETER = re.compile(r"A value is required for bind parameter '(?P<name>[^']*)'")


@dataclass(frozen=True, slots=True)
class Situation:
    """Where an error was raised: *what* was being done in which *phase*, to which table and row.

    *token* is the ledger key that was claimed, if one was: its row tells whether a COMMIT in doubt happened.
    """

    what: str
    phase: Phase = "statement"
    table: str | None = None
    row_index: int | None = None
    read_only: bool = False
    token: str | None = None


def translated(error: BaseException, situation: Situation, meanings: Meanings) -> BaseException:
    """Return *error* as one of ours, with itself as the cause; as it is where it is ours or not the database's."""
    if isinstance(error, ControlRoomError):
        return error
    origin = meanings.driver_error(error)
    if origin is not None:
        ours = _from_the_driver(origin, situation, meanings)
    elif isinstance(error, exc.StatementError) and not isinstance(error.orig, exc.SQLAlchemyError):
        return _from_a_type(error, situation)
    elif isinstance(error, exc.SQLAlchemyError):
        ours = _from_sqlalchemy(error, situation)
    else:
        return error
    ours.__cause__ = error
    return ours


def reraise(error: BaseException, ours: BaseException) -> NoReturn:
    """Raise *ours*, the translation of *error*, with the cause that it was given; *error* itself where they are one."""
    if ours is error:
        raise error
    raise ours from ours.__cause__


@contextmanager
def converting() -> Iterator[None]:
    """Report a stored value that its column's type cannot read; the type's own text would show it."""
    try:
        yield
    except (ValueError, TypeError, LookupError, ArithmeticError) as error:
        message = (
            f"A stored value cannot be read as its column's type ({type(error).__name__}). Its unit of work can only be "
            "rolled back. Correct what is stored, or read it as text: sqlalchemy.type_coerce(column, sqlalchemy.String)."
        )
        raise QueryError(message) from None


def _from_the_driver(origin: BaseException, situation: Situation, meanings: Meanings) -> DatabaseError:
    said = meanings.said(origin)
    if situation.phase == "commit" and meanings.leaves_commit_in_doubt(origin):
        return _in_doubt(said, situation)
    meaning = meanings.meaning_of(origin)
    if situation.read_only and meanings.refused_write(origin):
        meaning = _ONLY_READS
    message = f"{_subject(situation)}: {meaning.fact} ({said}). {_STATES[situation.phase]} {meaning.next_act}"
    return meaning.kind(message, table=meanings.table_of(origin) or situation.table, row_index=situation.row_index)


def _in_doubt(said: str, situation: Situation) -> CommitInDoubtError:
    message = (
        f"{_subject(situation)}: no clear answer ({said}). The unit may or may not have committed. "
        "Look before repeating it; db.transact(fn, key=…) finds out by itself."
    )
    return CommitInDoubtError(message, token=situation.token)


def _from_a_type(error: exc.StatementError, situation: Situation) -> DatabaseError:
    """Report a value that its column's type could not convert; the type's own text would show the value."""
    origin = error.orig
    kind = QueryError if isinstance(origin, TypeError) else IntegrityViolationError
    message = (
        f"{_subject(situation)}: a value cannot be converted to its column's type ({type(origin).__name__}). "
        f"{_STATES[situation.phase]} Give values that the column types take."
    )
    return kind(message, table=situation.table, row_index=situation.row_index)


def _from_sqlalchemy(error: exc.SQLAlchemyError, situation: Situation) -> DatabaseError:
    plain = error.orig if isinstance(error, exc.StatementError) and error.orig is not None else error
    said = str(plain.args[0]) if plain.args else type(plain).__name__  # str() would add links and the statement
    if match := _MISSING_PARAMETER.search(said):
        said = f"no value was given for the parameter :{match['name']}"
    if isinstance(error, exc.NoSuchTableError):
        said = f"no such table: {said}"
    state = _STATES[situation.phase]
    message = f"{_subject(situation)}: {said.rstrip('.')}. {state} Correct the statement, its names or its parameters."
    return QueryError(message, table=situation.table, row_index=situation.row_index)


def _subject(situation: Situation) -> str:
    if situation.row_index is None:
        return situation.what
    return f"{situation.what}, row {situation.row_index}"
