"""The demo's job, run as its user would run it, and killed as its user's machine would kill it."""

from __future__ import annotations

import json
import os
import random
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from demo import deliver
from reference_api import ReferenceAPI
from summary import last_run, summary

HERE = Path(__file__).parent
COLOURS = ["sync", "async"]
SEEDS = range(3)


class Place:
    """A folder of the job, and the API it talks to."""

    def __init__(self, folder: Path, colour: str, api: ReferenceAPI) -> None:
        self.folder = folder
        self.colour = colour
        self.log = folder / "run.jsonl"
        self.environment = {
            **os.environ,
            "FLIGHTS_API_URL": api.url,
            "FLIGHTS_API_TOKEN": api.token,
            "FLIGHTS_FOLDER": str(folder / "files"),
            "FLIGHTS_DATABASE_URL": f"sqlite:///{folder / 'flights.db'}",
        }
        deliver(folder, full=False)

    def start(self) -> subprocess.Popen[bytes]:
        job = [sys.executable, str(HERE / f"ingest_{self.colour}.py"), "--log-file", str(self.log)]
        return subprocess.Popen(job, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def run(self) -> int:
        with self.start() as process:
            out, err = process.communicate(timeout=120)
        assert out == b"", "standard output is for data; logs go elsewhere"
        assert b"Traceback" not in err
        return process.returncode

    def tables(self) -> dict[str, list[tuple[object, ...]]]:
        with closing(sqlite3.connect(self.folder / "flights.db")) as connection:
            return {
                name: sorted(connection.execute(f"SELECT * FROM {name}").fetchall(), key=repr)
                for name in ("airports", "flights")
            }

    def files(self) -> set[str]:
        """Where each file ended. Either name of the duplicate may be the one that was worked on: both are archived."""
        root = self.folder / "files"
        return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def in_memory():
    """A folder in memory where there is one: a killed process, unlike a power cut, takes nothing with it from there."""
    return TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)


@pytest.fixture(scope="module")
def undisturbed():
    """The job run once, sync, against an API without faults."""
    with in_memory() as folder, ReferenceAPI(HERE / "data" / "reference", faults=()) as api:
        place = Place(Path(folder), "sync", api)
        assert place.run() == 0
        yield place


@pytest.fixture
def folder():
    with in_memory() as name:
        yield Path(name)


@pytest.mark.parametrize("colour", COLOURS)
def test_the_misbehaving_api_costs_retries_and_nothing_else(colour, folder, undisturbed):
    with ReferenceAPI(HERE / "data" / "reference") as api:
        place = Place(folder, colour, api)
        assert place.run() == 0
        injected = [fault.kind for fault in api.injected]
    assert place.tables() == undisturbed.tables()
    assert place.files() == undisturbed.files()
    events = Counter(event["event"] for event in last_run(place.log))
    assert len(injected) == 4
    assert events["retry_scheduled"] == len(injected)
    assert (events["file_ingested"], events["file_skipped"], events["file_quarantined"]) == (7, 1, 1)
    errors = [event for event in last_run(place.log) if event["level"] == "ERROR"]
    assert [error["event"] for error in errors] == ["file_failed"]
    assert api.token not in place.log.read_text()


def test_the_rows_and_files_are_those_of_the_week(undisturbed):
    tables = undisturbed.tables()
    assert (len(tables["flights"]), len(tables["airports"])) == (6096, 107)
    files = undisturbed.files()
    assert {name for name in files if name.startswith("quarantine/")} == {
        "quarantine/flights-2013-01-05.csv.rejects.jsonl",
        "quarantine/flights-2013-01-08.csv",
        "quarantine/flights-2013-01-08.csv.reason.json",
    }
    assert sum(name.startswith("archive/") for name in files) == 8
    assert not any(name.startswith("landing/") for name in files)
    rejects = (undisturbed.folder / "files/quarantine/flights-2013-01-05.csv.rejects.jsonl").read_text().splitlines()
    assert [json.loads(line)["line"] for line in rejects] == [58, 260, 501]


@pytest.mark.parametrize("colour", COLOURS)
def test_a_second_run_changes_nothing_and_says_so(colour, folder):
    with ReferenceAPI(HERE / "data" / "reference", faults=()) as api:
        place = Place(folder, colour, api)
        assert place.run() == 0
        before = place.tables(), place.files()
        assert place.run() == 0
    assert (place.tables(), place.files()) == before
    told = summary(place.folder, place.log, 0)
    assert "none had landed: nothing to do" in told
    assert "nothing changed" in told
    assert str(place.log) in told


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("colour", COLOURS)
def test_killed_at_random_moments_it_ends_as_if_undisturbed(colour, seed, folder, undisturbed):
    dice = random.Random(f"{colour}-{seed}")
    with ReferenceAPI(HERE / "data" / "reference", faults=()) as api:
        place = Place(folder, colour, api)
        for _ in range(4):
            with place.start() as process:
                try:
                    process.communicate(timeout=dice.uniform(0.3, 3.0))
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.communicate()
        assert place.run() == 0
    assert place.tables() == undisturbed.tables()
    assert place.files() == undisturbed.files()


@pytest.mark.parametrize("colour", COLOURS)
def test_asked_to_stop_it_ends_with_143_and_goes_on_when_started_again(colour, folder, undisturbed):
    with ReferenceAPI(HERE / "data" / "reference", faults=()) as api:
        place = Place(folder, colour, api)
        with place.start() as process:
            for line in process.stderr:
                if b"file_ingested" in line:
                    process.terminate()
                    break
            process.communicate(timeout=60)
        assert process.returncode == 143
        assert 0 < len(place.tables()["flights"]) < 6096
        assert place.run() == 0
    assert place.tables() == undisturbed.tables()
    assert place.files() == undisturbed.files()


def test_a_wrong_setting_is_named_and_the_exit_code_says_configuration(folder):
    with ReferenceAPI(HERE / "data" / "reference", faults=()) as api:
        place = Place(folder, "sync", api)
        place.environment["FLIGHTS_PAGE_SIZE"] = "0"
        with place.start() as process:
            _, err = process.communicate(timeout=60)
    assert process.returncode == 78
    assert b"FLIGHTS_PAGE_SIZE" in err
