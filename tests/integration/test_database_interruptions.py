"""Signals that arrive while SQLite computes or waits for a lock, in processes of their own, and units inside of units.

The statements run and the locks hold for ever: what a signal does not end runs into the subprocess timeout.
"""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from controlroom.database import AsyncDatabase, Database
from controlroom.errors import QueryError, TransactionConflictError
from controlroom.testing import ManualClock
from tests.integration.database_colours import COLOURS, opened

PRELUDE = """
import asyncio, signal, sys
from controlroom import shutdown
from controlroom.database import AsyncDatabase, Database
from controlroom.database import AsyncDatabase, Database
from controlroom.errors import ControlRoomError, ShutdownRequested

url = f"sqlite:///{sys.argv[1]}"
ENDLESS = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"

def second_signal(number, frame):
    shutdown.request(number)
    shutdown.raise_if_requested()

def say(word):
    print(word, flush=True)
"""
COMPUTES = """
import os, threading
from controlroom import clock

number, computing = int(sys.argv[2]), threading.Event()
if number == signal.SIGTERM:
    signal.signal(number, second_signal)

class Watched(clock.SystemClock):
    looks = 0
    def monotonic_s(self):
        self.looks += 1
        if self.looks == 200:  # SQLite's progress handler has been asked many times: the statement runs
            computing.set()
        return super().monotonic_s()

def kill():
    computing.wait()
    os.kill(os.getpid(), number)

threading.Thread(target=kill, daemon=True).start()
try:
    with clock.installed(Watched()), Database(url, statement_timeout_s=36_000) as db, db.unit_of_work() as uow:
        uow.execute("INSERT INTO t VALUES (1)")
        uow.scalar(ENDLESS)
except BaseException as error:
    say(f"{type(error).__name__} {getattr(error, 'exit_code', '')}")
"""
WAITS = """
shutdown.arm()
signal.signal(signal.SIGTERM, lambda number, frame: shutdown.request(number))
db = Database(url, lock_timeout_s=36_000)
say("ready")
try:
    with db.unit_of_work() as uow:
        say("begun")
except ShutdownRequested as error:
    say(f"{type(error).__name__} {error.exit_code}")
"""
WAITS_ASYNC = """
shutdown.arm()
signal.signal(signal.SIGTERM, lambda number, frame: shutdown.request(number))
async def main():
    async with AsyncDatabase(url, lock_timeout_s=36_000) as db:
        say("ready")
        async with db.unit_of_work():
            say("begun")
try:
    asyncio.run(main())
except ShutdownRequested as error:
    say(f"{type(error).__name__} {error.exit_code}")
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    connection = sqlite3.connect(tmp_path / "data.db")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY)")
    connection.close()
    return tmp_path / "data.db"


@pytest.fixture
def rival(path: Path) -> Iterator[sqlite3.Connection]:
    """Somebody else, who holds the write lock."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    yield connection
    connection.close()


def start(body: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PRELUDE + body, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def last_words(process: subprocess.Popen[str]) -> str:
    try:
        said, _ = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        pytest.fail("the signal did not end it")
    return said.strip()


@pytest.mark.integration
@pytest.mark.parametrize(
    ("number", "said"), [(signal.SIGINT, "KeyboardInterrupt"), (signal.SIGTERM, "ShutdownRequested 143")]
)
def test_a_signal_during_a_statement_is_not_reported_as_its_timeout(path: Path, number: int, said: str) -> None:
    assert last_words(start(COMPUTES, path, int(number))) == said
    with Database(f"sqlite:///{path}") as db:
        assert db.rows("SELECT id FROM t") == []


@pytest.mark.integration
@pytest.mark.parametrize("body", [WAITS, WAITS_ASYNC])
def test_a_request_to_stop_ends_the_wait_for_the_lock(path: Path, rival: sqlite3.Connection, body: str) -> None:
    process = start(body, path)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    assert last_words(process) == "ShutdownRequested 143"


@pytest.mark.parametrize("colour", COLOURS)
def test_the_wait_for_a_lock_ends_although_the_clock_stands_still(
    path: Path, rival: sqlite3.Connection, colour: str
) -> None:
    with ManualClock(), opened(colour, f"sqlite:///{path}", lock_timeout_s=0.6) as db:
        with pytest.raises(TransactionConflictError, match="Nothing was begun"), db.unit_of_work():
            pass
        rival.rollback()
        with db.unit_of_work() as uow:
            uow.execute("INSERT INTO t VALUES (1)")
        assert db.rows("SELECT id FROM t") == [(1,)]


def test_a_write_unit_inside_ones_own_is_refused_instead_of_waiting_for_itself(path: Path) -> None:
    with Database(f"sqlite:///{path}", lock_timeout_s=5) as db:
        with db.unit_of_work() as uow:
            uow.execute("INSERT INTO t VALUES (1)")
            for begin in (db.unit_of_work().__enter__, lambda: db.transact(lambda _: None), db.create_control_tables):
                with pytest.raises(QueryError, match="already holds a write unit") as caught:
                    begin()
                assert caught.value.disposition == "stop"
            assert db.rows("SELECT id FROM t") == []  # readers are welcome, and see what is committed
        assert db.rows("SELECT id FROM t") == [(1,)]


def test_a_write_unit_inside_the_tasks_own_is_refused_and_other_tasks_wait_as_before(path: Path) -> None:
    async def main() -> list[Any]:
        async with AsyncDatabase(f"sqlite:///{path}", lock_timeout_s=5) as db:

            async def other() -> None:
                async with db.unit_of_work() as uow:
                    await uow.execute("INSERT INTO t VALUES (2)")

            async with db.unit_of_work() as uow:
                await uow.execute("INSERT INTO t VALUES (1)")
                with pytest.raises(QueryError, match=r"task .* already holds a write unit"):
                    await db.create_control_tables()
                assert await db.rows("SELECT id FROM t") == []
                waiting = asyncio.create_task(other())
                await asyncio.sleep(0)
            await waiting
            return [row.id for row in await db.rows("SELECT id FROM t")]

    assert asyncio.run(main()) == [1, 2]


def test_a_unit_that_was_rolled_back_inside_its_block_does_not_stand_in_the_way_of_the_next(path: Path) -> None:
    with Database(f"sqlite:///{path}") as db:
        with db.unit_of_work() as first:
            first.rollback()
            with db.unit_of_work() as second:
                second.execute("INSERT INTO t VALUES (1)")
        assert db.rows("SELECT id FROM t") == [(1,)]
