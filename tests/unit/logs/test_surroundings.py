"""What host it is, and what is worth knowing about it afterwards."""

from __future__ import annotations

import itertools
import logging
import os
import sys
from types import SimpleNamespace
from typing import Any

import pytest

import controlroom
from controlroom.logs import get_logger, setup_logging, surroundings
from controlroom.logs.cron import Schedule
from controlroom.logs.surroundings import Host, host_facts, look_around

ALWAYS = {"kind", "hostname", "system", "python", "controlroom"}
LAMBDA = {
    "AWS_LAMBDA_FUNCTION_NAME": "ingest",
    "AWS_LAMBDA_FUNCTION_VERSION": "7",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
    "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
    "AWS_REGION": "eu-central-1",
}
AIRFLOW = {
    "AIRFLOW_CTX_DAG_ID": "orders",
    "AIRFLOW_CTX_TASK_ID": "load",
    "AIRFLOW_CTX_DAG_RUN_ID": "manual__2026",
    "AIRFLOW_CTX_TRY_NUMBER": "2",
}
CI = {"GITHUB_ACTIONS": "true", "GITHUB_SHA": "abc"}


@pytest.fixture
def environ(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The environment, empty; and no schedule."""
    empty: dict[str, str] = {}
    monkeypatch.setattr(os, "environ", empty)
    monkeypatch.setattr(surroundings, "schedule_of", lambda _environ: None)
    return empty


@pytest.fixture
def scheduled(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    monkeypatch.setattr(surroundings, "schedule_of", lambda _environ: Schedule("cron"))
    return environ


def test_the_host_that_sits_closest_decides(scheduled: dict[str, str], root_without_pytest: None) -> None:
    assert look_around().host is Host.CRON
    scheduled.update(CI)
    assert look_around().host is Host.CI, "a runner that cron started"
    scheduled.update(AIRFLOW)
    assert look_around().host is Host.AIRFLOW
    scheduled.update(LAMBDA)
    assert look_around().host is Host.LAMBDA


def test_under_pytest_it_is_pytest_whoever_started_that(scheduled: dict[str, str]) -> None:
    scheduled.update(CI)

    assert look_around().host is Host.PYTEST
    assert host_facts().keys() == ALWAYS


def test_nobody_is_a_process(environ: dict[str, str], root_without_pytest: None) -> None:
    assert look_around().host is Host.PROCESS
    assert host_facts().keys() == ALWAYS
    assert host_facts()["controlroom"] == controlroom.__version__
    assert host_facts()["python"] == ".".join(str(number) for number in sys.version_info[:3])


def test_a_function_of_lambda_tells_what_it_is_and_its_first_run_that_it_began_cold(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    environ.update(LAMBDA, AWS_SECRET_ACCESS_KEY="s3cr3t-key", AWS_SESSION_TOKEN="s3cr3t-token")
    monkeypatch.setattr(surroundings, "_runs", itertools.count())
    cold, warm = host_facts(), host_facts()

    assert {name: value for name, value in cold.items() if name not in ALWAYS} == {
        "function_name": "ingest",
        "function_version": "7",
        "memory_mb": 512,
        "region": "eu-central-1",
        "initialization": "on-demand",
        "cold_start": True,
    }
    assert warm == {**cold, "cold_start": False}
    assert "s3cr3t" not in repr(cold)


def test_a_task_of_airflow_tells_which_it_is(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    environ.update(AIRFLOW)
    context = {"ti": SimpleNamespace(map_index=3)}
    monkeypatch.setitem(sys.modules, "airflow.sdk", SimpleNamespace(get_current_context=lambda: context))

    assert {name: value for name, value in host_facts().items() if name not in ALWAYS} == {
        "dag_id": "orders",
        "task_id": "load",
        "airflow_run_id": "manual__2026",
        "try_number": 2,
        "map_index": 3,
    }


@pytest.mark.parametrize("airflow", [SimpleNamespace(), SimpleNamespace(get_current_context=dict)])
def test_outside_of_a_task_there_is_no_context_to_ask(
    environ: dict[str, str], airflow: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "airflow.sdk", airflow)

    assert host_facts().keys() == ALWAYS
    assert host_facts()["kind"] == "airflow"


def test_a_variable_that_is_no_number_stays_what_it_is(environ: dict[str, str]) -> None:
    environ.update(AIRFLOW, AIRFLOW_CTX_TRY_NUMBER="²")

    assert host_facts()["try_number"] == "²"


def test_a_run_in_ci_tells_its_provider(environ: dict[str, str], root_without_pytest: None) -> None:
    environ.update(CI)

    assert {name: value for name, value in host_facts().items() if name not in ALWAYS} == {
        "provider": "github",
        "sha": "abc",
    }


@pytest.mark.parametrize(
    ("schedule", "facts"),
    [
        (Schedule("cron"), {"scheduled_by": "cron"}),
        (Schedule("cron", guessed=True), {"scheduled_by": "cron", "guessed": True}),
        (Schedule("systemd_timer", unit="a.timer"), {"scheduled_by": "systemd_timer", "timer": "a.timer"}),
    ],
)
def test_a_schedule_is_told_with_what_is_known_of_it(
    schedule: Schedule,
    facts: dict[str, Any],
    environ: dict[str, str],
    root_without_pytest: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    environ["INVOCATION_ID"] = "4711"
    monkeypatch.setattr(surroundings, "schedule_of", lambda _environ: schedule)
    told = {name: value for name, value in host_facts().items() if name not in ALWAYS}

    assert told == {**facts, "invocation_id": "4711"}
    assert look_around().host is Host.CRON


class LambdaLoggerHandler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        pass


@pytest.mark.parametrize(
    ("configured", "level"),
    [("TRACE", 10), ("debug", 10), ("WARN", 30), ("FATAL", 50), ("LOUD", None), ("", None), (None, None)],
)
def test_the_level_that_lambda_is_configured_with_is_found(
    configured: str | None, level: int | None, environ: dict[str, str], root_without_pytest: None
) -> None:
    if configured is not None:
        environ["AWS_LAMBDA_LOG_LEVEL"] = configured
    assert look_around().level is None, "a variable that means nothing elsewhere"

    environ["AWS_LAMBDA_FUNCTION_NAME"] = "ingest"
    assert look_around().level == level


def test_the_configured_level_goes_before_the_codes(environ: dict[str, str], root_without_pytest: None) -> None:
    environ["AWS_LAMBDA_LOG_LEVEL"] = "ERROR"
    root, handler = logging.getLogger(), LambdaLoggerHandler()
    root.addHandler(handler)
    try:
        report = setup_logging("DEBUG")
        assert (report.level, get_logger("app").is_enabled_for("WARNING")) == ("ERROR", False)
        report.undo()
    finally:
        root.removeHandler(handler)
