"""What a live PostgreSQL refuses, ends or loses: the right error of ours, the names, never a row, nothing half-written."""

from __future__ import annotations

import datetime as dt
import io
import json
import logging
import pickle
import signal
import threading
import traceback
from contextlib import contextmanager

import psycopg
import pytest
import sqlalchemy as sa
from psycopg.errors import _sqlcodes
from psycopg.types.json import Jsonb
from psycopg.types.range import Range

from controlroom.database.postgres.sqlstates import UNDECIDED, meaning_of_state
from controlroom.errors import (
    CommitInDoubtError,
    ConfigError,
    ControlRoomError,
    DatabaseError,
    DatabaseUnavailableError,
    Disposition,
    IntegrityViolationError,
    QueryError,
    TransactionConflictError,
)
from controlroom.retrying import Backoff, RetryPolicy
from tests.integration.database_colours import opened

WORLDS = ("psycopg-sync", "psycopg-async", "asyncpg-async")
CANARY = "s3cr3t-" + "canary"  # never in one piece in a line that a traceback would quote
CODE_LENGTH = 5
EVERY_STATE = sorted(code for code in _sqlcodes if len(code) == CODE_LENGTH)
AT_COMMIT = ("23505", "40001", "40P01", "57014", "22P02", "P0001", "XX000", "53100", "08006", "40003", "57P01")
QUICK = RetryPolicy(attempts=3, backoff=Backoff(initial_s=0))
LIMIT_S = 20

TABLES = """
    CREATE TABLE places (id integer PRIMARY KEY);
    CREATE TABLE people (
        id integer PRIMARY KEY, email varchar(40) CONSTRAINT one_email UNIQUE, age integer NOT NULL CONSTRAINT grown CHECK (age > 0),
        place integer CONSTRAINT lives REFERENCES places, during int4range, note text, CONSTRAINT apart EXCLUDE USING gist (during WITH &&)
    );
    CREATE TABLE late (code text, said text);
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION USING ERRCODE = NEW.code, MESSAGE = NEW.said, DETAIL = NEW.said; END $$;
    CREATE CONSTRAINT TRIGGER too_late AFTER INSERT ON late DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse();
"""


@pytest.fixture(scope="module")
def postgres_url(postgres_cluster):
    """One database for all of them: each begins with empty tables."""
    name = postgres_cluster.new_database()
    url = postgres_cluster.sqlalchemy_url(name)
    with psycopg.connect(plain(url), autocommit=True) as connection:
        connection.execute(TABLES)
    yield url
    postgres_cluster.drop(name)


@pytest.fixture(params=WORLDS)
def world(request, postgres_url, other):
    driver, colour = request.param.split("-")
    other.execute("ALTER TABLE places DROP COLUMN IF EXISTS name; TRUNCATE people, places, late")
    return colour, postgres_url.replace("+psycopg", f"+{driver}")


@pytest.fixture
def db(world):
    colour, url = world
    with opened(colour, url) as database:
        yield database


@pytest.fixture
def other(postgres_url):
    """Another session, of the driver alone."""
    with psycopg.connect(plain(postgres_url), autocommit=True) as connection:
        yield connection


@pytest.fixture
def heard(caplog):
    """Everything that anybody logs."""
    caplog.set_level(logging.DEBUG)
    yield caplog
    assert CANARY not in caplog.text


def plain(url: str) -> str:
    return url.replace("postgresql+psycopg", "postgresql").replace("postgresql+asyncpg", "postgresql")


def everything_shown(error: BaseException) -> str:
    """Whatever a log, a crash report or a person at a debugger would read of *error*, all that led to it included."""
    seen, pending, parts = set(), [error], []
    while pending:
        one = pending.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        parts += [str(one), repr(one), repr(one.args), repr(vars(one)), *getattr(one, "__notes__", ())]
        parts += [str(getattr(one, name, "")) for name in ("params", "statement", "detail", "query", "as_dict")]
        diag = getattr(one, "diag", None)
        parts += [str(getattr(diag, name)) for name in dir(diag) if not name.startswith("_")] if diag else []
        pending += [one.__cause__, one.__context__, getattr(one, "orig", None)]
    stream = io.StringIO()
    traceback.print_exception(error, file=stream)
    if isinstance(error, ControlRoomError):
        parts += [json.dumps(error.to_dict()), repr(pickle.loads(pickle.dumps(error)).__dict__)]
    return "\n".join([*parts, stream.getvalue()])


@contextmanager
def refused(kind: type[ControlRoomError], **names: object):
    """The block raises *kind* itself, with *names*, and shows no value."""
    with pytest.raises(ControlRoomError) as caught:
        yield caught
    error = caught.value
    assert type(error) is kind, repr(error)
    assert {name: getattr(error, name) for name in names} == names
    assert CANARY not in everything_shown(error)


def count(other, table="people") -> int:
    return other.execute(f"SELECT count(*) FROM {table}").fetchone()[0]


def person(number: int, **values: object) -> dict[str, object]:
    return {"id": number, "email": f"{number}@{CANARY}", "age": 30, **values}


def wait_until(other, condition: str, *params: object) -> None:
    """Until the server says so: a fault of the test fails by the limit of the statement, not of a clock here."""
    other.execute(f"SET statement_timeout = '{LIMIT_S}s'")
    while not other.execute(f"SELECT ({condition})", params).fetchone()[0]:
        other.execute("SELECT pg_sleep(0.01)")


def test_every_state_becomes_what_the_table_says_on_a_live_server(db, heard) -> None:
    """The words are the canary in each: what a function raises under any code is never shown."""
    raising = (
        "DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{}', MESSAGE = '{}', DETAIL = '{}', HINT = '{}',"
        " SCHEMA = 'public', TABLE = 'people', COLUMN = 'age', CONSTRAINT = 'grown'; END $$"
    )
    wrong = {}
    for state in EVERY_STATE:
        with pytest.raises(DatabaseError) as caught, db.unit_of_work() as uow:
            uow.execute(raising.format(state, *[CANARY] * 3))
        error, expected = caught.value, meaning_of_state(state).kind
        found = (type(error), error.disposition, error.sqlstate, error.table, error.column, error.constraint)
        if found != (expected, expected.default_disposition, state, "people", "age", "grown"):
            wrong[state] = found
        if CANARY in everything_shown(error):
            wrong[state] = everything_shown(error)

    assert not wrong
    with db.unit_of_work(read_only=True) as uow:
        assert uow.scalar("SELECT 1") == 1


@pytest.mark.parametrize("state", AT_COMMIT)
def test_a_refusal_at_commit_is_definite_unless_its_state_says_otherwise(db, other, heard, state) -> None:
    with pytest.raises(DatabaseError) as caught, db.unit_of_work() as uow:
        uow.execute("INSERT INTO late VALUES (:code, :said)", {"code": state, "said": CANARY})

    in_doubt = state in UNDECIDED or state.startswith("08")
    assert type(caught.value) is (CommitInDoubtError if in_doubt else meaning_of_state(state).kind)
    assert caught.value.sqlstate == state
    assert CANARY not in everything_shown(caught.value)
    assert count(other, "late") == 0


VIOLATIONS = {
    "unique": ([person(1), person(2, email=f"1@{CANARY}")], "23505", None, "one_email"),
    "null": ([person(1), person(2, age=None)], "23502", "age", None),
    "check": ([person(1), person(2, age=-1)], "23514", None, "grown"),
    "foreign": ([person(1), person(2, place=77)], "23503", None, "lives"),
    "primary": ([person(1), person(1, email=CANARY)], "23505", None, "people_pkey"),
}


@pytest.mark.parametrize("kind", sorted(VIOLATIONS))
def test_a_violated_constraint_names_table_column_and_constraint(db, other, heard, kind) -> None:
    rows, state, column, constraint = VIOLATIONS[kind]
    names = {"sqlstate": state, "table": "people", "column": column, "constraint": constraint}
    with refused(IntegrityViolationError, **names), db.unit_of_work() as uow:
        for row in rows:
            uow.execute(f"INSERT INTO people ({', '.join(row)}) VALUES (:{', :'.join(row)})", row)
    assert count(other) == 0


def test_a_violated_exclusion_names_its_constraint(db, other, heard) -> None:
    with (
        refused(IntegrityViolationError, sqlstate="23P01", table="people", constraint="apart"),
        db.unit_of_work() as uow,
    ):
        for number in (1, 2):
            values = {"id": number, "email": f"{number}@{CANARY}", "low": number}
            uow.execute(
                "INSERT INTO people (id, email, age, during) VALUES (:id, :email, 1, int4range(:low, 9))", values
            )
    assert count(other) == 0


BAD_VALUES = {
    "wrong type": ({"age": CANARY}, IntegrityViolationError),
    "beyond the type": ({"age": 10**12}, IntegrityViolationError),
    "beyond any type": ({"age": 10**40}, IntegrityViolationError),
    "too long": ({"email": CANARY * 5}, IntegrityViolationError),
    "NUL": ({"email": f"{CANARY}\0"}, IntegrityViolationError),
    "a lone surrogate": ({"email": f"{CANARY}\ud800"}, IntegrityViolationError),
    "an object": ({"email": {CANARY: 1}}, None),
}


@pytest.mark.parametrize("kind", sorted(BAD_VALUES))
def test_a_value_that_does_not_fit_is_refused_with_its_row_and_not_shown(db, other, heard, kind) -> None:
    values, expected = BAD_VALUES[kind]
    with pytest.raises(DatabaseError) as caught, db.unit_of_work() as uow:
        uow.insert("people", [person(1)])
        uow.insert("people", [person(2, **values)])
    assert type(caught.value) is expected or (
        expected is None and isinstance(caught.value, QueryError | IntegrityViolationError)
    )
    assert (caught.value.table, caught.value.row_index) == ("people", 0)
    assert CANARY not in everything_shown(caught.value)
    assert count(other) == 0


BAD_ROWS = {
    "unique": ({"id": 3, "email": f"1@{CANARY}"}, "one_email"),
    "null": ({"id": 3, "age": None}, None),
    "check": ({"id": 3, "age": -1}, "grown"),
    "foreign": ({"id": 3, "place": 77}, "lives"),
    "NUL": ({"id": 3, "email": f"{CANARY}\0"}, None),
    "too long": ({"id": 3, "email": CANARY * 5}, None),
    "beyond the type": ({"id": 3, "age": 2**32 + 5}, None),
}


@pytest.mark.parametrize("write", ["insert", "load"])
@pytest.mark.parametrize("kind", sorted(BAD_ROWS))
def test_the_row_that_was_refused_is_named_among_many_and_not_shown(db, other, heard, kind, write) -> None:
    values, constraint = BAD_ROWS[kind]
    rows = [person(number, place=None) for number in range(8)]
    rows[3] |= values
    with refused(IntegrityViolationError, table="people", row_index=3, constraint=constraint), db.unit_of_work() as uow:
        getattr(uow, write)("people", rows)
    assert count(other) == 0


@pytest.mark.parametrize("write", ["insert", "load", "upsert"])
def test_what_a_column_type_cannot_convert_is_not_shown(db, other, heard, write) -> None:
    mail = sa.Column("email", sa.Enum("a", "b", native_enum=False, validate_strings=True))
    table = sa.Table(
        "people", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True), mail, sa.Column("age", sa.Integer)
    )
    with refused(IntegrityViolationError, table="people", row_index=0), db.unit_of_work() as uow:
        getattr(uow, write)(table, [person(1)], **({"key": ["id"]} if write == "upsert" else {}))
    with refused(QueryError), db.unit_of_work() as uow:
        other.execute("INSERT INTO people (id, age, email) VALUES (1, 1, %s)", [CANARY])
        uow.execute(sa.select(table)).all()


class Nowhere(dt.tzinfo):
    """A time zone whose text holds what it was asked about."""

    def utcoffset(self, _: dt.datetime | None) -> dt.timedelta:
        raise ValueError(CANARY)


class Unprintable:
    """What cannot even be named."""

    def __repr__(self) -> str:
        raise RuntimeError(CANARY)


UNSENDABLE = {
    "an object": object(),
    "unprintable": Unprintable(),
    "no JSON": Jsonb({CANARY: object()}),
    "no time": dt.datetime(2026, 1, 5, tzinfo=Nowhere()),
    "no range": Range(CANARY, 5),
    "beyond any text": 10**5000,
    "a list of two kinds": [1, CANARY],
}


@pytest.mark.parametrize("kind", sorted(UNSENDABLE))
def test_what_a_drivers_own_types_raise_is_an_error_of_ours(db, heard, kind) -> None:
    for column in ("age", "email"):
        with pytest.raises((IntegrityViolationError, QueryError)) as caught, db.unit_of_work() as uow:
            uow.execute(f"INSERT INTO people (id, {column}) VALUES (1, :value)", {"value": UNSENDABLE[kind]})
        assert CANARY not in everything_shown(caught.value)


@pytest.mark.parametrize("read", ["rows", "stream"])
def test_what_fails_half_way_through_a_read_shows_no_value(db, heard, read) -> None:
    sql = "SELECT CASE WHEN n < 5000 THEN n ELSE CAST(:a AS text)::integer END AS n FROM generate_series(1, 6000) AS n"
    with refused(IntegrityViolationError, sqlstate="22P02"):
        list(
            getattr(db, read)(
                sql.replace("CAST(:a AS text)::integer", "CAST(CAST(:a AS text) AS integer)"), {"a": CANARY}
            )
        )


def test_a_value_too_large_for_an_index_does_not_fit(db, other, heard) -> None:
    other.execute("CREATE UNIQUE INDEX IF NOT EXISTS notes ON people (note)")
    with refused(IntegrityViolationError, sqlstate="54000"), db.unit_of_work() as uow:
        noise = "SELECT 1, 1, string_agg(md5(n::text), '') || :canary FROM generate_series(1, 500) AS n"
        uow.execute(f"INSERT INTO people (id, age, note) {noise}".replace("::text", " || ''"), {"canary": CANARY})
    assert count(other) == 0


STATEMENTS = {
    "unknown column": ("SELECT agee FROM people WHERE email = :a", QueryError, "42703"),
    "unknown table": ("SELECT 1 FROM poeple WHERE email = :a", QueryError, "42P01"),
    "syntax": ("SELECT FROM WHERE email = :a", QueryError, "42601"),
    "several": ("SELECT 1 WHERE '' = :a; SELECT 2", QueryError, None),
    "a text that is no number": ("SELECT CAST(CAST(:a AS text) AS integer)", IntegrityViolationError, "22P02"),
    "a text that is no date": ("SELECT CAST(CAST(:a AS text) AS date)", IntegrityViolationError, "22007"),
    "a text that is no JSON": ("SELECT CAST(CAST(:a AS text) AS json)", IntegrityViolationError, "22P02"),
    "a text that is no query": ("SELECT to_tsquery('simple', CAST(:a AS text) || ' x')", QueryError, "42601"),
    "a zone that is none": ("SELECT now() AT TIME ZONE CAST(:a AS text)", IntegrityViolationError, "22023"),
    "division by zero": ("SELECT 1 / 0 FROM (SELECT CAST(:a AS text)) AS a", IntegrityViolationError, "22012"),
    "a literal": (f"SELECT '{CANARY}' + :a", QueryError, None),
}


@pytest.mark.parametrize("kind", sorted(STATEMENTS))
def test_a_wrong_statement_or_parameter_is_refused_and_shows_no_value(db, heard, kind) -> None:
    sql, expected, state = STATEMENTS[kind]
    with pytest.raises(DatabaseError) as caught, db.unit_of_work() as uow:
        uow.execute(sql, {"a": CANARY})
    assert type(caught.value) is expected or state is None
    assert state in (None, caught.value.sqlstate)
    assert CANARY not in everything_shown(caught.value)


def test_missing_parameters_unknown_columns_and_a_closed_database_are_named(world, other, heard) -> None:
    colour, url = world
    with opened(colour, url) as db:
        with refused(QueryError) as missing, db.unit_of_work() as uow:
            uow.execute("INSERT INTO people (id, email, age) VALUES (1, :email, :age)", {"email": CANARY})
        with refused(QueryError, table="people") as unknown, db.unit_of_work() as uow:
            uow.insert("people", [{**person(1), "agee": 1}])
        assert ":age" in missing.value.message
        assert "agee" in unknown.value.message
        db.close()
        with refused(QueryError) as closed, db.unit_of_work():
            pass
    assert "closed" in closed.value.message
    assert count(other) == 0


def test_what_the_role_may_not_is_said_as_that(db, other, heard, postgres_cluster) -> None:
    role = f"barred_{other.info.dbname}"
    other.execute(f"CREATE ROLE {role}")
    try:
        with refused(DatabaseError, sqlstate="42501", disposition=Disposition.STOP) as caught, db.unit_of_work() as uow:
            uow.execute("SELECT set_config('role', :role, true)", {"role": role})
            uow.execute("SELECT * FROM people")
        assert "permission denied for table people" in caught.value.message
    finally:
        other.execute(f"DROP ROLE {role}")


def test_a_write_in_a_unit_that_only_reads_and_a_server_that_only_reads_are_told_apart(db) -> None:
    with refused(QueryError, sqlstate="25006") as reads, db.unit_of_work(read_only=True) as uow:
        uow.execute("DELETE FROM people")
    with refused(QueryError, sqlstate="25006") as standby, db.unit_of_work() as uow:
        uow.execute("SELECT set_config('transaction_read_only', 'on', true)")
        uow.execute("DELETE FROM people")
    assert "read_only=True" in reads.value.message
    assert "primary" in standby.value.message


def test_missing_control_tables_name_what_to_call(db) -> None:
    with refused(QueryError) as caught, db.unit_of_work() as uow:
        uow.checkpoints.get("orders")
    assert "create_control_tables" in caught.value.message


def test_a_deadlock_names_itself_and_is_worth_another_attempt(db, other, postgres_url) -> None:
    other.execute("INSERT INTO places VALUES (1), (2)")
    with psycopg.connect(plain(postgres_url)) as rival:
        rival.execute("SET deadlock_timeout = '1h'")  # so that ours looks for the deadlock, and is its victim
        rival.execute("UPDATE places SET id = id WHERE id = 2")
        pid, waiting = (
            rival.info.backend_pid,
            threading.Thread(target=rival.execute, args=["UPDATE places SET id = id WHERE id = 1"]),
        )
        with (
            refused(TransactionConflictError, sqlstate="40P01", disposition=Disposition.RETRY),
            db.unit_of_work() as uow,
        ):
            uow.execute("SELECT set_config('deadlock_timeout', '1ms', true)")
            uow.execute("UPDATE places SET id = id WHERE id = 1")
            waiting.start()
            wait_until(other, "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = %s", pid)
            uow.execute("UPDATE places SET id = id WHERE id = 2")
        waiting.join(LIMIT_S)
        rival.rollback()


def test_a_serialization_failure_is_definite_in_a_statement_and_at_commit(db, other) -> None:
    other.execute("INSERT INTO places VALUES (1)")
    with refused(TransactionConflictError, sqlstate="40001"), db.unit_of_work(isolation="REPEATABLE READ") as uow:
        uow.scalar("SELECT count(*) FROM places")
        other.execute("UPDATE places SET id = id")
        uow.execute("UPDATE places SET id = id")

    with refused(TransactionConflictError, sqlstate="40001"), db.unit_of_work(isolation="SERIALIZABLE") as uow:
        uow.scalar("SELECT count(*) FROM people")
        uow.execute("INSERT INTO places VALUES (2)")
        with other.transaction():
            other.execute("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
            other.execute("SELECT count(*) FROM places")
            other.execute("INSERT INTO people (id, age) VALUES (1, 1)")
    assert count(other, "places") == 1


def test_a_lock_that_is_held_too_long_is_a_conflict(world, other) -> None:
    colour, url = world
    other.execute("INSERT INTO places VALUES (1)")
    with opened(colour, url, lock_timeout_s=0.05) as db, other.transaction():
        other.execute("UPDATE places SET id = id")
        with refused(TransactionConflictError, sqlstate="55P03") as caught, db.unit_of_work() as uow:
            uow.execute("UPDATE places SET id = id")
    assert "lock_timeout_s" in caught.value.message


def test_a_cancelled_statement_is_never_repeated(world, other, heard) -> None:
    colour, url = world
    with opened(colour, url, statement_timeout_s=0.1) as db:
        with refused(QueryError, disposition=Disposition.STOP) as stopped, db.unit_of_work() as uow:
            uow.execute("SELECT pg_sleep(60), CAST(:a AS text)", {"a": CANARY})
        with refused(QueryError, sqlstate="57014", disposition=Disposition.STOP), db.unit_of_work() as uow:
            uow.execute("SELECT pg_cancel_backend(pg_backend_pid()), pg_sleep(60)")
    assert "statement_timeout_s" in stopped.value.message


def test_a_session_that_an_administrator_ended_is_unavailable_and_the_unit_is_repeated(db, other) -> None:
    attempts = []

    with refused(DatabaseUnavailableError, disposition=Disposition.RETRY), db.unit_of_work() as uow:
        uow.execute("INSERT INTO places VALUES (1)")
        uow.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    assert count(other, "places") == 0

    with db.unit_of_work() as uow:
        pid = uow.scalar("SELECT pg_backend_pid()")
    with pytest.raises((DatabaseUnavailableError, CommitInDoubtError)) as caught, db.unit_of_work() as uow:
        pid = uow.scalar("SELECT pg_backend_pid()")
        uow.execute("INSERT INTO places VALUES (2)")
        attempts.append(pid)
        other.execute("SELECT pg_terminate_backend(%s, 10000)", [pid])
    assert count(other, "places") == 0
    assert CANARY not in everything_shown(caught.value)
    with db.unit_of_work() as uow:
        assert uow.scalar("SELECT pg_backend_pid()") != pid


def test_a_unit_that_idles_too_long_is_ended_and_says_so(world, other) -> None:
    colour, url = world
    with opened(colour, url, idle_timeout_s=0.05) as db, refused(DatabaseUnavailableError), db.unit_of_work() as uow:
        pid = uow.scalar("SELECT pg_backend_pid()")
        uow.execute("INSERT INTO places VALUES (1)")
        wait_until(other, "NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = %s)", pid)
        uow.execute("INSERT INTO places VALUES (2)")
    assert count(other, "places") == 0


def test_a_restarted_server_interrupts_the_unit_and_serves_the_next(world, postgres_cluster) -> None:
    colour, url = world
    with opened(colour, url) as db:
        with refused(DatabaseUnavailableError), db.unit_of_work() as uow:
            uow.execute("INSERT INTO places VALUES (1)")
            postgres_cluster.stop(signal.SIGINT)
            try:
                uow.execute("INSERT INTO places VALUES (2)")
            finally:
                with refused(DatabaseUnavailableError, disposition=Disposition.RETRY), db.unit_of_work():
                    pass
                postgres_cluster.start()
        with db.unit_of_work() as uow:
            assert uow.scalar("SELECT count(*) FROM places") == 0


def test_a_plan_that_went_stale_is_a_conflict_and_the_next_attempt_makes_another(world, other) -> None:
    colour, url = world
    with opened(colour, url) as db:
        for _ in range(7):  # psycopg prepares what it has seen five times
            with db.unit_of_work() as uow:
                uow.execute("SELECT * FROM places")
        other.execute("ALTER TABLE places ADD COLUMN name text")
        with db.unit_of_work() as uow:
            uow.execute("SELECT 1")
        try:
            with db.unit_of_work() as uow:
                uow.execute("SELECT * FROM places")
        except TransactionConflictError as error:
            assert error.sqlstate == "0A000"  # noqa: PT017 - drivers that notice by themselves raise nothing
        with db.unit_of_work() as uow:
            assert "name" in uow.execute("SELECT * FROM places").keys()  # noqa: SIM118 - a result, no mapping


def test_a_session_that_forgot_its_prepared_statements_points_to_the_pooler_profile(world, other) -> None:
    colour, url = world
    with opened(colour, url) as db, refused(QueryError, sqlstate="26000") as caught, db.unit_of_work() as uow:
        for _ in range(7):
            uow.execute("SELECT count(*) FROM places")
        uow.execute("DO 'BEGIN EXECUTE ''DEALLOCATE ALL''; END'")
        uow.execute("SELECT count(*) FROM places")
    assert 'profile="pooler"' in caught.value.message


def test_who_is_not_let_in_has_a_wrong_configuration_and_who_finds_nobody_tries_again(
    world, postgres_cluster, heard
) -> None:
    colour, url = world
    name = url.rpartition("/")[2]
    driver_url = url.replace("tests@", f"{name}_role:{CANARY}@")
    hba = postgres_cluster.data / "pg_hba.conf"
    before = hba.read_text()
    try:
        with psycopg.connect(plain(url), autocommit=True) as admin:
            admin.execute(f"CREATE ROLE {name}_role LOGIN PASSWORD 'another' CONNECTION LIMIT 0")
        for line, expected, state in (
            (f"host all {name}_role all scram-sha-256\n", ConfigError, "28P01"),
            (f"host all {name}_role all reject\n", ConfigError, "28000"),
            ("", DatabaseUnavailableError, "53300"),
        ):
            hba.write_text(line + before)
            postgres_cluster.stop(signal.SIGINT)
            postgres_cluster.start()
            with opened(colour, driver_url) as db, refused(expected) as caught, db.unit_of_work():
                pass
            error = caught.value
            assert (error if expected is DatabaseUnavailableError else error.__cause__).sqlstate == state
    finally:
        hba.write_text(before)
        postgres_cluster.stop(signal.SIGINT)
        postgres_cluster.start()
        with psycopg.connect(plain(url), autocommit=True) as admin:
            admin.execute(f"DROP ROLE IF EXISTS {name}_role")


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda url: url + "_nowhere", ConfigError),
        (lambda url: url.replace("tests@", "nobody@"), ConfigError),
        (lambda url: url.replace(url.split(":")[2].split("/")[0], "1"), DatabaseUnavailableError),
    ],
    ids=["no such database", "no such role", "refused"],
)
def test_a_url_that_leads_nowhere(world, change, kind) -> None:
    colour, url = world
    with opened(colour, change(url)) as db, refused(kind), db.unit_of_work():
        pass
