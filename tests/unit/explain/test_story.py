"""A story loses nothing that was logged, and nothing that was logged breaks it."""

from __future__ import annotations

import json
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from controlroom.explain import Story, render_text, story
from controlroom.explain.sorting import KNOWN_EVENTS

AT = "2026-11-21T23:17:0{}.000000Z"


def line(event: str, **facts: Any) -> str:
    head = {"timestamp": AT.format(0), "level": "INFO", "event": event, "logger": "app", "run_id": "r1"}
    return json.dumps(head | facts)


def only_run(*lines: str) -> Any:
    (run,) = story(lines).runs.values()
    return run


numbers = st.integers() | st.floats() | st.none() | st.text(max_size=5)
NAMES = (
    "key what endpoint attempt wait_s reason code disposition error records rejected elapsed_s size_bytes status_code "
    "expected verified outcome exit_code done total signal timestamp run_id same_as stop_reason job host"
)
names = st.sampled_from(NAMES.split())
values = numbers | st.booleans() | st.sampled_from(["a.csv", "b.csv"]) | st.lists(numbers, max_size=2)
events = st.tuples(
    st.sampled_from(sorted(KNOWN_EVENTS)),
    st.sampled_from(["INFO", "ERROR"]),
    st.dictionaries(names, values, max_size=6),
)
noise = st.text(max_size=20).filter(lambda text: "\n" not in text) | st.sampled_from(
    ["{", '{"event": "cut', "[]", "null", "{}", '{"event": 1}']
)


@settings(max_examples=min(settings().max_examples, 1_000))  # no test may take two minutes
@given(
    logged=st.lists(events, max_size=40), others=st.lists(noise, max_size=10), order=st.randoms(use_true_random=False)
)
def test_as_many_events_come_out_as_went_in_whatever_stands_between_them(
    logged: list[tuple[str, str, dict[str, Any]]], others: list[str], order: Any
) -> None:
    lines = [line(name, **{"level": level, **facts}) for name, level, facts in logged] + others
    order.shuffle(lines)
    told = story(lines)

    assert told.accounted() == Counter(name for name, _, _ in logged)
    assert told.events == len(logged)
    assert told.foreign_lines + told.truncated_lines == sum(bool(text.strip()) for text in others)
    assert all(len(text) <= 80 for text in render_text(told).splitlines())


@given(cut=st.integers(1, 60))
def test_a_line_that_was_cut_is_counted_and_the_rest_is_told(cut: int) -> None:
    whole = line("page_fetched", endpoint="orders", records=7)
    told = story([whole, whole[:-cut], whole])

    assert told.truncated_lines == 1
    assert told.runs["r1"].walks["orders"].records == 14


def test_runs_that_were_mixed_are_told_apart() -> None:
    told = story(
        [
            line("run_started", job="a", run_id="r1"),
            line("run_started", job="b", run_id="r2"),
            line("gave_up", run_id=None),
        ]
    )

    assert {name: run.job for name, run in told.runs.items()} == {"r1": "a", "r2": "b", "": ""}


def test_a_file_that_was_tried_again_has_its_last_outcome() -> None:
    run = only_run(
        line("file_claimed", key="a.csv", attempt=1),
        line("file_released", key="a.csv", attempt=1, reason="APITimeoutError"),
        line("file_claimed", key="a.csv", attempt=2),
        line("record_rejected", key="a.csv", line=3, reason="no id"),
        line("file_ingested", key="a.csv", records=842, rejected=1, elapsed_s=1.5),
    )

    file = run.files["a.csv"]
    assert (file.outcome, file.attempt, file.records, file.rejected, file.elapsed_s) == ("ingested", 2, 842, 1, 1.5)
    assert file.reason == ""


def test_a_file_whose_worker_was_killed_is_left_unfinished() -> None:
    told = story([line("file_claimed", key="a.csv", attempt=1)])

    assert "a.csv: left unfinished" in render_text(told)


def test_retries_are_summed_up_by_what_was_repeated() -> None:
    run = only_run(
        line("retry_scheduled", what="GET /x", wait_s=1.0, code="api-timeout", reason="backing off 1.0 s"),
        line("retry_scheduled", what="GET /x", wait_s=2.0, code="api-rate-limit", reason="asked for 2.0 s"),
        line(
            "gave_up", what="GET /x", level="ERROR", code="api-rate-limit", disposition="retry", reason="attempt 3 of 3"
        ),
    )

    retry = run.retries["GET /x"]
    assert (retry.scheduled, retry.waited_s, retry.given_up) == (2, 3.0, 1)
    assert retry.codes == {"api-timeout": 1, "api-rate-limit": 1}
    assert run.failures[0].subject == "GET /x"


def test_a_failure_of_the_users_own_naming_is_told_too() -> None:
    run = only_run(
        line("ingest_failed", level="ERROR", code="storage-full", disposition="stop", error="StorageFullError: full")
    )

    assert [(failure.event, failure.code) for failure in run.failures] == [("ingest_failed", "storage-full")]
    assert run.other_events == {"ingest_failed": 1}


def many_lines() -> Iterator[str]:
    for number in range(5_000):
        yield line("page_fetched", endpoint="orders", page=number, records=1, elapsed_s=0.1)
        yield line("retry_scheduled", what="GET /x", wait_s=1.0, code=f"code-{number}")
        yield line(f"event-{number}")


def test_memory_stays_flat_however_long_the_log_is() -> None:
    tracemalloc.start()
    told = story(many_lines())
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert told.events == 15_000
    assert peak_bytes < 500_000


def test_files_beyond_what_anybody_reads_are_told_together() -> None:
    told = story(line("file_claimed", key=f"{number}.csv") for number in range(10_500))

    assert len(told.runs["r1"].files) == 10_001
    assert told.accounted() == {"file_claimed": 10_500}


def test_numbers_that_are_none_count_as_none() -> None:
    run = only_run('{"event": "page_fetched", "level": "INFO", "records": 1e999, "elapsed_s": "long", "run_id": true}')

    assert run.walks[""].records == 0
    assert run.id == ""


def test_deeply_nested_and_huge_lines_are_foreign() -> None:
    told = story(["[" * 100_000, "9" * 10_000])

    assert told.foreign_lines == 2


def test_failures_are_counted_even_where_they_are_too_many_to_tell() -> None:
    run = only_run(*(line("run_failed", level="ERROR", code="data", disposition="quarantine") for _ in range(150)))

    assert (len(run.failures), run.failures_total) == (100, 150)
    assert "and 110 more" in story_text(run)


def story_text(run: Any) -> str:
    return render_text(Story(runs={run.id: run}))


def test_times_of_other_zones_are_told_in_utc() -> None:
    run = only_run(
        line("run_started", timestamp="2026-11-21T23:00:00+02:00"),
        line("run_progressed", timestamp="2026-11-21T21:30:00"),
    )

    assert run.first_at == datetime(2026, 11, 21, 21, tzinfo=UTC)
    assert run.last_at == datetime(2026, 11, 21, 21, 30, tzinfo=UTC)


def test_numbers_too_large_to_add_up_count_as_none() -> None:
    run = only_run('{"event": "page_fetched", "level": "INFO", "records": ' + "9" * 400 + "}")

    assert run.walks[""].records == 0
