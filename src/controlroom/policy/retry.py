"""Retry or give up, and why: the decision as a value, so that it can be logged, asserted and justified."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass, field
from typing import Literal

from controlroom.errors import ConfigError, ControlRoomError, Disposition, ShutdownRequested
from controlroom.policy.backoff import Backoff
from controlroom.policy.quantities import is_finite

__all__ = ["Decision", "GiveUp", "RetryAfter", "RetryBudget", "judge"]

Rule = Literal["disposition", "shutdown", "attempts", "longest wait", "elapsed", "deadline", "budget"]


@dataclass(frozen=True, slots=True)
class RetryAfter:
    """Try again after *wait_s* seconds."""

    wait_s: float
    reason: str


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Do not try again; *rule* names the limit that ended the series."""

    reason: str
    rule: Rule = "disposition"


Decision = RetryAfter | GiveUp


def judge(  # noqa: PLR0911 - a list of limits, each with its own answer; one return would hide the list
    error: BaseException,
    *,
    attempt: int,
    attempts: int,
    backoff: Backoff,
    draw: float,
    elapsed_s: float = 0.0,
    max_elapsed_s: float | None = None,
    max_wait_s: float = math.inf,
    remaining_s: float | None = None,
    budget_left: bool = True,
) -> Decision:
    """Decide what to do after attempt number *attempt* failed with *error*.

    Args:
        error: What was raised. Only a `ControlRoomError` whose disposition is RETRY can be repeated.
        attempt: The attempt that failed, 1-based.
        attempts: Attempts allowed in all.
        backoff: The schedule; ``error.retry_after_s`` wins over it.
        draw: A random number in [0, 1) for the jitter.
        elapsed_s: Seconds since the first attempt began.
        max_elapsed_s: No retry may begin later than this many seconds after the first attempt began.
        max_wait_s: The longest single wait, seconds: the schedule is cut to it; being asked for more ends the series.
        remaining_s: Seconds left before the deadline. A wait that does not fit is not begun.
        budget_left: Whether the shared budget still has a token.
    """
    if not isinstance(error, ControlRoomError):
        return GiveUp(f"{type(error).__name__} is not known to be worth repeating")
    if error.disposition is not Disposition.RETRY:
        return GiveUp(f"{type(error).__name__} says {error.disposition.value}: repeating cannot help or could harm")
    if isinstance(error, ShutdownRequested):  # its RETRY speaks to whoever starts the process again
        return GiveUp("this process was asked to stop", "shutdown")
    if attempt >= attempts:
        return GiveUp(f"attempt {attempt} of {attempts} failed", "attempts")
    wait_s, reason = _wait(error, min(backoff.delay_s(attempt, draw), max_wait_s))
    if wait_s > max_wait_s or math.isinf(wait_s):
        return GiveUp(f"{reason}; the longest wait allowed is {max_wait_s:.1f} s", "longest wait")
    if max_elapsed_s is not None and elapsed_s + wait_s > max_elapsed_s:
        left_s = max(0.0, max_elapsed_s - elapsed_s)
        return GiveUp(
            f"needed {wait_s:.1f} s, {left_s:.1f} s left of {max_elapsed_s:.1f} s for all attempts", "elapsed"
        )
    if remaining_s is not None and wait_s >= remaining_s:
        return GiveUp(f"needed {wait_s:.1f} s, {remaining_s:.1f} s left before the deadline", "deadline")
    if not budget_left:
        return GiveUp("the shared retry budget is empty: too many calls are failing", "budget")
    return RetryAfter(wait_s, f"{reason}; attempt {attempt} of {attempts} failed")


def _wait(error: ControlRoomError, own_s: float) -> tuple[float, str]:
    """Return the wait that the other side asked for, or else *own_s*, and why."""
    asked_s = error.retry_after_s
    if asked_s is None or math.isnan(asked_s):
        return own_s, f"{type(error).__name__}: backing off {own_s:.1f} s"
    wait_s = max(0.0, asked_s)
    return wait_s, f"{type(error).__name__}: the other side asked for {wait_s:.1f} s"


@dataclass(slots=True, eq=False)  # a bucket is itself, however full: policies that share one stay hashable
class RetryBudget:
    """Tokens for retries, shared by many callers: when everything fails, retries stop instead of doubling the load.

    First attempts are free; each retry takes one token; tokens come back with time, up to *tokens*. Pass one instance
    to every policy that should share it. Thread-safe.

    Args:
        tokens: How many retries may happen at once; also the size of the bucket.
        refill_per_s: Tokens that come back each second.

    Raises:
        ConfigError: A number is negative or not finite.
    """

    tokens: float
    refill_per_s: float
    _left: float = field(init=False, repr=False)
    _refilled_at_s: float | None = field(init=False, default=None, repr=False)
    _lock: threading.Lock = field(init=False, default_factory=threading.Lock, repr=False)

    def __post_init__(self) -> None:
        """Start full."""
        if not all(is_finite(number) and number >= 0 for number in (self.tokens, self.refill_per_s)):
            message = f"{self} is not possible: give finite numbers, zero or more."
            raise ConfigError(message)
        self._left = self.tokens

    def has_token(self, now_s: float) -> bool:
        """Tell whether a retry could be paid for at instant *now_s* (seconds of a monotonic clock)."""
        with self._lock:
            return self._level(now_s) >= 1

    def take(self, now_s: float) -> bool:
        """Pay for one retry at instant *now_s*; False, and nothing taken, when the bucket is empty."""
        with self._lock:
            level = self._level(now_s)
            taken = level >= 1
            self._left = level - 1 if taken else level
            # Two threads may arrive in the other order than they read the clock: no second is paid out twice.
            self._refilled_at_s = now_s if self._refilled_at_s is None else max(now_s, self._refilled_at_s)
            return taken

    def _level(self, now_s: float) -> float:
        since_s = 0.0 if self._refilled_at_s is None else max(0.0, now_s - self._refilled_at_s)
        return min(self.tokens, self._left + since_s * self.refill_per_s)
