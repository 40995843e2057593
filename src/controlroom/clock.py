"""The only home of time and sleep, and of the ambient deadline that every wait is cut to.

Nothing else in the package reads a clock, so a test that installs another one (`controlroom.testing.ManualClock`)
controls all of it.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import Context, ContextVar, copy_context
from datetime import UTC, datetime
from typing import Final, Protocol

from controlroom import shutdown
from controlroom.policy.deadlines import Deadline

__all__ = [
    "Clock",
    "SystemClock",
    "abandonable",
    "asleep",
    "current_deadline",
    "deadline",
    "installed",
    "is_abandoned",
    "monotonic_s",
    "sleep",
    "unhurried",
    "utcnow",
]


class Clock(Protocol):
    """What the package knows of time."""

    def utcnow(self) -> datetime:
        """Return the wall-clock time as an aware UTC datetime: for records, never for measuring."""

    def monotonic_s(self) -> float:
        """Return seconds of a clock that never goes back: for measuring, never for records."""

    def sleep(self, seconds: float) -> None:
        """Block for *seconds*."""

    async def asleep(self, seconds: float) -> None:
        """Let other tasks run for *seconds*."""


class SystemClock:
    """The machine's own clocks. Sleeps end early when the process is asked to stop."""

    def utcnow(self) -> datetime:
        """Return the wall-clock time as an aware UTC datetime."""
        return datetime.now(UTC)

    def monotonic_s(self) -> float:
        """Return ``time.monotonic()``."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Block for *seconds*, or until a shutdown is requested."""
        if not shutdown.armed():
            time.sleep(seconds)
            return
        until_s = time.monotonic() + seconds
        while not shutdown.requested() and (left_s := until_s - time.monotonic()) > 0:
            shutdown.wait(left_s)

    async def asleep(self, seconds: float) -> None:
        """Let other tasks run for *seconds*, or until a shutdown is requested."""
        if not shutdown.armed():
            await asyncio.sleep(seconds)
            return
        loop, woken = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            with suppress(RuntimeError):  # a loop that was closed under its sleepers: nobody is left to wake
                loop.call_soon_threadsafe(woken.set)

        with shutdown.on_request(wake), suppress(TimeoutError):
            if not shutdown.requested():
                async with asyncio.timeout(seconds):
                    await woken.wait()


_clock: Clock = SystemClock()
_ambient: ContextVar[Deadline | None] = ContextVar("controlroom_deadline", default=None)
_abandoned: ContextVar[threading.Event | None] = ContextVar("controlroom_abandoned", default=None)

_LOOK_AGAIN_S: Final = 0.05
_FAR_AWAY_S: Final = 1e9  # thirty years: no limit, and still a number that any timeout takes


@contextmanager
def installed(clock: Clock) -> Iterator[None]:
    """Use *clock* in the whole process while the block runs. For tests."""
    global _clock  # noqa: PLW0603 - one process, one time
    before, _clock = _clock, clock
    try:
        yield
    finally:
        _clock = before


def utcnow() -> datetime:
    """Return the wall-clock time as an aware UTC datetime."""
    return _clock.utcnow()


def monotonic_s() -> float:
    """Return seconds of a clock that never goes back."""
    return _clock.monotonic_s()


def sleep(seconds: float) -> None:
    """Block for *seconds*.

    Raises:
        ShutdownRequested: The process was asked to stop before or meanwhile: a wait is a safe point.
    """
    shutdown.raise_if_requested()
    abandoned = _abandoned.get()
    if abandoned is None:
        _clock.sleep(max(0.0, seconds))
    else:
        until_s = monotonic_s() + seconds
        while not abandoned.is_set() and (left_s := until_s - monotonic_s()) > 0:
            _clock.sleep(min(left_s, _LOOK_AGAIN_S))
    shutdown.raise_if_requested()


async def asleep(seconds: float) -> None:
    """Let other tasks run for *seconds*; see `sleep`."""
    shutdown.raise_if_requested()
    await _clock.asleep(max(0.0, seconds))
    shutdown.raise_if_requested()


@contextmanager
def deadline(timeout_s: float) -> Iterator[Deadline]:
    """Give everything inside the block *timeout_s* seconds from now.

    Every request, retry wait, lease and statement below is cut to what is left. Deadlines nest and only ever tighten.
    The deadline follows ``await`` and new asyncio tasks; a new thread starts without one. Do not hold it across a
    ``yield``: it would be the caller's, too.

    Args:
        timeout_s: Seconds, zero or more.

    Raises:
        ConfigError: *timeout_s* is negative or not a finite number.

    Guarantees:
        Nothing that waits *in controlroom* waits past it. Not promised: that the block itself is interrupted; your own
        code is not.
    """
    outer = _ambient.get()
    tightest = Deadline.after(timeout_s, monotonic_s if outer is None else outer.now).tightest(outer)
    token = _ambient.set(tightest)
    try:
        yield tightest
    finally:
        _ambient.reset(token)


def current_deadline() -> Deadline | None:
    """Return the ambient deadline, or None where nobody set one."""
    return _ambient.get()


@contextmanager
def unhurried() -> Iterator[None]:
    """Run the block without the ambient deadline: for putting in order what it was that took too long."""
    token = _ambient.set(None)
    try:
        yield
    finally:
        _ambient.reset(token)


def is_abandoned() -> bool:
    """Tell whether this is work that was abandoned: nobody waits for what becomes of it."""
    abandoned = _abandoned.get()
    return abandoned is not None and abandoned.is_set()


def abandonable() -> tuple[Context, Callable[[], None]]:
    """Return a copy of the context, for work in a thread, and a function that ends its waits.

    Once that is called, the deadline in the copy, and all that nest in it, have passed, and `sleep` returns: what waits in
    controlroom gives up within moments. A thread cannot be cancelled; this is as near as one gets.
    """
    outer, abandoned = _ambient.get(), threading.Event()
    at_s = monotonic_s() + _FAR_AWAY_S if outer is None else outer.at_s
    now = monotonic_s if outer is None else outer.now
    context = copy_context()
    context.run(_ambient.set, Deadline(at_s, lambda: math.inf if abandoned.is_set() else now()))
    context.run(_abandoned.set, abandoned)
    return context, abandoned.set
