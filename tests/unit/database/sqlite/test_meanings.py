"""Every result code of SQLite has a meaning, and every meaning the right class."""

from __future__ import annotations

import sqlite3

import pytest

from controlroom.database.sqlite.meanings import SqliteMeanings
from controlroom.errors import (
    DatabaseError,
    DatabaseUnavailableError,
    IntegrityViolationError,
    QueryError,
    TransactionConflictError,
)

MEANINGS = SqliteMeanings()
# The primary result codes, but for those that are no errors (OK, ROW, DONE, NOTICE, WARNING) or never leave SQLite.
PRIMARY = {
    "ERROR": QueryError,
    "PERM": DatabaseError,
    "ABORT": QueryError,
    "BUSY": TransactionConflictError,
    "LOCKED": TransactionConflictError,
    "NOMEM": DatabaseError,
    "READONLY": DatabaseError,
    "IOERR": DatabaseError,
    "CORRUPT": DatabaseError,
    "FULL": DatabaseError,
    "CANTOPEN": DatabaseUnavailableError,
    "PROTOCOL": TransactionConflictError,
    "SCHEMA": TransactionConflictError,
    "TOOBIG": IntegrityViolationError,
    "CONSTRAINT": IntegrityViolationError,
    "MISMATCH": IntegrityViolationError,
    "MISUSE": QueryError,
    "AUTH": DatabaseError,
    "RANGE": QueryError,
    "NOTADB": DatabaseError,
}
DEFINITE_AT_COMMIT = set(PRIMARY) - {"IOERR", "CORRUPT", "NOTADB", "CANTOPEN"}


def error_of(
    code: int | None, text: str = "said", kind: type[sqlite3.Error] = sqlite3.OperationalError
) -> sqlite3.Error:
    error = kind(text)
    if code is not None:
        error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize("name", sorted(PRIMARY))
def test_a_code_means_what_the_table_says_extended_or_not(name: str) -> None:
    code = getattr(sqlite3, f"SQLITE_{name}")

    assert MEANINGS.meaning_of(error_of(code)).kind is PRIMARY[name]
    assert MEANINGS.meaning_of(error_of(code | 7 << 8)).kind is PRIMARY[name]
    assert MEANINGS.leaves_commit_in_doubt(error_of(code)) is (name not in DEFINITE_AT_COMMIT)


def test_an_unknown_code_is_an_error_and_leaves_a_commit_in_doubt() -> None:
    assert MEANINGS.meaning_of(error_of(99)).kind is DatabaseError
    assert MEANINGS.leaves_commit_in_doubt(error_of(99))
    assert MEANINGS.leaves_commit_in_doubt(error_of(None, "Connection closed"))


@pytest.mark.parametrize(
    "error",
    [OverflowError("too large"), "\ud800".encode, error_of(None, kind=sqlite3.DataError)],
    ids=["overflow", "surrogate", "data"],
)
def test_a_value_that_does_not_fit_is_the_datas_fault(error: object) -> None:
    if callable(error):
        try:
            error()
        except UnicodeEncodeError as raised:
            error = raised
    assert MEANINGS.meaning_of(error).kind is IntegrityViolationError


def test_what_the_driver_finds_wrong_itself_is_the_programs_fault() -> None:
    assert MEANINGS.meaning_of(error_of(None, "Error binding parameter 1", sqlite3.ProgrammingError)).kind is QueryError
    several = MEANINGS.meaning_of(error_of(None, "You can only execute one statement at a time.", sqlite3.Warning))
    assert "several statements" in several.fact


CANARY = "s3cr3t-" + "canary"
SHOWING = {
    "a trigger": f"SELECT RAISE(ABORT, '{CANARY}')",
    "a path of JSON": f"SELECT json_extract('{{}}', '{CANARY}')",
    "a token": f"SELECT '{CANARY}",
    "an unknown name": f"SELECT * FROM t WHERE a = {CANARY}",
    "a text that is none": f"SELECT CAST(x'{CANARY.encode().hex()}ff' AS TEXT)",
}


@pytest.mark.parametrize("kind", sorted(SHOWING))
def test_what_sqlite_quotes_is_not_passed_on(kind: str) -> None:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE t (a)")
    connection.execute(f"CREATE TRIGGER refuse AFTER INSERT ON t BEGIN SELECT RAISE(ABORT, '{CANARY}'); END")
    try:
        with pytest.raises(sqlite3.Error) as caught:
            connection.execute("INSERT INTO t VALUES (1)" if kind == "a trigger" else SHOWING[kind]).fetchall()
    finally:
        connection.close()

    stand_in = MEANINGS.stand_in(caught.value)
    assert type(stand_in) is type(caught.value)
    assert getattr(stand_in, "sqlite_errorcode", None) == getattr(caught.value, "sqlite_errorcode", None)
    for shown in (MEANINGS.said(caught.value), str(stand_in), repr(stand_in), str(vars(stand_in))):
        assert shown
        assert CANARY.split("-")[1] not in shown


@pytest.mark.parametrize(
    ("said", "names"),
    [
        ("NOT NULL constraint failed: people.name", ("people", "name", None)),
        ("UNIQUE constraint failed: hops.a, hops.b", ("hops", None, None)),
        ("CHECK constraint failed: grown", (None, None, "grown")),
        ("table people has no column named agee", ("people", "agee", None)),
        ("cannot store TEXT value in INTEGER column people.age", ("people", "age", None)),
        ("no such table: people", ("people", None, None)),
    ],
)
def test_what_an_error_names_is_found(said: str, names: tuple[str | None, ...]) -> None:
    facts = MEANINGS.facts_of(error_of(sqlite3.SQLITE_CONSTRAINT, said))

    assert (facts.table, facts.column, facts.constraint) == names


def test_missing_control_tables_name_the_next_act() -> None:
    meaning = MEANINGS.meaning_of(error_of(sqlite3.SQLITE_ERROR, "no such table: controlroom_ledger"))

    assert "create_control_tables" in meaning.next_act
