"""What only the asynchronous colour does: awaited hooks, asynchronous rows, coroutine bodies."""

from __future__ import annotations

import asyncio
import sqlite3

import pytest

from controlroom.clock import deadline
from controlroom.database import AsyncDatabase
from controlroom.errors import DeadlineExceededError, IntegrityViolationError, QueryError, TransactionConflictError
from controlroom.retrying import Backoff, RetryPolicy

ENDLESS = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"


@pytest.fixture
def url(tmp_path):
    connection = sqlite3.connect(tmp_path / "data.db")
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
    connection.close()
    return f"sqlite:///{tmp_path / 'data.db'}"


def run(url, body, **options):
    async def main():
        async with AsyncDatabase(url, **options) as db:
            return await body(db)

    return asyncio.run(main())


async def numbers(count):
    for number in range(count):
        await asyncio.sleep(0)
        yield {"id": number, "v": number}


def test_a_hook_that_is_a_coroutine_function_is_awaited_and_may_fail(url, caplog):
    ran = []

    async def body(db):
        async def hook():
            await asyncio.sleep(0)
            ran.append(await db.rows("SELECT id FROM t"))

        async def broken():
            raise ValueError("mine")

        async with db.unit_of_work() as uow:
            uow.on_commit(broken)
            uow.on_commit(hook)
            await uow.insert("t", [{"id": 1}])

    run(url, body)
    assert ran == [[(1,)]]
    assert "on_commit_failed" in caplog.text


@pytest.mark.parametrize("count", [10, 5_000])
def test_rows_may_come_asynchronously(url, count):
    async def body(db):
        async with db.unit_of_work() as uow:
            written = await uow.upsert("t", numbers(count), key=["id"])
            again = await uow.load("t", numbers(count), key=["id"])
            with pytest.raises(IntegrityViolationError) as caught:
                await uow.insert("t", numbers(1))
            await uow.rollback()
        return written.inserted, again.unchanged, caught.value.row_index

    assert run(url, body) == (count, count, 0)


def test_an_error_in_asynchronous_rows_goes_up_as_it_is(url):
    async def failing():
        yield {"id": 1}
        raise KeyError("mine")

    async def body(db):
        with pytest.raises(KeyError, match="mine"):
            async with db.unit_of_work() as uow:
                await uow.insert("t", failing())
        return await db.rows("SELECT * FROM t")

    assert run(url, body) == []


def test_a_unit_is_run_again_after_a_conflict_and_once_for_a_key(url):
    calls = []

    async def flaky(uow):
        calls.append(1)
        await uow.insert("t", [{"id": len(calls)}])
        if len(calls) < 3:
            raise TransactionConflictError("locked")
        return "done"

    async def body(db):
        await db.create_control_tables()
        retry = RetryPolicy(attempts=5, backoff=Backoff(initial_s=0))
        first = await db.transact(flaky, key="k", retry=retry)
        return first, await db.transact(flaky, key="k"), await db.rows("SELECT id FROM t")

    assert run(url, body) == ("done", "done", [(3,)])


def test_a_plain_body_is_refused_and_rolled_back(url):
    async def body(db):
        with pytest.raises(QueryError, match="cannot be awaited"):
            await db.transact(lambda _: 7)

    run(url, body)


def test_the_deadline_follows_into_the_drivers_thread(url):
    async def body(db):
        await db.rows("SELECT 1")  # it is open
        with pytest.raises(DeadlineExceededError, match="at the deadline"), deadline(0.3):
            await db.rows(ENDLESS)
        with pytest.raises(QueryError, match="statement_timeout_s"):
            await db.rows(ENDLESS)

    run(url, body, statement_timeout_s=0.6)


def test_a_loop_left_early_gives_the_connection_back_when_the_generator_is_closed(url):
    async def body(db):
        async with db.unit_of_work() as uow:
            await uow.insert("t", numbers(100))
        for _ in range(3):
            stream = db.stream("SELECT id FROM t", chunk=10)
            async for row in stream:
                assert row.id == 0
                break
            await stream.aclose()
            assert db._source.engine.pool.checkedout() == len(db._source.idle)

    run(url, body, pool_size=1, pool_timeout_s=0.1)


def test_other_tasks_run_while_a_statement_does(url):
    async def body(db):
        turns = 0

        async def spin():
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        task = asyncio.ensure_future(spin())
        with pytest.raises(QueryError):
            await db.rows(ENDLESS)
        task.cancel()
        return turns

    assert run(url, body, statement_timeout_s=0.2) > 10
