"""A cancelled task leaves no connection behind and no outcome unreported: cancelled once at every await of a unit."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sqlite3
import threading
import types
from functools import partial

import pytest

from controlroom.database import AsyncDatabase
from controlroom.errors import (
    CommitInDoubtError,
    ConfigError,
    DoomedTransactionError,
    QueryError,
    TransactionConflictError,
)


@pytest.fixture
def path(tmp_path):
    connection = sqlite3.connect(tmp_path / "data.db")
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
    connection.close()
    return tmp_path / "data.db"


def committed(path):
    connection = sqlite3.connect(path)
    try:
        return [number for (number,) in connection.execute("SELECT id FROM t ORDER BY id")]
    finally:
        connection.close()


@types.coroutine
def cancelled_at(coroutine, suspension, count):
    """Run *coroutine* in this task and cancel the task at the given suspension (1-based); count them all."""
    resume = partial(coroutine.send, None)
    while True:
        try:
            awaited = resume()
        except StopIteration as end:
            return end.value
        count[0] += 1
        if count[0] == suspension:
            asyncio.current_task().cancel()
        try:
            yield awaited
        except BaseException as error:
            resume = partial(coroutine.throw, error)
        else:
            resume = partial(coroutine.send, None)


async def idle(db):
    """The database is as it was: nothing checked out, no lock held, and it works."""
    assert db._source.engine.pool.checkedout() == len(db._source.idle)
    assert len(db._source._checkouts) == 0
    async with db.unit_of_work() as uow:
        await uow.execute("DELETE FROM t WHERE id = 99")


async def rows():
    for number in range(10, 13):
        await asyncio.sleep(0)
        yield {"id": number, "v": "x"}


async def whole_unit(db, log):
    async with db.unit_of_work() as uow:
        uow.on_commit(lambda: log.append("hook"))
        await uow.execute("INSERT INTO t (id) VALUES (1)")
        async with uow.savepoint():
            await uow.upsert("t", [{"id": 2, "v": None}], key=["id"])
        await uow.insert("t", rows())
        await uow.checkpoints.set("c", 1)
        assert await uow.once("k")
    log.append("returned")


async def run_cancelled_at(path, suspension):
    """Return what came out, how many suspensions there were, and what was logged."""
    log, count = [], [0]
    async with AsyncDatabase(f"sqlite:///{path}") as db:
        await db.create_control_tables()
        outcome = await asyncio.ensure_future(caught(cancelled_at(whole_unit(db, log), suspension, count)))
        await idle(db)
    return outcome, count[0], log


async def caught(awaitable):
    """The exception itself: gather and other tasks make a new CancelledError, without its notes."""
    try:
        return await awaitable
    except BaseException as error:
        return error


def total_suspensions(path):
    outcome, count, log = asyncio.run(run_cancelled_at(path, None))
    assert (outcome, log) == (None, ["hook", "returned"])
    assert committed(path) == [1, 2, 10, 11, 12]
    return count


def test_cancelled_at_every_await_a_unit_has_committed_or_not_and_says_which(tmp_path, path):
    total = total_suspensions(path)
    threads = threading.active_count()
    told = set()
    for suspension in range(1, total + 1):
        with sqlite3.connect(path) as connection:
            connection.executescript(
                "DELETE FROM t; DELETE FROM controlroom_ledger; DELETE FROM controlroom_checkpoints"
            )
        connection.close()

        outcome, _, log = asyncio.run(run_cancelled_at(path, suspension))

        assert isinstance(outcome, asyncio.CancelledError), suspension
        found, notes = committed(path), getattr(outcome, "__notes__", [])
        assert found in ([], [1, 2, 10, 11, 12]), suspension
        assert log == (["hook"] if found else []), suspension
        if notes:
            told.add(notes[0].rsplit(" ", 1)[1])
            assert ("is committed." in notes[0]) == bool(found), suspension
        else:
            assert not found, suspension
    assert "committed." in told
    gc.collect()
    assert threading.active_count() <= threads


def test_a_second_cancellation_does_not_cut_the_commit_short(path):
    async def main():
        async with AsyncDatabase(f"sqlite:///{path}") as db:
            log = []
            unit = db.unit_of_work()

            async def work():
                async with unit as uow:
                    uow.on_commit(lambda: log.append("hook"))
                    await uow.execute("INSERT INTO t (id) VALUES (1)")

            commit, blocked, go_on = unit._work._commit, asyncio.Event(), asyncio.Event()

            def slow_commit():
                from sqlalchemy.util import await_only

                blocked.set()
                await_only(go_on.wait())
                commit()

            unit._work._commit = slow_commit
            task = asyncio.ensure_future(work())
            await blocked.wait()
            for _ in range(3):
                task.cancel()
                await asyncio.sleep(0)
                assert not task.done()
            go_on.set()
            with pytest.raises(asyncio.CancelledError) as caught:
                await task
            assert caught.value.__notes__ == ["controlroom: interrupted while the unit of work ended; it is committed."]
            assert log == ["hook"]
            await idle(db)

    asyncio.run(main())
    assert committed(path) == [1]


def test_a_long_statement_is_stopped_by_a_cancellation_and_not_waited_for(path):
    endless = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"

    async def main():
        async with AsyncDatabase(f"sqlite:///{path}", statement_timeout_s=3600) as db:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05), db.unit_of_work() as uow:
                    await uow.execute("INSERT INTO t (id) VALUES (1)")
                    await uow.execute(endless)
            await idle(db)

    asyncio.run(main())
    assert committed(path) == []


def test_a_unit_that_waits_for_its_rows_is_cancelled_at_once(path):
    async def forever():
        yield {"id": 1}
        await asyncio.Event().wait()

    async def main():
        async with AsyncDatabase(f"sqlite:///{path}") as db:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05), db.unit_of_work() as uow:
                    await uow.insert("t", forever())
            await idle(db)

    asyncio.run(main())
    assert committed(path) == []


def test_a_cancellation_that_is_swallowed_inside_dooms_the_unit(path):
    async def main():
        async with AsyncDatabase(f"sqlite:///{path}") as db:
            raised = []

            async def work():
                async with db.unit_of_work() as uow:
                    await uow.execute("INSERT INTO t (id) VALUES (1)")
                    try:
                        await uow.insert("t", slow())
                    except asyncio.CancelledError:
                        raised.append("swallowed")

            started = asyncio.Event()

            async def slow():
                started.set()
                await asyncio.Event().wait()
                yield {}

            task = asyncio.ensure_future(work())
            await started.wait()
            task.cancel()
            (outcome,) = await asyncio.gather(task, return_exceptions=True)
            assert raised == ["swallowed"]
            assert type(outcome).__name__ == "DoomedTransactionError"
            await idle(db)

    asyncio.run(main())
    assert committed(path) == []


def test_a_statement_that_was_cancelled_dooms_the_unit_even_where_it_was_run(path):
    """Its result never reached the caller, who does not know what is in the unit."""

    async def main():
        async with AsyncDatabase(f"sqlite:///{path}") as db:

            async def work():
                async with db.unit_of_work() as uow:
                    with contextlib.suppress(asyncio.CancelledError):
                        await cancelled_at(uow.execute("INSERT INTO t (id) VALUES (1)"), 1, [0])

            with pytest.raises(DoomedTransactionError, match="CancelledError was raised inside"):
                await work()
            await idle(db)

    asyncio.run(main())
    assert committed(path) == []


def test_a_loop_that_ends_amid_a_unit_rolls_it_back_and_leaves_no_lock(path):
    """asyncio.run cancels every task that is left, the ones below the unit included."""

    async def main(until):
        db = AsyncDatabase(f"sqlite:///{path}")
        begun = asyncio.Event()

        async def background():
            async with db.unit_of_work() as uow:
                await uow.execute("INSERT INTO t (id) VALUES (1)")
                begun.set()
                for number in range(2, 1_000):
                    await uow.execute("INSERT INTO t (id) VALUES (:id)", {"id": number})

        task = asyncio.ensure_future(background())
        await begun.wait()
        for _ in range(until):
            await asyncio.sleep(0)
        return task, db

    for until in range(40):
        _, db = asyncio.run(main(until))
        assert committed(path) == []
        asyncio.run(closed_after_use(db))


async def closed_after_use(db):
    await idle(db)
    await db.aclose()


def test_two_statements_of_one_unit_at_once_are_refused(path):
    async def main():
        async with AsyncDatabase(f"sqlite:///{path}") as db:
            async with db.unit_of_work() as uow:
                first, second = await asyncio.gather(
                    uow.execute("SELECT 1"), uow.execute("SELECT 2"), return_exceptions=True
                )
                assert first.scalar() == 1
                assert isinstance(second, QueryError)
                assert "is running another statement" in second.message
            await idle(db)

    asyncio.run(main())


async def read_cancelled_at(db, suspension):
    """Read a stream to its end, or to the cancellation."""

    async def read():
        stream = db.stream("SELECT id FROM t", chunk=100)
        try:
            return [row.id async for row in stream]
        finally:
            await stream.aclose()

    return await asyncio.ensure_future(caught(cancelled_at(read(), suspension, [0])))


def test_a_stream_that_is_cancelled_gives_its_connection_back(path):
    async def main():
        async with AsyncDatabase(f"sqlite:///{path}") as db:
            async with db.unit_of_work() as uow:
                await uow.insert("t", ({"id": number} for number in range(1_000)))
            for suspension in range(1, 200):
                outcome = await read_cancelled_at(db, suspension)
                assert db._source.engine.pool.checkedout() == len(db._source.idle), suspension
                if isinstance(outcome, list):
                    assert outcome == list(range(1_000))
                    break
                assert isinstance(outcome, asyncio.CancelledError)
            else:
                pytest.fail("the stream never came to its end")
            await idle(db)

    asyncio.run(main())


def test_a_wait_for_the_lock_can_be_cancelled_and_leaves_nothing(path):
    async def main():
        url = f"sqlite:///{path}"
        async with AsyncDatabase(url) as rival, AsyncDatabase(url, lock_timeout_s=0.3) as db:
            async with rival.unit_of_work():
                with pytest.raises((TimeoutError, TransactionConflictError)):
                    async with asyncio.timeout(0.05), db.unit_of_work():
                        pytest.fail("two writers at once")
            await idle(db)

    asyncio.run(main())


def test_a_database_that_cannot_be_opened_leaves_no_thread_behind(tmp_path):
    """aiosqlite's own would still be about to report its end when the event loop closes."""

    async def main():
        async with AsyncDatabase(f"sqlite:///{tmp_path}/no/such.db") as db:
            with pytest.raises(ConfigError):
                await db.rows("SELECT 1")
            return set(threading.enumerate()) - before  # by identity: threads of earlier tests may end meanwhile

    before = set(threading.enumerate())
    for _ in range(20):
        assert asyncio.run(main()) == set()


def test_one_database_serves_two_loops_in_turn_but_not_at_once(path):
    db = AsyncDatabase(f"sqlite:///{path}")

    async def use():
        async with db.unit_of_work() as uow:
            return await uow.scalar("SELECT 1")

    assert asyncio.run(use()) == asyncio.run(use()) == 1

    async def meanwhile():
        async with db.unit_of_work():
            with pytest.raises(QueryError, match="another event loop"):
                await asyncio.to_thread(asyncio.run, use())
        await db.aclose()

    asyncio.run(meanwhile())


def test_in_doubt_is_told_even_to_whoever_was_cancelled(path, caplog):
    async def main():
        async with AsyncDatabase(f"sqlite:///{path}") as db:
            unit = db.unit_of_work()

            async def work():
                async with unit as uow:
                    await uow.execute("INSERT INTO t (id) VALUES (1)")

            def no_answer():
                from sqlalchemy.util import await_only

                await_only(asyncio.sleep(0))
                task.cancel()
                await_only(asyncio.sleep(0))
                raise CommitInDoubtError("no answer")

            unit._work._commit = no_answer
            task = asyncio.ensure_future(work())
            with pytest.raises(asyncio.CancelledError) as caught:
                await task
            assert "in doubt" in caught.value.__notes__[0]
            assert isinstance(caught.value.__cause__, CommitInDoubtError)
            await idle(db)

    asyncio.run(main())
    assert "commit_left_in_doubt" in caplog.text
