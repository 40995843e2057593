"""What stands in for an exception that shows a row shows none, wherever one looks."""

from __future__ import annotations

import sqlite3

import pytest
from sqlalchemy import exc

from controlroom.database.sqlite.meanings import SqliteMeanings
from controlroom.database.stand_ins import without_literals, without_values

CANARY = "s3cr3t-canary"


@pytest.mark.parametrize(
    ("sql", "shown"),
    [
        ("SELECT a FROM t WHERE b = 'x''y' AND c = 42.5", "SELECT a FROM t WHERE b = '…' AND c = …"),
        ("INSERT INTO t1 (a2) VALUES ($1, %s, :p3, ?)", "INSERT INTO t1 (a2) VALUES ($1, %s, :p3, ?)"),
        ("SELECT 'never closed", "SELECT '…'"),
        ("DO $$ BEGIN RAISE 'x'; END $$", "DO '…'"),
        ("SELECT $tag$ x $tag$, $tag$ never closed", "SELECT '…', '…'"),
        ('SELECT "a1" FROM "s".t', 'SELECT "a1" FROM "s".t'),
        (None, None),
    ],
)
def test_a_statement_is_shown_without_its_literals(sql: str | None, shown: str | None) -> None:
    assert without_literals(sql) == shown


def test_a_wrapper_keeps_its_class_and_loses_the_parameters() -> None:
    origin = sqlite3.IntegrityError(CANARY)
    origin.sqlite_errorcode, origin.sqlite_errorname = 1811, "SQLITE_CONSTRAINT_TRIGGER"
    wrapped = exc.IntegrityError(f"INSERT INTO t VALUES ('{CANARY}')", (CANARY,), origin, connection_invalidated=True)

    stand_in = without_values(wrapped, SqliteMeanings())

    assert type(stand_in) is exc.IntegrityError
    assert stand_in.connection_invalidated
    assert stand_in.params is None
    assert type(stand_in.orig) is sqlite3.IntegrityError
    assert stand_in.orig is stand_in.__cause__
    assert stand_in.orig.sqlite_errorcode == origin.sqlite_errorcode
    assert "SQLITE_CONSTRAINT_TRIGGER" in str(stand_in)
    for shown in (str(stand_in), repr(stand_in), repr(stand_in.orig.args), stand_in.statement):
        assert CANARY not in shown


def test_an_error_of_sqlalchemys_own_keeps_its_text_and_loses_the_parameters() -> None:
    origin = exc.InvalidRequestError("A value is required for bind parameter 'y'")
    wrapped = exc.StatementError("(x) said", f"SELECT '{CANARY}'", [{"x": CANARY}], origin)

    stand_in = without_values(wrapped, SqliteMeanings())

    assert isinstance(stand_in, exc.StatementError)
    assert "bind parameter 'y'" in str(stand_in)
    assert CANARY not in f"{stand_in} {stand_in.params}"


def test_the_text_that_could_not_be_encoded_is_not_in_the_arguments() -> None:
    with pytest.raises(UnicodeEncodeError) as caught:
        f"{CANARY}\ud800".encode()

    assert CANARY not in repr(without_values(caught.value, SqliteMeanings()).args)


def test_what_is_not_the_databases_is_left_as_it_is() -> None:
    error = KeyError(CANARY)
    assert without_values(error, SqliteMeanings()) is error
