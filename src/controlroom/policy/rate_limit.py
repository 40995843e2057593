"""How fast requests may leave: the generic cell rate algorithm (ITU-T I.371), whose whole state is one instant."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass, field

from controlroom.errors import ConfigError
from controlroom.policy.quantities import is_finite

__all__ = ["RateLimit"]


@dataclass(slots=True)
class RateLimit:
    """At most *requests* in any *per_s* seconds, evenly spread. Share one instance: it counts for all who hold it.

    Args:
        requests: How many.
        per_s: In how many seconds.
        burst: How many may leave at once after a pause. Every one above 1 adds one to what a window can see.

    Raises:
        ConfigError: A number is not finite, not above zero, or *burst* is below 1.

    Guarantees:
        Thread-safe, and the same for threads and tasks. Not promised: a limit across processes.
    """

    requests: float
    per_s: float = 1.0
    burst: int = 1
    _free_at_s: float = field(init=False, default=-math.inf, repr=False, compare=False)
    _lock: threading.Lock = field(init=False, default_factory=threading.Lock, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse a limit that lets nothing through."""
        rates_fit = all(is_finite(number) and number > 0 for number in (self.requests, self.per_s))
        if not rates_fit or not is_finite(self.burst) or self.burst < 1:
            message = f"{self} is not possible: give numbers above zero, and a burst of 1 or more."
            raise ConfigError(message)

    def reserve(self, now_s: float, longest_wait_s: float = math.inf) -> float:
        """Take the next free place and return how long to wait for it, seconds.

        A wait longer than *longest_wait_s* is returned too, but then no place was taken: do not send.

        Args:
            now_s: The present instant of a monotonic clock.
            longest_wait_s: What there is time for.
        """
        interval_s = self.per_s / self.requests
        with self._lock:
            free_at_s = max(self._free_at_s, now_s)
            wait_s = max(0.0, free_at_s - interval_s * (self.burst - 1) - now_s)
            if wait_s <= longest_wait_s:
                self._free_at_s = free_at_s + interval_s
            return wait_s

    def hold(self, until_s: float) -> None:
        """Let nothing leave before instant *until_s*: the server said so to one, and means all."""
        with self._lock:
            self._free_at_s = max(self._free_at_s, until_s + self.per_s / self.requests * (self.burst - 1))
