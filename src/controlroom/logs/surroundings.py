"""What host this process runs under, and what it has already done to logging. Looks only; changes nothing.

What is certain, and what is a guess:

* Lambda, Airflow, pytest and CI say so themselves, by variables, modules or handlers of theirs. A child process inherits
  the variables: it is told where it runs, which is true of it too.
* cron says nothing. On Linux its process among our ancestors, with no controlling terminal, is certain, and so is a
  timer of systemd (252 or later), which sets variables. Where the ancestors cannot be seen (no /proc, or one mounted
  with hidepid), the bare environment that cron gives is a guess, and `host_facts` says that it is one.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import sys
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import controlroom
from controlroom.logs.ci import ci_facts, provider_of
from controlroom.logs.cron import schedule_of

__all__ = ["Host", "Surroundings", "host_facts", "look_around"]

_OF_LAMBDA: Final = {
    "function_name": "AWS_LAMBDA_FUNCTION_NAME",
    "function_version": "AWS_LAMBDA_FUNCTION_VERSION",
    "memory_mb": "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "region": "AWS_REGION",
    "initialization": "AWS_LAMBDA_INITIALIZATION_TYPE",
}
_OF_AIRFLOW: Final = {
    "dag_id": "AIRFLOW_CTX_DAG_ID",
    "task_id": "AIRFLOW_CTX_TASK_ID",
    "airflow_run_id": "AIRFLOW_CTX_DAG_RUN_ID",  # run_id is ours, on the same line
    "try_number": "AIRFLOW_CTX_TRY_NUMBER",
}
_NUMBERS: Final = frozenset({"memory_mb", "try_number"})

_runs = itertools.count()


class Host(StrEnum):
    """Who started the process, and owns it as far as logging is concerned."""

    LAMBDA = "lambda"
    AIRFLOW = "airflow"
    PYTEST = "pytest"
    CI = "ci"
    CRON = "cron"
    """A schedule of this machine: cron, or a timer of systemd."""
    PROCESS = "process"
    """A command line, a container, a service: nobody but us."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What was found.

    Attributes:
        host: Whose process this is.
        handlers: Every handler of the root logger.
        to_join: Those that already lead to the host's log; no second handler belongs beside them.
        consoles: Those that print to this process's own stdout or stderr.
        level: What the host's operator set as the level, outside of the code; None where nobody did.
    """

    host: Host
    handlers: tuple[logging.Handler, ...]
    to_join: tuple[logging.Handler, ...]
    consoles: tuple[logging.Handler, ...]
    level: int | None = None


def look_around() -> Surroundings:
    """Return what is there now, on the root logger and in the environment."""
    handlers = tuple(logging.getLogger().handlers)
    lambdas = tuple(handler for handler in handlers if _is_lambda(handler))
    consoles = tuple(handler for handler in handlers if _is_console(handler))
    if lambdas or {"AWS_LAMBDA_RUNTIME_API", "AWS_LAMBDA_FUNCTION_NAME"} & os.environ.keys():
        return Surroundings(Host.LAMBDA, handlers, lambdas, consoles, _level_of_lambda())
    if _is_airflow():
        return Surroundings(Host.AIRFLOW, handlers, tuple(h for h in handlers if not _is_pytest(h)), consoles)
    return Surroundings(_own_host(handlers), handlers, (), consoles)


def host_facts() -> dict[str, Any]:
    """Return what is worth knowing afterwards about where a run took place, as facts for its first line.

    Always ``kind`` (see `Host`), ``hostname``, ``system``, ``python`` and ``controlroom`` (versions). On Lambda also
    ``function_name``, ``function_version``, ``memory_mb``, ``region``, ``initialization`` and ``cold_start``: the first
    call in a process says True. In Airflow ``dag_id``, ``task_id``, ``airflow_run_id``, ``try_number``, ``map_index``
    (-1: not mapped). In CI ``provider``, ``run_url``, ``ci_run_id``, ``ref``, ``sha``. Under a schedule
    ``scheduled_by``, ``timer``, and ``guessed`` where nothing proves it. Under systemd ``invocation_id``, which
    journalctl finds the service's lines by. Each where it is known.

    Guarantees:
        No paths, no names of users, no other variables; it never raises because of what it finds.
    """
    host, system = look_around().host, os.uname()
    facts = {
        "kind": host.value,
        "hostname": system.nodename,
        "system": f"{system.sysname} {system.release} {system.machine}",
        "python": ".".join(str(number) for number in sys.version_info[:3]),
        "controlroom": controlroom.__version__,
    }
    match host:
        case Host.LAMBDA:
            return facts | _told(_OF_LAMBDA) | {"cold_start": next(_runs) == 0}
        case Host.AIRFLOW:
            return facts | _told(_OF_AIRFLOW) | _mapped()
        case Host.CI:
            return facts | ci_facts(os.environ)
        case Host.PYTEST:
            return facts
        case Host.CRON | Host.PROCESS:
            return facts | _scheduled()


def _told(variables: dict[str, str]) -> dict[str, Any]:
    texts = {name: text for name, variable in variables.items() if (text := os.environ.get(variable))}
    return {name: int(text) if name in _NUMBERS and text.isdecimal() else text for name, text in texts.items()}


def _mapped() -> dict[str, int]:
    """Which of a mapped task's instances this is: no variable says so, only the running task's context."""
    with contextlib.suppress(Exception):  # outside of a task there is none, and Airflow's own classes say so
        return {"map_index": int(sys.modules["airflow.sdk"].get_current_context()["ti"].map_index)}
    return {}


def _scheduled() -> dict[str, Any]:
    schedule = schedule_of(os.environ)
    known = {
        "scheduled_by": schedule and schedule.by,
        "timer": schedule and schedule.unit,
        "guessed": (schedule and schedule.guessed) or None,
        "invocation_id": os.environ.get("INVOCATION_ID"),
    }
    return {name: value for name, value in known.items() if value is not None}


def _own_host(handlers: tuple[logging.Handler, ...]) -> Host:
    """Tell who started a process whose logging is its own."""
    if any(_is_pytest(handler) for handler in handlers):
        return Host.PYTEST
    if provider_of(os.environ) is not None:
        return Host.CI
    return Host.PROCESS if schedule_of(os.environ) is None else Host.CRON


def _is_lambda(handler: logging.Handler) -> bool:
    """By name: the runtime's module is there only under the runtime. ``…WithFrameType`` is a second class of its own."""
    return any(kind.__name__.startswith("LambdaLoggerHandler") for kind in type(handler).__mro__)


def _level_of_lambda() -> int | None:
    """Return the function's own setting. The platform drops what is below it anyway, so it goes before the code's."""
    name = os.environ.get("AWS_LAMBDA_LOG_LEVEL", "").upper()
    return logging.getLevelNamesMapping().get({"TRACE": "DEBUG"}.get(name, name))


def _is_airflow() -> bool:
    """A task's process. One that a BashOperator started has the variables too, but no handlers to join: it is its own."""
    return "airflow.sdk" in sys.modules or any(name.startswith("AIRFLOW_CTX_") for name in os.environ)


def _is_pytest(handler: logging.Handler) -> bool:
    return type(handler).__module__.startswith("_pytest.")


def _is_console(handler: logging.Handler) -> bool:
    standard = (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)
    stream = getattr(handler, "stream", None)
    return stream is not None and any(stream is one for one in standard)
