"""Which lines are events, whoever wrote, wrapped, prefixed or tore them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from controlroom.explain import story
from tests.unit.explain.logged import line, node, told

WHOLE = line("page_fetched", walk="w1", page=1, endpoint="/orders", records=7)


def counts(*lines: str) -> tuple[int, int, int]:
    """Return how many events, foreign lines and cut lines there are."""
    told = story(lines)
    return told.events_read, told.foreign_lines, told.truncated_lines


@pytest.mark.parametrize(
    "wrapped",
    [
        WHOLE + "\n",
        "  " + WHOLE,
        "2026-11-21T23:17:00Z " + WHOLE,  # kubectl logs --timestamps
        "ingest-1  | " + WHOLE,  # docker compose logs
        json.dumps({"log": WHOLE + "\n", "stream": "stderr", "time": "x"}),  # Docker's json-file
        json.dumps({"timestamp": 1763767020000, "message": WHOLE}),  # CloudWatch
        json.dumps({"jsonPayload": json.loads(WHOLE), "severity": "INFO"}),  # Google Cloud
        json.dumps({"level": "INFO", "message": "page_fetched page=1", "requestId": "x", "controlroom": json.loads(WHOLE)}),
    ],
)  # fmt: skip
def test_an_event_is_found_inside_what_a_host_put_around_it(wrapped: str) -> None:
    run = told(wrapped)

    assert counts(wrapped) == (1, 0, 0)
    assert run["id"] == "r1"
    assert run["effects"]["records"] == 7
    assert node(run, "page")["began_at"] == "2026-11-21T23:17:00.000000Z"


@pytest.mark.parametrize(
    "others",
    [
        "Traceback (most recent call last):",
        '  File "x.py", line 1, in {"f"}',
        "[]",
        "null",
        "7",
        "{}",
        '{"event": 1, "level": "INFO"}',
        '{"event": "x"}',
        '{"message": "{not json"}',
        '{"message": "{}"}',
        "[" * 100_000,
        "9" * 10_000,
        "\x00\x01\x02",
        "say {",
    ],
)
def test_lines_of_others_are_passed_over_and_counted(others: str) -> None:
    assert counts(others, WHOLE) == (1, 1, 0)


@pytest.mark.parametrize("cut", ["{", '{"timestamp": "2026', '{"a": 1} {"b', '{"a":' * 100_000, WHOLE[:-1]])
def test_lines_without_an_end_are_counted_as_cut(cut: str) -> None:
    assert counts(cut, WHOLE) == (1, 0, 1)


def test_blank_lines_are_nobodys() -> None:
    assert counts("", "\n", "  \t\n", WHOLE) == (1, 0, 0)


@pytest.mark.parametrize(
    ("glued", "expected"),
    [
        (WHOLE + WHOLE, (2, 0, 0)),
        (WHOLE[:-9] + WHOLE, (1, 0, 1)),
        (WHOLE[:-9] + WHOLE + WHOLE[:40], (1, 0, 1)),
        (WHOLE + " and some words", (1, 0, 0)),
    ],
)
def test_events_on_a_line_that_was_torn_or_glued_are_told(glued: str, expected: tuple[int, int, int]) -> None:
    assert counts(glued) == expected


def test_a_line_of_torn_lines_does_not_take_forever() -> None:
    assert counts('{"timestamp":[' * 50_000) == (0, 0, 1)


def airflow(event: str, **facts: Any) -> str:
    head = {"timestamp": "2026-11-21T23:17:00.000000Z", "level": "info", "event": event, "logger": "task"}
    return json.dumps(head | {"run_id": "manual__2026", "dag_id": "night", "try_number": 2} | facts)


EXCEPTION = {
    "exc_type": "KeyError",
    "exc_value": "'id'",
    "exc_notes": ["line 17"],
    "is_cause": False,
    "frames": [{"filename": "dag.py", "lineno": 9, "name": "load"}],
    "is_group": False,
    "exceptions": [[{"exc_type": "OSError", "exc_value": "gone"}], [], "odd"],
}


def test_events_in_the_log_of_an_airflow_task_are_told_as_ours_and_airflows_own_are_others() -> None:
    lines = [
        airflow("Task started"),
        airflow("run_started", controlroom_run_id="r1", job="ingest", host="airflow", logger="controlroom.jobs"),
        airflow("rows_written", controlroom_run_id="r1", rows=7),
        airflow("run_failed", controlroom_run_id="r1", level="error", code="unforeseen", disposition="stop",
                error="KeyError: 'id'", exception=[EXCEPTION, EXCEPTION, 7], failure={"attempts": [{"number": 1}]}),
        airflow("Task failed", level="error", exception=[EXCEPTION]),
    ]  # fmt: skip
    run = told(*lines)

    assert counts(*lines) == (3, 2, 0)
    assert (run["id"], run["job"], run["host"]) == ("r1", "ingest", "airflow")
    assert run["effects"]["events"] == {"rows_written": 1}
    (failure,) = run["failures"]
    assert failure["attempts"] == [{"number": 1}]
    assert failure["exception"] is not None
    assert failure["exception"]["frames"] == [{"file": "dag.py", "line": 9, "function": "load"}]
    assert failure["exception"]["members"][0]["message"] == "gone"
    assert failure["exception"]["causes"][0]["type"] == "KeyError"


def test_an_event_of_ours_without_a_run_belongs_to_no_run_of_airflows() -> None:
    assert told(airflow("page_fetched", endpoint="/x"))["id"] == ""
    assert told(airflow("opened", logger="controlroom.storage"))["id"] == ""


def test_small_letters_of_another_program_are_not_ours() -> None:
    assert counts(airflow("request", logger="uvicorn"), airflow("request", logger=None)) == (0, 2, 0)


def test_our_own_shape_in_small_letters_keeps_its_run() -> None:
    assert told(airflow("opened", seq=3, run_id="r1"))["id"] == "r1"
