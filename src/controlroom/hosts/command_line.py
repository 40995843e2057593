"""A job on the command line: options in, an exit code out, signals drained."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import math
import sys
import threading
from collections.abc import Sequence
from typing import Any

from controlroom.errors import ControlRoomError
from controlroom.hosts.draining import Draining
from controlroom.hosts.terminal import Parser, flushed
from controlroom.jobs import Job, Outcome, Run, exit_code_of, outcome_of
from controlroom.jobs.definition import Launch, refuse_running_loop
from controlroom.logs import get_logger, setup_logging

__all__ = ["run"]

_log = get_logger(__name__)

_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


def run(job: Job[Any, Any], argv: Sequence[str] | None, *, drain_s: float) -> int:
    """Run *job* as *argv* says, and return the exit code.

    Args:
        job: The job.
        argv: The arguments; those of the process when None.
        drain_s: Seconds between a request to stop and the interruption.

    Raises:
        RuntimeError: Not in the main thread, or inside a running event loop.
        SystemExit: ``--help`` was asked for, or the usage is wrong (64).

    Guarantees:
        Nothing but ``--help`` and the job itself writes to stdout. Signal handlers and logging are restored.
    """
    refuse_running_loop(f"{job.name}.main() ends the process; inside an event loop await {job.name}.arun() instead")
    if threading.current_thread() is not threading.main_thread():
        message = f"{job.name}.main() handles signals, which only the main thread can; call {job.name}.run() instead"
        raise RuntimeError(message)
    options = _parsed(job, argv)
    try:
        report = setup_logging(level=options.log_level, format=options.log_format, file=options.log_file)
    except ControlRoomError as error:
        print(f"{job.name}: {error}", file=sys.stderr)  # noqa: T201 - there is no log to say it in
        return error.exit_code
    try:
        return flushed(_run(job, options, drain_s))
    finally:
        report.undo()


def _parsed(job: Job[Any, Any], argv: Sequence[str] | None) -> argparse.Namespace:
    parser = Parser(description=(job.__doc__ or "").partition("\n")[0])
    setting = parser.add_argument_group("settings")
    setting.add_argument(
        "--set",
        metavar="NAME=VALUE",
        action="append",
        type=_assignment,
        default=[],
        help="a setting; db.url=… is nested",
    )
    setting.add_argument("--profile", help="also read app.<profile>.toml")
    parser.add_argument("--deadline", metavar="SECONDS", type=_seconds, help="how long the run may take")
    parser.add_argument("--log-level", type=str.upper, choices=_LEVELS, default="INFO")
    parser.add_argument("--log-format", choices=("auto", "console", "json"), default="auto")
    parser.add_argument("--log-file", metavar="PATH", help="also append the log to this file, as JSON lines")
    options = parser.options(argv)
    if job.settings is None and (options.set or options.profile):
        parser.error("this job has no settings")
    return options


def _assignment(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name.strip() and equals):
        message = "needs NAME=VALUE"  # not the text: it may be a secret
        raise argparse.ArgumentTypeError(message)
    return name.strip(), value


def _seconds(text: str) -> float:
    with contextlib.suppress(ValueError):
        if math.isfinite(seconds := float(text)) and seconds > 0:
            return seconds
    message = "needs seconds, more than zero"
    raise argparse.ArgumentTypeError(message)


def _run(job: Job[Any, Any], options: argparse.Namespace, drain_s: float) -> int:
    launch: Launch[Any] = Launch(
        host="command_line", profile=options.profile, assignments=dict(options.set), deadline_s=options.deadline
    )
    with Draining(drain_s) as draining:
        try:
            with job.launched(launch) as run, draining.interrupting():
                _performed(job, run, draining)
        except BaseException as error:  # noqa: BLE001 - the process ends here; its exit code is the answer
            if outcome_of(error) is Outcome.FAILED:
                _log.failure("run_failed", error, job=job.name)  # a no-op where the run's own boundary has told it
            return exit_code_of(error)
        return 0


def _performed(job: Job[Any, Any], run: Run[Any], draining: Draining) -> None:
    if not job.is_async:
        job(run)
        return

    async def main() -> None:
        with draining.interrupting(asyncio.current_task()):
            await job(run)

    with asyncio.Runner() as runner:
        runner.run(main())
