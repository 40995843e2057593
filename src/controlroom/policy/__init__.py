"""Decisions as values: pure, without clock, randomness or I/O. Drivers on the floors above perform them.

`RetryPolicy`, `deadline` and `current_deadline` read a clock and therefore live upstairs, in `controlroom.retrying`;
they can be imported from here too, because this is where one looks for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from controlroom.policy.backoff import Backoff
from controlroom.policy.deadlines import Deadline
from controlroom.policy.flow import Flow, StepFailed, drive, drive_async
from controlroom.policy.retry import Decision, GiveUp, RetryAfter, RetryBudget

if TYPE_CHECKING:
    from controlroom.retrying import RetryPolicy, current_deadline, deadline

__all__ = [
    "Backoff",
    "Deadline",
    "Decision",
    "Flow",
    "GiveUp",
    "RetryAfter",
    "RetryBudget",
    "RetryPolicy",
    "StepFailed",
    "current_deadline",
    "deadline",
    "drive",
    "drive_async",
]


def __getattr__(name: str) -> Any:
    if name in {"RetryPolicy", "current_deadline", "deadline"}:
        import controlroom  # noqa: PLC0415 - the face resolves it; importing upwards at load time would be a cycle

        return getattr(controlroom, name)
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)
