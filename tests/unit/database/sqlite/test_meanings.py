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


def test_missing_control_tables_name_the_next_act() -> None:
    meaning = MEANINGS.meaning_of(error_of(sqlite3.SQLITE_ERROR, "no such table: controlroom_ledger"))

    assert "create_control_tables" in meaning.next_act
