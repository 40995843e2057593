"""Hundreds of tasks cancelled at random: no connection is lost, no transaction left open, and every claim is true."""

from __future__ import annotations

import asyncio
import random
from contextlib import closing
from types import SimpleNamespace

import psycopg
import pytest

from controlroom.database import AsyncDatabase
from tests.faults.test_database_cancel import cancelled_at, caught

TASKS = 1_000
MANY = 8
SUSPENSIONS = 60  # more than a unit has: some are not cancelled at all


@pytest.fixture(scope="module")
def server(postgres_cluster):
    """One database for all of them."""
    name = postgres_cluster.new_database()
    with psycopg.connect(postgres_cluster.url(name), autocommit=True) as look:
        look.execute("CREATE TABLE t (id integer PRIMARY KEY, part integer)")
        yield SimpleNamespace(cluster=postgres_cluster, name=name, look=lambda sql: look.execute(sql).fetchall())
    postgres_cluster.drop(name)


def sqlite_place(tmp_path):
    import sqlite3

    def look(sql):
        with closing(sqlite3.connect(tmp_path / "data.db")) as connection:
            return connection.execute(sql).fetchall()

    look("CREATE TABLE t (id INTEGER PRIMARY KEY, part INTEGER)")
    return f"sqlite:///{tmp_path / 'data.db'}", look


async def two_parts(db, number, ran):
    """A unit that is there whole or not at all."""
    async with db.unit_of_work() as uow:
        uow.on_commit(lambda: ran.add(number))
        await uow.execute("INSERT INTO t VALUES (:id, 1)", {"id": 2 * number})
        async with uow.savepoint():
            await uow.insert("t", [{"id": 2 * number + 1, "part": 2}])
        await uow.scalar("SELECT count(*) FROM t WHERE id < 10")


def said(outcome):
    """What whoever waited for the unit was told about it: it is there, it is not, or nobody knows."""
    if outcome is None:
        return True
    notes = getattr(outcome, "__notes__", [])
    assert isinstance(outcome, asyncio.CancelledError), repr(outcome)
    if not notes:
        return False
    return {"committed.": True, "back.": False, "doubt.": None}[notes[0].rsplit(" ", 1)[1]]


@pytest.mark.parametrize("driver", ["aiosqlite", "psycopg", "asyncpg"])
def test_of_hundreds_of_cancelled_tasks_each_tells_the_truth_and_none_keeps_a_connection(request, tmp_path, driver):
    if driver == "aiosqlite":
        url, look = sqlite_place(tmp_path)
    else:
        server = request.getfixturevalue("server")
        url, look = server.cluster.sqlalchemy_url(server.name, driver), server.look
        look("DELETE FROM t RETURNING id")
    draw = random.Random(20261122)
    ran, outcomes = set(), {}

    async def main():
        async with AsyncDatabase(url, pool_size=MANY, application_name="cancelled", lock_timeout_s=30) as db:
            turns = asyncio.Semaphore(4 * MANY)

            async def one(number):
                async with turns:
                    at = draw.randrange(1, SUSPENSIONS)
                    cancelled = cancelled_at(two_parts(db, number, ran), at, [0])
                    outcomes[number] = await asyncio.ensure_future(caught(cancelled))

            await asyncio.gather(*(one(number) for number in range(TASKS)))
            assert db._source.engine.pool.checkedout() == len(db._source.idle)
            assert len(db._source._checkouts) == 0
            if driver != "aiosqlite":
                open_ones = (
                    "SELECT state FROM pg_stat_activity WHERE application_name LIKE 'cancelled%' AND state <> 'idle'"
                )
                for _ in range(1_000):  # the server hears of a connection that was closed a moment later
                    if not (left := look(open_ones)):
                        break
                    await asyncio.to_thread(look, "SELECT pg_sleep(0.01)")
                assert left == []
            async with asyncio.TaskGroup() as group:  # the pool is whole: as many at once as it has
                for _ in range(MANY):
                    group.create_task(db.rows("SELECT 1"))

    asyncio.run(main())
    there = {number for (number,) in look("SELECT id FROM t")}
    untrue = {}
    for number, outcome in outcomes.items():
        parts = len(there & {2 * number, 2 * number + 1})
        claim = said(outcome)
        if (
            parts == 1
            or (claim is not None and claim is not bool(parts))
            or (claim is not None and (number in ran) is not bool(parts))
        ):
            untrue[number] = (parts, outcome, getattr(outcome, "__notes__", []))
    assert untrue == {}
    told = [said(outcome) for outcome in outcomes.values() if outcome is not None]
    assert {True, False} <= set(told)  # it was cancelled before and during COMMIT
    assert told.count(None) == 0  # a server that answers leaves nobody in doubt


def test_an_executemany_that_is_cancelled_while_it_begins_does_not_leave_its_connection_in_pipeline_mode(
    server, monkeypatch
):
    """What came next on it, COMMIT included, was sent, and its answer not read."""
    monkeypatch.setattr(
        "psycopg.waiting.MAX_BUSY_TIME", 0
    )  # psycopg yields to the loop wherever it may, as on a busy one
    server.look("DELETE FROM t RETURNING id")

    async def unit(db):
        async with db.unit_of_work() as uow:
            await uow.execute("INSERT INTO t VALUES (:id, 1)", [{"id": 1}, {"id": 2}])
            await uow.rollback()

    async def main():
        async with AsyncDatabase(server.cluster.sqlalchemy_url(server.name), pool_size=1) as db:
            for suspension in range(1, 200):
                count = [0]
                await asyncio.ensure_future(caught(cancelled_at(unit(db), suspension, count)))
                assert await db.rows(f"SELECT {suspension}") == [(suspension,)]
                if count[0] < suspension:
                    return
            pytest.fail("the unit never came to its end")

    asyncio.run(main())
