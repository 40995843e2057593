"""Memory is flat, and what had to leave is counted."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest

from controlroom.explain import story
from tests.unit.explain.logged import failure, line, node, told


def night_of(lines: int) -> Iterator[str]:
    """Yield a log with more of everything than is told: pages, calls, files, runs, names, units that never end."""
    for number in range(lines // 10):
        run = {"run_id": f"r{number // 500}", "pid": 7}
        at = number % 59
        yield line("page_fetched", at, walk="w1", page=number, endpoint="orders", records=1, elapsed_s=0.1, **run)
        yield line("retry_scheduled", at, level="WARNING", what="GET /x", wait_s=1.0, code=f"code-{number}", **run)
        yield line(f"event-{number}", at, **run)
        yield line("file_claimed", at, key=f"{number}.csv", file=f"{number}.csv", **run)
        yield line("page_fetched", at, walk=f"w{number}", page=1, file=f"{number}.csv", endpoint="e", **run)
        yield line("file_ingested", at, key=f"{number}.csv", file=f"{number}.csv", elapsed_s=0.2, **run)
        yield line("file_failed", at, key=f"{number}-bad.csv", **failure(), **run)
        yield line("unit_rolled_back", at, unit=f"u{number}", reason="DataError", **run)
        yield line("stray", at, level="WARNING", run_id=f"stray-{number}")
        yield line("file_claimed", at, key=f"{number}-open.csv", **run)


def peak_bytes(lines: list[str]) -> int:
    gc.collect()
    tracemalloc.start()
    try:
        told = story(lines)
        assert told.events_read == len(lines)
        assert told.accounted().total() == len(lines)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_stays_flat_however_long_the_log_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controlroom.explain.run._MOST_NODES", 1_000)  # full early, so that a short log is a long one
    peaks = [peak_bytes(list(night_of(lines))) for lines in (6_000, 18_000)]

    assert peaks[1] < 1.1 * peaks[0]
    assert peaks[1] < 8 * 2**20


def test_lines_of_hundreds_of_kilobytes_do_not_fill_the_memory() -> None:
    tracemalloc.start()
    try:
        found = story(line("upload_failed", level="WARNING", body="x" * 200_000, n=number) for number in range(300))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert found.accounted() == {"upload_failed": 300}
    assert not found.is_whole
    assert peak < 20 * 2**20  # the fifty that are kept whole, and one being read


def test_the_first_the_last_and_the_troubled_pages_are_told_one_by_one() -> None:
    lines = [line("page_fetched", walk="w1", page=number, endpoint="e", elapsed_s=0.1) for number in range(1, 1_001)]
    lines.insert(500, line("retry_scheduled", level="WARNING", walk="w1", page=501, wait_s=1.0))
    found = story(lines)
    run = found.to_dict()["runs"][0]
    pages = [node["title"] for node in run["nodes"] if node["kind"] == "page"]

    assert pages == [f"page {number}" for number in (*range(1, 21), 501, *range(981, 1_001))]
    assert node(run, "walk")["untold"] == {"page": 959}
    assert run["untold"] == {"page": 959}
    assert run["untold_events"] == {"page_fetched": 959}
    assert run["effects"]["pages"] == 1_000
    assert not found.is_whole


def test_the_failure_that_ended_the_run_is_kept_however_many_came_before() -> None:
    lines = [line("file_failed", key=f"{number}.csv", **failure()) for number in range(5_000)]
    run = told(
        *lines, line("run_failed", **failure("config", "stop", "ConfigError: no url")), line("run_finished", code="config")
    )  # fmt: skip

    assert run["nodes"][run["failing_path"][-1] - 1]["title"] == "run_failed"
    assert run["effects"]["files"] == {"failed": 1_400}
    assert run["untold"] == {"file": 3_600, "failure": 3_600}


def run_of(id_: str, files: int) -> Iterator[str]:
    """Yield a run with thirty walks of a page each in every file, none of which has an end."""
    for file in range(files):
        for walk in range(30):
            yield line("page_fetched", file=f"{file}.csv", walk=f"w{file}-{walk}", page=1, endpoint="e", run_id=id_)


def test_the_last_run_is_told_in_full_at_the_expense_of_those_before() -> None:
    found = story([*run_of("r1", 100), *run_of("r2", 100), *run_of("r3", 20)])
    first, second, last = found.to_dict()["runs"]

    assert len(last["nodes"]) == 1 + 20 * 61
    assert len(second["nodes"]) == 1 + 100 * 61
    assert len(first["nodes"]) < 600
    assert found.accounted() == {"page_fetched": 220 * 30}


def test_a_run_larger_than_everything_is_told_in_few_words_and_the_next_one_in_full_again() -> None:
    found = story([*run_of("r1", 600), *run_of("r2", 1)])
    first, last = found.to_dict()["runs"]

    assert len(first["nodes"]) < 600
    assert len(last["nodes"]) == 62
    assert found.accounted() == {"page_fetched": 601 * 30}


def test_runs_beyond_what_anybody_reads_leave_the_troubled_ones_behind() -> None:
    def lines() -> Iterator[str]:
        for number in range(1_000):
            if number == 500:
                yield line("run_failed", run_id=f"r{number}", **failure())
            yield line("run_finished", run_id=f"r{number}", outcome="succeeded")

    found = story(lines())

    assert len(found.runs) == 201
    assert "r500" in found.runs
    assert found.untold_runs == 799
    assert found.accounted() == {"run_finished": 1_000, "run_failed": 1}


def test_names_beyond_the_first_thousand_are_counted_together() -> None:
    found = story(line(f"event-{number}") for number in range(1_200))

    assert found.accounted()["event-999"] == 1
    assert found.accounted()["(others)"] == 200


def test_an_event_that_comes_a_million_times_is_kept_at_its_begin_and_its_end() -> None:
    found = story(line("run_progressed", number / 100, done=number, total=5_000) for number in range(5_000))
    run = found.to_dict()["runs"][0]

    assert run["progress"] == {"done": 4_999, "total": 5_000}
    assert sorted(facts["done"] for facts in found.events()) == [*range(16), *range(4_984, 5_000)]
    assert run["nodes"][0]["events"] == {"run_progressed": 5_000}


def test_only_one_run_is_told_where_one_was_asked_for_and_the_others_are_counted() -> None:
    found = story([line("run_started", run_id=f"r{number}") for number in range(50)], run_id="r7")

    assert list(found.runs) == ["r7"]
    assert found.other_runs == [f"r{number}" for number in range(50) if number != 7]
    assert found.events_read == 50
    assert found.accounted() == {"run_started": 50}


@pytest.mark.parametrize("run_id", [None, 7, "", ["r1"], True])
def test_what_names_no_run_was_logged_outside_of_any(run_id: Any) -> None:
    assert list(story([line("started", run_id=run_id)]).runs) == [""]


def test_the_length_of_a_log_counts_bytes() -> None:
    assert story(["é\n", '{"event": "\\ud800"}', "\ud800"]).bytes_read == 3 + 19 + 3
