"""Our facts in a chain of structlog processors, such as Airflow's root handler has."""

from __future__ import annotations

import io
import json
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from controlroom.errors import DataError
from controlroom.errors.values import Attempt
from controlroom.logs import LoggingReport, bound, get_logger, register_secret, setup_logging

log = get_logger("app")
OF_THE_TASK = {"dag_id": "orders", "run_id": "of-airflow", "try_number": 1}


def chain(*, as_text: bool) -> structlog.stdlib.ProcessorFormatter:
    last = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    return structlog.stdlib.ProcessorFormatter(
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            lambda _logger, _method, event: {k: v for k, v in event.items() if k != "positional_args"},
            last if as_text else structlog.processors.JSONRenderer(),
        ],
        foreign_pre_chain=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.add_log_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.add_logger_name,
            structlog.processors.CallsiteParameterAdder([structlog.processors.CallsiteParameter.FILENAME]),
        ],
        use_get_message=False,
        pass_foreign_args=True,
    )


def fail(error: BaseException) -> None:
    raise error


class Task:
    """A task's process: what its handler wrote."""

    def __init__(self, handler: logging.StreamHandler[io.StringIO], report: LoggingReport) -> None:
        self.handler = handler
        self.report = report

    @property
    def text(self) -> str:
        return self.handler.stream.getvalue()

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]


@pytest.fixture
def task(request: pytest.FixtureRequest, root_without_pytest: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Task]:
    monkeypatch.setenv("AIRFLOW_CTX_DAG_ID", "orders")
    root, level = logging.getLogger(), logging.getLogger().level
    handler = logging.StreamHandler(io.StringIO())
    handler.setFormatter(chain(as_text=getattr(request, "param", "data") == "text"))
    root.addHandler(handler)
    root.setLevel("INFO")
    with structlog.contextvars.bound_contextvars(**OF_THE_TASK):
        report = setup_logging()
        yield Task(handler, report)
        report.undo()
    root.removeHandler(handler)
    root.setLevel(level)


def test_facts_are_keys_and_none_takes_the_place_of_the_tasks_own(task: Task) -> None:
    with bound(run_id="ours", file="a.csv"):
        log.info("page_fetched", page=7, filename="orders.csv", nested={"rows": [1]}, dag_id="ours", loc="here")

    (line,) = task.lines
    assert line == {
        **OF_THE_TASK,
        "event": "page_fetched",
        "level": "info",
        "logger": "app",
        "filename": "test_in_airflow.py",
        "controlroom_run_id": "ours",
        "controlroom_dag_id": "ours",
        "filename_": "orders.csv",
        "loc_": "here",
        "file": "a.csv",
        "nested": {"rows": [1]},
        "page": 7,
    }


def test_a_record_of_another_package_is_merged_masked_and_keeps_its_extras(task: Task) -> None:
    register_secret("canary-4711")
    logging.getLogger("other").warning("of %s, %d%%", "canary-4711", 5, extra={"rows": 3})

    (line,) = task.lines
    assert (line["event"], line["level"], line["logger"], line["rows"]) == ("of ***, 5%", "warning", "other", 3)


def test_a_failure_is_shown_where_airflow_shows_tracebacks(task: Task) -> None:
    register_secret("canary-4711")
    try:
        try:
            fail(ExceptionGroup("two", [KeyError("canary-4711"), OSError("gone")]))
        except ExceptionGroup as cause:
            raise DataError("bad rows, with canary-4711") from cause
    except DataError as error:
        error.add_note("a note")
        log.failure("file_failed", error, page=7)

    (line,) = task.lines
    failure, cause = line["exception"]
    assert (line["event"], line["level"], line["code"], line["page"]) == ("file_failed", "error", "data", 7)
    assert (failure["exc_type"], failure["exc_value"]) == ("DataError", "bad rows, with ***")
    assert (failure["exc_notes"], failure["is_cause"], failure["is_group"]) == (["a note"], False, False)
    assert (cause["exc_type"], cause["is_cause"], cause["is_group"]) == ("ExceptionGroup", True, True)
    assert [member[0]["exc_type"] for member in cause["exceptions"]] == ["KeyError", "OSError"]
    (frame,) = failure["frames"]
    assert frame.keys() == {"filename", "lineno", "name"}
    assert frame["name"].startswith("test_a_failure_is_shown")
    assert "failure" not in line, "everything is told elsewhere"
    assert "canary" not in task.text


def test_its_form_is_that_of_structlogs_own_tracebacks(task: Task) -> None:
    """Airflow's pages read it key by key."""
    try:
        fail(KeyError("a"))
    except KeyError as error:
        theirs = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)(
            (type(error), error, error.__traceback__)
        )
        log.failure("file_failed", error)

    (ours,) = task.lines[0]["exception"]
    assert ours.keys() >= theirs[0].keys()  # an older structlog writes fewer
    assert ours["frames"] == theirs[0]["frames"]


def test_what_airflow_has_no_place_for_is_told_beside_it(task: Task) -> None:
    error = DataError("bad rows")
    error.attempts = (Attempt(1, "DataError: bad rows", None, "no more"),)
    log.failure("gave_up", error)

    (line,) = task.lines
    (attempt,) = line["failure"]["attempts"]
    assert (attempt["number"], attempt["reason"]) == (1, "no more")
    assert line["exception"][0]["frames"] == []


def test_frames_that_were_left_out_are_counted(task: Task) -> None:
    def deep(number: int) -> None:
        if number == 0:
            raise KeyError("a")
        deep(number - 1)

    try:
        deep(200)
    except KeyError as error:
        log.failure("file_failed", error)

    frames = task.lines[0]["exception"][0]["frames"]
    assert {"filename": "", "lineno": -1, "name": "Skipped frames: 152"} in frames


def test_an_exception_of_another_package_is_masked_too(task: Task) -> None:
    register_secret("canary-4711")
    try:
        fail(ValueError("with canary-4711"))
    except ValueError:
        logging.getLogger("other").exception("it failed", stack_info=True)

    (line,) = task.lines
    assert line["exception"][0]["exc_value"] == "with ***"
    assert "test_an_exception_of_another_package" in line["stack_"]
    assert "canary" not in task.text


@pytest.mark.parametrize("task", ["text"], indirect=True)
def test_on_a_console_the_traceback_stands_below_the_line(task: Task) -> None:
    try:
        fail(ValueError("bad"))
    except ValueError as error:
        log.failure("file_failed", error, page=7)
    log.info("went_on")

    head, message, frame, _frame, after = task.text.splitlines()
    assert "file_failed" in head
    assert "page=7" in head
    assert message == "  ValueError: bad"
    assert frame.endswith("in test_on_a_console_the_traceback_stands_below_the_line")
    assert "went_on" in after


def test_warnings_pass_without_their_secrets(task: Task) -> None:
    task.report.undo()
    shown: list[tuple[Any, ...]] = []
    register_secret("canary-4711")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = lambda *arguments: shown.append(arguments)
        report = setup_logging()
        warnings.warn("old canary-4711", UserWarning, stacklevel=1)
        report.undo()
        warnings.warn("old canary-4711", UserWarning, stacklevel=1)

    assert [str(arguments[0]) for arguments in shown] == ["old ***", "old canary-4711"]
    assert shown[0][1:3] == (UserWarning, __file__)


def test_a_handler_of_another_kind_is_left_alone(task: Task, tmp_path: Path) -> None:
    handler = logging.StreamHandler(io.StringIO())
    logging.getLogger().addHandler(handler)
    report = setup_logging("WARNING", file=tmp_path / "run.jsonl")
    log.info("page_fetched", page=7)
    report.undo()
    logging.getLogger().removeHandler(handler)

    assert handler.formatter is None
    assert handler.stream.getvalue() == "page_fetched page=7\n"
    assert task.lines[-1]["page"] == 7
    assert json.loads((tmp_path / "run.jsonl").read_text())["page"] == 7


def test_facts_that_are_called_like_parts_of_the_chain_do_no_harm(task: Task) -> None:
    log.info(
        "tried", _record=1, _from_structlog=2, exception="text", positional_args=[3], stack=4, name_=5, **{"a b": 6}
    )

    (line,) = task.lines
    assert (line["_record_"], line["_from_structlog_"], line["exception_"]) == (1, 2, "text")
    assert (line["positional_args_"], line["stack_"], line["name_"], line["a b"]) == ([3], 4, 5, 6)


def test_a_chain_that_fails_costs_a_line_and_shows_no_arguments(task: Task, capsys: pytest.CaptureFixture[str]) -> None:
    def fails(*_arguments: Any) -> Any:
        fail(RuntimeError("no rendering today"))

    task.report.undo()
    formatter = task.handler.formatter
    assert isinstance(formatter, structlog.stdlib.ProcessorFormatter)
    formatter.processors = (fails,)
    report = setup_logging()
    logging.getLogger("other").info("with %s", "canary-4711")
    log.info("tried", note="canary-4711")
    dropped = report.dropped
    report.undo()

    assert dropped == 2
    assert {line["event"] for line in task.lines} == {"a line could not be rendered"}
    assert "canary" not in "".join(capsys.readouterr())
