"""What an inbox does to files and rows, over a real folder and a real SQLite file, in both colours."""

from __future__ import annotations

import contextlib
import json
import os
import signal

import pytest

from controlroom import shutdown
from controlroom.clock import deadline
from controlroom.errors import (
    APITimeoutError,
    ConfigError,
    DataError,
    DeadlineExceededError,
    NothingToDo,
    QuarantineThresholdError,
    ShutdownRequested,
)
from controlroom.testing import ManualClock
from tests.integration.inboxes import COLOURS, Site, every_line

pytestmark = pytest.mark.parametrize("colour", COLOURS)


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


def failing(error):
    def handler(work, text):
        raise error

    return handler


def test_a_clean_file_is_in_the_database_and_in_the_archive(site, colour):
    site.land("a.txt", "one two")
    report = site.ingest(colour)
    assert site.words() == {"one": "landing/a.txt", "two": "landing/a.txt"}
    assert site.files() == ["archive/a.txt"]
    assert report.to_dict() == {**dict.fromkeys(report.to_dict(), 0), "ingested": 1}


def test_a_second_run_finds_nothing_and_changes_nothing(site, colour):
    site.land("a.txt", "one")
    site.ingest(colour)
    before = site.rows("words"), site.rows("controlroom_inbox"), site.files()
    report = site.ingest(colour, failing(AssertionError("nothing may be delivered")))
    assert (site.rows("words"), site.rows("controlroom_inbox"), site.files()) == before
    assert set(report.to_dict().values()) == {0}


def test_files_are_delivered_oldest_first_and_not_more_than_the_limit(site, colour):
    for name, age_s in [("new.txt", 1), ("old.txt", 300), ("middle.txt", 20)]:
        site.land(name, name)
        path = site.root / "landing" / name
        os.utime(path, (path.stat().st_atime, path.stat().st_mtime - age_s))
    seen = []
    site.ingest(colour, lambda work, text: seen.append(text) or [], limit=2)
    assert seen == ["old.txt", "middle.txt"]
    assert site.files("landing/") == ["new.txt"]


def test_wrong_content_is_set_aside_with_its_reason_and_leaves_no_row(site, colour):
    site.land("bad.txt", "half")
    site.land("good.txt", "whole")

    def handler(work, text):
        yield from text.split()
        if work.key.endswith("bad.txt"):
            raise DataError("the second half is missing")

    report = site.ingest(colour, handler)
    assert (report.ingested, report.quarantined) == (1, 1)
    assert site.words() == {"whole": "landing/good.txt"}
    assert site.files() == ["archive/good.txt", "quarantine/bad.txt", "quarantine/bad.txt.reason.json"]
    reason = json.loads(site.read("quarantine/bad.txt.reason.json"))
    assert reason["error"]["code"] == "data"
    assert reason["reason"] == "DataError: the second half is missing"
    assert reason["key"] == "landing/bad.txt"
    assert reason["size_bytes"] == 4
    assert len(reason["sha256"]) == 64


def test_bytes_that_are_not_text_are_wrong_content_not_a_bug(site, colour):
    site.land("latin.txt", "café".encode("latin-1"))
    assert site.ingest(colour).quarantined == 1
    reason = json.loads(site.read("quarantine/latin.txt.reason.json"))
    assert "UnicodeDecodeError" in reason["error"]["causes"][0]["type"]


def test_a_failure_that_may_pass_leaves_the_file_for_the_next_run(site, colour):
    site.land("a.txt", "one")
    attempts = []

    def handler(work, text):
        attempts.append(work.attempt)
        if len(attempts) == 1:
            raise APITimeoutError("no answer")
        return text.split()

    first = site.ingest(colour, handler)
    assert (first.released, first.ingested) == (1, 0)
    assert site.files() == ["landing/a.txt"]
    assert site.words() == {}
    assert site.ingest(colour, handler).ingested == 1
    assert attempts == [1, 2]


def test_a_file_that_never_succeeds_is_not_tried_for_ever(site, colour):
    site.land("a.txt", "one")
    outcomes = [site.ingest(colour, failing(APITimeoutError("no answer")), max_attempts=3) for _ in range(4)]
    assert [report.released for report in outcomes] == [1, 1, 0, 0]
    assert [report.quarantined for report in outcomes] == [0, 0, 1, 0]
    reason = json.loads(site.read("quarantine/a.txt.reason.json"))
    assert reason["reason"] == "attempt 3 of 3 failed: APITimeoutError: no answer"
    assert reason["error"]["code"] == "api-timeout"


@pytest.mark.parametrize("error", [ConfigError("a setting is wrong"), ZeroDivisionError("a bug")], ids=repr)
def test_what_a_person_must_mend_goes_up_and_the_file_stays(site, colour, error):
    site.land("a.txt", "one")
    with pytest.raises(type(error)) as caught:
        site.ingest(colour, failing(error))
    assert caught.value is error
    assert site.files() == ["landing/a.txt"]
    assert site.words() == {}
    assert site.ingest(colour).ingested == 1


def test_nothing_to_do_archives_without_effects(site, colour):
    site.land("empty.txt", "x")
    report = site.ingest(colour, failing(NothingToDo("an empty export")))
    assert (report.skipped, site.words(), site.files()) == (1, {}, ["archive/empty.txt"])


def test_the_same_content_under_another_name_is_ingested_once(site, colour):
    site.land("a.txt", "one")
    site.land("b.txt", "one")
    report = site.ingest(colour)
    assert (report.ingested, report.skipped) == (1, 1)
    assert len(site.words()) == 1
    assert site.files() == ["archive/a.txt", "archive/b.txt"]


def test_the_same_content_a_day_later_is_still_known(site, colour):
    site.land("a.txt", "one")
    site.ingest(colour)
    site.land("a.txt", "one")
    report = site.ingest(colour, failing(AssertionError("the same content again")))
    assert report.skipped == 1
    assert not site.files("landing/")


def test_duplicates_are_processed_where_that_is_asked_for(site, colour):
    site.land("a.txt", "one")
    site.land("b.txt", "one")
    assert site.ingest(colour, duplicates="process").ingested == 2


def test_another_file_under_a_name_that_was_archived_does_not_overwrite_it(site, colour):
    site.land("a.txt", "monday")
    site.ingest(colour)
    site.land("a.txt", "tuesday")
    assert site.ingest(colour).ingested == 1
    archived = site.files("archive/")
    assert len(archived) == 2
    assert {site.read(f"archive/{name}") for name in archived} == {b"monday", b"tuesday"}


def test_a_file_that_lands_under_the_same_name_meanwhile_is_not_archived_unread(site, colour):
    site.land("a.txt", "first")

    def handler(work, text):
        if text == "first":
            site.land("a.txt", "second")
        return text.split()

    site.ingest(colour, handler)
    assert site.files("landing/") == ["a.txt"]
    assert site.read("landing/a.txt") == b"second"
    site.ingest(colour, handler)
    assert set(site.words()) == {"first", "second"}


def test_rejected_records_stand_beside_the_quarantine_with_their_lines(site, colour):
    site.land("a.txt", "good bad good2")

    def handler(work, text):
        for number, word in enumerate(text.split(), 1):
            if word == "bad":
                work.reject({"word": word}, "not a good word", line=number)
            else:
                yield word

    report = site.ingest(colour, handler)
    assert (report.ingested, report.rejected) == (1, 1)
    assert set(site.words()) == {"good", "good2"}
    lines = site.read("quarantine/a.txt.rejects.jsonl").splitlines()
    assert [json.loads(line) for line in lines] == [{"line": 2, "reason": "not a good word", "record": {"word": "bad"}}]


def test_rejects_of_a_file_that_failed_are_not_published(site, colour):
    site.land("a.txt", "one")

    def handler(work, text):
        work.reject(text, "odd")
        raise APITimeoutError("no answer")

    assert site.ingest(colour, handler).rejected == 0
    assert site.files() == ["landing/a.txt"]


def test_too_many_rejects_stop_the_run_and_write_nothing(site, colour):
    site.land("a.txt", "a b c")

    def handler(work, text):
        for word in text.split():
            work.reject(word, "odd")
        return ()

    with pytest.raises(QuarantineThresholdError) as caught:
        site.ingest(colour, handler, max_rejects=2)
    assert caught.value.rejected == 3
    assert site.files() == ["landing/a.txt"]


def test_a_requested_shutdown_stops_between_two_files(site, colour):
    site.land("a.txt", "one")
    site.land("b.txt", "two")
    stopped = []

    def handler(work, text):
        stopped.append(work.key)
        shutdown.request(signal.SIGTERM)
        return text.split()

    try:
        with pytest.raises(ShutdownRequested):
            site.ingest(colour, handler)
    finally:
        shutdown.reset()
    assert len(stopped) == 1
    assert len(site.words()) == 1
    assert len(site.files("landing/")) == 1


def test_a_shutdown_inside_a_file_rolls_back_and_does_not_count_as_an_attempt(site, colour):
    site.land("a.txt", "one")
    with pytest.raises(ShutdownRequested):
        site.ingest(colour, failing(ShutdownRequested("SIGTERM")))
    attempts = []
    site.ingest(colour, lambda work, text: attempts.append(work.attempt) or text.split())
    assert attempts == [1]


def test_lines_of_a_failure_are_logged_once(site, colour, caplog):
    site.land("bad.txt", "x")
    site.ingest(colour, failing(DataError("wrong")))
    assert sum(record.levelname == "ERROR" for record in caplog.records) == 1
    assert sum("file_quarantined" in record.getMessage() for record in caplog.records) == 1


@pytest.mark.parametrize(
    "rules",
    [
        {"lease_s": 0},
        {"max_attempts": 0},
        {"duplicates": "maybe"},
        {"max_rejects": -1},
        {"landing": "landing"},
        {"landing": "/landing/"},
        {"archive": "landing/archive/"},
        {"archive": "landing/"},
    ],
    ids=str,
)
def test_rules_under_which_files_would_be_lost_are_refused(site, colour, rules):
    with pytest.raises(ConfigError):
        site.ingest(colour, every_line, **rules)


def test_python_is_not_left_with_open_files(site, colour, recwarn):
    site.land("a.txt", "one")
    site.ingest(colour)
    assert [str(warning.message) for warning in recwarn] == []


def test_a_name_as_long_as_the_disk_allows_does_not_stop_the_others(site, colour):
    site.land("L" * 251 + ".csv", "bad")
    site.land("ok.csv", "good")

    def handler(work, text):
        if text == "bad":
            raise DataError("wrong")
        return text.split()

    report = site.ingest(colour, handler)
    assert (report.ingested, report.quarantined) == (1, 1)
    assert site.files("landing/") == []


def test_a_file_whose_deadline_passed_is_free_again_at_once(site, colour):
    site.land("a.txt", "one")

    def too_slow(work, text):
        clock.advance(10)
        return text.split()

    with ManualClock() as clock:
        with deadline(5), contextlib.suppress(DeadlineExceededError):
            site.ingest(colour, too_slow)
        assert site.ingest(colour).ingested == 1
