"""A worker may be killed at any instruction: the next run finishes or repeats the file, and its effects are there once."""

from __future__ import annotations

import os
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from controlroom.errors import APITimeoutError, DataError
from controlroom.storage import ObjectEvent
from controlroom.testing import ManualClock, crash_everywhere
from tests.integration.inboxes import COLOURS, Site
from tests.integration.inboxes_s3 import S3Site
from tests.servers.s3 import S3Server


def handler(work, text):
    if "broken" in work.key:
        raise DataError("half of it is missing")
    if "slow" in work.key and work.attempt == 1:
        raise APITimeoutError("no answer")
    for number, word in enumerate(text.split(), 1):
        if word == "bad":
            work.reject(word, "not a good word", line=number)
        else:
            yield word


SCENARIOS = {
    "a file with a bad record, and one that is wrong": (
        {"a.txt": "one bad two", "broken.txt": "half"},
        {"one", "two"},
        [
            "archive/a.txt",
            "quarantine/a.txt.rejects.jsonl",
            "quarantine/broken.txt",
            "quarantine/broken.txt.reason.json",
        ],
    ),
    "the same content twice": (
        {"a.txt": "one", "again.txt": "one"},
        {"one"},
        ["archive/a.txt", "archive/again.txt"],
    ),
    "a file that is told of twice": ({"a.txt": "one"}, {"one"}, ["archive/a.txt"]),
    "a file that fails once": ({"slow.txt": "three"}, {"three"}, ["archive/slow.txt"]),
}


@pytest.fixture
def folder(tmp_path):
    """A folder in memory where there is one: hundreds of databases need not survive a power cut."""
    if not os.access("/dev/shm", os.W_OK):
        yield tmp_path
        return
    with TemporaryDirectory(dir="/dev/shm") as name:
        yield Path(name)


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("scenario", [name for name in SCENARIOS if "told of" not in name])
def test_a_worker_killed_at_any_step_leaves_each_effect_exactly_once(scenario, colour, folder):
    killed_everywhere(scenario, colour, folder, events=None)


@pytest.mark.parametrize("colour", COLOURS)
def test_a_worker_killed_while_it_follows_notifications_loses_none_that_comes_again(colour, folder):
    events = [ObjectEvent("created", "", "lake", "landing/a.txt", sequencer="01")] * 2
    killed_everywhere("a file that is told of twice", colour, folder, events=events)


def killed_everywhere(scenario, colour, folder, events):
    landed, expected_words, expected_files = SCENARIOS[scenario]
    numbers = count()

    def world():
        site = Site(folder / str(next(numbers)), durable=False)  # a crash of ours, not of the disk: no need to sync
        for name, text in landed.items():
            site.land(name, text)
        return site

    def run(site):
        with ManualClock():
            for _ in ("the first time", "again, for the file that fails once"):
                site.ingest(colour, handler, events=events, max_attempts=9)

    def check(site):
        assert site.words().keys() == expected_words
        assert site.files() == expected_files
        assert not {"claimed", "released"} & {row["state"] for row in site.rows("controlroom_inbox")}

    assert crash_everywhere(run, check=check, setup=world) > 10


def test_a_worker_killed_at_any_step_on_s3_leaves_each_effect_exactly_once(
    ministack_server: S3Server, folder: Path
) -> None:
    """In one colour: what differs between them is below, in the stores, and is met in tests of their own."""
    numbers = count()

    def world():
        site = S3Site(folder / str(next(numbers)), ministack_server)
        site.land("a.txt", "one bad two")
        return site

    def run(site):
        with ManualClock():
            site.ingest("sync", handler, max_attempts=9)

    def check(site):
        assert site.words().keys() == {"one", "two"}
        assert site.files() == ["archive/a.txt", "quarantine/a.txt.rejects.jsonl"]
        assert {row["state"] for row in site.rows("controlroom_inbox")} == {"done"}

    run(world())  # what the server can do is found out once
    assert crash_everywhere(run, check=check, setup=world) > 10
