"""A deadline is an instant, not a duration: it is passed down, and every wait below is cut to what is left of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

from controlroom.errors import ConfigError, DeadlineExceededError
from controlroom.policy.quantities import is_finite

__all__ = ["Deadline"]


@dataclass(frozen=True, slots=True)
class Deadline:
    """The last instant at which something may still be under way.

    Attributes:
        at_s: The instant, in seconds of the clock *now*.
        now: Returns that clock's present instant, in seconds. Passed in, so that this module reads no clock itself.
    """

    at_s: float
    now: Callable[[], float] = field(repr=False, compare=False)

    @classmethod
    def after(cls, timeout_s: float, now: Callable[[], float]) -> Self:
        """Return the deadline *timeout_s* seconds from now. Zero is a deadline that has passed.

        Raises:
            ConfigError: *timeout_s* is negative or not a finite number.
        """
        if not is_finite(timeout_s) or timeout_s < 0:
            message = f"A deadline of {timeout_s!r} s is not possible: give seconds, zero or more."
            raise ConfigError(message)
        return cls(now() + timeout_s, now)

    def remaining_s(self) -> float:
        """Return the seconds left; 0.0 once it has passed, never less."""
        return max(0.0, self.at_s - self.now())

    @property
    def is_over(self) -> bool:
        """Tell whether nothing is left."""
        return self.remaining_s() <= 0

    def fit(self, timeout_s: float) -> float:
        """Return *timeout_s* or the seconds left, whichever is less."""
        return min(timeout_s, self.remaining_s())

    def tightest(self, other: Deadline | None) -> Deadline:
        """Return the earlier of the two: an inner deadline never extends an outer one."""
        return self if other is None or self.at_s <= other.at_s else other

    def require(self, what: str, needed_s: float = 0.0) -> None:
        """Refuse to begin *what* when less than *needed_s* seconds, or nothing at all, is left.

        Raises:
            DeadlineExceededError: "needed 8.0 s, 3.1 s left". *what* was not begun.
        """
        left_s = self.remaining_s()
        if left_s <= 0 or left_s < needed_s:
            message = f"{what}: needed {needed_s:.1f} s, {left_s:.1f} s left before the deadline. It was not begun."
            raise DeadlineExceededError(message, needed_s=needed_s, left_s=left_s)
