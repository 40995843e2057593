"""Laws of the story: whatever a log holds, in whatever order, every event of it is told, once, and nothing breaks."""

from __future__ import annotations

import json
import math
import random
import unicodedata
from collections import Counter
from contextlib import ExitStack
from typing import Any
from unittest import mock

from hypothesis import example, given, settings
from hypothesis import strategies as st

from controlroom.explain import render_text, story
from controlroom.explain.nodes import Limits
from controlroom.explain.placing import KNOWN_EVENTS

NAMES = (
    "key what endpoint attempt attempts wait_s reason code disposition error records rejected elapsed_s size_bytes "
    "status_code expected verified outcome exit_code done total signal timestamp run_id same_as stop_reason job host "
    "walk page unit file series pid seq fate to ref line exception settings host_facts rule logger"
)
numbers = st.integers() | st.floats() | st.none() | st.text(max_size=5)
ids = st.sampled_from(["w1", "w2", "u1", "a.csv", "b.csv", 1, 2, "r1", "r2", "2026-11-21T23:17:01.000000Z"])
exceptions = st.recursive(
    st.fixed_dictionaries({"type": st.text(max_size=5)}, optional={"message": numbers, "notes": st.lists(numbers)}),
    lambda inner: st.fixed_dictionaries(
        {"causes": st.lists(inner, max_size=2)},
        optional={"members": st.lists(inner, max_size=2), "frames": st.lists(inner, max_size=1), "attempts": numbers},
    ),
    max_leaves=4,
)
values = numbers | st.booleans() | ids | st.lists(numbers, max_size=2) | exceptions
events = st.tuples(
    st.sampled_from(sorted(KNOWN_EVENTS)) | st.sampled_from(["flights_written", "gave_up", "retries_ended", ""]),
    st.sampled_from(["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL", "X"]),
    st.dictionaries(st.sampled_from(NAMES.split()), values, max_size=8),
)
logs = st.lists(events, max_size=30)
noise = st.text(max_size=20).filter(lambda text: "\n" not in text) | st.sampled_from(
    ["{", '{"event": "cut', "[]", "null", "{}", '{"event": 1}', '{"a": 1} {"b":', '{"message": "{"}']
)
few = settings(max_examples=min(settings().max_examples, 1_000))  # no test may take two minutes


def written(name: str, level: str, facts: dict[str, Any]) -> str:
    head = {"timestamp": "2026-11-21T23:17:00.000000Z", "logger": "app", "run_id": "r1"}
    return json.dumps(head | facts | {"event": name, "level": level})


def same(facts: dict[str, Any]) -> str:
    return json.dumps(facts, sort_keys=True)


@few
@given(logged=logs, others=st.lists(noise, max_size=10), order=st.randoms(use_true_random=False))
def test_every_event_is_accounted_for_once_whatever_stands_between(
    logged: list[tuple[str, str, dict[str, Any]]], others: list[str], order: random.Random
) -> None:
    lines = [written(*event) for event in logged] + others
    order.shuffle(lines)
    told = story(lines)
    names = Counter(name for name, _, _ in logged)
    document = told.to_dict()

    assert told.accounted() == names
    assert document["log"]["events"] == len(logged)
    assert told.foreign_lines + told.truncated_lines == sum(bool(text.strip()) for text in others)
    in_document: Counter[str] = Counter()
    for run in document["runs"]:
        in_document.update(run["untold_events"])
        for node in run["nodes"]:
            in_document.update(node["events"])
    assert in_document == names


@few
@given(logged=logs, runs=st.lists(st.sampled_from(["r1", "r2", "r3"]), min_size=30, max_size=30))
def test_every_event_is_accounted_for_once_where_nearly_none_is_kept(
    logged: list[tuple[str, str, dict[str, Any]]], runs: list[str]
) -> None:
    lines = [
        written(name, level, facts | {"run_id": run}) for (name, level, facts), run in zip(logged, runs, strict=False)
    ]
    nearly_nothing = {"_OTHERWISE": Limits(1, 1, 1), "_ROOMY": {}, "_TIGHT": Limits(0, 1, 0), "_MOST_NODES": 4}
    with ExitStack() as narrow:
        for name, limit in nearly_nothing.items():
            narrow.enter_context(mock.patch(f"controlroom.explain.run.{name}", limit))
        narrow.enter_context(mock.patch("controlroom.explain.story._RUNS", Limits(0, 1, 1)))
        told = story(lines)
    names = Counter(name for name, _, _ in logged)

    assert told.accounted() == names
    assert told._room.nodes == sum(1 for run in told.runs.values() for _ in run.root.subtree())
    assert Counter(map(same, map(dict, told.events()))) <= Counter(same(json.loads(line)) for line in lines)
    assert render_text(told)


@few
@given(logged=logs)
def test_a_story_of_an_ordinary_log_gives_each_event_back_as_it_was(
    logged: list[tuple[str, str, dict[str, Any]]],
) -> None:
    lines = [written(*event) for event in logged]
    told = story(lines)

    assert told.is_whole
    assert Counter(map(same, map(dict, told.events()))) == Counter(same(json.loads(line)) for line in lines)


@few
@given(logged=logs)
def test_the_document_is_a_tree_in_json_and_its_paths_lead_from_the_run_to_a_node(
    logged: list[tuple[str, str, dict[str, Any]]],
) -> None:
    document = json.loads(json.dumps(story(written(*event) for event in logged).to_dict(), allow_nan=False))

    for run in document["runs"]:
        nodes = {node["id"]: node for node in run["nodes"]}
        assert list(nodes) == list(range(1, len(nodes) + 1))
        assert [node["id"] for node in run["nodes"] if node["parent"] is None] == [1]
        assert all(node["parent"] < node["id"] for node in run["nodes"][1:])
        path = run["failing_path"]
        assert [nodes[id_]["parent"] for id_ in path] == [None, *path][: len(path)]
        assert all(nodes[failure["node"]]["kind"] == "failure" for failure in run["failures"])
        assert all(math.isfinite(part["seconds"]) and part["seconds"] > 0 for part in run["times"])


@few
@given(logged=logs, ascii_only=st.booleans())
@example(logged=[("file_claimed", "INFO", {"key": "漢字" * 80})], ascii_only=False)
@example(logged=[("file_claimed", "INFO", {"key": "x" * 500, "file": "é"})], ascii_only=True)
def test_no_line_is_wider_than_a_terminal_nor_able_to_command_it(
    logged: list[tuple[str, str, dict[str, Any]]], ascii_only: bool
) -> None:
    shown = render_text(story(written(*event) for event in logged), ascii_only=ascii_only)

    for line in shown.split("\n"):
        assert line.isprintable()
        assert sum(1 + (unicodedata.east_asian_width(character) in "WF") for character in line) <= 80


@given(cut=st.integers(1, 60))
def test_a_line_that_was_cut_is_counted_and_the_rest_is_told(cut: int) -> None:
    whole = written("page_fetched", "INFO", {"endpoint": "orders", "records": 7})
    told = story([whole, whole[:-cut], whole])

    assert told.truncated_lines == 1
    assert told.accounted() == {"page_fetched": 2}
    assert told.runs["r1"].sums.records == 14


@given(cut=st.integers(2, 60))
def test_an_event_behind_a_torn_one_on_the_same_line_is_told(cut: int) -> None:
    whole = written("page_fetched", "INFO", {"endpoint": "orders", "records": 7})
    told = story([whole[:-cut] + whole])

    assert (told.truncated_lines, told.foreign_lines) == (1, 0)
    assert told.accounted() == {"page_fetched": 1}


def night(run: str, pid: int) -> list[str]:
    """A run with everything in it that a tree is made of; every line at its own instant."""
    file: dict[str, Any] = {"file": "a.csv"}
    page: dict[str, Any] = {"walk": "w1", "page": 2, **file}
    failure = {"code": "api-timeout", "disposition": "retry", "error": "APITimeoutError: no answer"}
    happened: list[tuple[str, str, dict[str, Any]]] = [
        ("run_started", "INFO", {"job": "ingest", "host": "command_line"}),
        ("file_claimed", "INFO", {"key": "a.csv", "attempt": 1, **file}),
        ("walk_started", "INFO", {"walk": "w1", "endpoint": "/orders", **file}),
        ("page_fetched", "INFO", {"walk": "w1", "page": 1, "endpoint": "/orders", "records": 3, "elapsed_s": 0.5, **file}),
        ("retry_scheduled", "WARNING", {"what": "GET", "attempt": 1, "attempts": 2, "wait_s": 1.0, **page}),
        ("gave_up", "ERROR", {"what": "GET", "rule": "attempts", **failure, **page}),
        ("walk_broken_off", "INFO", {"walk": "w1", "endpoint": "/orders", "reason": "APITimeoutError", **file}),
        ("unit_rolled_back", "INFO", {"unit": "u1", "reason": "APITimeoutError", "elapsed_s": 2.0, **file}),
        ("file_released", "WARNING", {"key": "a.csv", "attempt": 1, "reason": "APITimeoutError", "elapsed_s": 3.0, **file}),
        ("run_finished", "INFO", {"outcome": "failed", "exit_code": 75, "elapsed_s": 9.0, "code": "api-timeout"}),
    ]  # fmt: skip
    return [
        written(
            name, level, facts | {"run_id": run, "pid": pid, "seq": n, "timestamp": f"2026-11-21T23:17:{n:02}.000000Z"}
        )
        for n, (name, level, facts) in enumerate(happened, start=1)
    ]


@given(order=st.randoms(use_true_random=False))
def test_the_order_of_the_lines_does_not_change_the_story(order: random.Random) -> None:
    lines = night("r1", 7)
    told = story(lines).to_dict()
    order.shuffle(lines)

    assert story(lines).to_dict() == told
    assert [told["runs"][0]["nodes"][id_ - 1]["title"] for id_ in told["runs"][0]["failing_path"]] == [
        "ingest",
        "a.csv",
        "/orders",
        "page 2",
        "gave_up",
    ]


@given(order=st.randoms(use_true_random=False))
def test_runs_that_were_mixed_are_told_as_each_would_be_alone(order: random.Random) -> None:
    one, two = night("r1", 7), night("r2", 8)
    lines = [*one, *two]
    order.shuffle(lines)
    mixed = {run["id"]: run for run in story(lines).to_dict()["runs"]}

    assert [mixed["r1"]] == story(one).to_dict()["runs"]
    assert [mixed["r2"]] == story(two).to_dict()["runs"]
    assert story(lines, run_id="r2").to_dict()["runs"] == [mixed["r2"]]
    assert story(lines, run_id="r2").accounted() == story(lines).accounted()
