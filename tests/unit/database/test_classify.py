"""SQLAlchemy's exceptions and the driver's become ours, with themselves as the cause, and without the row."""

from __future__ import annotations

import sqlite3

import pytest
import sqlalchemy as sa
from sqlalchemy import exc

from controlroom.database.classify import Situation, converting, reraise
from controlroom.database.classify import translated as translated_by
from controlroom.database.sqlite.meanings import SqliteMeanings
from controlroom.errors import (
    CommitInDoubtError,
    ControlRoomError,
    IntegrityViolationError,
    QueryError,
    TransactionConflictError,
)

HERE = Situation("insert into flights", "statement", "flights", 7)


def translated(error: BaseException, situation: Situation) -> BaseException:
    return translated_by(error, situation, SqliteMeanings())


def driver_error(code: int, text: str) -> sqlite3.Error:
    error = sqlite3.OperationalError(text)
    error.sqlite_errorcode = code
    return error


def wrapped(origin: Exception) -> exc.DBAPIError:
    return exc.OperationalError("INSERT INTO flights VALUES (?)", ("s3cret",), origin, hide_parameters=True)


def test_a_wrapped_and_a_bare_error_of_the_driver_mean_the_same() -> None:
    origin = driver_error(sqlite3.SQLITE_BUSY, "database is locked")
    for error in (origin, wrapped(origin)):
        ours = translated(error, HERE)

        assert isinstance(ours, TransactionConflictError)
        assert (ours.table, ours.row_index) == ("flights", 7)
        assert type(ours.__cause__) is type(error)
        assert str(origin) in str(ours.__cause__)
        assert ours.message.startswith(
            "insert into flights, row 7: another connection holds the lock (database is locked)."
        )
        assert "s3cret" not in str(ours.to_dict())


def test_neither_cause_nor_context_is_the_exception_that_was_caught() -> None:
    error = wrapped(driver_error(sqlite3.SQLITE_BUSY, "database is locked"))
    with pytest.raises(TransactionConflictError) as caught:
        try:
            raise error
        except exc.DBAPIError as handled:
            reraise(handled, translated(handled, HERE))

    assert caught.value.__cause__ is not error
    assert caught.value.__cause__.params is None
    assert caught.value.__context__ is None


def test_what_was_raised_from_none_forgets_what_was_handled_and_another_error_does_not() -> None:
    for ours, context in ((QueryError("x"), None), (ValueError("x"), KeyError("s3cret"))):
        ours.__context__, ours.__cause__ = KeyError("s3cret"), None
        with pytest.raises(type(ours)) as caught:
            reraise(ours, ours)
        assert repr(caught.value.__context__) == repr(context)


@pytest.mark.parametrize("ours", [QueryError("mine"), ValueError("the caller's"), KeyboardInterrupt()])
def test_what_is_ours_or_not_the_databases_stays_as_it_is(ours: BaseException) -> None:
    assert translated(ours, HERE) is ours
    with pytest.raises(type(ours)) as caught:
        reraise(ours, ours)
    assert caught.value is ours


@pytest.mark.parametrize(
    ("said", "table"),
    [
        ("UNIQUE constraint failed: people.email", "people"),
        ("UNIQUE constraint failed: hops.a, hops.b", "hops"),
        ("NOT NULL constraint failed: people.name", "people"),
        ("CHECK constraint failed: positive", "flights"),
        ("FOREIGN KEY constraint failed", "flights"),
    ],
)
def test_a_constraint_names_the_table_it_stands_on(said: str, table: str) -> None:
    ours = translated(driver_error(sqlite3.SQLITE_CONSTRAINT, said), HERE)

    assert isinstance(ours, IntegrityViolationError)
    assert ours.table == table


def test_the_phase_says_what_is_left_behind() -> None:
    busy = driver_error(sqlite3.SQLITE_BUSY, "database is locked")

    assert "Nothing was begun" in str(translated(busy, Situation("BEGIN", "begin")))
    assert "can only be rolled back" in str(translated(busy, Situation("x", "statement")))
    assert "was rolled back" in str(translated(busy, Situation("COMMIT", "commit")))


def test_an_io_error_is_definite_in_a_statement_and_in_doubt_at_commit() -> None:
    torn = driver_error(sqlite3.SQLITE_IOERR, "disk I/O error")

    assert not isinstance(translated(torn, HERE), CommitInDoubtError)
    assert isinstance(translated(torn, Situation("COMMIT", "commit")), CommitInDoubtError)


def test_a_refused_write_in_a_read_only_unit_is_the_programs_fault() -> None:
    refused = driver_error(sqlite3.SQLITE_READONLY, "attempt to write a readonly database")

    assert isinstance(translated(refused, Situation("x", read_only=True)), QueryError)
    assert "permissions" in str(translated(refused, Situation("x")))


@pytest.mark.parametrize("origin", [ValueError("s3cret is no date"), TypeError("s3cret"), LookupError("s3cret")])
def test_what_a_column_type_says_about_a_value_is_not_shown(origin: Exception) -> None:
    ours = translated(exc.StatementError("(builtins) s3cret", "INSERT", None, origin), HERE)

    with pytest.raises(ControlRoomError) as caught:
        reraise(origin, ours)
    assert "s3cret" not in str(caught.value.to_dict())
    with pytest.raises(QueryError) as unread, converting():
        raise origin
    assert "s3cret" not in str(unread.value.to_dict())


def test_sqlalchemys_own_errors_lose_their_links() -> None:
    table = sa.Table("t", sa.MetaData(), sa.Column("id", sa.Integer))
    with pytest.raises(exc.CompileError) as caught:
        sa.insert(table).values(nope=1).compile()

    ours = translated(caught.value, HERE)

    assert isinstance(ours, QueryError)
    assert "nope" in ours.message
    assert "sqlalche.me" not in ours.message
    assert "no such table: t" in str(translated(exc.NoSuchTableError("t"), HERE))
