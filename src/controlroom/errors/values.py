"""What errors are made of besides text: what to do about them, the tries that came before, exit codes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from controlroom.errors.text import kept, masked, shown

# sysexits(3): a scheduler decides by number alone.
EX_DATAERR = 65
EX_UNAVAILABLE = 69
EX_SOFTWARE = 70
EX_IOERR = 74
EX_TEMPFAIL = 75
EX_NOPERM = 77
EX_CONFIG = 78
EX_SKIPPED = 99  # not of sysexits: Airflow's BashOperator reads it as "skipped" by default


class Disposition(StrEnum):
    """What to do about an error; decided where it is detected, acted on by whoever is in charge."""

    RETRY = "retry"
    """Repeating can help: nothing was applied, or applying it twice is harmless."""
    QUARANTINE = "quarantine"
    """The content is wrong: set it aside with the reason and go on with the rest."""
    STOP = "stop"
    """Repeating cannot help: a person has to change something first."""
    RECONCILE = "reconcile"
    """The effect may or may not have happened: find out before doing anything else."""
    SKIP = "skip"
    """There was nothing to do; this is not a failure."""


@dataclass(frozen=True, slots=True, repr=False)
class Attempt:
    """One failed try, kept on the error that ended the series.

    Attributes:
        number: 1-based.
        error: What failed, class name first, secrets masked.
        wait_s: Seconds waited before the next try; None after the last one.
        reason: Why it was retried, or why it was given up.
    """

    number: int
    error: str
    wait_s: float | None
    reason: str

    def __post_init__(self) -> None:
        """Keep texts only, and masked, so that no copy of this value shows a secret."""
        object.__setattr__(self, "number", kept(self.number))
        object.__setattr__(self, "error", shown(self.error))
        object.__setattr__(self, "wait_s", seconds_of(self.wait_s))
        object.__setattr__(self, "reason", shown(self.reason))

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for name, value in self.to_dict().items())
        return f"Attempt({fields})"

    def __reduce__(self) -> tuple[Any, ...]:
        return Attempt, tuple(self.to_dict().values())

    def to_dict(self) -> dict[str, Any]:
        """Return the attempt as JSON-ready data."""
        return {
            "number": self.number,
            "error": masked(self.error),
            "wait_s": self.wait_s,
            "reason": masked(self.reason),
        }


def seconds_of(value: Any) -> float | None:
    """Return *value* as a wait: not negative, finite; None where it is no such number."""
    try:
        seconds = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return max(0.0, seconds) if math.isfinite(seconds) else None
