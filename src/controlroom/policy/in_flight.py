"""How many requests may be under way at once: places, given in the order of asking, that come back whatever happened.

Knows no clock and waits for nobody: whoever waits is called when its place has come.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable

__all__ = ["Place", "Room"]


class Place:
    """One request's place in a `Room`. `leave` it on every way out.

    Attributes:
        is_taken: Whether the request may be under way now; else it is in the queue.
    """

    __slots__ = ("_room", "_wake", "has_left", "is_taken")

    def __init__(self, room: Room) -> None:
        self._room = room
        self._wake: Callable[[], object] | None = None
        self.is_taken: bool = False
        self.has_left: bool = False

    def when_taken(self, wake: Callable[[], object]) -> None:
        """Call *wake*, from any thread, once the place is taken: at once where it is already."""
        self._wake = wake
        if self.is_taken:
            wake()

    def taken(self) -> None:
        """Wake whoever waits for it."""
        if (wake := self._wake) is not None:
            wake()

    def leave(self) -> None:
        """Give the place to the next one, or leave the queue; a second call does nothing."""
        self._room.leave(self)


class Room:
    """So many places. Thread-safe.

    Args:
        places: How many.
    """

    def __init__(self, places: int) -> None:
        self._free = places
        self._queue: deque[Place] = deque()
        # Re-entrant: the garbage collector may close a forgotten request, and so leave, inside of any of these methods.
        self._lock = threading.RLock()

    def ask(self) -> Place:
        """Return a place: taken where one is free and nobody waits for it, else at the end of the queue."""
        place = Place(self)
        with self._lock:
            self._queue.append(place)
            taken = self._given()
        _wake(taken)
        return place

    def leave(self, place: Place) -> None:
        """Take *place* back; see `Place.leave`."""
        with self._lock:
            if place.has_left:
                return
            place.has_left = True
            self._free += place.is_taken  # who has left the queue is passed over when its turn comes
            taken = self._given()
        _wake(taken)

    def _given(self) -> list[Place]:
        taken = []
        while self._queue and (self._free > 0 or self._queue[0].has_left):
            place = self._queue.popleft()
            if not place.has_left:
                self._free -= 1
                place.is_taken = True
                taken.append(place)
        return taken


def _wake(taken: Iterable[Place]) -> None:
    for place in taken:
        place.taken()
