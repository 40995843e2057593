"""`stretches` for asyncio: several under way at a time, handed out in order."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import closing
from types import TracebackType
from typing import Any, Self, TypeVar

from controlroom.policy.s3_reading import Pin, stretches
from controlroom.storage.s3.performer_async import AsyncS3Performer
from controlroom.storage.s3.streams_async import AsyncStream

__all__ = ["AsyncStretches"]

T = TypeVar("T")


class AsyncStretches:
    """Reads *pin* in stretches, in tasks that end with the block; see `Stretches`."""

    def __init__(self, performer: AsyncS3Performer, pin: Pin, answer: Mapping[str, Any]) -> None:
        self._performer = performer
        self._pin = pin
        self._answer: Mapping[str, Any] | None = answer
        self._ahead: deque[tuple[int, int, asyncio.Task[Any]]] = deque()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        tasks = [task for _, _, task in self._ahead]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        answer, self._answer = self._answer, None
        if answer is not None:
            answer["Body"].close()

    async def in_order(self, fetch: Callable[[int, int], Awaitable[T]]) -> AsyncIterator[tuple[int, int, T]]:
        """Yield where each stretch begins and ends, and what *fetch* of it answered: in order, a few ahead at a time."""
        size_bytes, options = self._pin.size_bytes, self._performer.options
        waiting = stretches(0, size_bytes, options.part_size_bytes)
        while True:
            while len(self._ahead) < options.parallel and (more := next(waiting, None)) is not None:
                self._ahead.append((*more, asyncio.ensure_future(fetch(*more))))
            if not self._ahead:
                return
            start, end, task = self._ahead[0]
            result = await task
            self._ahead.popleft()
            yield start, end, result

    async def read(self, start: int, view: memoryview) -> None:
        """Fill *view* with the bytes from *start* on."""
        await self.read_through(start, start + len(view), view)

    async def read_through(
        self,
        start: int,
        end: int,
        room: memoryview,
        take: Callable[[int, memoryview], Awaitable[object]] | None = None,
    ) -> None:
        """Read the bytes from *start* up to *end* into *room*, over and over; *take* it each time, with where it stands."""
        answer = None
        if start == 0:
            answer, self._answer = self._answer, None
        with closing(AsyncStream(self._performer, self._pin, start, end, answer)) as stream:
            for at in range(start, end, len(room)):
                piece = room[: end - at]
                await stream.read_into(piece)
                if take is not None:
                    await take(at, piece)
