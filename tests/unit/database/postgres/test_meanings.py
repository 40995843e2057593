"""What psycopg and asyncpg raise, with a SQLSTATE and without; and no value of a row in what is passed on."""

from __future__ import annotations

import socket
import ssl

import asyncpg
import psycopg
import pytest
from psycopg.pq import DiagnosticField
from sqlalchemy import exc
from sqlalchemy.dialects.postgresql.asyncpg import AsyncAdapt_asyncpg_dbapi

from controlroom.database.postgres.meanings import PostgresMeanings
from controlroom.errors import (
    ControlRoomError,
    DatabaseUnavailableError,
    IntegrityViolationError,
    QueryError,
    TransactionConflictError,
)

MEANINGS = PostgresMeanings()
CANARY = "s3cr3t-canary"
LOST = "server closed the connection unexpectedly\n\tThis probably means the server terminated abnormally"


def by_psycopg(state: str, primary: str, **more: str) -> psycopg.Error:
    fields = {"SEVERITY_NONLOCALIZED": "ERROR", "SQLSTATE": state, "MESSAGE_PRIMARY": primary, **more}
    info = {DiagnosticField[name]: value.encode() for name, value in fields.items()}
    text = "\n".join(fields[name] for name in fields if name.startswith(("MESSAGE", "CONTEXT")))
    return psycopg.errors._class_for_state(state)(text, info=info)


def by_asyncpg(state: str, primary: str, **more: str) -> asyncpg.PostgresError:
    letters = {
        "MESSAGE_DETAIL": "D",
        "TABLE_NAME": "t",
        "CONTEXT": "W",
        "SEVERITY_NONLOCALIZED": "V",
        "SOURCE_FUNCTION": "R",
    }
    fields = {
        "S": "ERROR",
        "V": "ERROR",
        "C": state,
        "M": primary,
        **{letters[name]: value for name, value in more.items()},
    }
    return asyncpg.PostgresError.new(fields)


MAKERS = pytest.mark.parametrize("error_of", [by_psycopg, by_asyncpg])


def adapted(driver: Exception) -> exc.DBAPIError:
    """What SQLAlchemy's adapter makes of asyncpg's exceptions."""
    dbapi = AsyncAdapt_asyncpg_dbapi(asyncpg)
    kind = next(
        dbapi._asyncpg_error_translate[each] for each in type(driver).__mro__ if each in dbapi._asyncpg_error_translate
    )
    origin = kind(driver.args[0], driver)
    origin.__cause__ = driver
    return exc.DBAPIError("SELECT 1", {"a": CANARY}, origin, hide_parameters=True)


@MAKERS
def test_a_text_that_is_not_known_is_left_out_whatever_its_state(error_of) -> None:
    error = error_of("23505", CANARY, MESSAGE_DETAIL=CANARY, TABLE_NAME="people")

    assert MEANINGS.said(error) == "SQLSTATE 23505"
    assert MEANINGS.facts_of(error).table == "people"
    assert CANARY not in f"{MEANINGS.stand_in(error)} {MEANINGS.stand_in(error)!r} {MEANINGS.stand_in(error).__dict__}"


@MAKERS
@pytest.mark.parametrize(
    ("state", "primary", "shown"),
    [
        ("23505", 'duplicate key value violates unique constraint "a_b_key"', None),
        ("22P02", f'invalid input syntax for type integer: "{CANARY}"', "invalid input syntax for type integer"),
        ("22003", f'value "{CANARY}" is out of range for type bigint', "value … is out of range for type bigint"),
        ("22P02", f'invalid input syntax for type json: "{CANARY}\n{CANARY}"', None),
        ("42703", 'column "agee" of relation "people" does not exist', None),
        ("42601", 'syntax error at or near "FRM"', None),
        ("42601", f"syntax error at or near \"'{CANARY}'\"", ""),
        ("42601", f'syntax error in tsquery: "{CANARY}"', ""),
        ("54000", f'word is too long in tsquery: "{CANARY}"', ""),
        ("22023", f'time zone "{CANARY}" not recognized', ""),
        ("40P01", "deadlock detected", None),
        ("57P01", "terminating connection due to administrator command", None),
        ("23505", f"doppelter Schlüsselwert {CANARY}", ""),
    ],
)
def test_words_that_name_things_are_shown_and_values_are_not(error_of, state, primary, shown) -> None:
    error = error_of(state, primary)
    said = MEANINGS.said(error)

    assert CANARY not in said
    if shown is None:
        assert said.startswith(primary.partition(":")[0]) or "json" in primary
    else:
        assert said == (f"{shown}; SQLSTATE {state}" if shown else f"SQLSTATE {state}")


@MAKERS
def test_copy_names_table_column_and_row_without_the_value(error_of) -> None:
    error = error_of(
        "22P02",
        f'invalid input syntax for type integer: "{CANARY}"',
        CONTEXT=f'COPY people, line 3, column age: "{CANARY}"',
    )
    facts = MEANINGS.facts_of(error)

    assert (facts.table, facts.column, facts.row) == ("people", "age", 2)
    assert CANARY not in str(MEANINGS.stand_in(error))


@MAKERS
def test_a_trigger_is_named_by_its_function_and_line_not_by_its_words(error_of) -> None:
    error = error_of("P0001", CANARY, CONTEXT="PL/pgSQL function refuse(integer) line 4 at RAISE")

    assert MEANINGS.said(error) == "PL/pgSQL function refuse(integer) line 4 at RAISE; SQLSTATE P0001"
    assert MEANINGS.meaning_of(error).kind is IntegrityViolationError


@MAKERS
def test_a_stand_in_has_the_class_and_the_names_of_what_it_stands_for(error_of) -> None:
    error = error_of("23505", CANARY, TABLE_NAME="people")
    stand_in = MEANINGS.stand_in(error)

    assert type(stand_in) is type(error)
    assert stand_in.sqlstate == "23505"
    assert MEANINGS.facts_of(stand_in) == MEANINGS.facts_of(error)
    assert MEANINGS.said(stand_in) == MEANINGS.said(error)


def test_what_asyncpg_says_about_an_argument_ends_before_its_value() -> None:
    for tail in (
        "(expected str, got int)",
        "(value out of int32 range)",
        "(an integer is required (got type 'str'))",
        f"({CANARY})",
    ):
        error = asyncpg.DataError(f"invalid input for query argument $2: '{CANARY}' {tail}")
        wrapped = adapted(error)

        assert MEANINGS.driver_error(wrapped) is wrapped.orig
        assert MEANINGS.meaning_of(wrapped.orig).kind is IntegrityViolationError
        assert MEANINGS.said(wrapped.orig).startswith("invalid input for query argument $2")
        stand_in = MEANINGS.stand_in(wrapped.orig)
        assert type(stand_in) is type(wrapped.orig)
        assert isinstance(stand_in.driver_exception, asyncpg.DataError)
        for shown in (MEANINGS.said(wrapped.orig), str(stand_in), repr(stand_in), repr(stand_in.driver_exception)):
            assert CANARY not in shown


def test_executemany_of_asyncpg_says_which_row() -> None:
    error = asyncpg.DataError(
        f"invalid input for query argument $1 in element #7 of executemany() sequence: '{CANARY}' ({CANARY})"
    )

    assert MEANINGS.facts_of(error).row == 7


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (psycopg.OperationalError(LOST), DatabaseUnavailableError),
        (psycopg.OperationalError("no answer in 2 s"), DatabaseUnavailableError),
        (psycopg.OperationalError("the connection is closed"), DatabaseUnavailableError),
        (psycopg.DataError("PostgreSQL text fields cannot contain NUL (0x00) bytes"), IntegrityViolationError),
        (psycopg.ProgrammingError("cannot adapt type 'object' using placeholder '%s' (format: AUTO)"), QueryError),
        (psycopg.NotSupportedError("x"), QueryError),
        (psycopg.InterfaceError("the cursor is closed"), QueryError),
        (asyncpg.InterfaceError("connection is closed"), DatabaseUnavailableError),
        (asyncpg.InterfaceError("cannot perform operation: another operation is in progress"), QueryError),
        (asyncpg.InterfaceError("the server expects 2 arguments for this query, 1 was passed"), QueryError),
        (
            asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation"),
            DatabaseUnavailableError,
        ),
        (
            asyncpg.InternalClientError("cannot switch to state 11; another operation (2) is in progress"),
            DatabaseUnavailableError,
        ),
        (TimeoutError(), DatabaseUnavailableError),
        (ConnectionRefusedError(111, "Connect call failed ('127.0.0.1', 1)"), DatabaseUnavailableError),
        (socket.gaierror(-2, "Name or service not known"), DatabaseUnavailableError),
    ],
    ids=repr,
)
def test_errors_without_a_server_behind_them_have_a_meaning_and_leave_a_commit_in_doubt(error, kind) -> None:
    assert MEANINGS.driver_error(error) is error
    assert MEANINGS.meaning_of(error).kind is kind
    assert MEANINGS.leaves_commit_in_doubt(error)
    assert MEANINGS.said(error)
    assert MEANINGS.misconfigured(error) is None or isinstance(error, psycopg.ProgrammingError)


def test_a_text_that_cannot_be_encoded_is_the_datas_fault_and_not_in_the_arguments() -> None:
    with pytest.raises(UnicodeEncodeError) as caught:
        f"{CANARY}\ud800".encode()

    assert MEANINGS.driver_error(caught.value) is caught.value
    assert MEANINGS.meaning_of(caught.value).kind is IntegrityViolationError
    assert MEANINGS.said(caught.value) == "surrogates not allowed"
    assert CANARY not in repr(MEANINGS.stand_in(caught.value).args)


def test_a_bare_timeout_that_sqlalchemy_took_for_a_wrong_value_is_a_lost_connection() -> None:
    wrapped = exc.StatementError("(builtins.TimeoutError)", "SELECT 1", None, TimeoutError())

    assert MEANINGS.driver_error(wrapped) is wrapped.orig


@MAKERS
@pytest.mark.parametrize(
    ("state", "severity", "in_doubt"),
    [
        ("23505", "ERROR", False),
        ("40001", "ERROR", False),
        ("40P01", "ERROR", False),
        ("57014", "ERROR", False),
        ("40003", "ERROR", True),
        ("57P01", "FATAL", True),
        ("57P02", "FATAL", True),
        ("08006", "ERROR", True),
        ("08P01", "FATAL", True),
        ("XX000", "PANIC", True),
        ("53100", "FATAL", True),
        ("25P03", "FATAL", False),
    ],
)
def test_commit_is_in_doubt_where_the_session_ended_with_it(error_of, state, severity, in_doubt) -> None:
    assert MEANINGS.leaves_commit_in_doubt(error_of(state, "said", SEVERITY_NONLOCALIZED=severity)) is in_doubt


@pytest.mark.parametrize(
    ("fatal", "state"),
    [
        ('password authentication failed for user "tests"', "28P01"),
        ('no pg_hba.conf entry for host "10.0.0.1", user "tests", database "d", no encryption', "28000"),
        ('role "tests" does not exist', "28000"),
        ('database "orders" does not exist', "3D000"),
        ('permission denied for database "orders"', "42501"),
        ("unsupported startup parameter: options", "42704"),
    ],
)
def test_a_refusal_at_connect_is_a_wrong_configuration_with_its_state(fatal: str, state: str) -> None:
    error = psycopg.OperationalError(
        f'connection failed: connection to server at "127.0.0.1", port 5432 failed: FATAL:  {fatal}\n'
    )

    assert MEANINGS.misconfigured(error).startswith(fatal)
    assert MEANINGS.facts_of(error).sqlstate == state
    assert ('profile="pooler"' in MEANINGS.misconfigured(error)) is ("startup parameter" in fatal)


@pytest.mark.parametrize(
    "error",
    [
        psycopg.OperationalError("connection failed: server does not support SSL, but SSL was required"),
        psycopg.OperationalError("connection failed: SSL error: certificate verify failed"),
        psycopg.ProgrammingError('invalid connection option "foo"'),
        ssl.SSLCertVerificationError(1, "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed"),
        ConnectionError('PostgreSQL server at "db:5432" rejected SSL upgrade'),
        by_asyncpg("28P01", 'password authentication failed for user "tests"'),
        adapted(by_asyncpg("3D000", 'database "orders" does not exist')),
        TypeError("connect() got an unexpected keyword argument 'foo'"),
    ],
)
def test_what_no_attempt_would_mend_is_a_wrong_configuration(error) -> None:
    assert MEANINGS.misconfigured(error)


@pytest.mark.parametrize(
    "said",
    [
        "connection failed: Connection refused",
        "failed to resolve host 'db': [Errno -2] Name or service not known",
        "connection timeout expired",
        "connection failed: FATAL:  sorry, too many clients already",
        "connection failed: FATAL:  the database system is starting up",
        LOST,
    ],
)
def test_who_is_out_of_reach_may_be_back_later(said: str) -> None:
    assert MEANINGS.misconfigured(psycopg.OperationalError(said)) is None


@MAKERS
def test_a_plan_that_went_stale_is_worth_another_attempt(error_of) -> None:
    error = error_of("0A000", "cached plan must not change result type", SOURCE_FUNCTION="RevalidateCachedQuery")

    assert MEANINGS.meaning_of(error).kind is TransactionConflictError
    assert MEANINGS.meaning_of(
        error_of("0A000", "cannot set transaction read-write mode during recovery")
    ).fact.startswith("this server")


@MAKERS
def test_missing_control_tables_and_several_statements_name_the_next_act(error_of) -> None:
    missing = MEANINGS.meaning_of(error_of("42P01", 'relation "controlroom_ledger" does not exist'))
    several = MEANINGS.meaning_of(error_of("42601", "cannot insert multiple commands into a prepared statement"))

    assert "create_control_tables" in missing.next_act
    assert "several statements" in several.fact
    assert "pooler" in MEANINGS.meaning_of(error_of("26000", 'prepared statement "_pg3_0" does not exist')).next_act


def test_another_packages_errors_are_not_taken_for_the_databases() -> None:
    for error in (ValueError("x"), ControlRoomError("x"), exc.CompileError("x"), KeyError("x")):
        assert MEANINGS.driver_error(error) is None
