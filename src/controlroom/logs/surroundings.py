"""What host this process runs under, and what it has already done to logging. Looks only; changes nothing."""

from __future__ import annotations

import logging
import os
import sys
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Host", "Surroundings", "look_around"]


class Host(StrEnum):
    """Who owns the process, as far as logging is concerned."""

    LAMBDA = "lambda"
    AIRFLOW = "airflow"
    PYTEST = "pytest"
    PROCESS = "process"
    """A command line, cron, a CI job, a container: nobody but us."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What was found.

    Attributes:
        host: Whose process this is.
        handlers: Every handler of the root logger.
        to_join: Those that already lead to the host's log; no second handler belongs beside them.
        consoles: Those that print to this process's own stdout or stderr.
    """

    host: Host
    handlers: tuple[logging.Handler, ...]
    to_join: tuple[logging.Handler, ...]
    consoles: tuple[logging.Handler, ...]


def look_around() -> Surroundings:
    """Return what is there now, on the root logger and in the environment."""
    handlers = tuple(logging.getLogger().handlers)
    lambdas = tuple(handler for handler in handlers if _is_lambda(handler))
    consoles = tuple(handler for handler in handlers if _is_console(handler))
    if lambdas or {"AWS_LAMBDA_RUNTIME_API", "AWS_LAMBDA_FUNCTION_NAME"} & os.environ.keys():
        return Surroundings(Host.LAMBDA, handlers, lambdas, consoles)
    if _is_airflow():
        return Surroundings(Host.AIRFLOW, handlers, tuple(h for h in handlers if not _is_pytest(h)), consoles)
    host = Host.PYTEST if any(_is_pytest(handler) for handler in handlers) else Host.PROCESS
    return Surroundings(host, handlers, (), consoles)


def _is_lambda(handler: logging.Handler) -> bool:
    """By name: the runtime's module is there only under the runtime. ``…WithFrameType`` is a second class of its own."""
    return any(kind.__name__.startswith("LambdaLoggerHandler") for kind in type(handler).__mro__)


def _is_airflow() -> bool:
    """A task's process. One that a BashOperator started has the variables too, but no handlers to join: it is its own."""
    return "airflow.sdk" in sys.modules or any(name.startswith("AIRFLOW_CTX_") for name in os.environ)


def _is_pytest(handler: logging.Handler) -> bool:
    return type(handler).__module__.startswith("_pytest.")


def _is_console(handler: logging.Handler) -> bool:
    standard = (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)
    stream = getattr(handler, "stream", None)
    return stream is not None and any(stream is one for one in standard)
