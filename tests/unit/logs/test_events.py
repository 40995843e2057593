from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlroom.errors import DataError
from controlroom.logs import Logger, setup_logging
from controlroom.logs.events import EVENTS, Event, Field, violations
from controlroom.logs.events.judging import differences

HEAD = {
    "timestamp": "2026-11-21T23:17:59.165233Z",
    "level": "INFO",
    "event": "page_fetched",
    "logger": "controlroom.http.walks",
    "seq": 1,
    "pid": 2,
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(list(EVENTS)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
PAGE = {**HEAD, "walk": "w1", "page": 7, "endpoint": "/orders", "records": 200, "elapsed_s": 0.31}


def test_a_line_as_declared_differs_in_nothing() -> None:
    assert violations(PAGE) == []
    assert violations({**PAGE, "elapsed_s": 1, "run_id": "r", "file": "a", "truncated": False, "at": "walks:3"}) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"event": "page_fetchd"}, "'page_fetchd' is not declared"),
        ({"event": ["page_fetched"]}, "['page_fetched'] is not declared"),
        ({"event": None}, "None is not declared"),
        ({"level": "DEBUG"}, "page_fetched: level is 'DEBUG', not 'INFO'"),
        ({"level": ["INFO"]}, "page_fetched: level is ['INFO'], not 'INFO'"),
        ({"logger": "controlroom.http"}, "page_fetched: controlroom.http is not declared to emit it"),
        ({"colour": "red"}, "page_fetched: colour is not declared"),
        ({"page": "7"}, "page_fetched: page is '7', and no integer"),
        ({"page": True}, "page_fetched: page is True, and no integer"),
        ({"page": 7.0}, "page_fetched: page is 7.0, and no integer"),
        ({"page": None}, "page_fetched: page is None, and no integer"),
        ({"elapsed_s": False}, "page_fetched: elapsed_s is False, and no number"),
        ({"endpoint": 1}, "page_fetched: endpoint is 1, and no string"),
        ({"seq": "1"}, "page_fetched: seq is '1', and no integer"),
        ({"run_id": 5}, "page_fetched: run_id is 5, and no string"),
    ],
)
def test_each_difference_is_said(change: dict[str, Any], said: str) -> None:
    assert said in violations({**PAGE, **change})


@pytest.mark.parametrize("name", ["records", "walk", "timestamp", "seq", "pid", "level"])
def test_what_is_missing_is_said(name: str) -> None:
    line = {key: value for key, value in PAGE.items() if key != name}

    assert f"page_fetched: {name} is missing" in violations(line)


@given(st.dictionaries(st.sampled_from([*PAGE, "truncated", "error", ""]), JSON))
def test_whatever_a_line_holds_is_judged_and_not_raised(line: dict[str, Any]) -> None:
    told = violations({"logger": "controlroom.http.walks", "event": "page_fetched", **line})

    assert all(isinstance(problem, str) for problem in told)


def test_lines_of_others_are_not_judged() -> None:
    for logger in ("app", "controlroomish", "py.warnings", None, 7):
        assert violations({**PAGE, "logger": logger, "colour": "red"}) == []
    assert violations({}) == []


def test_what_the_job_binds_may_stand_anywhere() -> None:
    assert violations({**PAGE, "tenant": "a"}, bound=["tenant"]) == []
    assert violations({**PAGE, "tenant": "a"}, bound=iter(["tenant"])) == []
    assert violations({**PAGE, "tenant": "a"}) == ["page_fetched: tenant is not declared"]


def test_a_line_that_was_cut_is_judged_by_its_names() -> None:
    cut = {**HEAD, "event": "settings_loaded", "logger": "controlroom.jobs.definition", "truncated": True}

    assert violations({**cut, "settings": "[{…"}) == []
    assert violations({**cut, "colour": "red"}) == ["settings_loaded: colour is not declared"]


def test_a_closed_set_of_values_is_one() -> None:
    event = EVENTS["retries_ended"]
    facts = {"series": "s1", "what": "GET", "attempt": 2, "attempts": 5, "elapsed_s": 1.0}

    assert differences(event, {**facts, "outcome": "succeeded"}) == []
    assert differences(event, {**facts, "outcome": "won"}) == [
        "retries_ended: outcome is 'won', and none of succeeded, failed, interrupted"
    ]


def test_null_is_a_value_only_where_it_is_declared() -> None:
    event = Event(
        "e", "INFO", "It happened.", ("*",), (Field("a", "integer", "", nullable=True), Field("b", "any", ""))
    )

    assert differences(event, {"a": None, "b": None}) == []
    assert differences(event, {"a": None}) == ["e: b is missing"]


def test_a_failure_has_the_facts_of_a_failure() -> None:
    event = EVENTS["run_failed"]

    assert differences(event, {"job": "nightly"}) == [
        f"run_failed: {name} is missing" for name in ("error", "code", "disposition", "exception")
    ]


def test_nobody_can_change_the_catalogue() -> None:
    with pytest.raises(TypeError):
        EVENTS["mine"] = EVENTS["run_failed"]
    with pytest.raises(AttributeError):
        EVENTS["run_failed"].name = "mine"


@pytest.fixture
def log_file(tmp_path: Path) -> Iterator[Path]:
    report = setup_logging("DEBUG", file=tmp_path / "log.jsonl", callsite=True)
    yield tmp_path / "log.jsonl"
    report.undo()


def test_a_whole_failure_is_as_declared_however_odd_the_error(log_file: Path) -> None:
    log = Logger("controlroom.jobs.definition")
    error = DataError("wrong", retry_after_s=3)
    error.__cause__ = ExceptionGroup("many", [KeyError("a"), ValueError("b")])
    log.failure("run_failed", error, job="nightly")
    log.failure("run_failed", KeyError(), job="x" * 300_000)
    lines = [json.loads(line) for line in log_file.read_text().splitlines()]

    assert [line.get("truncated") for line in lines] == [None, True]
    assert [problem for line in lines for problem in violations(line)] == []


def test_a_suppressed_event_is_told_as_declared(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    report = setup_logging("INFO", file=path, summarise_after=1, sample={"walk_finished": 2})
    log = Logger("controlroom.http.walks")
    try:
        for _ in range(3):
            log.warning("pagination_path_missing", walk="w1", endpoint="/orders", path="next")
        log.info("walk_started", walk="w1", endpoint="/orders", resumed_behind=0)
    finally:
        report.undo()
        logging.getLogger("controlroom").setLevel(logging.NOTSET)
    lines = [json.loads(line) for line in path.read_text().splitlines()]

    assert "events_suppressed" in [line["event"] for line in lines]
    assert [problem for line in lines for problem in violations(line)] == []
