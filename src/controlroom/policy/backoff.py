"""How long to wait before the next try; the randomness is passed in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from controlroom.errors import ConfigError
from controlroom.policy.quantities import is_finite

__all__ = ["Backoff"]


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential waits with a cap.

    Full jitter, not equal jitter: equal jitter keeps a synchronized herd half synchronized
    (AWS Architecture Blog, "Exponential Backoff And Jitter", 2015).

    Args:
        initial_s: Longest wait after the first failure, seconds.
        factor: Growth from one failure to the next, at least 1.
        cap_s: No wait is longer, seconds.
        jitter: "full" draws each wait evenly between zero and its ceiling; "none" waits the ceiling: 1, 2, 4, 8, 8.

    Raises:
        ConfigError: A number is negative, not finite, or *factor* is below 1.
    """

    initial_s: float = 1.0
    factor: float = 2.0
    cap_s: float = 8.0
    jitter: Literal["full", "none"] = "full"

    def __post_init__(self) -> None:
        """Refuse a schedule that could not be kept."""
        numbers = (self.initial_s, self.factor, self.cap_s)
        if not all(is_finite(number) for number in numbers) or min(self.initial_s, self.cap_s) < 0:
            message = f"{self} has a time that is negative or not a number: give seconds, zero or more."
            raise ConfigError(message)
        if self.factor < 1:
            message = f"{self} would wait less after each failure: give a factor of 1 or more."
            raise ConfigError(message)
        if self.jitter not in {"full", "none"}:
            message = f'{self} names an unknown jitter: choose "full" or "none".'
            raise ConfigError(message)

    def ceiling_s(self, attempt: int) -> float:
        """Return the longest wait after failed attempt number *attempt* (1-based), seconds."""
        try:
            return min(self.cap_s, self.initial_s * self.factor ** (attempt - 1))
        except OverflowError:  # 2.0 ** 1024: the cap was passed long ago
            return self.cap_s if self.initial_s else 0.0

    def delay_s(self, attempt: int, draw: float) -> float:
        """Return the wait after failed attempt number *attempt* (1-based), seconds.

        Args:
            attempt: The attempt that failed.
            draw: A random number in [0, 1), used by full jitter only.
        """
        ceiling_s = self.ceiling_s(attempt)
        return ceiling_s * draw if self.jitter == "full" else ceiling_s
