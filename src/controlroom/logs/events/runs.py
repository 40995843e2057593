"""What runs and their hosts log."""

from __future__ import annotations

from typing import Final

from controlroom.logs.events.declarations import Event, Field

__all__ = ["OF_RUNS"]

_JOB: Final = Field("job", "string", "the job's name")
_JOBS: Final = ("controlroom.jobs.definition",)

OF_RUNS: Final = (
    Event(
        "run_started",
        "INFO",
        "A run of a job began.",
        _JOBS,
        (
            _JOB,
            Field("host", "string", "who started it: python, command_line …"),
            Field("host_facts", "object", "what is known of that host"),
            Field("deadline_s", "number", "how long it may take", "s", required=False),
        ),
    ),
    Event(
        "settings_loaded",
        "INFO",
        "The run has its settings.",
        _JOBS,
        (Field("settings", "array", "name, value (masked where secret), source, key, shadowed of each"),),
    ),
    Event(
        "setting_ignored",
        "WARNING",
        "A name was set that sets nothing, and almost does.",
        _JOBS,
        (Field("reason", "string", "which name, and what may have been meant"),),
    ),
    Event(
        "secret_served_stale",
        "WARNING",
        "A secret could not be fetched again; the last one known was used.",
        ("controlroom.settings.cloud.cache",),
        (
            Field("reference", "string", "which"),
            Field("age_s", "number", "how long ago it was fetched", "s"),
            Field("error", "string", "the class of the error and its message"),
            Field("code", "string", "of the error"),
        ),
    ),
    Event(
        "run_progressed",
        "INFO",
        "A loop of the job is under way; told at most once a minute.",
        ("*",),
        (
            Field("done", "integer", "items done"),
            Field("total", "integer", "items in all", nullable=True),
            Field("elapsed_s", "number", "since the loop began", "s"),
            Field("counted", "string", "what is counted: files", nullable=True),
        ),
    ),
    Event(
        "run_failed",
        "ERROR",
        "An error ended the run.",
        (*_JOBS, "controlroom.hosts.command_line"),
        (_JOB,),
        is_failure=True,
    ),
    Event(
        "run_finished",
        "INFO",
        "The run is over.",
        _JOBS,
        (
            _JOB,
            Field("outcome", "string", "how it ended", values=("succeeded", "skipped", "stopped", "failed")),
            Field("exit_code", "integer", "what its process returns"),
            Field("elapsed_s", "number", "how long it took", "s"),
            Field("code", "string", "of the error that ended it", required=False),
            Field("reason", "string", "the text of that error", required=False),
        ),
    ),
    Event(
        "shutdown_requested",
        "INFO",
        "A signal asked the process to stop.",
        ("controlroom.hosts.draining",),
        (
            Field("signal", "string", "its name"),
            Field("drain_s", "number", "how long the job has to reach a safe point", "s"),
        ),
    ),
)
