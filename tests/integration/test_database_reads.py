"""What rows and streams give, in every database, driver and colour: each row once, flat memory, no connection lost."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import subprocess
import sys
from dataclasses import dataclass
from typing import Any, NamedTuple

import pydantic
import pytest
import sqlalchemy as sa

from controlroom import RetryPolicy
from controlroom.database import AsyncDatabase, Database, identifier, sql
from controlroom.errors import DatabaseUnavailableError, DataError, QueryError
from tests.integration.database_colours import Place

NUMBERS = "CREATE TABLE numbers (id INTEGER PRIMARY KEY, half INTEGER, name TEXT)"
MANY = 5_001


@pytest.fixture
def db(place):
    place.look(NUMBERS)
    digits = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)"
    place.look(f"INSERT INTO numbers (id, half, name) {digits} SELECT i, i / 2, 'n' || i FROM n")
    with place.opened(pool_size=2, pool_timeout_s=0.2) as database:
        yield database


@pytest.fixture
def silent(caplog):
    """Nothing is logged as a warning, by us or by a library, but what the test takes out."""
    caplog.set_level(logging.WARNING)
    yield caplog
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


def nobody_is_left(db) -> bool:
    """Every connection of the pool of two can be had."""
    with db.unit_of_work(read_only=True) as one, db.unit_of_work(read_only=True) as two:
        return (one.scalar("SELECT 1"), two.scalar("SELECT 1")) == (1, 1)


@pytest.mark.parametrize("chunk", [1_000, 1_667, 5_001, 5_002, 100_000])
def test_each_row_comes_once_in_chunks_of_any_size(db, silent, chunk):
    found = [row.id for row in db.stream("SELECT id FROM numbers ORDER BY id", chunk=chunk)]

    assert found == list(range(MANY))
    assert nobody_is_left(db)


def test_rows_and_streams_of_constructs_and_texts_are_the_same(db):
    table = sa.table("numbers", sa.column("id", sa.Integer), sa.column("name", sa.Text))
    construct = sa.select(table.c.id, table.c.name).where(table.c.id < 3).order_by(table.c.id)
    wanted = [(0, "n0"), (1, "n1"), (2, "n2")]

    assert [tuple(row) for row in db.rows(construct)] == wanted
    assert [tuple(row) for row in db.stream(construct, chunk=2)] == wanted
    text = "SELECT id, name FROM numbers WHERE id < :top ORDER BY id"
    assert [tuple(row) for row in db.rows(text, {"top": 3})] == wanted
    assert [tuple(row) for row in db.stream(text, {"top": 3}, resume_by=["id"], chunk=2)] == wanted


def test_a_stream_sees_one_snapshot_while_others_write(db, place):
    rows = iter(db.stream("SELECT id FROM numbers ORDER BY id", chunk=1_000))
    first = next(rows)
    place.look("INSERT INTO numbers (id) VALUES (6000)")
    place.look("DELETE FROM numbers WHERE id = 4000")

    assert [first, *rows] == [(number,) for number in range(MANY)]
    assert len(db.rows("SELECT id FROM numbers")) == MANY


def test_a_statement_that_no_cursor_reads_is_read_all_the_same(db, place):
    statement = "PRAGMA user_version" if place.is_sqlite else "SHOW server_version_num"

    assert len(db.rows(statement)) == len(list(db.stream(statement))) == 1


def test_a_statement_without_rows_or_one_that_writes_is_refused(db, place):
    for statement in ("DELETE FROM numbers", "INSERT INTO numbers (id) VALUES (7000) RETURNING id"):
        with pytest.raises(QueryError):
            db.rows(statement)
        with pytest.raises(QueryError):
            list(db.stream(statement))

    assert place.column("SELECT count(*) FROM numbers") == [MANY]
    assert nobody_is_left(db)


def test_options_that_make_no_sense_are_refused_before_anything_is_run(db):
    for options in ({"chunk": 0}, {"chunk": "x"}, {"chunk": 1.5}, {"chunk": True}, {"into": 7}):
        with pytest.raises(QueryError, match="Nothing was run"):
            list(db.stream("SELECT 1 AS x", **options))
    with pytest.raises(QueryError, match="Nothing was run"):
        list(db.stream("SELECT :a AS x", [{"a": 1}, {"a": 2}], resume_by=["x"]))
    with pytest.raises(QueryError, match="Nothing was run"):
        db.rows("SELECT 1 AS x", into=7)


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1 AS x -- that was all",
        "SELECT 1 AS x; -- that was all;",
        "WITH w AS (SELECT 1 AS x) SELECT x FROM w ;\n",
    ],
)
def test_any_text_that_is_a_query_can_be_resumed(db, text):
    assert list(db.stream(sql(text), resume_by=["x"])) == [(1,)]


# Left early


def test_a_stream_that_is_closed_early_gives_its_connection_back(db, silent):
    for _ in range(5):
        rows = iter(db.stream("SELECT id FROM numbers ORDER BY id", chunk=10))
        assert next(rows) == (0,)
        rows.close()

    assert nobody_is_left(db)


def test_an_exception_in_the_consumer_goes_up_as_it_is_and_gives_the_connection_back(db, silent):
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            for row in db.stream("SELECT id FROM numbers ORDER BY id", chunk=10, resume_by=["id"]):
                1 / row.id

    assert nobody_is_left(db)


def test_a_generator_that_was_forgotten_gives_its_connection_back(place, db, silent):
    if place.is_async:
        pytest.skip("asyncio closes it: see the test below")
    for _ in range(3):
        rows = db.stream("SELECT id FROM numbers ORDER BY id", chunk=10)
        next(rows)
        del rows
        gc.collect()

    assert nobody_is_left(db)


def test_tasks_that_are_cancelled_or_leave_early_give_their_connections_back(place, db, silent):
    if not place.is_async:
        pytest.skip("tasks are asyncio's")

    async def reader(database: AsyncDatabase, begun: asyncio.Event) -> None:
        async with contextlib.aclosing(database.stream("SELECT id FROM numbers ORDER BY id", chunk=10)) as rows:
            async for _ in rows:
                begun.set()
                await asyncio.Event().wait()

    async def main() -> list[Any]:
        async with AsyncDatabase(place.url, pool_size=2, pool_timeout_s=5) as database:
            for _ in range(3):
                begun = asyncio.Event()
                task = asyncio.create_task(reader(database, begun))
                await begun.wait()
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            for _ in range(3):  # forgotten: the loop closes it
                async for _row in database.stream("SELECT id FROM numbers ORDER BY id", chunk=10):
                    break
                gc.collect()
                await asyncio.sleep(0)  # a turn of the loop: it makes a task of the closing
                await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}))
            async with database.unit_of_work(read_only=True) as one, database.unit_of_work(read_only=True) as two:
                return [await one.scalar("SELECT 1"), await two.scalar("SELECT 1")]

    assert asyncio.run(main()) == [1, 1]


# A lost connection

# It waits until they are gone: the signal alone may be served one statement later.
KILL = (
    "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity"
    " WHERE pid <> pg_backend_pid() AND datname = current_database() AND backend_type = 'client backend'"
)


def streamed_with_losses(place: Place, db: Any, at: set[int], **options: Any) -> list[Any]:
    found = []
    for row in db.stream("SELECT id, name FROM numbers ORDER BY id", chunk=100, **options):
        found.append(row.id)
        if row.id in at:
            place.look(KILL)
    return found


@pytest.fixture
def server(place, db):
    if place.is_sqlite:
        pytest.skip("SQLite has no connection to lose")
    return db


def test_a_stream_goes_on_behind_the_last_row_after_lost_connections(server, place, caplog):
    caplog.set_level(logging.WARNING)
    quick = RetryPolicy(attempts=3, max_wait_s=0)

    found = streamed_with_losses(place, server, {0, 1_050, 1_099, 4_999, 5_000}, resume_by=["id"], retry=quick)

    assert found == list(range(MANY))
    # Two of them in one chunk; and at 5,000 the last chunk had been read: nothing was left to go on with.
    assert [record.getMessage().count("retry_scheduled") for record in caplog.records] == [1] * 3
    assert nobody_is_left(server)


def test_without_resume_by_a_lost_connection_goes_up(server, place):
    with pytest.raises(DatabaseUnavailableError):
        streamed_with_losses(place, server, {1_050})

    assert nobody_is_left(server)


def test_a_loss_for_longer_than_the_policy_allows_goes_up(server, place):
    with pytest.raises(DatabaseUnavailableError):
        streamed_with_losses(place, server, {1_050}, resume_by=["id"], retry=RetryPolicy(attempts=1))


def test_a_key_of_several_columns_text_and_parameters_go_on_as_well(server, place):
    statement = "SELECT name, half::text AS \"odd Name\" FROM numbers WHERE id <> :left_out AND name LIKE 'n%'"
    quick = RetryPolicy(max_wait_s=0)
    found = []
    for row in server.stream(statement, {"left_out": 7}, chunk=700, resume_by=["odd Name", "name"], retry=quick):
        found.append(row.name)
        if len(found) in (300, 2_000):
            place.look(KILL)

    assert sorted(found) == sorted(f"n{number}" for number in range(MANY) if number != 7)


def test_a_construct_goes_on_as_well(server, place):
    table = sa.table("numbers", sa.column("id", sa.BigInteger), sa.column("half", sa.Integer))
    statement = sa.select(table.c.half, table.c.id).where(table.c.id > 10)
    found = []
    for row in server.stream(statement, chunk=700, resume_by=["half", "id"], retry=RetryPolicy(max_wait_s=0)):
        found.append(row.id)
        if row.id == 2_000:
            place.look(KILL)

    assert found == list(range(11, MANY))


@pytest.mark.parametrize(
    ("statement", "key", "says"),
    [
        ("SELECT half FROM numbers", ["half"], "came twice"),
        ("SELECT CASE WHEN id = 3 THEN NULL ELSE id END AS key FROM numbers", ["key"], "no value"),
        ("SELECT id FROM numbers", [], "takes the names"),
        ("SELECT id FROM numbers", "id", "takes the names"),
        ("DELETE FROM numbers", ["id"], "cannot be resumed"),
        ("SELECT id FROM numbers", ["nonsense"], "nonsense"),
    ],
)
def test_a_key_that_nobody_could_go_on_behind_is_refused(db, statement, key, says):
    with pytest.raises(QueryError, match=says):
        list(db.stream(sql(statement), resume_by=key))

    assert nobody_is_left(db)


# Memory

FLAT = """
import asyncio, sys
from controlroom.database import AsyncDatabase, Database

def high_water_kb():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))

def forget():
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")

statement = sys.argv[2]

def sync():
    with Database(sys.argv[1]) as db:
        sum(1 for _ in db.stream(statement.replace("500000", "20000")))
        forget()
        before = high_water_kb()
        assert sum(1 for _ in db.stream(statement)) == 500000
        return high_water_kb() - before

async def coloured():
    async with AsyncDatabase(sys.argv[1]) as db:
        async for _ in db.stream(statement.replace("500000", "20000")):
            pass
        forget()
        before, count = high_water_kb(), 0
        async for _ in db.stream(statement):
            count += 1
        assert count == 500000
        return high_water_kb() - before

print(asyncio.run(coloured()) if sys.argv[3] == "async" else sync())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_half_a_million_rows_take_no_more_memory_than_a_few(place):
    series = "SELECT i AS id, i * 2 AS twice, 'name of ' || i AS name FROM generate_series(1, 500000) AS s(i)"
    if place.is_sqlite:
        counted = "WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < 500000)"
        series = f"{counted} SELECT i AS id, i * 2 AS twice, 'name of ' || i AS name FROM s"
        place.look("CREATE TABLE made (id INTEGER)")
    done = subprocess.run(
        [sys.executable, "-c", FLAT, place.url, series, "async" if place.is_async else "sync"],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 10_000


# What rows become


@dataclass
class Number:
    id: int
    name: str
    note: str = "-"


class Pair(NamedTuple):
    id: int
    name: str | None = None


class Model(pydantic.BaseModel):
    id: int = pydantic.Field(lt=3)
    title: str = pydantic.Field(alias="name")


FIRST = "SELECT id, name FROM numbers WHERE id < 3 ORDER BY id"


@pytest.mark.parametrize(
    ("into", "second"),
    [
        (Number, Number(1, "n1")),
        (Pair, Pair(1, "n1")),
        (Model, Model(id=1, name="n1")),
        (dict, {"id": 1, "name": "n1"}),
        (lambda row: (row.name, row[0]), ("n1", 1)),
    ],
)
def test_rows_become_what_is_asked_for(db, into, second):
    with db.unit_of_work() as uow:
        executed = uow.execute(FIRST, into=into)
    read, streamed = db.rows(FIRST, into=into), list(db.stream(FIRST, into=into, chunk=2, resume_by=["id"]))

    assert executed == read == streamed
    assert executed[1] == second


@pytest.mark.parametrize("into", [Number, Pair, Model])
def test_columns_that_do_not_fit_are_named_and_nothing_is_dropped_without_a_word(db, into):
    with pytest.raises(QueryError, match=rf"{into.__name__}: they lack id and have also half") as caught:
        db.rows("SELECT half, name FROM numbers WHERE id < 0", into=into)  # no row is needed to see it
    assert "half" in str(caught.value)
    with pytest.raises(QueryError, match="several columns named id"):
        db.rows("SELECT id, id FROM numbers", into=into)


def test_a_value_that_does_not_fit_names_row_and_column_and_never_the_value(db):
    statement = "SELECT id, CASE WHEN id = 4 THEN 'hunter2' ELSE '1' END AS name FROM numbers ORDER BY id"

    class Strict(pydantic.BaseModel):
        id: int
        name: int

    for read in (lambda: db.rows(statement, into=Strict), lambda: list(db.stream(statement, into=Strict, chunk=2))):
        with pytest.raises(DataError, match=r"Row 4 does not fit .*Strict: column name \(int_parsing\)") as caught:
            read()
        assert caught.value.__cause__ is None
        assert caught.value.__context__ is None
    assert nobody_is_left(db)


def test_names_and_signs_reach_the_database_as_they_are(db, place):
    place.look('CREATE TABLE "odd ""na:me" ("per % cent" INTEGER, "or?der" TEXT)')
    table, column = identifier('odd "na:me'), identifier("per % cent")
    with db.unit_of_work() as uow:
        insert = sql("INSERT INTO {t} ({c}) VALUES (:a, '50% {of} :it')", t=table, c=[column, identifier("or?der")])
        uow.execute(insert, {"a": 7})
        found = uow.execute(sql("SELECT * FROM {t} WHERE {c} % 4 = 3", t=table, c=column)).one()

    assert tuple(found) == (7, "50% {of} :it")
    assert db.rows("SELECT name FROM numbers WHERE name LIKE 'n499%' AND name LIKE :like", {"like": "%99_"}) == [
        (f"n499{digit}",) for digit in range(10)
    ]
    assert db.rows("SELECT count(*) FROM numbers WHERE name LIKE 'n499%'") == [(11,)]


def test_casts_json_operators_and_parameters_go_together(server):
    statement = """
        SELECT :a::int + 1, :b::jsonb @> '{"k": 1}', '{"k": 1}'::jsonb ? 'k', (ARRAY[1,2,3])[2:3], '12\\:30', 7 \\:\\: int
    """
    [found] = server.rows(statement, {"a": 4, "b": '{"k": 1, "l": 2}'})

    assert tuple(found) == (5, True, True, [2, 3], "12\\:30", 7)


def test_several_statements_are_refused_before_anything_is_sent(db, place):
    for text in ("DELETE FROM numbers; DELETE FROM numbers", "SELECT 1; DROP TABLE numbers -- ", "; COMMIT"):
        with pytest.raises(QueryError, match=r"several statements|COMMIT is not for"), db.unit_of_work() as uow:
            uow.execute(sql(text))
    with db.unit_of_work() as uow:
        assert uow.execute("SELECT ';', 1 ; -- that was all;").one() == (";", 1)

    assert place.column("SELECT count(*) FROM numbers") == [MANY]


def test_statements_with_semicolons_of_their_own_run(db, place):
    with db.unit_of_work() as uow:
        if place.is_sqlite:
            uow.execute(
                "CREATE TRIGGER t AFTER DELETE ON numbers BEGIN UPDATE numbers SET half = CASE WHEN 1 THEN 2 END; SELECT 1; END;"
            )
        else:
            uow.execute(
                "CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; SELECT CASE WHEN true THEN 2 END; END"
            )
            assert uow.scalar("SELECT f()") == 2
            uow.execute(
                "DO $body$ BEGIN DELETE FROM numbers WHERE id = 1; DELETE FROM numbers WHERE id = 2; END $body$"
            )
            assert uow.scalar("SELECT count(*) FROM numbers") == MANY - 2


def test_what_outlives_the_unit_is_refused_and_the_rest_is_not(server):
    for text in (
        "SET statement_timeout = 0",
        "LISTEN x",
        "COPY numbers TO STDOUT",
        "PREPARE TRANSACTION 'x'",
        "DISCARD ALL",
    ):
        with pytest.raises(QueryError, match=r"is not for a statement.*Nothing was run"), server.unit_of_work() as uow:
            uow.execute(sql(text))
    with server.unit_of_work() as uow:
        for text in ("SET LOCAL work_mem = '8MB'", "LOCK TABLE numbers", "NOTIFY x", "SET CONSTRAINTS ALL DEFERRED"):
            uow.execute(sql(text))


def test_a_database_is_what_its_url_says():
    with Database("sqlite://") as db:
        assert db.rows("SELECT 1") == [(1,)]
