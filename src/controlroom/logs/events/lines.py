"""What the logging says of itself."""

from __future__ import annotations

from typing import Final

from controlroom.logs.events.declarations import Event, Field

__all__ = ["OF_LINES"]

_LOGS: Final = ("controlroom.logs",)

OF_LINES: Final = (
    Event(
        "log_lines_lost",
        "WARNING",
        "Lines could not be written: a full disk, a closed stream.",
        _LOGS,
        (
            Field("count", "integer", "how many"),
            Field("sinks", "object", "how many of each sink"),
        ),
    ),
    Event(
        "exception_uncaught",
        "ERROR",
        "An exception that nobody caught ended the process, or a thread.",
        _LOGS,
        (Field("thread", "string", "the thread that it ended; null: the process", nullable=True),),
        is_failure=True,
    ),
    Event(
        "log_rotation_refused",
        "WARNING",
        "The log file could not be rotated, and grows; each line tries again.",
        _LOGS,
        (Field("reason", "string", "what the system said"),),
    ),
    Event(
        "events_suppressed",
        "INFO",
        "Events were left out, as `setup_logging` was asked to.",
        _LOGS,
        (
            Field("event_name", "string", "which"),
            Field("event_logger", "string", "whose"),
            Field("event_level", "string", "their level"),
            Field("count", "integer", "how many"),
            Field("reason", "string", "why", values=("sampled", "repeated")),
            Field("first_at", "string", "when the first of them came"),
            Field("last_at", "string", "when the last of them came"),
        ),
    ),
)
