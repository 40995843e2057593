"""Stretches of one version of an object, several under way at a time, handed out in order."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from controlroom import clock
from controlroom.policy.s3_reading import Pin, stretches
from controlroom.storage.s3.performer import S3Performer
from controlroom.storage.s3.streams import Stream

__all__ = ["Stretches"]

T = TypeVar("T")

_PIECE_BYTES: Final = 1024 * 1024


class Stretches:
    """Reads *pin* in stretches, in threads that end with the block.

    Args:
        performer: Asks for them.
        pin: Which version.
        answer: To the request for all of it; the first stretch is read from it, and the rest of it is left.
    """

    def __init__(self, performer: S3Performer, pin: Pin, answer: Mapping[str, Any]) -> None:
        self._performer = performer
        self._pin = pin
        self._answer: Mapping[str, Any] | None = answer
        self._stopped = threading.Event()
        self._context, self._abandon = clock.abandonable()
        self._pool = ThreadPoolExecutor(performer.options.parallel, "controlroom-s3")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._abandon()
        self._pool.shutdown(cancel_futures=True)
        answer, self._answer = self._answer, None
        if answer is not None:
            answer["Body"].close()

    def in_order(self, fetch: Callable[[int, int], T]) -> Iterator[tuple[int, int, T]]:
        """Yield where each stretch begins and ends, and what *fetch* of it answered: in order, a few ahead at a time."""
        size_bytes, options = self._pin.size_bytes, self._performer.options
        ahead: deque[tuple[int, int, Future[T]]] = deque()
        for start, end in stretches(0, size_bytes, options.part_size_bytes):
            ahead.append((start, end, self._pool.submit(self._context.copy().run, fetch, start, end)))
            if len(ahead) > options.parallel:
                begin, until, future = ahead.popleft()
                yield begin, until, future.result()
        for begin, until, future in ahead:
            yield begin, until, future.result()

    def read(self, start: int, view: memoryview) -> None:
        """Fill *view* with the bytes from *start* on."""
        self.read_through(start, start + len(view), view, lambda _at, _piece: None)

    def read_through(self, start: int, end: int, room: memoryview, take: Callable[[int, memoryview], object]) -> None:
        """Read the bytes from *start* up to *end* into *room*, over and over; *take* it each time, with where it stands."""
        answer = None
        if start == 0:
            answer, self._answer = self._answer, None
        with closing(Stream(self._performer, self._pin, start, end, answer)) as stream:
            for at in range(start, end, len(room)):
                piece = room[: end - at]
                for begin in range(0, len(piece), _PIECE_BYTES):
                    if self._stopped.is_set():
                        return  # somebody else failed, and nobody waits for this
                    stream.read_into(piece[begin : begin + _PIECE_BYTES])
                take(at, piece)
