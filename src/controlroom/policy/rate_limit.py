"""How fast requests may leave: the generic cell rate algorithm (ITU-T I.371), whose whole state is one instant."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field

from controlroom.errors import ConfigError
from controlroom.policy.quantities import is_finite
from controlroom.policy.quota import Quota

__all__ = ["RateLimit"]


@dataclass(slots=True)
class RateLimit:
    """At most *requests* in any *per_s* seconds, evenly spread. Share one instance: it counts for all who hold it.

    What a server says about its own limits lowers it: once it takes no more requests, nothing leaves until its reset.

    Args:
        requests: How many; infinity: as the server says.
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
        endless = self.requests == math.inf
        rates_fit = all(is_finite(number) and number > 0 for number in (1 if endless else self.requests, self.per_s))
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
            self._hold(until_s)

    def heed(self, quotas: Iterable[Quota], now_s: float) -> None:
        """Take no more than a server that answered with *quotas* will take.

        A quota that is not used up slows nobody down: spread over its time, a large one would hold up those who need
        little of it.

        Args:
            quotas: What it said, all of its limits.
            now_s: The present instant of a monotonic clock.
        """
        with self._lock:
            for quota in quotas:
                if quota.remaining < 1:
                    self._hold(now_s + quota.reset_s)

    def _hold(self, until_s: float) -> None:
        self._free_at_s = max(self._free_at_s, until_s + self.per_s / self.requests * (self.burst - 1))
