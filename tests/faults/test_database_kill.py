"""Killed at any instruction, a unit has committed whole or not at all, and what was acknowledged is there."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from controlroom.database import Database

WORKER = Path(__file__).with_name("database_worker.py")
POINTS = [
    "before begin",
    *(f"after statement {number}" for number in range(5)),
    "before commit",
    "after commit",
    "never",
]


@pytest.fixture
def path(tmp_path):
    connection = sqlite3.connect(tmp_path / "data.db")
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
    connection.close()
    with Database(f"sqlite:///{tmp_path / 'data.db'}") as db:
        db.create_control_tables()
    return tmp_path / "data.db"


def worker(*arguments, **options):
    return subprocess.Popen([sys.executable, str(WORKER), *arguments], stdout=subprocess.PIPE, text=True, **options)


def everything(path):
    """All that the unit writes, read by somebody who recovers the file first."""
    connection = sqlite3.connect(path)
    try:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return [
            connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in ("t", "controlroom_ledger", "controlroom_checkpoints", "controlroom_watermarks")
        ]
    finally:
        connection.close()


@pytest.mark.parametrize("point", POINTS)
def test_a_unit_killed_at_any_point_is_there_whole_or_not_at_all(path, point):
    with worker("unit", f"sqlite:///{path}", point) as process:
        said, _ = process.communicate(timeout=60)

    assert process.returncode == -signal.SIGKILL
    landed = point in ("after commit", "never")
    assert everything(path) == ([6_000, 1, 1, 1] if landed else [0, 0, 0, 0])
    assert said == ("committed\n" if point == "never" else "")
    with Database(f"sqlite:///{path}") as db, db.unit_of_work() as uow:
        assert uow.once("the unit") is not landed  # whoever repeats it is told the truth


@pytest.mark.slow
@pytest.mark.parametrize("colour", ["acknowledge", "acknowledge_async"])
def test_what_was_acknowledged_survives_a_kill_at_a_random_instant(path, colour):
    draw = random.Random(20260105)
    first = 0
    for _ in range(5):
        with worker(colour, f"sqlite:///{path}", str(first)) as process:
            acknowledged = [int(process.stdout.readline()) for _ in range(draw.randrange(1, 40))]
            process.kill()
            acknowledged += [int(line) for line in process.stdout if line.endswith("\n")]
        connection = sqlite3.connect(path)
        sizes = dict(connection.execute("SELECT v, count(*) FROM t GROUP BY v"))
        connection.close()
        assert set(sizes.values()) == {100}
        assert set(acknowledged) <= sizes.keys()
        with Database(f"sqlite:///{path}") as db, db.unit_of_work(read_only=True) as uow:
            assert uow.checkpoints.get("batch") == max(sizes)
        assert max(sizes) - max(acknowledged) <= 1  # at most the one whose acknowledgement was cut off
        first = max(sizes) + 1


@pytest.mark.slow
def test_of_many_processes_exactly_one_claims_each_key(tmp_path):
    path = tmp_path / "data.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
    connection.execute("INSERT INTO t VALUES (0, 0)")
    connection.commit()
    connection.close()

    processes = [worker("claim", f"sqlite:///{path}", "25") for _ in range(8)]  # all create the control tables, too
    had = []
    for process in processes:
        with process:
            said, _ = process.communicate(timeout=120)
        assert process.returncode == 0
        had += said.split()

    assert sorted(map(int, had)) == list(range(25))
    with Database(f"sqlite:///{path}") as db:
        assert db.rows("SELECT v FROM t") == [(25,)]
