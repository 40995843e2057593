"""What happened hangs under what it happened in."""

from __future__ import annotations

import json
from typing import Any

import pytest

from controlroom.explain import story
from controlroom.explain.placing import ENDINGS, KNOWN_EVENTS
from controlroom.logs.events import EVENTS
from tests.unit.explain.logged import failure, inside, line, node, path, told

OF_THE_TREE = (
    "run_",
    "settings_",
    "file_",
    "record_",
    "walk_",
    "page_",
    "unit_",
    "commit_",
    "checkpoint_",
    "watermark_",
)


def test_a_new_event_about_something_in_the_tree_is_given_its_place_there() -> None:
    assert {name for name in EVENTS if name.startswith(OF_THE_TREE)} <= KNOWN_EVENTS <= set(EVENTS)
    assert set(ENDINGS) <= KNOWN_EVENTS


IN_FILE = {"file": "a.csv"}
IN_WALK = {"walk": "w1", **IN_FILE}
IN_PAGE = {"page": 2, **IN_WALK}
TIMEOUT: dict[str, Any] = failure("api-timeout", "retry", "APITimeoutError: no answer")


def failed_night() -> list[str]:
    return [
        line("run_started", job="ingest", host="cron", host_facts={"cpus": 4}),
        line("settings_loaded", settings=[{"name": "url"}]),
        line("file_claimed", 1, key="a.csv", attempt=2, **IN_FILE),
        line("walk_started", 1, endpoint="/prices", **IN_WALK),
        line("page_fetched", 2, page=1, endpoint="/prices", records=10, elapsed_s=0.5, **IN_WALK),
        line("retry_scheduled", 3, level="WARNING", attempt=1, attempts=2, wait_s=4.0, what="GET", **IN_PAGE),
        line("gave_up", 8, what="GET", rule="attempts", **TIMEOUT, **IN_PAGE),
        line("walk_broken_off", 8, endpoint="/prices", pages=1, records=10, reason="APITimeoutError", **IN_WALK),
        line("file_published", 8, level="DEBUG", ref="x", size_bytes=5, **IN_FILE),
        line("unit_rolled_back", 9, unit="u1", reason="APITimeoutError", elapsed_s=7.0, **IN_FILE),
        line("record_rejected", 9, level="WARNING", key="a.csv", line=3, reason="no id", **IN_FILE),
        line("file_released", 9, level="WARNING", key="a.csv", attempt=2, reason="APITimeoutError", elapsed_s=8.0, **IN_FILE),
        line("run_finished", 10, outcome="failed", exit_code=75, elapsed_s=10.0, code="api-timeout", reason="no answer [api-timeout]"),
    ]  # fmt: skip


def test_every_kind_of_node_hangs_where_it_happened() -> None:
    run = told(*failed_night())

    assert inside(run, run["nodes"][0]) == [("file", "a.csv", "released")]
    assert inside(run, node(run, "file")) == [
        ("walk", "/prices", "failed"),
        ("unit", "unit u1", "rolled_back"),
        ("publication", "x", "ok"),
        ("rejects", "1 record rejected", "quarantined"),
    ]
    assert inside(run, node(run, "walk")) == [("page", "page 1", "ok"), ("page", "page 2", "failed")]
    assert inside(run, node(run, "page", "page 2")) == [
        ("retry", "attempt 1 of 2 failed", "retried"),
        ("failure", "gave_up", "failed"),
    ]


def test_the_failing_path_leads_from_the_run_to_the_attempt_that_was_the_last() -> None:
    run = told(*failed_night())

    assert path(run) == ["ingest", "a.csv", "/prices", "page 2", "gave_up"]
    assert run["who_acts"] == "nobody yet: start the run again"
    assert [(found["event"], found["subject"], found["node"]) for found in run["failures"]] == [
        ("gave_up", "a.csv", run["failing_path"][-1])
    ]


def test_begin_and_duration_of_a_node_follow_from_its_lines() -> None:
    run = told(*failed_night())
    times = {found["title"]: (str(found["began_at"])[17:23], found["elapsed_s"]) for found in run["nodes"]}

    assert times == {
        "ingest": ("00.000", 10.0),
        "a.csv": ("01.000", 8.0),
        "/prices": ("01.000", 7.0),
        "page 1": ("01.500", 0.5),
        "page 2": ("03.000", 5.0),
        "attempt 1 of 2 failed": ("03.000", 4.0),
        "gave_up": ("08.000", None),
        "unit u1": ("02.000", 7.0),
        "x": ("08.000", None),
        "1 record rejected": ("09.000", None),
    }


def test_the_parts_of_the_time_leave_each_other_out_and_add_up() -> None:
    run = told(*failed_night())

    assert [(part["name"], part["seconds"], part["share"]) for part in run["times"]] == [
        ("waiting before retries", 4.0, 0.4),
        ("working on files", 3.5, 0.35),
        ("fetching pages", 0.5, 0.05),
        ("everything else", 2.0, 0.2),
    ]


def test_the_waits_of_a_page_that_came_are_no_part_of_its_fetching() -> None:
    run = told(
        line("retry_scheduled", 1, level="WARNING", walk="w1", page=1, wait_s=3.0),
        line("page_fetched", 5, walk="w1", page=1, endpoint="e", elapsed_s=4.0),
        line("run_finished", 6, outcome="succeeded", elapsed_s=5.0),
    )

    assert [(part["name"], part["seconds"]) for part in run["times"]] == [
        ("waiting before retries", 3.0),
        ("fetching pages", 1.0),
        ("everything else", 1.0),
    ]
    assert node(run, "page")["outcome"] == "retried"


def test_the_failure_that_ended_the_run_is_the_one_that_its_end_names_not_the_last_one() -> None:
    said = failure("api-status", "stop", "APIStatusError: GET /a was answered with 400")
    run = told(
        line("gave_up", 1, key="a.csv", **said),
        line("gave_up", 2, key="b.csv", **said | {"error": "APIStatusError: GET /b was answered with 500"}),
        line("on_commit_failed", 3, key="c.csv", **failure("unforeseen", "stop", "KeyError: 'id'")),
        line(
            "run_finished", 4, outcome="failed", code="api-status", reason="GET /a was answered with 400 [api-status]"
        ),
    )

    assert [run["nodes"][id_ - 1]["facts"].get("key") for id_ in run["failing_path"]] == [None, "a.csv"]
    assert run["who_acts"] == "you: something has to be changed before the next run"


def test_what_was_seen_to_begin_began_then_whatever_its_end_says_of_the_duration() -> None:
    run = told(
        line("run_started", 10), line("file_claimed", 11, key="a"), line("file_ingested", 12, key="a", elapsed_s=5.0)
    )

    assert [str(found["began_at"])[17:19] for found in run["nodes"]] == ["10", "11"]


def test_a_failure_that_only_the_run_logged_is_found_where_work_broke_off() -> None:
    run = told(
        line("file_claimed", 1, key="a.csv"),
        line("file_released", 2, level="WARNING", key="a.csv", reason="KeyError"),
        line("file_claimed", 3, key="b.csv"),
        line("walk_broken_off", 4, walk="w1", reason="KeyError", file="b.csv"),
        line("file_released", 5, level="WARNING", key="b.csv", reason="KeyError"),
        line("file_claimed", 6, key="c.csv"),
        line("file_released", 7, level="WARNING", key="c.csv", reason="ShutdownRequested"),
        line("run_failed", 8, job="ingest", **failure("unforeseen", "stop", "KeyError: 'id'")),
        line("run_finished", 8, outcome="failed", exit_code=70, code="unforeseen", reason="'id'"),
    )

    assert path(run) == ["run r1", "b.csv", "(no endpoint)", "run_failed"]
    assert run["who_acts"] == "a developer: nobody foresaw this error"


def test_a_run_without_an_end_is_shown_where_it_stood() -> None:
    run = told(*failed_night()[:6])

    assert path(run) == ["ingest", "a.csv", "/prices", "page 2"]
    assert run["outcome"] == ""
    assert run["who_acts"].startswith("you: find out whether it still runs")


def test_the_most_severe_failure_is_shown_of_a_run_that_went_on() -> None:
    run = told(
        line("file_failed", 1, key="a.csv", **failure()),
        line("file_failed", 2, key="b.csv", **failure("publication-in-doubt", "reconcile", "PublicationInDoubtError: x")),
        line("file_failed", 3, key="c.csv", **failure("api-timeout", "retry", "APITimeoutError: x")),
        line("run_finished", 4, outcome="succeeded"),
    )  # fmt: skip

    assert path(run) == ["run r1", "b.csv", "file_failed"]
    assert run["who_acts"].startswith("you: find out whether the effect happened")


@pytest.mark.parametrize(
    ("facts", "who"),
    [
        ({"outcome": "succeeded"}, "nobody"),
        ({"outcome": "skipped"}, "nobody"),
        ({"outcome": "stopped"}, "nobody yet: start the run again"),
        ({"outcome": "failed", "code": "unforeseen"}, "a developer: nobody foresaw this error"),
        ({"outcome": "failed", "code": "config"}, "you: something has to be changed before the next run"),
    ],
)
def test_who_acts_is_said_also_where_no_failure_was_logged(facts: dict[str, Any], who: str) -> None:
    assert told(line("run_finished", **facts))["who_acts"] == who


def test_a_commit_in_doubt_needs_somebody_although_the_run_succeeded() -> None:
    run = told(line("commit_left_in_doubt", level="WARNING", unit="u1"), line("run_finished", outcome="succeeded"))

    assert run["who_acts"].startswith("you: find out whether the effect happened")
    assert node(run, "unit")["outcome"] == "in_doubt"


@pytest.mark.parametrize(
    ("event", "facts", "outcome"),
    [
        ("file_claimed", {}, "unfinished"),
        ("file_ingested", {}, "ok"),
        ("file_quarantined", {}, "quarantined"),
        ("file_released", {}, "released"),
        ("file_skipped", {}, "skipped"),
        ("file_vanished", {}, "skipped"),
        ("file_abandoned", {}, "unfinished"),
        ("file_finished", {"fate": "quarantine"}, "quarantined"),
        ("file_finished", {"fate": "archive"}, "ok"),
        ("file_failed", failure(), "failed"),
        ("flights_written", {}, "ok"),
    ],
)
def test_the_outcome_of_a_file(event: str, facts: dict[str, Any], outcome: str) -> None:
    assert node(told(line(event, key="a.csv", file="a.csv", **facts)), "file")["outcome"] == outcome


def test_a_file_that_was_tried_again_has_its_last_outcome_and_the_time_of_all_attempts() -> None:
    run = told(
        line("file_ingested", 3, key="a.csv", records=842, rejected=1, elapsed_s=1.5, attempt=2),
        line("file_claimed", 0, key="a.csv", attempt=1),
        line("file_released", 1, key="a.csv", attempt=1, reason="APITimeoutError", elapsed_s=1.0),
        line("file_claimed", 2, key="a.csv", attempt=2),
    )

    file = node(run, "file")
    assert (file["outcome"], file["facts"]["attempt"], file["elapsed_s"]) == ("ok", 2, 2.5)
    assert run["effects"] == {"rejected_records": 1, "files": {"ok": 1}}


def test_events_of_the_jobs_own_are_counted_where_they_happened_and_say_nothing_of_it() -> None:
    run = told(line("file_claimed", 1, key="a.csv"), line("rows_written", 2, file="a.csv", attempt=99, elapsed_s=77.0))

    file = node(run, "file")
    assert file["events"] == {"file_claimed": 1, "rows_written": 1}
    assert "attempt" not in file["facts"]
    assert run["effects"]["events"] == {"rows_written": 1}


def test_warnings_and_errors_of_others_are_told_one_by_one() -> None:
    run = told(
        line("slow query", level="WARNING", seconds=9, file="a.csv"),
        line("boom", 1, level="ERROR"),
        line("it is deprecated", 2, level="WARNING", logger="py.warnings", file="lib.py", line=3),
    )

    assert [(found["title"], found["outcome"]) for found in run["nodes"] if found["kind"] == "other"] == [
        ("slow query", "ok"),
        ("boom", "failed"),
        ("it is deprecated", "ok"),
    ]
    assert [found["title"] for found in run["nodes"] if found["kind"] == "file"] == ["a.csv"]


def test_the_reason_of_a_run_is_its_end_not_that_of_a_warning_in_it() -> None:
    run = told(
        line("run_started", job="ingest"),
        line("setting_ignored", level="WARNING", reason="APP_RETIRES is set; did you mean APP_RETRIES?"),
        line("shutdown_requested", 1, signal="SIGTERM"),
        line("run_finished", 2, outcome="succeeded", exit_code=0),
    )

    assert run["reason"] == ""
    assert inside(run, run["nodes"][0]) == [("other", "setting_ignored", "ok"), ("other", "shutdown_requested", "ok")]


def test_walks_and_units_of_two_processes_are_not_one_because_they_are_called_the_same() -> None:
    run = told(
        *(line(event, walk="w1", unit="u1", pid=pid) for pid in (1, 2) for event in ("walk_started", "unit_committed"))
    )

    assert sum(found["kind"] == "walk" for found in run["nodes"]) == 2
    assert sum(found["kind"] == "unit" for found in run["nodes"]) == 2


def test_logs_of_before_there_were_links_are_told_by_endpoint() -> None:
    run = told(
        line("page_fetched", endpoint="/a", page=1, records=2),
        line("page_fetched", 1, endpoint="/b", page=1, records=2),
        line("walk_finished", 2, endpoint="/a", pages=1, stop_reason="last page"),
    )

    assert [(found["title"], found["outcome"]) for found in run["nodes"] if found["kind"] == "walk"] == [
        ("/a", "ok"),
        ("/b", "unfinished"),
    ]


def test_an_exception_is_told_with_causes_members_notes_and_attempts_in_one_shape() -> None:
    exception = {
        "type": "APITimeoutError",
        "message": "no answer",
        "code": "api-timeout",
        "phase": "read",
        "attempts": [{"number": 1, "error": "x", "wait_s": 1.0, "reason": "y"}],
        "notes": ["while loading"],
        "frames": [{"file": "a.py", "line": 3, "function": "f"}, {"omitted": 4}],
        "causes": [{"type": "ExceptionGroup", "message": "two", "members": [{"type": "OSError", "message": "gone"}]}],
    }
    run = told(line("run_failed", exception=exception, **failure()))

    (found,) = run["failures"]
    assert found["exception"] is not None
    assert found["exception"]["frames"] == [{"file": "a.py", "line": 3, "function": "f"}, {"omitted": 4}]
    assert found["exception"]["notes"] == ["while loading"]
    assert found["exception"]["details"] == {"phase": "read"}
    assert found["exception"]["causes"][0]["members"][0]["message"] == "gone"
    assert found["attempts"] == [{"number": 1, "error": "x", "wait_s": 1.0, "reason": "y"}]


def test_what_the_run_says_of_itself_is_in_the_document() -> None:
    run = told(
        *failed_night(), line("run_progressed", 5, done=3, total=9), line("run_progressed", 6, done=4, total=None)
    )

    assert (run["job"], run["host"], run["outcome"], run["exit_code"]) == ("ingest", "cron", "failed", 75)
    assert run["host_facts"] == {"cpus": 4}
    assert run["settings"] == [{"name": "url"}]
    assert run["progress"] == {"done": 4, "total": None}
    assert (run["began_at"], run["ended_at"]) == ("2026-11-21T23:17:00.000000Z", "2026-11-21T23:17:10.000000Z")


def test_times_of_other_zones_are_told_in_utc_and_odd_ones_not_at_all() -> None:
    run = told(
        line("run_started", timestamp="2026-11-21T23:00:00+02:00"),
        line("run_progressed", timestamp="2026-11-21T21:30:00"),
        line("run_progressed", timestamp="0001-01-01T00:00:00+23:59"),
        line("run_progressed", timestamp="9999-99-99T99:99:99.999999Z"),
        line("run_progressed", timestamp=7),
    )

    assert (run["began_at"], run["ended_at"]) == ("2026-11-21T21:00:00.000000Z", "2026-11-21T21:30:00.000000Z")
    assert run["elapsed_s"] == 1_800.0


def test_numbers_that_are_none_or_too_large_to_add_up_count_as_none() -> None:
    run = told(
        '{"event": "page_fetched", "level": "INFO", "run_id": "r1", "records": 1e999, "elapsed_s": "long"}',
        '{"event": "page_fetched", "level": "INFO", "run_id": "r1", "records": ' + "9" * 400 + ', "elapsed_s": -5}',
        '{"event": "page_fetched", "level": "INFO", "run_id": "r1", "records": true, "elapsed_s": NaN}',
    )

    assert "records" not in run["effects"]
    assert run["times"] == []
    json.dumps(run, allow_nan=False)


def test_a_document_of_nothing() -> None:
    assert story([]).to_dict() == {
        "version": 1,
        "log": {"events": 0, "foreign_lines": 0, "truncated_lines": 0, "bytes": 0},
        "runs": [],
        "untold_runs": 0,
    }
