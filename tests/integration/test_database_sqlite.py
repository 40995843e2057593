"""What is SQLite's own, in both colours: files, locks, types, PRAGMAs."""

from __future__ import annotations

import sqlite3
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
import sqlalchemy as sa

from controlroom.errors import (
    ConfigError,
    ControlRoomError,
    DoomedTransactionError,
    IntegrityViolationError,
    PoolExhaustedError,
    QueryError,
    TransactionConflictError,
)
from tests.integration.database_colours import COLOURS, opened

pytestmark = pytest.mark.parametrize("colour", COLOURS)

PEOPLE = "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT NOT NULL, born DATE, email TEXT UNIQUE)"


@pytest.fixture
def path(tmp_path):
    with sqlite3.connect(tmp_path / "data.db") as connection:
        connection.execute(PEOPLE)
    connection.close()
    return tmp_path / "data.db"


@pytest.fixture
def db(colour, path):
    with opened(colour, f"sqlite:///{path}", lock_timeout_s=0.2, pool_timeout_s=0.2) as database:
        yield database


def names(path):
    """What somebody else sees in the file."""
    connection = sqlite3.connect(path)
    try:
        return [name for (name,) in connection.execute("SELECT name FROM people ORDER BY id")]
    finally:
        connection.close()


def row(number, name="x", **more):
    return {"id": number, "name": name, **more}


def counts(count):
    return count.inserted, count.updated, count.unchanged


def test_after_the_database_rolled_back_by_itself_nothing_runs_outside_of_a_transaction(db, path):
    """INSERT OR ROLLBACK ends the transaction; what follows would commit at once, each statement for itself."""
    with pytest.raises(DoomedTransactionError), db.unit_of_work() as uow:
        uow.insert("people", [row(1)])
        with pytest.raises(IntegrityViolationError):
            uow.execute("INSERT OR ROLLBACK INTO people (id, name) VALUES (1, 'again')")
        with pytest.raises(DoomedTransactionError, match="was not run"):
            uow.insert("people", [row(2)])
        with pytest.raises(DoomedTransactionError, match="was not run"), uow.savepoint():
            uow.insert("people", [row(3)])

    assert names(path) == []


def test_no_savepoint_brings_back_what_the_database_rolled_back(db, path):
    with pytest.raises(DoomedTransactionError), db.unit_of_work() as uow:
        uow.insert("people", [row(1)])
        with pytest.raises(IntegrityViolationError), uow.savepoint():
            uow.execute("INSERT OR ROLLBACK INTO people (id, name) VALUES (1, 'again')")

    assert names(path) == []


def test_a_hook_may_open_a_unit_of_its_own_even_on_the_only_connection(colour):
    with opened(colour, "sqlite://") as db:
        seen = []

        def hook():
            seen.append(db.rows("SELECT 1") if colour == "sync" else [(1,)])

        with db.unit_of_work() as uow:
            uow.on_commit(hook)
        assert seen == [[(1,)]]


def test_a_pragma_does_not_outlive_its_unit(db, path):
    with db.unit_of_work() as uow:
        uow.execute("PRAGMA query_only = ON")
        uow.scalar("PRAGMA busy_timeout = 7")
    with db.unit_of_work() as uow:
        assert uow.scalar("PRAGMA busy_timeout") == 200
        uow.insert("people", [row(1, "ada")])

    assert names(path) == ["ada"]


def test_two_writers_do_not_begin_at_once_and_the_second_says_why(db, path):
    rival = sqlite3.connect(path, isolation_level=None)
    try:
        rival.execute("BEGIN IMMEDIATE")
        with pytest.raises(TransactionConflictError, match="another connection holds the lock"):
            db.unit_of_work().__enter__()
    finally:
        rival.close()


def test_texts_take_dates_decimals_and_instants(db):
    noon = datetime(2026, 1, 5, 14, tzinfo=timezone(timedelta(hours=2)))
    with db.unit_of_work() as uow:
        found = uow.execute("SELECT :d, :t, :n", {"d": date(2026, 1, 5), "t": noon, "n": Decimal("1.10")}).one()

    assert tuple(found) == ("2026-01-05", "2026-01-05 12:00:00.000000", "1.10")


@pytest.mark.parametrize(
    ("statement", "params", "says"),
    [
        ("SELECT 1; DROP TABLE people", None, "several statements"),
        ("INSERT INTO people (id, name) VALUES (1, 'a'); SELECT 1", None, "several statements"),
        ("", None, "is empty"),
        ("  -- nothing\n", None, "is empty"),
        ("SELEC 1", None, "syntax error"),
        ("SELECT nonsense FROM people", None, "no such column: nonsense"),
        ("SELECT * FROM nowhere", None, "no such table: nowhere"),
        ("SELECT :a", None, "no value was given for the parameter :a"),
        ("SELECT :a", {"b": 1}, "parameter :a"),
        ("SELECT :a", [{"a": 1}, {}], "parameter :a"),
        ("SELECT ?", (1,), "given by name"),
        ("SELECT :a", "text", "given by name"),
        ("SELECT :a", {"a": {"no": "dict"}}, "not supported"),
        ("SELECT 1\0", None, "NUL character"),
        (7, None, "is no statement"),
        (sa.text("COMMIT"), None, "is not for a statement"),
        (sa.insert(sa.Table("people", sa.MetaData(), sa.Column("id", sa.Integer))), {"nope": 1}, "nope"),
    ],
)
def test_a_wrong_statement_is_a_query_error_and_changes_nothing(db, path, statement, params, says):
    with pytest.raises(QueryError) as caught, db.unit_of_work() as uow:
        uow.execute(statement, params)

    assert says in str(caught.value)
    assert names(path) == []


@pytest.mark.parametrize("value", [2**63, "\udcff"])
def test_a_value_that_sqlite_cannot_hold_is_the_datas_fault(db, value):
    with pytest.raises(IntegrityViolationError, match="does not fit"), db.unit_of_work() as uow:
        uow.execute("SELECT :v", {"v": value})


def test_a_text_with_a_nul_byte_comes_back_whole(db):
    with db.unit_of_work() as uow:
        uow.insert("people", [row(1, "a\0b")])

    assert db.rows("SELECT name FROM people") == [("a\0b",)]


def test_a_value_stored_in_a_form_its_type_cannot_read_is_not_shown(db):
    people = sa.table("people", sa.column("born", sa.DateTime))
    with db.unit_of_work() as uow:
        uow.insert("people", [row(1, born="s3cret day")])
    with pytest.raises(ControlRoomError) as caught:
        db.rows(sa.select(people.c.born))

    assert "s3cret" not in str(caught.value.to_dict())


@pytest.mark.parametrize("value", [2**63, "\ud800", {"a": 1}])
@pytest.mark.parametrize("size", [3, 3_000])  # directly, and by way of a staging table
@pytest.mark.parametrize("write", ["insert", "load", "upsert"])
def test_a_value_the_driver_refuses_is_found_by_row_and_column(db, path, value, write, size):
    kind = QueryError if isinstance(value, dict) else IntegrityViolationError
    rows = [row(number) for number in range(size - 1)] + [{"id": size, "name": value}]
    key = {"key": ["id"]} if write == "upsert" else {}
    with (
        pytest.raises(kind, match=rf"people, row {size - 1}: the value of name \(a") as caught,
        db.unit_of_work() as uow,
    ):
        getattr(uow, write)("people", rows, **key)

    assert (caught.value.table, caught.value.column, caught.value.row_index) == ("people", "name", size - 1)
    assert names(path) == []


def test_an_instant_in_a_typed_column_is_stored_in_utc_and_never_without_its_offset(db):
    events = sa.Table("events", sa.MetaData(), sa.Column("at", sa.DateTime))
    with db.unit_of_work() as uow:
        uow.execute(sa.schema.CreateTable(events))
        uow.insert(events, [{"at": datetime(2026, 1, 5, 14, tzinfo=timezone(timedelta(hours=2)))}])
        stored = uow.scalar(sa.select(events.c.at))

    assert stored == datetime(2026, 1, 5, 12)  # noqa: DTZ001 - SQLite has no offsets


@pytest.mark.parametrize("size", [4, 4_000])
def test_keys_that_only_the_database_finds_equal_are_applied_in_order(db, size):
    with db.unit_of_work() as uow:
        uow.execute("CREATE TABLE tags (tag TEXT COLLATE NOCASE PRIMARY KEY, value INTEGER)")
        rows = [{"tag": f"B{n}", "value": 1} for n in range(size)] + [{"tag": f"b{n}", "value": 2} for n in range(size)]
        count = uow.upsert("tags", iter(rows), key=["tag"])
        assert count.inserted == size
        assert uow.execute("SELECT DISTINCT value FROM tags").scalars().all() == [2]


@pytest.mark.parametrize("others", [0, 4_000])
def test_the_last_of_rows_that_only_the_database_finds_equal_wins_even_after_a_repetition(db, others):
    with db.unit_of_work() as uow:
        uow.execute("CREATE TABLE tags (tag TEXT COLLATE NOCASE PRIMARY KEY, value INTEGER)")
        rows = [{"tag": "A", "value": 1}, {"tag": "a", "value": 2}, {"tag": "A", "value": 3}]
        uow.upsert("tags", rows + [{"tag": f"t{n}", "value": n} for n in range(others)], key=["tag"])
        assert uow.scalar("SELECT value FROM tags WHERE tag = 'a'") == 3


def test_keys_that_only_python_finds_equal_stay_apart(db):
    with db.unit_of_work() as uow:
        uow.execute("CREATE TABLE texts (k TEXT PRIMARY KEY, v)")
        assert counts(uow.upsert("texts", [{"k": 1, "v": "int"}, {"k": 1.0, "v": "float"}], key=["k"])) == (2, 0, 0)


def test_a_table_is_described_as_it_is_declared(db):
    with db.unit_of_work() as uow:
        uow.execute("CREATE TABLE t (b TEXT, a INT NOT NULL DEFAULT 7, c, UNIQUE (c, b), PRIMARY KEY (a, b))")
        uow.execute("CREATE UNIQUE INDEX extra ON t (c)")
        uow.execute("CREATE UNIQUE INDEX odd ON t (lower(c))")

    info = db.describe("t")

    assert info.columns.names == ("b", "a", "c")
    assert [each.name for each in info.columns] == ["b", "a", "c"]
    assert "a" in info.columns
    assert "nope" not in info.columns
    assert (info.columns["a"].type, info.columns["a"].nullable, info.columns["a"].default) == ("INTEGER", False, "7")
    assert (info.columns["c"].type, info.columns["c"].nullable) == ("", True)
    assert info.primary_key == ("a", "b")
    assert info.uniques == (("c", "b"), ("c",))
    assert db.describe(sa.Table("people", sa.MetaData())).primary_key == ("id",)
    with pytest.raises(QueryError, match="no table 'nope'"):
        db.describe("nope")


def test_a_missing_folder_a_folder_and_a_text_file_are_told_apart(colour, tmp_path):
    with opened(colour, f"sqlite:///{tmp_path}/no/such/a.db", pool_size=1, pool_timeout_s=0.1) as db:
        for _ in range(2):  # the turn of the connection that could not be opened is given back
            with pytest.raises(ConfigError, match="does not exist"):
                db.rows("SELECT 1")
    with opened(colour, f"sqlite:///{tmp_path}") as db, pytest.raises(ConfigError, match="is a folder"):
        db.rows("SELECT 1")
    (tmp_path / "text.db").write_text("not a database " * 100)
    with opened(colour, f"sqlite:///{tmp_path}/text.db") as db, pytest.raises(ControlRoomError, match="not an intact"):
        db.rows("SELECT 1")


def test_a_file_that_can_only_be_read_can_be_read(colour, path):
    url = f"sqlite:///file:{path}?mode=ro&uri=true"
    with opened(colour, url) as db:
        assert db.rows("SELECT count(*) FROM people") == [(0,)]
        with pytest.raises(ControlRoomError, match="cannot be written here"), db.unit_of_work() as uow:
            uow.insert("people", [row(1)])


def test_a_database_in_memory_lives_as_long_as_the_object_and_its_units_take_turns(colour):
    with opened(colour, "sqlite://", pool_timeout_s=0.1) as db:
        with db.unit_of_work() as uow:
            uow.execute(PEOPLE)
            uow.insert("people", [row(1)])
        assert db.rows("SELECT id FROM people") == [(1,)]
        with db.unit_of_work(), pytest.raises(PoolExhaustedError, match=r"All 1 connections.*Held by: (thread|task)"):
            db.rows("SELECT 1")
        assert db.rows("SELECT id FROM people") == [(1,)]


def test_the_profile_for_short_lived_hosts_keeps_no_connection(colour, path):
    with opened(colour, f"sqlite:///{path}", profile="serverless") as db:
        assert db.rows("SELECT 1") == [(1,)]
        assert not path.with_name("data.db-wal").exists()  # the last connection takes it away


def test_every_connection_is_set_up_for_durable_and_isolated_units(db):
    settings = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 200, "query_only": 0}
    with db.unit_of_work() as uow:
        assert {name: uow.scalar(f"PRAGMA {name}") for name in settings} == settings


@pytest.mark.parametrize(
    ("type_", "good", "kind"),
    [
        (sa.Date(), date(2013, 1, 1), QueryError),
        (sa.Boolean(), True, QueryError),
        (sa.Enum("a", "b", validate_strings=True), "a", IntegrityViolationError),
        (sa.Numeric(), 1, IntegrityViolationError),
    ],
)
def test_a_value_its_column_type_refuses_is_found_by_row_and_column_and_not_shown(db, type_, good, kind):
    people = sa.Table("people", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True), sa.Column("born", type_))
    with pytest.raises(kind, match=r"the value of born \(a str\)") as caught, db.unit_of_work() as uow:
        uow.insert(people, [{"id": 1, "born": good}, {"id": 2, "born": "s3cret"}])

    assert caught.value.row_index == 1
    assert "s3cret" not in str(caught.value.to_dict())
    with pytest.raises(ControlRoomError) as caught, db.unit_of_work() as uow:
        uow.execute(sa.insert(people), [{"id": 2, "born": "s3cret"}])
    assert "s3cret" not in str(caught.value.to_dict())
