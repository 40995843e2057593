"""What the database package promises on MariaDB, in both colours."""

from __future__ import annotations

import threading
import traceback
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from controlroom import deadline
from controlroom.database import Database, WriteCount
from controlroom.errors import (
    CommitInDoubtError,
    ConfigError,
    DatabaseUnavailableError,
    DeadlineExceededError,
    DoomedTransactionError,
    IntegrityViolationError,
    QueryError,
    TransactionConflictError,
)
from controlroom.policy.backoff import Backoff
from controlroom.retrying import RetryPolicy
from tests.integration.database_colours import COLOURS, opened
from tests.servers.mariadb import CommitCutter, Server, mariadb_server

__all__ = ["mariadb_server"]
pytestmark = pytest.mark.integration

AT_ONCE = RetryPolicy(attempts=5, backoff=Backoff(initial_s=0))
TABLE = "CREATE TABLE t (id INT PRIMARY KEY, name VARCHAR(20) NOT NULL, other INT UNIQUE, amount INT DEFAULT 0) ENGINE=InnoDB"


@dataclass(frozen=True)
class Place:
    """A database of the test's module, and somebody else who looks into it."""

    server: Server
    name: str
    colour: str
    at: Any

    def opened(self, port: int | None = None, **options: Any) -> Any:
        url = self.server.url(self.name).replace(f":{self.server.port}/", f":{port or self.server.port}/")
        return opened(self.colour, url, **{"lock_timeout_s": 1, "statement_timeout_s": 20, **options})

    def look(self, sql: str) -> list[tuple[Any, ...]]:
        """What somebody else reads there; or does: each statement commits."""
        with self.at.cursor() as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall())


@pytest.fixture(scope="module")
def database(mariadb_server):
    name = mariadb_server.new_database()
    with closing(mariadb_server.connect(name)) as connection:
        yield name, connection
    mariadb_server.drop(name)


@pytest.fixture(params=COLOURS)
def place(request, mariadb_server, database):
    """A database in which "t" and the control tables, where they are there, are empty: to make them takes longer."""
    place = Place(mariadb_server, database[0], request.param, database[1])
    for (table,) in place.look("SHOW TABLES"):
        is_kept = table == "t" or table.startswith("controlroom_")
        if table not in ("controlroom_schema", "controlroom_leases"):
            place.look(f"{'DELETE FROM' if is_kept else 'DROP TABLE'} `{table}`")
    place.look(TABLE.replace("TABLE", "TABLE IF NOT EXISTS"))
    return place


@pytest.fixture(params=COLOURS)
def empty(request, mariadb_server):
    name = mariadb_server.new_database()
    with closing(mariadb_server.connect(name)) as connection:
        yield Place(mariadb_server, name, request.param, connection)
    mariadb_server.drop(name)


@pytest.fixture
def db(place):
    with place.opened() as database:
        yield database


@pytest.fixture
def control(db, place):
    if not place.look("SHOW TABLES LIKE 'controlroom_schema'"):
        db.create_control_tables()
    return db


def rows(*ids: int, name: str = "a") -> list[dict[str, Any]]:
    return [{"id": each, "name": name, "other": each} for each in ids]


def body(place, work):
    """*work* as the body of a unit of the place's colour."""
    if place.colour == "sync":
        return work

    async def awaited(uow):
        return await work(uow)

    return awaited


# Units


def test_a_clean_exit_commits_and_nobody_sees_it_before(db, place):
    with db.unit_of_work() as uow:
        uow.insert("t", rows(1))
        assert place.look("SELECT id FROM t") == []
    assert place.look("SELECT id FROM t") == [(1,)]


def test_an_exception_rolls_everything_back(db, place):
    with pytest.raises(LookupError), db.unit_of_work() as uow:
        uow.insert("t", rows(1))
        raise LookupError
    assert place.look("SELECT id FROM t") == []


def test_a_swallowed_error_dooms_the_unit(db, place):
    with pytest.raises(DoomedTransactionError), db.unit_of_work() as uow:
        uow.insert("t", rows(1))
        with suppress(IntegrityViolationError):
            uow.insert("t", rows(1))
    assert place.look("SELECT id FROM t") == []


def test_savepoints_forgive_what_they_undo_and_nest(db, place):
    with db.unit_of_work() as uow:
        uow.insert("t", rows(1))
        with suppress(IntegrityViolationError), uow.savepoint():
            uow.insert("t", rows(2))
            with uow.savepoint():
                uow.insert("t", rows(1))
        with uow.savepoint() as savepoint:
            uow.insert("t", rows(3))
            savepoint.rollback()
        uow.insert("t", rows(4))
    assert place.look("SELECT id FROM t ORDER BY id") == [(1,), (4,)]


def test_a_unit_that_only_reads_sees_one_snapshot_and_does_not_write(db, place):
    with db.unit_of_work(read_only=True) as uow:
        place.look("INSERT INTO t (id, name) VALUES (7, 'late')")
        assert uow.scalar("SELECT count(*) FROM t") == 0
    with pytest.raises(QueryError, match="only reads"), db.unit_of_work(read_only=True) as uow:
        uow.insert("t", rows(8))
    with db.unit_of_work() as uow:
        uow.insert("t", rows(8))
    assert place.look("SELECT count(*) FROM t") == [(2,)]


def test_the_count_of_an_update_is_that_of_the_rows_it_found(db):
    with db.unit_of_work() as uow:
        uow.insert("t", rows(1, 2))
        assert uow.execute("UPDATE t SET name = 'a'").rowcount == 2


@pytest.mark.parametrize(
    "colour_of_statement", ["CREATE TABLE u (id INT)", "TRUNCATE t", "/* x */ alter table t ADD y INT"]
)
def test_what_commits_by_itself_is_not_run_in_a_unit_that_has_written(db, place, colour_of_statement):
    with pytest.raises(QueryError, match="MySQL commits before"), db.unit_of_work() as uow:
        uow.insert("t", rows(1))
        uow.execute(colour_of_statement)
    assert place.look("SELECT count(*) FROM t") == [(0,)]
    assert place.look("SHOW TABLES") == [("t",)]


def test_a_definition_at_the_start_of_a_unit_stays_and_what_follows_is_rolled_back(db, place):
    with pytest.raises(LookupError), db.unit_of_work() as uow:
        uow.execute("CREATE TABLE u (id INT)")
        uow.execute("INSERT INTO u VALUES (1)")
        raise LookupError
    assert place.look("SELECT count(*) FROM u") == [(0,)]


def test_a_procedure_that_commits_behind_the_units_back_is_noticed(db, place):
    place.look("CREATE OR REPLACE PROCEDURE commits() BEGIN COMMIT; END")
    with pytest.raises(QueryError, match="committed what the unit had done"), db.unit_of_work() as uow:
        uow.insert("t", rows(1))
        uow.execute("CALL commits()")
    assert place.look("SELECT count(*) FROM t") == [(1,)]


def test_several_statements_in_one_are_refused(db, place):
    with pytest.raises(QueryError), db.unit_of_work() as uow:
        uow.execute("INSERT INTO t (id, name) VALUES (1, 'a'); DELETE FROM t")
    assert place.look("SELECT count(*) FROM t") == [(0,)]


def test_a_stream_gives_every_row_once_and_one_that_is_left_early_gives_its_connection_back(place):
    with place.opened(pool_size=1) as db:
        with db.unit_of_work() as uow:
            assert uow.insert("t", rows(*range(3000))) == 3000
        with deadline(60):
            assert [row.id for row in db.stream("SELECT id FROM t ORDER BY id", chunk=100)] == list(range(3000))
        left = db.stream("SELECT id FROM t ORDER BY id", chunk=10)
        assert next(iter(left)).id == 0
        left.close()
        assert len(db.rows("SELECT id FROM t")) == 3000


def test_a_table_is_described(db):
    info = db.describe("t")
    assert info.columns.names == ("id", "name", "other", "amount")
    assert (info.primary_key, info.uniques) == (("id",), (("other",),))
    assert db.tables() == ["t"]


# Values


def test_nothing_is_cut_off_whatever_the_servers_mode_is(db, place):
    place.server.run("SET GLOBAL sql_mode = ''")
    try:
        with pytest.raises(IntegrityViolationError) as refused, db.unit_of_work() as uow:
            uow.insert("t", rows(1, name="x" * 21))
    finally:
        place.server.run("SET GLOBAL sql_mode = DEFAULT")
    assert (refused.value.column, refused.value.row_index) == ("name", 0)
    assert place.look("SELECT count(*) FROM t") == [(0,)]


def test_an_aware_datetime_is_stored_in_utc_and_a_text_comes_back_as_it_was(db, place):
    place.look("CREATE TABLE v (at DATETIME(6), said TEXT CHARACTER SET utf8mb4, raw BLOB, id CHAR(36))")
    noon = datetime(2026, 11, 21, 12, 0, 0, 5, tzinfo=timezone(timedelta(hours=2)))
    said, number = "it's \\ \0 \U0001f600 %s :x", UUID(int=7)
    with db.unit_of_work() as uow:
        uow.execute(
            "INSERT INTO v VALUES (:at, :said, :raw, :id)",
            {"at": noon, "said": said, "raw": b"'\\\0\xff", "id": number},
        )
        uow.insert("v", [{"at": noon, "said": said, "raw": b"'\\\0\xff", "id": number}] * 2)
    found = db.rows("SELECT * FROM v")
    assert [tuple(row) for row in found] == [
        (noon.astimezone(UTC).replace(tzinfo=None), said, b"'\\\0\xff", str(number))
    ] * 3


@pytest.mark.parametrize("value", [object(), {"a": 1}, [1], float("nan"), "\ud800"])
def test_a_value_that_the_driver_has_no_form_for_is_refused(db, place, value):
    with pytest.raises((QueryError, IntegrityViolationError)), db.unit_of_work() as uow:
        uow.execute("INSERT INTO t (id, name) VALUES (1, :name)", {"name": value})
    assert place.look("SELECT count(*) FROM t") == [(0,)]


@pytest.mark.parametrize(
    ("sql", "fact", "kind"),
    [
        ("INSERT INTO t (id, name, other) VALUES (2, 'geheim', 1)", ("constraint", "other"), IntegrityViolationError),
        ("INSERT INTO t (id, name) VALUES ('geheim', 'a')", ("column", "id"), IntegrityViolationError),
        ("INSERT INTO t (id, name, other) VALUES (3, NULL, 4)", ("column", "name"), IntegrityViolationError),
        ("INSERT INTO t (id) VALUES (3)", ("column", "name"), IntegrityViolationError),
        ("INSERT INTO t (id, name, other) VALUES (3, 'a', 99999999999)", ("column", "other"), IntegrityViolationError),
        ("SELEC 'geheim'", ("table", None), QueryError),
        ("INSERT INTO missing VALUES ('geheim')", ("table", "missing"), QueryError),
        ("INSERT INTO t (nothing) VALUES ('geheim')", ("column", "nothing"), QueryError),
        ("UPDATE t SET id = 'geheim'", ("table", None), IntegrityViolationError),
        ("SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'geheim'", ("table", None), IntegrityViolationError),
    ],
)
def test_an_error_names_things_and_never_a_value(db, sql, fact, kind):
    with db.unit_of_work() as uow:
        uow.insert("t", rows(1))
    with pytest.raises(kind) as refused, db.unit_of_work() as uow:
        uow.execute(sql)
    assert fact[1] is None or getattr(refused.value, fact[0]) == fact[1]
    assert "geheim" not in "".join(traceback.format_exception(refused.value)).replace(sql, "")


# Writes


def test_the_row_that_was_refused_is_named_by_its_index(db, place):
    given = [*rows(*range(2500)), *rows(7), *rows(*range(2501, 2600))]
    with pytest.raises(IntegrityViolationError) as refused, db.unit_of_work() as uow:
        uow.insert("t", given)
    assert (refused.value.row_index, refused.value.table) == (2500, "t")
    assert place.look("SELECT count(*) FROM t") == [(0,)]


def test_an_upsert_counts_each_row_once(db, place):
    with db.unit_of_work() as uow:
        uow.insert("t", rows(1, 2, 3))
    with db.unit_of_work() as uow:
        assert uow.upsert("t", [*rows(1), *rows(2, name="new"), *rows(4)], key=["id"]) == WriteCount(1, 1, 1)
        assert uow.upsert("t", rows(3), key=["id"], update=[]) == WriteCount(0, 0, 1)
        assert uow.upsert("t", rows(9, name="x") + rows(9, name="last"), key="id") == WriteCount(1, 0, 0)
        assert uow.upsert("t", [{"id": 1, "name": "by other", "other": 1}], key=["other"]) == WriteCount(0, 1, 0)
    assert place.look("SELECT id, name FROM t ORDER BY id") == [
        (1, "by other"),
        (2, "new"),
        (3, "a"),
        (4, "a"),
        (9, "last"),
    ]


def test_an_upsert_of_many_rows_counts_keys_that_come_back_once_and_leaves_nothing_behind(db, place):
    with db.unit_of_work() as uow:
        uow.insert("t", rows(*range(1000)))
    for _ in range(2):  # a stage of the first would be in the way of the second
        with pytest.raises(LookupError), db.unit_of_work() as uow:
            given = (row for again in ("x", "last") for row in rows(*range(500, 3000), name=again))
            assert uow.upsert("t", given, key=["id"]) == WriteCount(2000, 500, 0)
            raise LookupError
    with pytest.raises(IntegrityViolationError) as refused, db.unit_of_work() as uow:
        uow.upsert("t", [*rows(*range(500, 3000)), {"id": 3001, "name": "b", "other": 3}], key=["id"])
    assert refused.value.row_index == 2500
    assert place.look("SELECT count(*), count(DISTINCT name) FROM t") == [(1000, 1)]


def test_an_upsert_never_updates_a_row_with_another_key(db, place):
    with db.unit_of_work() as uow:
        uow.insert("t", rows(1, 2))
    with pytest.raises(IntegrityViolationError) as refused, db.unit_of_work() as uow:
        uow.upsert("t", [*rows(3), {"id": 4, "name": "taken", "other": 1}], key=["id"])
    assert refused.value.row_index == 1
    assert place.look("SELECT id, name, other FROM t ORDER BY id") == [(1, "a", 1), (2, "a", 2)]


def test_an_upsert_by_columns_that_are_no_key_is_refused(db):
    with pytest.raises(QueryError, match="neither its primary key nor a unique"), db.unit_of_work() as uow:
        uow.upsert("t", rows(1), key=["name"])


# The control tables


def test_the_control_tables_are_created_once_by_whoever_comes_first(empty):
    errors: list[BaseException] = []

    def create() -> None:
        try:
            with Database(empty.server.url(empty.name)) as db:
                db.create_control_tables()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=create) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
    assert errors == []
    with empty.opened() as db:
        db.create_control_tables()
    assert len(empty.look("SHOW TABLES LIKE 'controlroom%'")) >= 6


def test_without_control_tables_the_next_act_is_named(empty):
    with empty.opened() as db, pytest.raises(QueryError, match="create_control_tables"), db.unit_of_work() as uow:
        uow.once("k")


def test_a_key_is_claimed_once_and_only_by_a_unit_that_commits(control):
    with pytest.raises(LookupError), control.unit_of_work() as uow:
        assert uow.once("k")
        raise LookupError
    with control.unit_of_work() as uow:
        assert uow.once("k")
    with control.unit_of_work() as uow:
        assert not uow.once("k")


@pytest.mark.parametrize("other", ["K", "k ", "ḱ", " k"])
def test_keys_that_a_collation_calls_equal_are_not(control, other):
    with control.unit_of_work() as uow:
        assert uow.once("k")
        assert uow.once(other)


def test_a_key_that_is_too_long_is_refused_and_not_cut_off(control, place):
    with control.unit_of_work() as uow:
        assert uow.once("k" * 512)
    with pytest.raises(IntegrityViolationError), control.unit_of_work() as uow:
        uow.once("k" * 513)
    assert place.look("SELECT count(*) FROM controlroom_ledger") == [(1,)]


def test_a_key_that_somebody_else_is_claiming_is_waited_for_and_then_a_conflict(place, control):
    with Database(place.server.url(place.name)) as other, other.unit_of_work() as first:
        assert first.once("k")
        with pytest.raises(TransactionConflictError), control.unit_of_work() as uow:
            uow.once("k")


def test_a_key_runs_its_body_once_and_returns_the_same_again(control, place):
    ran: list[int] = []

    def work(uow):
        ran.append(1)
        return uow.scalar("SELECT 7")

    assert [control.transact(body(place, work), key="k", payload={"a": 1}) for _ in range(2)] == [7, 7]
    assert ran == [1]
    with pytest.raises(IntegrityViolationError, match="another payload"):
        control.transact(body(place, work), key="k", payload={"a": 2})


def test_checkpoints_and_watermarks_commit_with_the_data(control):
    large = {"cursor": "x" * 100_000}  # a TEXT of MySQL ends at 65,535 bytes
    with pytest.raises(LookupError), control.unit_of_work() as uow:
        uow.checkpoints.set("c", 1)
        raise LookupError
    with control.unit_of_work() as uow:
        assert uow.checkpoints.get("c") is None
        uow.checkpoints.set("c", large)
        uow.watermarks.advance("w", datetime(2026, 1, 1, tzinfo=UTC))
    with control.unit_of_work() as uow:
        assert uow.checkpoints.get("c") == large
        uow.watermarks.advance("w", datetime(2026, 1, 2, tzinfo=UTC))
        assert uow.watermarks.get("w") == datetime(2026, 1, 2, tzinfo=UTC)


# What a server can do to us


def test_a_deadlock_is_rolled_back_as_a_whole_and_run_again(place):
    with place.opened() as db, Database(place.server.url(place.name)) as other:
        with db.unit_of_work() as uow:
            uow.insert("t", rows(1, 2))
        has_first, goes_on = threading.Event(), threading.Event()

        def opponent() -> None:
            with other.unit_of_work() as uow:
                uow.execute("UPDATE t SET amount = amount + 1 WHERE id = 2")
                uow.execute(
                    "INSERT INTO t (id, name) VALUES (10, 'a'), (11, 'a'), (12, 'a'), (13, 'a')"
                )  # the heavier one stays
                has_first.set()
                assert goes_on.wait(30)
                uow.execute("UPDATE t SET amount = amount + 1 WHERE id = 1")

        thread = threading.Thread(target=opponent)
        tries: list[int] = []

        def sync_work(uow):
            tries.append(1)
            uow.execute("UPDATE t SET amount = amount + 10 WHERE id = 1")
            if len(tries) == 1:
                thread.start()
                assert has_first.wait(30)
                goes_on.set()
            return uow.execute("UPDATE t SET amount = amount + 10 WHERE id = 2")

        async def async_work(uow):
            tries.append(1)
            await uow.execute("UPDATE t SET amount = amount + 10 WHERE id = 1")
            if len(tries) == 1:
                thread.start()
                assert has_first.wait(30)
                goes_on.set()
            await uow.execute("UPDATE t SET amount = amount + 10 WHERE id = 2")

        db.transact(sync_work if place.colour == "sync" else async_work, retry=AT_ONCE)
        thread.join(60)
    assert place.look("SELECT amount FROM t WHERE id < 3 ORDER BY id") == [(11,), (11,)]
    assert len(tries) >= 2


def test_after_a_deadlock_was_swallowed_nothing_runs_outside_a_transaction(db, place):
    with pytest.raises(DoomedTransactionError), db.unit_of_work() as uow:
        uow.insert("t", rows(1))
        with suppress(TransactionConflictError):
            uow.execute("SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = 1213")
        uow.execute("SELECT 1")
    assert place.look("SELECT count(*) FROM t") == [(0,)]


def test_a_lock_is_waited_for_no_longer_than_allowed(db, place):
    with place.opened() as first:
        with first.unit_of_work() as uow:
            uow.insert("t", rows(1))
        with Database(place.server.url(place.name)) as other, other.unit_of_work() as holder:
            holder.execute("UPDATE t SET amount = 1")
            with pytest.raises(TransactionConflictError), db.unit_of_work() as uow:
                uow.execute("UPDATE t SET amount = 2")


def test_a_statement_stops_at_its_limit_and_at_the_deadline(place):
    endless = "SELECT count(*) FROM seq_1_to_1000000 a, seq_1_to_1000000 b WHERE a.seq + b.seq < 0"
    stopped = pytest.raises(QueryError, match=r"statement_timeout_s=0\.2")
    with place.opened(statement_timeout_s=0.2) as db, stopped, db.unit_of_work() as uow:
        uow.execute(endless)
    with place.opened() as db:
        with pytest.raises(DeadlineExceededError, match="at the deadline"), deadline(0.5), db.unit_of_work() as uow:
            uow.execute(endless)
        with db.unit_of_work() as uow:
            assert uow.scalar("SELECT @@max_statement_time") == 20


def test_a_killed_session_rolls_back_and_the_next_unit_has_another(db, place):
    with pytest.raises(DatabaseUnavailableError), db.unit_of_work() as uow:
        uow.insert("t", rows(1))
        place.look(f"KILL {uow.scalar('SELECT CONNECTION_ID()')}")
        uow.insert("t", rows(2))
    with db.unit_of_work() as uow:
        uow.insert("t", rows(3))
    assert place.look("SELECT id FROM t") == [(3,)]


@pytest.fixture
def cutter(place):
    cutter = CommitCutter(place.server.port)
    yield cutter
    cutter.close()


@pytest.mark.parametrize(("mode", "landed"), [("before", 0), ("after", 1), ("silent", 1)])
def test_a_commit_that_was_not_answered_is_in_doubt(place, cutter, mode, landed):
    with place.opened(cutter.port, commit_timeout_s=0.5) as db:
        with pytest.raises(CommitInDoubtError) as doubt, db.unit_of_work() as uow:
            uow.insert("t", rows(1))
            cutter.armed = mode
        assert isinstance(doubt.value.pid, int)
        assert "pg_xact" not in str(doubt.value)
        if mode == "silent":  # the server still has to hear of it
            place.look(f"SELECT GET_LOCK('{doubt.value.xid}', 0)")
        assert place.look("SELECT count(*) FROM t") == [(landed,)]
        with db.unit_of_work() as uow:
            assert uow.scalar("SELECT 1") == 1


@pytest.mark.parametrize(("mode", "runs"), [("before", 2), ("after", 1), ("silent", 1)])
def test_with_a_key_a_lost_commit_is_settled_and_applied_exactly_once(control, place, cutter, mode, runs):
    ran: list[int] = []

    def work(uow):
        ran.append(1)
        if len(ran) == 1:
            cutter.armed = mode
        return uow.insert("t", rows(1))

    with place.opened(cutter.port, commit_timeout_s=0.5) as db:
        assert db.transact(body(place, work), key="k", retry=AT_ONCE) == 1
    assert place.look("SELECT count(*) FROM t") == [(1,)]
    assert len(ran) == runs


def test_the_session_of_a_lost_commit_is_ended_and_no_other(control, place):
    with Database(place.server.url(place.name)) as lost, lost.unit_of_work() as half_open:
        half_open.once("k")
        link = half_open._work.link
        link.take_evidence()
        backend = lost._source.backend
        with Database(place.server.url(place.name)) as other, other.unit_of_work() as uow:
            assert not backend.end_session(uow._work, link.pid + 1, link.xid)
            assert not backend.end_session(uow._work, link.pid, "another name")
            assert backend.end_session(uow._work, link.pid, link.xid)
        with control.unit_of_work() as uow:
            assert uow.once("k")
        half_open.rollback()


# Opening


def test_what_is_wrong_with_the_configuration_is_said_and_not_tried_again(place, mariadb_server):
    for url in (
        mariadb_server.url("no_such_database"),
        mariadb_server.url(place.name).replace("root@", "nobody:falsch@"),
    ):
        with opened(place.colour, url) as db, pytest.raises(ConfigError) as refused, db.unit_of_work():
            pass
        assert "falsch" not in "".join(traceback.format_exception(refused.value))
    unreachable = pytest.raises(DatabaseUnavailableError)
    with opened(place.colour, "mysql://root@127.0.0.1:1/x") as db, unreachable, db.unit_of_work():
        pass


def test_a_mariadb_url_and_a_core_statement_work_as_well(place):
    url = place.server.url(place.name).replace("mysql+pymysql://", "mariadb://")
    with opened(place.colour, url) as db:
        table = sa.Table(
            "t", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.String(20))
        )
        with db.unit_of_work() as uow:
            assert uow.upsert(table, [{"id": 1, "name": "100%"}], key=["id"]) == WriteCount(1, 0, 0)
            assert uow.execute(table.update().values(name=table.c.name + "!")).rowcount == 1
    assert place.look("SELECT name FROM t") == [("100%!",)]
