"""Who has which connection: so that a pool that has run dry can name its holders."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from itertools import count
from typing import Final, NamedTuple

from controlroom import clock
from controlroom.errors import PoolExhaustedError, QueryError

__all__ = ["Checkouts", "next_number"]

_NUMBERS: Final = count(1)


def next_number() -> int:
    """Return a number that no unit has had, in this process or in the one that it was forked from."""
    return next(_NUMBERS)


class _Holder(NamedTuple):
    who: Hashable
    name: str
    since_s: float
    holds_the_lock: Callable[[], bool]


class Checkouts:
    """The units that have a connection at present. Thread-safe."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._holders: dict[int, _Holder] = {}
        # Reentrant: where the garbage collector finds a stream that nobody closed, it gives back inside of whatever runs.
        self._lock = threading.RLock()

    def __len__(self) -> int:
        return len(self._holders)

    def __contains__(self, number: int) -> bool:
        return number in self._holders

    def add(self, number: int, who: Hashable, name: str, holds_the_lock: Callable[[], bool] = lambda: False) -> None:
        """Note under *number* that *who* has one, and how to find out whether it is writing."""
        with self._lock:
            self._holders[number] = _Holder(who, name, clock.monotonic_s(), holds_the_lock)

    def remove(self, number: int) -> int:
        """Note that it came back; return how many are still out."""
        with self._lock:
            self._holders.pop(number, None)
            return len(self._holders)

    def require_no_write_unit_of(self, who: Hashable) -> None:
        """Refuse a second write unit to *who*: it would wait for the lock that it holds itself.

        Raises:
            QueryError: *who* has a write unit that has not ended.
        """
        with self._lock:
            held = next((each for each in self._listed() if each.who == who and each.holds_the_lock()), None)
        if held is not None:
            message = (
                f"{held.name} already holds a write unit on this Database, begun {clock.monotonic_s() - held.since_s:.1f} s "
                "ago; a second one would wait for itself. Nothing was begun. Use that unit (pass uow on), or end it first."
            )
            raise QueryError(message)

    def all_are_held_by(self, who: Hashable) -> bool:
        """Tell whether *who* waits for itself: it has every connection there is."""
        with self._lock:
            return len(self._holders) >= self._size and all(each.who == who for each in self._listed())

    def _listed(self) -> list[_Holder]:
        return list(self._holders.values())

    def exhausted(self, waited_s: float) -> PoolExhaustedError:
        """Return the error for whoever waited in vain."""
        with self._lock:
            now_s = clock.monotonic_s()
            holders = [f"{each.name}, for {now_s - each.since_s:.1f} s" for each in self._listed()]
        message = (
            f"All {self._size} connections are taken; none came back in {waited_s:.1f} s. Nothing was begun. "
            f"Held by: {'; '.join(holders) or 'units that have just ended'}. "
            "End units sooner, close streams, or raise pool_size."
        )
        return PoolExhaustedError(message, holders=holders)
