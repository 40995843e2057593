"""SQLAlchemy's and the driver's exceptions as ours: the fact, the state left behind, the next act.

No message here shows a row, nor does a cause: see `controlroom.database.stand_ins`. What a column type says about a value
that it cannot convert is left out altogether.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final, Literal, NoReturn

from sqlalchemy import exc

from controlroom.database.evidence import NO_EVIDENCE, Evidence
from controlroom.database.meanings import Facts, Meaning, Meanings
from controlroom.database.stand_ins import without_values
from controlroom.errors import (
    CommitInDoubtError,
    ControlRoomError,
    DatabaseError,
    IntegrityViolationError,
    QueryError,
)

__all__ = ["Situation", "converting", "forget_what_was_handled", "reraise", "translated"]

Phase = Literal["connect", "begin", "statement", "ending", "commit"]

_STATES: Final[dict[Phase, str]] = {
    "connect": "Nothing was begun.",
    "begin": "Nothing was begun.",
    "statement": "Its unit of work can only be rolled back.",
    "ending": "The whole unit was rolled back.",
    "commit": "The whole unit was rolled back.",
}
_ONLY_READS: Final = Meaning(QueryError, "this unit only reads", "Open it without read_only=True in order to write.")
_MISSING_PARAMETER = re.compile(r"A value is required for bind parameter '(?P<name>[^']*)'")


@dataclass(frozen=True, slots=True)
class Situation:
    """Where an error was raised: *what* was being done in which *phase*, to which table and row.

    *evidence* is what a COMMIT in doubt can be settled with.
    """

    what: str
    phase: Phase = "statement"
    table: str | None = None
    row_index: int | None = None
    read_only: bool = False
    evidence: Evidence = NO_EVIDENCE


def translated(error: BaseException, situation: Situation, meanings: Meanings) -> BaseException:
    """Return *error* as one of ours, with its stand-in as the cause; as it is where it is ours or not the database's."""
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
    ours.__cause__ = without_values(error, meanings)
    return ours


def reraise(error: BaseException, ours: BaseException) -> NoReturn:
    """Raise *ours*, the translation of *error*, with the cause that it was given; *error* itself where they are one."""
    if ours is error:
        forget_what_was_handled(error)
        raise error
    try:
        raise ours from ours.__cause__
    finally:
        ours.__context__ = None  # Python puts there what is being handled: *error*, which may show a row


def forget_what_was_handled(error: BaseException) -> None:
    """Drop the exception during which *error* of ours was raised ``from None``: nothing prints it, but it may hold a row."""
    if isinstance(error, ControlRoomError) and error.__suppress_context__:
        error.__context__ = None


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
    said, facts = meanings.said(origin), meanings.facts_of(origin)
    if situation.phase == "commit" and meanings.leaves_commit_in_doubt(origin):
        return _in_doubt(said, facts, situation)
    meaning = meanings.meaning_of(origin)
    if situation.read_only and meanings.refused_write(origin):
        meaning = _ONLY_READS
    row_index = facts.row if situation.row_index is None else situation.row_index
    subject = _subject(replace(situation, row_index=row_index))
    message = f"{subject}: {meaning.fact} ({said}). {_STATES[situation.phase]} {meaning.next_act}"
    return meaning.kind(
        message,
        sqlstate=facts.sqlstate,
        table=facts.table or situation.table,
        column=facts.column,
        constraint=facts.constraint,
        row_index=row_index,
    )


def _in_doubt(said: str, facts: Facts, situation: Situation) -> CommitInDoubtError:
    message = (
        f"{_subject(situation)}: no clear answer ({said}). The unit may or may not have committed. "
        f"Look before repeating it: {situation.evidence.how_to_settle()}"
    )
    token, pid, xid, _ = situation.evidence
    return CommitInDoubtError(message, token=token, pid=pid, xid=xid, sqlstate=facts.sqlstate)


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
