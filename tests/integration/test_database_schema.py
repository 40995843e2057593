"""The control tables: created once by whoever comes first, and brought up to date with their rows in them."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from controlroom.database import Database
from controlroom.database.control import SCHEMA_VERSION, metadata
from controlroom.errors import ConfigError, DatabaseError
from controlroom.testing import ManualClock
from tests.integration.coordination_places import KINDS, POSTGRES_KINDS, Place

# What the release before wrote, word for word: it had version 1, on SQLite only.
VERSION_1 = """
CREATE TABLE controlroom_schema (part TEXT NOT NULL, version INTEGER NOT NULL, updated_at TEXT NOT NULL, PRIMARY KEY (part));
CREATE TABLE controlroom_ledger ("key" TEXT NOT NULL, claimed_at TEXT NOT NULL, PRIMARY KEY ("key"));
CREATE TABLE controlroom_checkpoints (
    name TEXT NOT NULL, value TEXT NOT NULL, updated_at TEXT NOT NULL, PRIMARY KEY (name));
CREATE TABLE controlroom_watermarks (
    name TEXT NOT NULL, value TEXT NOT NULL, updated_at TEXT NOT NULL, PRIMARY KEY (name));
CREATE TABLE controlroom_limits (name TEXT NOT NULL, value TEXT NOT NULL, updated_at TEXT NOT NULL, PRIMARY KEY (name));
CREATE TABLE controlroom_tokens (name TEXT NOT NULL, value TEXT NOT NULL, updated_at TEXT NOT NULL, PRIMARY KEY (name));
CREATE TABLE controlroom_inbox (
    ref TEXT NOT NULL, version TEXT NOT NULL, state TEXT NOT NULL, attempt INTEGER NOT NULL, owner TEXT, lease_until FLOAT,
    sha256 TEXT, size_bytes INTEGER, reason TEXT, updated_at TEXT NOT NULL, PRIMARY KEY (ref, version));
CREATE INDEX controlroom_inbox_sha256 ON controlroom_inbox (sha256);
INSERT INTO controlroom_schema VALUES ('control', 1, '2026-01-05T00:00:00+00:00');
INSERT INTO controlroom_ledger VALUES ('day 1', '2026-01-05T00:00:00+00:00');
INSERT INTO controlroom_checkpoints VALUES ('walk', '{"page": 7}', '2026-01-05T00:00:00+00:00');
INSERT INTO controlroom_watermarks VALUES ('orders', '{"type": "int", "value": 5}', '2026-01-05T00:00:00+00:00');
"""
# What that release did before anything else, once it had found its tables.
OF_VERSION_1 = "SELECT version FROM controlroom_schema WHERE part = 'control'"
STARTER = """
import sys
from controlroom.database import Database
with Database(sys.argv[1], lock_timeout_s=60) as db:
    print("ready", flush=True)
    sys.stdin.readline()
    db.create_control_tables()
    with db.unit_of_work() as uow:
        uow.once(sys.argv[2])
"""


@pytest.fixture(params=KINDS)
def place(request, tmp_path):
    if request.param.startswith("sqlite"):
        return Place(request.param, f"sqlite:///{tmp_path}/control.db")
    return Place(request.param, request.getfixturevalue("postgres_url"))


def write_version_1(place: Place) -> None:
    if place.is_sqlite:
        with sqlite3.connect(place.sync_url.removeprefix("sqlite:///")) as connection:
            connection.executescript(VERSION_1)
        connection.close()
    else:
        with psycopg.connect(place.sync_url.replace("+psycopg", "")) as connection:
            connection.execute(VERSION_1)


def test_tables_are_created_once_and_say_their_version(place):
    with place.opened() as db:
        db.create_control_tables()
        db.create_control_tables()

        assert set(db.tables()) == set(metadata.tables)
        assert db.rows("SELECT version FROM controlroom_schema")[0].version == SCHEMA_VERSION


def test_a_database_of_version_1_keeps_its_rows_and_gets_what_it_lacks(place):
    write_version_1(place)
    with place.opened() as db:
        db.create_control_tables()

        assert db.rows(OF_VERSION_1)[0].version == SCHEMA_VERSION
        with db.unit_of_work() as uow:
            assert not uow.once("day 1")
            assert not uow.once("day 1", payload={"now": "compared with nothing"})
            assert uow.once("day 2", payload=[1])
            assert uow.checkpoints.get("walk") == {"page": 7}
            assert uow.watermarks.get("orders") == 5
            uow.watermarks.advance("orders", 6)
            uow.outbox.put("orders", 1)
        with db.lease("nightly") as lease:
            assert lease.epoch == 1


def test_a_migrated_table_has_the_columns_of_a_new_one(place):
    write_version_1(place)
    with place.opened() as db:
        db.create_control_tables()

        for table in metadata.sorted_tables:
            assert set(db.describe(table).columns.names) == {column.name for column in table.columns}, table.name


def test_a_newer_version_is_left_alone(place):
    with place.opened() as db:
        db.create_control_tables()
        with db.unit_of_work() as uow:
            uow.execute("UPDATE controlroom_schema SET version = 99")
            uow.execute("DROP TABLE controlroom_tokens")
        with pytest.raises(ConfigError, match="version 99"):
            db.create_control_tables()

        assert "controlroom_tokens" not in db.tables()


def test_a_migration_that_fails_halfway_leaves_version_1(place):
    write_version_1(place)
    with place.opened() as db:
        with db.unit_of_work() as uow:
            uow.execute("CREATE VIEW controlroom_received AS SELECT 1 AS message_id")
        with pytest.raises(DatabaseError):
            db.create_control_tables()

        assert db.rows(OF_VERSION_1)[0].version == 1
        assert "controlroom_outbox" not in db.tables()
        assert db.describe("controlroom_ledger").columns.names == ("key", "claimed_at")


def started_at_once(url: str, number: int, start: threading.Barrier) -> None:
    with Database(url, lock_timeout_s=60) as db:
        start.wait()
        db.create_control_tables()
        with db.unit_of_work() as uow:
            uow.once(f"key {number}")


def eight_have_started(place: Place) -> bool:
    with place.beside() as db:
        versions = [row.version for row in db.rows("SELECT version FROM controlroom_schema")]
        keys = db.rows("SELECT count(*) FROM controlroom_ledger WHERE key LIKE 'key %'")[0][0]
        return versions == [SCHEMA_VERSION] and keys == 8


@pytest.mark.parametrize("begins_with", ["nothing", "version 1"])
@pytest.mark.parametrize("kind", ["sqlite", "psycopg"])
def test_of_eight_workers_that_start_at_once_one_creates_the_tables_and_none_fails(
    request, tmp_path, kind, begins_with
):
    url = f"sqlite:///{tmp_path}/control.db" if kind == "sqlite" else request.getfixturevalue("postgres_url")
    place = Place(kind, url)
    if begins_with == "version 1":
        write_version_1(place)
    start = threading.Barrier(8)
    with ThreadPoolExecutor(8) as pool:
        for each in [pool.submit(started_at_once, place.sync_url, number, start) for number in range(8)]:
            each.result(timeout=120)

    assert eight_have_started(place)


def test_of_eight_processes_that_start_at_once_one_migrates_and_none_fails(postgres_url):
    place = Place("psycopg", postgres_url)
    write_version_1(place)
    starters = [
        subprocess.Popen(
            [sys.executable, "-c", STARTER, place.sync_url, f"key {number}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(8)
    ]
    for each in starters:
        assert each.stdout is not None
        assert each.stdout.readline() == "ready\n"

    assert [each.communicate("go\n", timeout=120)[1] for each in starters] == [""] * 8
    assert eight_have_started(place)


@pytest.mark.parametrize("kind", POSTGRES_KINDS)
def test_whoever_creates_the_tables_waits_for_whoever_is_creating_them(postgres_url, kind):
    place = Place(kind, postgres_url)
    with ManualClock(), place.beside() as other, place.opened(lock_timeout_s=0.2) as db:
        with other.unit_of_work() as uow:
            uow.execute("SELECT pg_advisory_xact_lock(1668444013, 0)")
            with pytest.raises(DatabaseError, match="lock"):
                db.create_control_tables()
            assert db.tables() == []
        db.create_control_tables()


def test_the_frozen_schema_is_that_of_the_release_before(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "old.db") as connection:
        connection.executescript(VERSION_1)
        assert connection.execute(OF_VERSION_1).fetchone() == (1,)
    connection.close()
