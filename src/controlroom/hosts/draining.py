"""SIGTERM and SIGINT in two stages: ask, then interrupt.

The first signal asks: the job stops at its next safe point, and its waits wake. A job that reaches none within the time
left to it, or a second signal, is interrupted: `ShutdownRequested` is raised in whatever it is doing (signal(7): a
handler runs between two bytecodes of the main thread, and a blocked system call is broken off when it raises).
"""

from __future__ import annotations

import _thread
import asyncio
import contextlib
import math
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from contextvars import copy_context
from types import FrameType, TracebackType
from typing import Any, Self

from controlroom import clock, shutdown
from controlroom.errors import ShutdownRequested
from controlroom.logs import get_logger

__all__ = ["Draining"]

_log = get_logger(__name__)

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_TICK_S = 1.0  # between looks at what became of an interruption
_MANY_BYTES = 4096
_TO_LOG_S = 1.0  # for one line to be written; a log that is stuck does not hold up the end


class Draining:
    """Handles both signals while its block runs, and restores what was there before. Main thread only.

    Args:
        drain_s: Seconds between the request and the interruption. Zero or less: the request interrupts.

    Guarantees:
        An interruption that somebody swallowed (``except Exception`` in a loop, a log call) is repeated; one that is being
        cleaned up after is left alone for *drain_s* more.
        SIGALRM is taken when the first signal arrives, not before. A signal that was ignored stays ignored (nohup).
        Not promised: that a thread, or a call that never returns to Python, is interrupted.
    """

    def __init__(self, drain_s: float) -> None:
        self._drain_s = max(0.0, drain_s)
        self._asked: signal.Signals | None = None
        self._interrupt: Callable[[ShutdownRequested], None] | None = None
        self._before: dict[signal.Signals, Any] = {}
        self._timer_before = (0.0, 0.0)
        self._thrown: ShutdownRequested | None = None
        self._left_alone_until_s = -math.inf
        self._logged = threading.Event()
        self._waking = contextlib.ExitStack()

    def __enter__(self) -> Self:
        shutdown.arm()
        self._waking.enter_context(shutdown.woken_by_signals())
        for number in _SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._received)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number in _SIGNALS:
            self._restore(number)
        if self._asked is not None:  # and nobody can ask any more: the alarm is ours to take down
            signal.setitimer(signal.ITIMER_REAL, 0)
            self._restore(signal.SIGALRM)
            signal.setitimer(signal.ITIMER_REAL, *self._timer_before)
        self._waking.close()
        shutdown.reset()

    def _restore(self, number: signal.Signals) -> None:
        if (handler := self._before.get(number)) is not None:  # None also where a handler was not set by Python
            signal.signal(number, handler)

    @contextmanager
    def interrupting(self, task: asyncio.Task[Any] | None = None) -> Iterator[None]:
        """Let what runs inside this block be interrupted: by an exception in its frames, or by cancelling *task*."""
        loop = None if task is None else task.get_loop()

        def interrupt(error: ShutdownRequested) -> None:
            if task is None or loop is None or task.done() or asyncio.current_task(loop) is task:
                raise error
            loop.call_soon_threadsafe(task.cancel)
            if asyncio.current_task(loop) is not None:
                raise error  # another task keeps the loop busy: the cancellation would wait for it

        around, self._interrupt = self._interrupt, interrupt
        try:
            with nullcontext() if loop is None else _woken(loop):
                yield
        except asyncio.CancelledError:
            if self._asked is None:
                raise
            raise _interrupted(self._asked, "The work was cancelled") from None
        finally:
            self._interrupt = around
            if self._asked is not None and task is None:
                self._logged.wait(_TO_LOG_S)  # so that the log tells it in the order in which it happened

    def _received(self, number: int, _frame: FrameType | None) -> None:
        if self._asked is not None:
            self._throw(f"{signal.Signals(number).name} followed")
            return
        self._asked = signal.Signals(number)
        shutdown.request(number)
        self._announce()
        self._take_alarm()
        self._timer_before = signal.setitimer(signal.ITIMER_REAL, self._drain_s, _TICK_S)
        if self._drain_s == 0:
            self._throw("No time was given to drain")

    def _take_alarm(self) -> None:
        self._before.setdefault(signal.SIGALRM, signal.getsignal(signal.SIGALRM))
        signal.signal(signal.SIGALRM, self._expired)

    def _expired(self, _number: int, _frame: FrameType | None) -> None:
        if clock.monotonic_s() >= self._left_alone_until_s or not self._is_being_handled():
            self._throw(f"No safe point was reached within {self._drain_s:g} s")

    def _throw(self, why: str) -> None:
        if self._interrupt is None or self._asked is None:
            return
        self._thrown = _interrupted(self._asked, why)
        self._left_alone_until_s = clock.monotonic_s() + self._drain_s
        self._take_alarm()  # also where a second signal overtook the handler of the first
        signal.setitimer(signal.ITIMER_REAL, _TICK_S, _TICK_S)
        self._interrupt(self._thrown)
        self._thrown = None  # it was a cancellation; how far that got cannot be seen

    def _is_being_handled(self) -> bool:
        """Tell whether the interrupted code is cleaning up after what was thrown, rather than going on as before."""
        handled = sys.exc_info()[1]
        while handled is not None and handled is not self._thrown:
            handled = handled.__context__
        return self._thrown is None or handled is self._thrown

    def _announce(self) -> None:
        """Log the request, from a thread: the handler may have interrupted a log call, its locks and its buffer."""

        def log(name: str) -> None:
            _log.info("shutdown_requested", signal=name, drain_s=self._drain_s)
            self._logged.set()

        with contextlib.suppress(RuntimeError):  # no thread to be had: the line is lost, not the handler
            # Not threading.Thread: its start() takes a lock that the interrupted code may hold.
            _thread.start_new_thread(copy_context().run, (log, self._asked.name if self._asked else ""))


@contextmanager
def _woken(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """Let signals wake *loop*, as `shutdown.woken_by_signals` lets them end a wait: it blocks in a wait of its own."""
    here, there = socket.socketpair()
    with here, there:
        for end in (here, there):
            end.settimeout(0)

        def heard() -> None:
            with contextlib.suppress(OSError):
                here.recv(_MANY_BYTES)

        loop.add_reader(here, heard)
        before = signal.set_wakeup_fd(there.fileno(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(before)
            loop.remove_reader(here)


def _interrupted(asked: signal.Signals, why: str) -> ShutdownRequested:
    message = (
        f"{asked.name} was received. {why}: the work was interrupted where it was. Units of work roll back; other effects "
        "may be half done. Start again to go on."
    )
    return ShutdownRequested(message, signal=asked)
