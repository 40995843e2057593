"""What a job's function is handed."""

from __future__ import annotations

import os
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Sized
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, overload

from controlroom import clock, shutdown
from controlroom.jobs.progress import reporter
from controlroom.logs import Logger
from controlroom.policy.deadlines import Deadline

__all__ = ["Run", "new_run_id"]

S_co = TypeVar("S_co", covariant=True)
T = TypeVar("T")


def new_run_id() -> str:
    """Return a UUIDv7 as text (RFC 9562 §5.7): later runs sort behind earlier ones, to the millisecond."""
    at_ms = int(clock.utcnow().timestamp() * 1000)
    random = int.from_bytes(os.urandom(10))
    number = at_ms << 80 | 0x7 << 76 | (random >> 68) << 64 | 0b10 << 62 | random & (1 << 62) - 1
    digits = f"{number:032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


@dataclass(frozen=True, slots=True)
class Run(Generic[S_co]):
    """One run of a job.

    Attributes:
        settings: What was loaded; None for a job without settings.
        log: The job's logger. Every line of the run carries ``run_id``.
        id: A UUIDv7, time-ordered.
        job: The job's name.
        event: What the host started the run with, as it was given; None where it was started with nothing, as on a
            command line.
    """

    settings: S_co
    log: Logger
    id: str
    job: str
    event: Any = None

    @property
    def deadline(self) -> Deadline | None:
        """The ambient deadline, or None where nobody set one."""
        return clock.current_deadline()

    @overload
    def progress(self, items: Iterable[T], total: int | None = None, unit: str | None = None) -> Iterator[T]: ...
    @overload
    def progress(
        self, items: AsyncIterable[T], total: int | None = None, unit: str | None = None
    ) -> AsyncIterator[T]: ...
    def progress(
        self, items: Iterable[T] | AsyncIterable[T], total: int | None = None, unit: str | None = None
    ) -> Iterator[T] | AsyncIterator[T]:
        """Yield *items*, and tell how far the loop is: a bar on a terminal (with rich), else a line once a minute.

        Args:
            items: Anything to loop over, also with ``async for``.
            total: How many there are; taken from ``len(items)`` where it has one.
            unit: What they are called: "files".

        Raises:
            ShutdownRequested: The process was asked to stop. Before each item is a safe point: the one before is done,
                the next one was not taken from *items*.
        """
        known = len(items) if total is None and isinstance(items, Sized) else total
        if isinstance(items, AsyncIterable):
            return self._progress_async(items, known, unit)
        return self._progress(items, known, unit)

    def _progress(self, items: Iterable[T], total: int | None, unit: str | None) -> Iterator[T]:
        source = iter(items)
        with closing(reporter(self.log, self.job, total, unit)) as report:
            done = 0
            while True:
                shutdown.raise_if_requested()
                try:
                    item = next(source)
                except StopIteration:
                    return
                yield item
                done += 1
                report.advanced(done)

    async def _progress_async(self, items: AsyncIterable[T], total: int | None, unit: str | None) -> AsyncIterator[T]:
        source = aiter(items)
        with closing(reporter(self.log, self.job, total, unit)) as report:
            done = 0
            while True:
                shutdown.raise_if_requested()
                try:
                    item = await anext(source)
                except StopAsyncIteration:
                    return
                yield item
                done += 1
                report.advanced(done)
