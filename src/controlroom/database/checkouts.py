"""Who has which connection: so that a pool that has run dry can name its holders."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import NamedTuple

from controlroom import clock
from controlroom.errors import PoolExhaustedError, QueryError

__all__ = ["Checkouts"]


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
        self._number = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._holders)

    def add(self, who: Hashable, name: str, holds_the_lock: Callable[[], bool] = lambda: False) -> int:
        """Note that *who* has one, and how to find out whether it is writing; return the number to give back."""
        with self._lock:
            self._number += 1
            self._holders[self._number] = _Holder(who, name, clock.monotonic_s(), holds_the_lock)
            return self._number

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
            held = next((each for each in self._holders.values() if each.who == who and each.holds_the_lock()), None)
        if held is not None:
            message = (
                f"{held.name} already holds a write unit on this Database, begun {clock.monotonic_s() - held.since_s:.1f} s "
                "ago; a second one would wait for itself. Nothing was begun. Use that unit (pass uow on), or end it first."
            )
            raise QueryError(message)

    def all_are_held_by(self, who: Hashable) -> bool:
        """Tell whether *who* waits for itself: it has every connection there is."""
        with self._lock:
            return len(self._holders) >= self._size and all(each.who == who for each in self._holders.values())

    def exhausted(self, waited_s: float) -> PoolExhaustedError:
        """Return the error for whoever waited in vain."""
        with self._lock:
            now_s = clock.monotonic_s()
            holders = [f"{each.name}, for {now_s - each.since_s:.1f} s" for each in self._holders.values()]
        message = (
            f"All {self._size} connections are taken; none came back in {waited_s:.1f} s. Nothing was begun. "
            f"Held by: {'; '.join(holders) or 'units that have just ended'}. "
            "End units sooner, close streams, or raise pool_size."
        )
        return PoolExhaustedError(message, holders=holders)
