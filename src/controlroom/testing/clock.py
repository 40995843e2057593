"""A clock that moves when it is told to, or when somebody sleeps on it: tests of waits that do not wait."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from threading import Lock
from types import TracebackType
from typing import Self

from controlroom.clock import installed
from controlroom.errors import ConfigError

__all__ = ["ManualClock"]

_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
_BUSY_ROUNDS = 100

_Sleepers = list[tuple[float, int, asyncio.Future[None]]]


class ManualClock:
    """Replaces the clock of the whole process while its block runs: ``with ManualClock() as clock: ...``.

    Sleeping moves the time and returns: `controlroom.clock.sleep` at once, `asleep` once nothing else can run. So tasks
    that sleep at the same time wake in the order of their instants, as on a real clock, and always in the same order:
    the time moves to the earliest of them when no other task of the loop is ready.

    Args:
        start: The wall-clock time to begin with, aware; 2026-01-01 00:00 UTC when not given.

    Attributes:
        sleeps: Every wait that was asked for, seconds, in order; waits that were cancelled later included.

    Raises:
        ConfigError: *start* is naive, or the time is moved back.

    Guarantees:
        Thread-safe. A sleep still ends by `ShutdownRequested` when a shutdown was requested.
        Not promised: that the time stands still for work it cannot see. Threads and sockets do not hold it back, and a
        task that polls (``while not done: await asyncio.sleep(0)``) does so for 100 rounds of the loop only.
    """

    def __init__(self, start: datetime | None = None) -> None:
        start = _EPOCH if start is None else start
        if start.tzinfo is None:
            message = f"ManualClock(start={start!r}) names no time zone: give an aware datetime."
            raise ConfigError(message)
        self.sleeps: list[float] = []
        self._start = start.astimezone(UTC)
        self._now_s = 0.0
        self._lock = Lock()
        self._order = itertools.count()
        self._sleepers: dict[asyncio.AbstractEventLoop, _Sleepers] = {}
        self._installation = ExitStack()

    def __enter__(self) -> Self:
        self._installation.enter_context(installed(self))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._installation.close()

    def utcnow(self) -> datetime:
        """Return *start* plus the time that passed on this clock, as an aware UTC datetime."""
        return self._start + timedelta(seconds=self._now_s)

    def monotonic_s(self) -> float:
        """Return the seconds that passed on this clock; 0.0 at first."""
        return self._now_s

    def advance(self, seconds: float) -> None:
        """Let *seconds* pass.

        Raises:
            ConfigError: *seconds* is negative or not a finite number.
        """
        if not math.isfinite(seconds) or seconds < 0:
            message = f"The time cannot move by {seconds} s: give seconds, zero or more."
            raise ConfigError(message)
        with self._lock:
            self._now_s += seconds

    def sleep(self, seconds: float) -> None:
        """Note the wait and let *seconds* pass."""
        self.sleeps.append(seconds)
        self.advance(seconds)

    async def asleep(self, seconds: float) -> None:
        """Note the wait, let every task run that can, and let the time come to this sleeper's instant."""
        self.sleeps.append(seconds)
        loop = asyncio.get_running_loop()
        turn = loop.create_future()
        sleepers = self._sleepers.setdefault(loop, [])
        if not sleepers:
            loop.call_soon(self._wake_the_earliest, loop, 0)
        heapq.heappush(sleepers, (self._now_s + seconds, next(self._order), turn))
        await turn

    def _wake_the_earliest(self, loop: asyncio.AbstractEventLoop, busy_rounds: int) -> None:
        """Go around the loop until nobody else is ready; then move the time to the earliest sleeper and wake it."""
        # The handles still to run in this round: no public API tells. Another loop (uvloop) counts as always busy.
        others_are_ready = bool(getattr(loop, "_ready", True))
        if others_are_ready and busy_rounds < _BUSY_ROUNDS:
            loop.call_soon(self._wake_the_earliest, loop, busy_rounds + 1)
            return
        sleepers = self._sleepers[loop]
        wakes_at_s, _, turn = heapq.heappop(sleepers)
        if not turn.done():  # a cancelled sleeper does not move the time
            with self._lock:
                self._now_s = max(self._now_s, wakes_at_s)
            turn.set_result(None)
        if sleepers:
            loop.call_soon(self._wake_the_earliest, loop, 0)
        else:
            del self._sleepers[loop]
