"""What the level leaves out, kept for a while: it is worth reading only if something fails."""

from __future__ import annotations

from collections import OrderedDict, deque
from contextvars import ContextVar
from typing import Final

__all__ = ["Buffer", "Place", "place_of"]

_MOST_BYTES: Final = 4 << 20
_OVERHEAD_BYTES: Final = 200  # of a line and its place in a queue

Place = str | object
"""A run, by its id; otherwise the context that the first line below the level was logged in, and what came out of it."""

_context: ContextVar[object | None] = ContextVar("controlroom_debug_context", default=None)


def place_of(run_id: str | None) -> Place:
    """Return where an event that is logged here belongs."""
    if run_id is not None:
        return run_id
    if (place := _context.get()) is None:
        _context.set(place := object())
    return place


class Buffer:
    """Keeps the last *most* lines of each place, and 4 MiB in all: of what is older, the place used longest ago loses first.

    Args:
        most: Lines a place.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._lines: OrderedDict[Place, deque[bytes]] = OrderedDict()
        self._bytes = 0

    def keep(self, place: Place, line: bytes) -> None:
        """Keep *line*."""
        lines = self._lines.setdefault(place, deque())
        self._lines.move_to_end(place)
        lines.append(line)
        self._bytes += _size_bytes(line)
        if len(lines) > self._most:
            self._bytes -= _size_bytes(lines.popleft())
        while self._bytes > _MOST_BYTES and self._lines:
            self._drop_the_oldest()

    def take(self, place: Place) -> list[bytes]:
        """Return the lines of *place*, oldest first, and forget them."""
        lines = self._lines.pop(place, None) or ()
        self._bytes -= sum(_size_bytes(line) for line in lines)
        return list(lines)

    def clear(self) -> None:
        """Forget everything."""
        self._lines.clear()
        self._bytes = 0

    def _drop_the_oldest(self) -> None:
        place, lines = next(iter(self._lines.items()))
        self._bytes -= _size_bytes(lines.popleft())
        if not lines:
            del self._lines[place]


def _size_bytes(line: bytes) -> int:
    return len(line) + _OVERHEAD_BYTES
