"""What a unit of work does, in every database, driver and colour."""

from __future__ import annotations

import threading
from datetime import UTC, date, datetime

import pytest
import sqlalchemy as sa

from controlroom.errors import (
    ConfigError,
    ControlRoomError,
    DataError,
    DoomedTransactionError,
    IntegrityViolationError,
    PoolExhaustedError,
    QueryError,
)

PEOPLE = "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT NOT NULL, born DATE, email TEXT UNIQUE)"


@pytest.fixture
def db(place):
    place.look(PEOPLE)
    with place.opened(lock_timeout_s=0.2, pool_timeout_s=0.2) as database:
        yield database


def names(place):
    """What somebody else sees there."""
    return place.column("SELECT name FROM people ORDER BY id")


def row(number, name="x", **more):
    return {"id": number, "name": name, **more}


# The unit


def test_a_clean_exit_commits_and_nobody_sees_it_before(db, place):
    with db.unit_of_work() as uow:
        assert uow.insert("people", [row(1, "ada"), row(2, "bob")]) == 2
        assert uow.scalar("SELECT count(*) FROM people") == 2
        assert names(place) == []

    assert names(place) == ["ada", "bob"]


def test_an_exception_rolls_back_and_goes_up_as_it_is(db, place):
    raised = ValueError("mine")
    with pytest.raises(ValueError, match="mine") as caught, db.unit_of_work() as uow:
        uow.insert("people", [row(1)])
        raise raised

    assert caught.value is raised
    assert names(place) == []


def test_a_swallowed_error_dooms_the_unit_and_everything_is_rolled_back(db, place):
    with pytest.raises(DoomedTransactionError, match="IntegrityViolationError was raised inside") as caught:  # noqa: SIM117 - one block to look at
        with db.unit_of_work() as uow:
            uow.insert("people", [row(1)])
            with pytest.raises(IntegrityViolationError):
                uow.insert("people", [row(1, "again")])

    assert isinstance(caught.value.__cause__, IntegrityViolationError)
    assert caught.value.table == "people"
    assert names(place) == []


def test_what_follows_a_swallowed_error_comes_to_nothing_and_names_that_error(db, place):
    """PostgreSQL refuses it at once, SQLite takes it; neither commits it."""
    with pytest.raises(DoomedTransactionError) as caught, db.unit_of_work() as uow:
        uow.insert("people", [row(1)])
        with pytest.raises(IntegrityViolationError) as first:
            uow.insert("people", [row(1, "again")])
        uow.insert("people", [row(2)])

    assert caught.value.__cause__ is first.value
    assert names(place) == []


def test_rows_written_before_their_generator_failed_are_not_committed_either(db, place):
    def rows():
        yield from (row(number) for number in range(3_000))
        raise RuntimeError

    with pytest.raises(DoomedTransactionError), db.unit_of_work() as uow, pytest.raises(RuntimeError):
        uow.insert("people", rows())

    assert names(place) == []


def test_a_savepoint_that_is_rolled_back_forgives_the_error_in_it(db, place):
    with db.unit_of_work() as uow:
        uow.insert("people", [row(1, "kept")])
        with pytest.raises(IntegrityViolationError), uow.savepoint():
            uow.insert("people", [row(2, "undone"), row(1, "refused")])
        uow.insert("people", [row(3, "kept too")])

    assert names(place) == ["kept", "kept too"]


def test_an_error_swallowed_inside_a_savepoint_undoes_the_savepoint_and_is_raised_at_its_end(db, place):
    with db.unit_of_work() as uow:
        uow.insert("people", [row(1, "kept")])
        with pytest.raises(DoomedTransactionError, match="inside this savepoint"), uow.savepoint():
            uow.insert("people", [row(2, "undone")])
            with pytest.raises(IntegrityViolationError):
                uow.insert("people", [row(1)])

    assert names(place) == ["kept"]


def test_a_savepoint_does_not_forgive_what_was_swallowed_before_it(db, place):
    with pytest.raises(DoomedTransactionError), db.unit_of_work() as uow:
        with pytest.raises(QueryError):
            uow.execute("SELECT nonsense")
        with pytest.raises(ValueError, match="mine"), uow.savepoint():
            raise ValueError("mine")

    assert names(place) == []


def test_a_savepoint_rolled_back_by_hand_undoes_and_goes_on(db, place):
    with db.unit_of_work() as uow, uow.savepoint() as savepoint:
        uow.insert("people", [row(1, "undone")])
        with pytest.raises(QueryError):
            uow.execute("SELECT nonsense")
        savepoint.rollback()
        uow.insert("people", [row(2, "kept")])

    assert names(place) == ["kept"]


def test_savepoints_nest(db, place):
    with db.unit_of_work() as uow:
        with uow.savepoint():
            uow.insert("people", [row(1, "kept")])
            with pytest.raises(ZeroDivisionError), uow.savepoint():
                uow.insert("people", [row(2, "undone")])
                raise ZeroDivisionError
        with uow.savepoint():
            uow.insert("people", [row(3, "kept")])

    assert names(place) == ["kept", "kept"]


def test_rollback_ends_the_unit_without_an_error(db, place):
    with db.unit_of_work() as uow:
        uow.insert("people", [row(1)])
        uow.rollback()
        with pytest.raises(QueryError, match="has ended: rolled back"):
            uow.insert("people", [row(2)])

    assert names(place) == []


def test_a_unit_is_used_once_inside_its_block_by_one_thread(db, place):
    unit = db.unit_of_work()
    with pytest.raises(QueryError, match="has not begun"):
        unit.execute("SELECT 1")
    with unit as uow:
        raised = []

        def elsewhere():
            try:
                uow.execute("SELECT 1")
            except ControlRoomError as error:
                raised.append(error)

        if not place.is_async:
            thread = threading.Thread(target=elsewhere)
            thread.start()
            thread.join()
            assert "belongs to another thread" in raised[0].message
    with pytest.raises(QueryError, match="has ended: committed"):
        uow.execute("SELECT 1")
    with pytest.raises(QueryError, match="has ended"):
        uow.on_commit(print)
    with pytest.raises(QueryError, match="used once"):
        unit.__enter__()


@pytest.mark.parametrize(
    "statement", ["COMMIT", "-- why\n rollback;", "/* x */ BEGIN", "End", "SAVEPOINT a", "release a"]
)
def test_the_transaction_is_not_ended_behind_the_units_back(db, place, statement):
    with pytest.raises(QueryError, match="is not for a statement"), db.unit_of_work() as uow:
        uow.insert("people", [row(1)])
        uow.execute(statement)

    assert names(place) == []


def test_hooks_run_after_the_commit_and_only_then(db, place):
    ran = []
    with db.unit_of_work() as uow:
        uow.insert("people", [row(1, "ada")])
        uow.on_commit(lambda: ran.append(names(place)))
        assert ran == []
    assert ran == [["ada"]]

    with pytest.raises(ValueError, match="no"), db.unit_of_work() as uow:
        uow.on_commit(lambda: ran.append("never"))
        raise ValueError("no")
    with db.unit_of_work() as uow:
        uow.on_commit(lambda: ran.append("never"))
        uow.rollback()
    assert ran == [["ada"]]


def test_a_hook_that_fails_does_not_undo_the_truth_nor_stop_the_next(db, place, caplog):
    ran = []
    with db.unit_of_work() as uow:
        uow.insert("people", [row(1, "ada")])
        uow.on_commit(lambda: 1 / 0)
        uow.on_commit(lambda: ran.append(1))

    assert ran == [1]
    assert names(place) == ["ada"]
    assert "on_commit_failed" in caplog.text


def test_what_is_no_hook_is_refused_while_it_can_be_mended(db, place):
    with db.unit_of_work() as uow:
        uow.insert("people", [row(1, "ada")])
        for given in (None, 7, "print"):
            with pytest.raises(QueryError, match="Nothing was registered"):
                uow.on_commit(given)

    assert names(place) == ["ada"]  # nothing was run, so nothing is doomed


def test_hooks_registered_in_a_savepoint_that_was_undone_are_forgotten(db):
    ran = []
    with db.unit_of_work() as uow:
        uow.on_commit(lambda: ran.append("outer"))
        with pytest.raises(ValueError, match="no"), uow.savepoint():
            uow.on_commit(lambda: ran.append("inner"))
            raise ValueError("no")

    assert ran == ["outer"]


# Reading


def test_a_read_only_unit_refuses_to_write_and_the_next_one_writes_again(db, place):
    with pytest.raises(QueryError, match="only reads"), db.unit_of_work(read_only=True) as uow:
        uow.insert("people", [row(1)])
    with db.unit_of_work() as uow:
        uow.insert("people", [row(2, "ada")])

    assert names(place) == ["ada"]


def test_a_reader_sees_one_snapshot_while_a_writer_commits(db):
    with db.unit_of_work(read_only=True) as reader:
        before = reader.scalar("SELECT count(*) FROM people")
        with db.unit_of_work() as writer:
            writer.insert("people", [row(1)])
        assert reader.scalar("SELECT count(*) FROM people") == before == 0


def test_a_result_can_be_read_after_its_unit_has_ended(db):
    with db.unit_of_work() as uow:
        uow.insert("people", [row(1, "ada"), row(2, "bob")])
        result = uow.execute("SELECT id, name FROM people ORDER BY id")
        returned = uow.execute(
            "INSERT INTO people (id, name) VALUES (3, 'eve') RETURNING id"
        )  # not read: no open cursor
        changed = uow.execute("UPDATE people SET name = upper(name) WHERE id < :id", {"id": 3})

    assert [each.name for each in result] == ["ada", "bob"]
    assert returned.scalar_one() == 3
    assert changed.rowcount == 2


@pytest.mark.parametrize("chunk", [1, 2, 7, 2000])
def test_a_stream_gives_every_row_once_in_order(db, chunk):
    with db.unit_of_work() as uow:
        uow.insert("people", (row(number) for number in range(14)))

    for statement in ("SELECT id FROM people ORDER BY id", sa.select(sa.column("id")).select_from(sa.table("people"))):
        assert [each.id for each in db.stream(statement, chunk=chunk)] == list(range(14))


def test_a_stream_that_is_left_early_gives_its_connection_back(db):
    with db.unit_of_work() as uow:
        uow.insert("people", (row(number) for number in range(100)))
    for _ in range(30):  # more than the pool has
        stream = iter(db.stream("SELECT id FROM people", chunk=10))
        assert next(stream).id == 0
        stream.close()


def test_a_stream_does_not_write(db, place):
    with pytest.raises(QueryError):  # PostgreSQL: no cursor can be declared for it
        list(db.stream("INSERT INTO people (id, name) VALUES (1, 'x') RETURNING id"))
    with pytest.raises(QueryError):
        db.rows("DELETE FROM people")
    with pytest.raises(QueryError, match="chunk=0"):
        list(db.stream("SELECT 1", chunk=0))

    assert names(place) == []


# What is remembered beside the data


@pytest.fixture
def control(db):
    db.create_control_tables()
    return db


def test_the_control_tables_are_created_once_and_say_their_version(control):
    control.create_control_tables()

    created = [name for name in control.tables() if name != "people"]
    assert {"controlroom_ledger", "controlroom_checkpoints", "controlroom_schema"} <= set(created)
    assert all(name.startswith("controlroom_") for name in created)
    with control.unit_of_work() as uow:
        uow.execute("UPDATE controlroom_schema SET version = 99")
    with pytest.raises(ConfigError, match="version 99"):
        control.create_control_tables()


def test_without_control_tables_the_next_act_is_named(db):
    for use in (lambda uow: uow.once("k"), lambda uow: uow.checkpoints.get("c"), lambda uow: uow.watermarks.get("w")):
        with pytest.raises(QueryError, match="create_control_tables"), db.unit_of_work() as uow:
            use(uow)


def test_a_key_is_claimed_once_and_only_by_a_unit_that_commits(control):
    with pytest.raises(ValueError, match="no"), control.unit_of_work() as uow:
        assert uow.once("day 1")
        raise ValueError("no")
    with control.unit_of_work() as uow:
        assert uow.once("day 1")
        assert not uow.once("day 1")
        assert uow.once("day 2")
    with control.unit_of_work() as uow:
        assert not uow.once("day 1")
    for key in ("", None, 7):
        with pytest.raises(QueryError, match="ledger key"), control.unit_of_work() as uow:
            uow.once(key)


def test_checkpoints_come_back_as_they_were_and_commit_with_the_data(control):
    value = {"page": 7, "cursor": "ü\ud7ff", "seen": [1, 2.5, None, True], "nested": {"a": {}}}
    with control.unit_of_work() as uow:
        assert uow.checkpoints.get("walk") is None
        assert uow.checkpoints.get("walk", 1) == 1
        uow.checkpoints.set("walk", {"page": 1})
        uow.checkpoints.set("walk", value)
    with pytest.raises(ValueError, match="no"), control.unit_of_work() as uow:
        uow.checkpoints.set("walk", None)
        raise ValueError("no")
    with control.unit_of_work() as uow:
        assert uow.checkpoints.get("walk") == value


@pytest.mark.parametrize("value", [{1: 2}, {"a": [{2: 3}]}, object(), float("nan"), {"a": date(2026, 1, 1)}])
def test_a_checkpoint_that_would_come_back_as_something_else_is_refused(control, value):
    with control.unit_of_work() as uow:
        uow.checkpoints.set("walk", "before")
        with pytest.raises(QueryError, match="not JSON-ready"):
            uow.checkpoints.set("walk", value)

    with control.unit_of_work() as uow:
        assert uow.checkpoints.get("walk") == "before"  # refused before anything ran: the unit is not doomed


@pytest.mark.parametrize(
    "values",
    [
        (1, 2),
        ("2026-01", "2026-02"),
        (date(2026, 1, 1), date(2026, 1, 2)),
        (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, 0, 0, 0, 1, tzinfo=UTC)),
    ],
)
def test_a_watermark_moves_on_with_the_data_and_never_back(control, values):
    first, second = values
    with control.unit_of_work() as uow:
        assert uow.watermarks.get("orders") is None
        uow.watermarks.advance("orders", first)
        uow.watermarks.advance("orders", first)
    with pytest.raises(ValueError, match="no"), control.unit_of_work() as uow:
        uow.watermarks.advance("orders", second)
        raise ValueError("no")
    with control.unit_of_work() as uow:
        assert uow.watermarks.get("orders") == first
        uow.watermarks.advance("orders", second)
    with pytest.raises(DataError, match="cannot go back"), control.unit_of_work() as uow:
        uow.watermarks.advance("orders", first)
    with control.unit_of_work() as uow:
        assert uow.watermarks.get("orders") == second


# Opening, limits and closing


def test_tables_are_listed_by_the_name_of_a_schema_only(db):
    with pytest.raises(QueryError, match="A int is no schema"):
        db.tables(7)


def test_a_closed_database_says_so(db):
    db.close()
    db.close()
    with pytest.raises(QueryError, match="was closed"):
        db.rows("SELECT 1")


def test_a_unit_that_is_open_when_its_database_is_closed_ends_as_it_would_have(db, place):
    with db.unit_of_work() as uow:
        uow.insert("people", [row(1, "ada")])
        db.close()

    assert names(place) == ["ada"]


def test_a_pool_that_ran_dry_names_its_holders(place):
    with place.opened(pool_size=2, pool_timeout_s=0.1) as db:
        with db.unit_of_work(), db.unit_of_work(read_only=True), pytest.raises(PoolExhaustedError) as caught:
            db.rows("SELECT 1")
        assert len(caught.value.holders) == 2
        assert db.rows("SELECT 1") == [(1,)]


def test_the_profile_for_short_lived_hosts_keeps_no_connection(place):
    with place.opened(profile="serverless", application_name="short-lived") as db:
        assert db.rows("SELECT 1") == [(1,)]
        if place.is_sqlite:
            assert not place.at.with_name("data.db-wal").exists()  # the last connection takes it away
        else:
            gone = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'short-lived%'"
            eventually(lambda: place.look(gone) == [(0,)])


def eventually(true):
    """Ask until it is so: the server hears of a closed connection a moment later."""
    for _ in range(1_000):
        if true():
            return
        threading.Event().wait(0.01)
    pytest.fail("it did not come to that in 10 s")
