"""Many at once on one file: nothing is lost, nothing hangs, and whoever waits in vain is told for whom."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import sqlite3
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import pytest

from controlroom.clock import deadline
from controlroom.database import AsyncDatabase, Database
from controlroom.errors import (
    ConfigError,
    DeadlineExceededError,
    PoolExhaustedError,
    QueryError,
    TransactionConflictError,
)
from controlroom.retrying import Backoff, RetryPolicy
from controlroom.testing import ManualClock

ENDLESS = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
IMPATIENT = RetryPolicy(attempts=3, backoff=Backoff(initial_s=0))


@pytest.fixture
def path(tmp_path):
    connection = sqlite3.connect(tmp_path / "data.db")
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
    connection.execute("INSERT INTO t VALUES (0, 0)")
    connection.commit()
    connection.close()
    return tmp_path / "data.db"


@pytest.fixture
def url(path):
    return f"sqlite:///{path}"


def add_one(uow):
    value = uow.scalar("SELECT v FROM t WHERE id = 0")
    uow.execute("UPDATE t SET v = :v WHERE id = 0", {"v": value + 1})


def test_eight_threads_lose_no_update(url):
    with Database(url, lock_timeout_s=30) as db:

        def work():
            for _ in range(40):
                with db.unit_of_work() as uow:
                    add_one(uow)

        with ThreadPoolExecutor(8) as pool:
            for future in [pool.submit(work) for _ in range(8)]:
                future.result()
        assert db.rows("SELECT v FROM t") == [(320,)]


def test_twenty_threads_on_two_connections_take_turns(url):
    with Database(url, lock_timeout_s=30, pool_size=2) as db, ThreadPoolExecutor(20) as pool:
        list(pool.map(lambda _: db.transact(add_one), range(100)))
        assert db.rows("SELECT v FROM t") == [(100,)]


def test_tasks_lose_no_update(url):
    async def main():
        async with AsyncDatabase(url, lock_timeout_s=30) as db:

            async def work():
                for _ in range(10):
                    async with db.unit_of_work() as uow:
                        value = await uow.scalar("SELECT v FROM t WHERE id = 0")
                        await uow.execute("UPDATE t SET v = :v WHERE id = 0", {"v": value + 1})

            await asyncio.gather(*(work() for _ in range(16)))
            return await db.rows("SELECT v FROM t")

    assert asyncio.run(main()) == [(160,)]


def test_threads_share_a_database_in_memory(url):
    with Database("sqlite://") as db:
        with db.unit_of_work() as uow:
            uow.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
            uow.execute("INSERT INTO t VALUES (0, 0)")
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: db.transact(add_one), range(80)))
        assert db.rows("SELECT v FROM t") == [(80,)]


class Rival:
    """Somebody else, who holds the write lock."""

    def __init__(self, path):
        self.connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self.connection.execute("BEGIN IMMEDIATE")

    def leave(self):
        self.connection.close()


@pytest.fixture
def rival(path):
    rival = Rival(path)
    yield rival
    rival.leave()


def test_a_locked_file_is_a_conflict_after_the_lock_timeout(url, rival):
    with Database(url, lock_timeout_s=0.05) as db:
        with pytest.raises(TransactionConflictError, match="Nothing was begun") as caught, db.unit_of_work():
            pass
        assert caught.value.disposition == "retry"
        rival.leave()
        db.transact(add_one)


def test_the_first_connection_waits_for_the_lock_although_sqlite_itself_would_not(url, rival):
    """The switch to WAL answers SQLITE_BUSY at once while somebody writes."""
    threading.Timer(0.2, rival.leave).start()
    with Database(url, lock_timeout_s=30) as db:
        db.transact(add_one, retry=RetryPolicy(attempts=1))
        assert db.rows("PRAGMA journal_mode") == [("wal",)]


def test_the_wait_for_a_lock_is_cut_to_the_deadline(url, rival):
    with Database(url, lock_timeout_s=600) as db:
        with deadline(0.5), pytest.raises(TransactionConflictError), db.unit_of_work():
            pass
        rival.leave()
        with db.unit_of_work(read_only=True) as uow:  # without the deadline the whole timeout counts again
            assert uow.scalar("PRAGMA busy_timeout") == 600_000


def test_a_conflict_is_tried_again_with_the_whole_unit(url, rival):
    with Database(url, lock_timeout_s=0.05) as db:
        threading.Timer(0.2, rival.leave).start()
        calls = []

        def body(uow):
            calls.append(1)
            add_one(uow)
            return "done"

        assert db.transact(body, retry=RetryPolicy(attempts=100, backoff=Backoff(initial_s=0.01))) == "done"
        assert calls == [1]
        assert db.rows("SELECT v FROM t") == [(1,)]


def test_what_is_not_the_databases_is_not_tried_again(url):
    calls = []

    def body(uow):
        calls.append(1)
        raise DeadlineExceededError("elsewhere")

    with Database(url) as db, pytest.raises(DeadlineExceededError):
        db.transact(body, retry=IMPATIENT)
    assert calls == [1]


def test_a_key_that_has_committed_is_not_done_again(url):
    with Database(url) as db:
        db.create_control_tables()

        def body(uow):
            add_one(uow)
            return "done"

        assert db.transact(body, key="k") == "done"
        assert db.transact(body, key="k") == "done"  # as it was stored
        assert db.rows("SELECT v FROM t") == [(1,)]


@pytest.mark.parametrize("body", [lambda uow: (yield uow), None])
def test_a_body_of_another_colour_is_refused_before_it_commits_nothing(url, body):
    async def coroutine(uow):
        await uow.execute("SELECT 1")

    with Database(url) as db, pytest.raises(QueryError, match="nothing of it has run"):
        db.transact(body or coroutine)


def test_a_statement_is_stopped_at_its_timeout_and_the_unit_rolled_back(url):
    with Database(url, statement_timeout_s=0.05) as db:
        with pytest.raises(QueryError, match=r"statement_timeout_s=0\.05") as caught, db.unit_of_work() as uow:
            add_one(uow)
            uow.execute(ENDLESS)
        assert caught.value.disposition == "stop"
        assert db.rows("SELECT v FROM t") == [(0,)]


def test_a_write_that_was_stopped_takes_the_whole_transaction_with_it(url):
    """SQLite rolls back by itself when a write is interrupted; nothing after it may commit on its own."""
    with Database(url, statement_timeout_s=0.05) as db:
        with pytest.raises(Exception, match="swallowed"), db.unit_of_work() as uow:
            add_one(uow)
            with pytest.raises(QueryError):
                uow.execute(f"INSERT INTO t (v) {ENDLESS.replace('SELECT count(*)', 'SELECT i')}")
            with pytest.raises(Exception, match="was not run"):
                uow.execute("INSERT INTO t (id) VALUES (7)")
        assert db.rows("SELECT id, v FROM t") == [(0, 0)]


def test_a_statement_is_stopped_at_the_deadline_and_none_begins_after_it(url):
    with Database(url) as db:
        db.rows("SELECT 1")  # it is open
        with pytest.raises(DeadlineExceededError, match="at the deadline"), deadline(0.3), db.unit_of_work() as uow:
            uow.execute(ENDLESS)
        with pytest.raises(DeadlineExceededError, match="was not begun"), db.unit_of_work() as uow, deadline(0):
            uow.execute("SELECT 1")


def test_no_unit_begins_after_the_deadline_but_what_was_begun_is_undone_after_it(url):
    with Database(url) as db:
        with deadline(0), pytest.raises(DeadlineExceededError, match="was not begun"):
            db.rows("SELECT 1")
        with ManualClock() as clock, deadline(1), db.unit_of_work() as uow:
            add_one(uow)
            with pytest.raises(ZeroDivisionError), uow.savepoint():
                clock.advance(2)
                raise ZeroDivisionError
        assert db.rows("SELECT v FROM t") == [(1,)]


def test_each_chunk_of_a_stream_has_the_timeout_to_itself(url):
    """The time that the caller takes between two chunks is not the database's."""
    with ManualClock() as clock, Database(url, statement_timeout_s=1) as db:
        stream = db.stream(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 50000) SELECT i FROM n"
        )
        for _ in range(50_000):
            next(stream)
            clock.advance(0.9)
        assert list(stream) == []


def test_a_thread_that_waits_for_itself_is_told_at_once(url):
    with Database(url, pool_size=1, pool_timeout_s=3600) as db:
        with db.unit_of_work(), pytest.raises(PoolExhaustedError, match=f"thread {threading.current_thread().name}"):
            db.rows("SELECT 1")
        assert db.rows("SELECT 1") == [(1,)]


def test_a_task_that_waits_for_itself_is_told_at_once(url):
    async def main():
        async with AsyncDatabase(url, pool_size=1, pool_timeout_s=3600) as db:
            async with db.unit_of_work():
                with pytest.raises(PoolExhaustedError, match="Held by: task"):
                    await db.rows("SELECT 1")
            assert await db.rows("SELECT 1") == [(1,)]

    asyncio.run(main())


def child_writes(db, result):
    try:
        db.transact(add_one)
    except ConfigError as error:
        result.put(error.message)
    else:
        result.put(f"pid {os.getpid()}")


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("kind", ["file", "memory"])
def test_a_forked_child_opens_connections_of_its_own(url, kind):
    context = multiprocessing.get_context("fork")
    with Database(url if kind == "file" else "sqlite://") as db:
        result = context.SimpleQueue()
        with db.unit_of_work(read_only=kind == "file") as uow:  # a connection is open, and a lock held, across the fork
            uow.scalar("SELECT 1")
            child = context.Process(target=child_writes, args=(db, result))
            child.start()
            said = result.get()
            child.join()
        assert child.exitcode == 0
        if kind == "file":
            assert said.startswith("pid")
            db.transact(add_one)
            assert db.rows("SELECT v FROM t") == [(2,)]
        else:
            assert "belongs to the parent process" in said


@pytest.mark.slow
def test_memory_stays_flat_while_a_generator_is_upserted_and_while_it_is_read_back(url):
    count = 50_000
    with Database(url, statement_timeout_s=600) as db:
        with db.unit_of_work() as uow:
            uow.upsert("t", ({"id": number, "v": "warm"} for number in range(4_000)), key=["id"])
        tracemalloc.start()
        try:
            with db.unit_of_work() as uow:
                written = uow.upsert("t", ({"id": number, "v": "x" * 200} for number in range(count)), key=["id"])
            _, peak_write = tracemalloc.get_traced_memory()
            tracemalloc.reset_peak()
            read = sum(1 for _ in db.stream("SELECT * FROM t"))
            _, peak_read = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert (written.inserted, written.updated, read) == (count - 4_000, 4_000, count)
    assert peak_write < 4 * 2**20  # 50,000 such rows are some 20 MB
    assert peak_read < 4 * 2**20
