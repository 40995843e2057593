"""A walk that is killed again and again, and started again from the checkpoint in its database: each record comes once."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from controlroom.database import Database
from controlroom.testing.faults_http import Fault, FaultServer, Style

pytestmark = pytest.mark.integration

WORKER = Path(__file__).with_name("http_resume_worker.py")
RECORDS = [{"id": number} for number in range(1, 26)]
PAGES = 3
ALL = [record["id"] for record in RECORDS]
Worker = subprocess.Popen[bytes]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "data.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE items (id INTEGER)")  # no key: what comes twice stands there twice
    connection.close()
    with Database(f"sqlite:///{path}") as db:
        db.create_control_tables()
    return path


def start(server: FaultServer, path: Path, *, colour: str = "sync", point: str = "never", prefetch: int = 0) -> Worker:
    arguments = [colour, server.url, str(path), server.listed.style, point, str(prefetch)]
    return subprocess.Popen([sys.executable, str(WORKER), *arguments])


def run(server: FaultServer, path: Path, **options: Any) -> int:
    with start(server, path, **options) as process:
        return process.wait(60)


def stored(path: Path) -> list[int]:
    connection = sqlite3.connect(path)
    try:
        return [number for (number,) in connection.execute("SELECT id FROM items ORDER BY rowid")]
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("point", "colour", "style", "prefetch"),
    [
        ("page taken", "sync", "cursor", 0),
        ("records inserted", "async", "link", 0),
        ("checkpoint set", "sync", "offset", 2),
        ("commit sent", "async", "keyset", 2),
        ("committed", "sync", "link", 1),
    ],
)
def test_a_walk_killed_at_each_second_page_ends_with_each_record_once(
    point: str, colour: str, style: Style, prefetch: int, path: Path
) -> None:
    ends = []
    with FaultServer(RECORDS, page_size=10, style=style) as server:
        while len(ends) <= PAGES and 0 not in ends:
            ends.append(run(server, path, colour=colour, point=point, prefetch=prefetch))

    assert stored(path) == ALL
    assert ends == [*[-signal.SIGKILL] * (len(ends) - 1), 0]
    assert len(ends) > 1


def test_a_walk_killed_when_all_was_done_and_nothing_said_so_does_nothing_again(path: Path) -> None:
    with FaultServer(RECORDS, page_size=10) as server:
        assert run(server, path, point="walk over") == -signal.SIGKILL
        assert run(server, path) == 0

    assert stored(path) == ALL


@pytest.mark.slow
def test_a_walk_over_a_broken_list_killed_at_random_instants_ends_with_each_record_once(path: Path) -> None:
    faults = [Fault("empty page"), Fault("body cut", page=2, times=3), Fault("500", page=3, times=2)]
    draw = random.Random(20261122)
    kills = 0

    with FaultServer(RECORDS, page_size=10, faults=faults) as server:
        for _ in range(6):
            with start(server, path, prefetch=1) as process:
                asked = len(server.requests)
                for _ in range(500):  # until it asks: what dies on its way up has tried nothing
                    if len(server.requests) > asked or process.poll() is not None:
                        break
                    threading.Event().wait(0.01)
                threading.Event().wait(draw.random() * 0.03)
                process.kill()
                kills += process.wait(60) == -signal.SIGKILL
            assert stored(path) == ALL[: len(stored(path))]
        assert run(server, path) == 0

    assert stored(path) == ALL
    assert kills > 0
