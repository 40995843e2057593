"""How fast requests may leave: the generic cell rate algorithm (ITU-T I.371), whose whole state is one instant."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from controlroom.errors import ConfigError
from controlroom.policy.in_flight import Room
from controlroom.policy.quantities import is_finite, is_whole
from controlroom.policy.quota import Quota

__all__ = ["LONGEST_HOLD_S", "RateLimit", "used_up_for"]

LONGEST_HOLD_S: Final = 86_400.0
"""A server is asked again after a day, whatever it said: a digit too many must not silence a client for years."""

_LATE_SHARE: Final = 0.05


@dataclass(slots=True)
class RateLimit:
    """At most *requests* in any *per_s* seconds, evenly spread. Share one instance: it counts for all who hold it.

    What a server says about its own limits lowers it: once it takes no more requests, nothing leaves until its reset, or for
    a day where it names a later one. A call that has no time to wait for that is refused at once.

    Args:
        requests: How many; infinity: as the server says.
        per_s: In how many seconds.
        burst: How many may leave at once after a pause. Every one above 1 adds one to what a window can see.
        shared: Where processes count together: the path of a file, in a folder that exists, for those of one machine; a
            `Database` (for asyncio's clients an `AsyncDatabase`), with its control tables, for those that reach it. Give
            all of them the same numbers. None: this process counts alone.
        name: Which limit it is among those of one database; a file is one limit.
        in_flight: How many requests of this instance may be under way at once, from their place under the rate limit to
            the end of the answer's body; None: as many as there are.

    Attributes:
        late_s: How late a request may be for its place, seconds: one that comes later takes another.

    Raises:
        ConfigError: A number is not finite, not above zero, or *burst* is below 1; *shared* is no place to share.

    Guarantees:
        Thread-safe, and the same for threads and tasks. A process that is killed holds up nobody: it may have taken a
        place that it does not use. A file that is lost, damaged or older than the last start of the machine begins a new
        count; so does a database's row that cannot be read.
        Shared by a file, time is the machine's, and setting its clock changes nothing. Shared by a database, time is the
        wall clock of whoever counts: one that was set back delays nobody.
        Not promised: one limit where clocks disagree; a window then sees more, by what one machine may send in as many
        seconds. A file on a network file system. *in_flight* across processes.
    """

    requests: float
    per_s: float = 1.0
    burst: int = 1
    shared: object = field(default=None, kw_only=True)
    name: str = field(default="default", kw_only=True)
    in_flight: int | None = field(default=None, kw_only=True)
    late_s: float = field(init=False, default=math.inf, repr=False, compare=False)
    room: Room | None = field(init=False, default=None, repr=False, compare=False)
    _free_at_s: float = field(init=False, default=-math.inf, repr=False, compare=False)
    _lock: threading.Lock = field(init=False, default_factory=threading.Lock, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse a limit that lets nothing through."""
        endless = self.requests == math.inf
        rates_fit = all(is_finite(number) and number > 0 for number in (1 if endless else self.requests, self.per_s))
        if not rates_fit or not is_finite(self.burst) or self.burst < 1:
            message = f"{self} is not possible: give numbers above zero, and a burst of 1 or more."
            raise ConfigError(message)
        if not endless:
            self.late_s = max(self.per_s / self.requests, self.per_s * _LATE_SHARE)
        if self.in_flight is not None:
            if not is_whole(self.in_flight) or self.in_flight < 1:
                message = f"in_flight={self.in_flight!r} is not possible: give a whole number of 1 or more, or None."
                raise ConfigError(message)
            self.room = Room(self.in_flight)
        self._require_a_place_to_share()

    def _require_a_place_to_share(self) -> None:
        is_path = isinstance(self.shared, str) or hasattr(self.shared, "__fspath__")
        if isinstance(self.shared, str) and (not self.shared or "://" in self.shared):
            message = f"shared={self.shared!r} is no path of a file. For a database, give Database(url)."
            raise ConfigError(message)
        if self.shared is not None and not is_path and not hasattr(self.shared, "transact"):
            kind = type(self.shared).__name__
            message = f"shared is a {kind}: give the path of a file, a Database or an AsyncDatabase."
            raise ConfigError(message)
        if not self.name or (is_path and self.name != "default"):
            message = (
                f"name={self.name!r} is not possible: it is a text that names a row of a database; a file has none."
            )
            raise ConfigError(message)

    def reserve(self, now_s: float, longest_wait_s: float = math.inf) -> float:
        """Take the next free place and return how long to wait for it, seconds.

        A wait longer than *longest_wait_s* is returned too, but then no place was taken: do not send.

        Args:
            now_s: The present instant of a monotonic clock.
            longest_wait_s: What there is time for.
        """
        with self._lock:
            self._free_at_s, wait_s = self.reserved(self._free_at_s, now_s, longest_wait_s)
            return wait_s

    def give_back(self, due_s: float) -> None:
        """Free the place at instant *due_s* again, if it is the last that was taken; those behind another are not moved up.

        For whoever waited for it and gave up. A limit that processes share takes nothing back.
        """
        interval_s = self.per_s / self.requests
        with self._lock:
            if abs(self._free_at_s - interval_s * self.burst - due_s) < interval_s / 2:
                self._free_at_s -= interval_s

    def hold(self, until_s: float) -> None:
        """Let nothing leave before instant *until_s*: the server said so to one, and means all."""
        with self._lock:
            self._free_at_s = self.held(self._free_at_s, until_s)

    def heed(self, quotas: Iterable[Quota], now_s: float) -> None:
        """Take no more than a server that answered with *quotas* will take.

        A quota that is not used up slows nobody down: spread over its time, a large one would hold up those who need
        little of it.

        Args:
            quotas: What it said, all of its limits.
            now_s: The present instant of a monotonic clock.
        """
        if (used_up_s := used_up_for(quotas)) > 0:
            self.hold(now_s + min(used_up_s, LONGEST_HOLD_S))

    def reserved(self, free_at_s: float, now_s: float, longest_wait_s: float = math.inf) -> tuple[float, float]:
        """Return what becomes of the state *free_at_s* as `reserve` takes a place, and the wait for it, seconds.

        The state is the instant at which the next place would be free if there were no burst; minus infinity at first.
        """
        interval_s = self.per_s / self.requests
        free_at_s = max(free_at_s, now_s)
        wait_s = max(0.0, free_at_s - interval_s * (self.burst - 1) - now_s)
        return (free_at_s + interval_s if wait_s <= longest_wait_s else free_at_s), wait_s

    def held(self, free_at_s: float, until_s: float) -> float:
        """Return what becomes of the state *free_at_s* as nothing may leave before instant *until_s*."""
        return max(free_at_s, until_s + self.per_s / self.requests * (self.burst - 1))


def used_up_for(quotas: Iterable[Quota]) -> float:
    """Return for how many seconds a server that answered with *quotas* takes nothing more; 0.0 where it does."""
    return max((quota.reset_s for quota in quotas if quota.remaining < 1), default=0.0)
