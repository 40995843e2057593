"""Real Airflow 3: our lines in a task's log have all their facts, beside Airflow's own, which stay as they were."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from typing import Any

import pytest

from tests.airflow.conftest import Home, Told

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("airflow") is None,
        reason="Airflow is not installed here: nothing was tested inside it; `nox -s airflow` does",
    ),
]

CANARY = "canary-4711/secret+value"  # as planted by probe_dag
OF_THE_TASK = {"dag_id", "map_index", "run_id", "task_id", "ti_id", "try_number"}


@pytest.fixture
def told(home: Home, supervised: Told) -> list[dict[str, Any]]:
    """The log of the task `tell`, as the pages of Airflow read it."""
    return lines(home, "tell")


def lines(home: Home, task: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (home.logs / f"{task}.log").read_text().splitlines()]


def only(found: list[dict[str, Any]], event: str) -> dict[str, Any]:
    (line,) = (line for line in found if line["event"] == event)
    return line


def test_our_event_keeps_every_fact_and_gets_every_field_of_the_task(told: list[dict[str, Any]]) -> None:
    line = only(told, "page_fetched")

    assert (line["level"], line["logger"], line["page"], line["nested"]) == ("info", "mine", 7, {"rows": [1, 2]})
    assert (line["file"], line["controlroom_run_id"], line["filename_"]) == ("a.csv", "of-controlroom", "orders.csv")
    assert (line["dag_id"], line["task_id"], line["run_id"]) == ("probe", "tell", "of-airflow")
    assert (line["try_number"], line["map_index"]) == (1, -1)
    assert line.keys() >= OF_THE_TASK
    assert (line["filename"], line["lineno"] > 0) == ("probe_dag.py", True)


def test_a_record_of_another_package_takes_the_same_shape(told: list[dict[str, Any]]) -> None:
    line = only(told, "of another package: ***")

    assert (line["level"], line["logger"], line["rows"], line["file"]) == ("info", "other", 3, "a.csv")
    assert line.keys() >= OF_THE_TASK


def test_nothing_is_doubled_lost_or_turned_into_an_error(told: list[dict[str, Any]]) -> None:
    events = [line["event"] for line in told]

    for event in ("page_fetched", "of another package: ***", "old ***", "own_line"):
        assert events.count(event) == 1
    assert "not_shown" not in events
    assert {line["level"] for line in told} == {"info", "warning"}
    assert only(told, "old ***")["category"] == "UserWarning"
    assert not [line for line in told if line["logger"] in {"task.stdout", "task.stderr"}], "nothing was printed"


def test_airflows_own_lines_are_the_same_before_while_and_after_we_are_there(told: list[dict[str, Any]]) -> None:
    before, joined, after = (only(told, event) for event in ("before_setup", "own_line", "after_undo"))
    assert before.keys() == joined.keys() == after.keys()
    assert before.keys() == OF_THE_TASK | {"timestamp", "level", "event", "logger", "rows", "filename", "lineno"}

    theirs = [only(told, event).keys() for event in ("before setup", "after undo")]
    assert theirs[0] == theirs[1]


@pytest.mark.parametrize("way", ["tested", "supervised"])
def test_structlogs_configuration_and_the_level_are_never_touched_and_undo_restores_the_rest(
    way: str, request: pytest.FixtureRequest
) -> None:
    observed = request.getfixturevalue(way).observed

    assert observed["report"] == [["airflow", "host", "INFO", True]]
    assert observed["kept while joined"] == [[True, True, True]]
    assert observed["restored by undo"] == [[True] * 5]


def test_one_failure_is_one_error_of_ours_with_its_chain_where_airflow_shows_tracebacks(
    home: Home, supervised: Told
) -> None:
    """Airflow adds its own report of what left the task: the chain again, without code, disposition and facts."""
    errors = [line for line in lines(home, "fail") if line["level"] == "error"]
    ours, theirs = errors

    assert (ours["event"], ours["logger"], ours["code"], ours["rows"]) == ("ingest_failed", "mine", "data", 3)
    assert ours.keys() >= OF_THE_TASK
    failure, cause = ours["error_detail"]
    assert (failure["exc_type"], failure["exc_notes"], failure["is_cause"]) == ("DataError", ["of file a.csv"], False)
    assert (cause["exc_type"], cause["is_cause"]) == ("KeyError", True)
    assert failure["frames"][-1]["name"] == "fail"
    assert failure.keys() == theirs["error_detail"][0].keys(), "the form that Airflow's pages render"
    assert (theirs["event"], theirs["logger"]) == ("Task failed with exception", "task")
    assert "code" not in theirs


def test_a_tasks_log_can_be_explained(home: Home, supervised: Told) -> None:
    explain = "import sys; from controlroom.cli import main; sys.exit(main(['explain', sys.argv[1], '--json']))"
    told = json.loads(home.run(sys.executable, "-c", explain, home.logs / "fail.log").text)
    (failure,) = (failure for run in told["runs"] for failure in run["failures"])

    assert (failure["event"], failure["code"], failure["exception"]["type"]) == ("ingest_failed", "data", "DataError")
    assert [cause["type"] for cause in failure["exception"]["causes"]] == ["KeyError"]
    assert failure["exception"]["notes"] == ["of file a.csv"]


def test_no_secret_reaches_a_tasks_log(home: Home, supervised: Told, tested: Told) -> None:
    seen = supervised.text + tested.text + "".join((home.logs / f"{task}.log").read_text() for task in ("tell", "fail"))

    for form in (CANARY, json.dumps(CANARY)[1:-1], "canary-4711%2Fsecret%2Bvalue"):
        assert form not in seen
    assert "old ***" in seen


def test_on_a_console_facts_are_keys_and_a_traceback_stands_below(tested: Told) -> None:
    (page,) = (line for line in tested.text.splitlines() if "page_fetched" in line)
    assert re.search(r"\[info +\] page_fetched +\[mine\]", page)
    for fact in (
        "page=7",
        "file=a.csv",
        "controlroom_run_id=of-controlroom",
        "filename_=orders.csv",
        "loc=probe_dag.py:",
    ):
        assert fact in page
    assert tested.text.count("of another package: ***") == 1
    assert tested.text.count("old ***") == 1

    _before, *failure = tested.text.partition("ingest_failed")[2].splitlines()[:7]
    assert failure[0] == "  DataError: bad rows, with ***"
    assert "    note: of file a.csv" in failure
    assert "  KeyError: 'missing'" in failure
    assert tested.text.count("ingest_failed") == 1
    assert "run_failed" not in tested.text


def test_a_run_tells_which_task_it_was(tested: Told) -> None:
    started = [line for line in tested.text.splitlines() if "run_started" in line]

    assert len(started) == 2
    assert {("'map_index': 0" in line, "'map_index': 1" in line) for line in started} == {(True, False), (False, True)}
    for line in started:
        for fact in (
            "'kind': 'airflow'",
            "'dag_id': 'probe'",
            "'task_id': 'work'",
            "'try_number': 1",
            "'airflow_run_id': ",
        ):
            assert fact in line
