"""The request to stop, seen from below: hosts set it from a signal handler, work looks at it where stopping is safe.

A safe point is between two units of work, in a wait, or wherever a loop says so with `raise_if_requested`. The flag
belongs to the process, as the signal does.
"""

from __future__ import annotations

import contextlib
import os
import signal as signals
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from select import POLLIN, poll

from controlroom.errors import ShutdownRequested

__all__ = [
    "arm",
    "armed",
    "on_request",
    "raise_if_requested",
    "request",
    "requested",
    "reset",
    "wait",
    "woken_by_signals",
]

_LONGEST_POLL_MS = 2**31 - 1  # poll(2) takes an int
_MANY_BYTES = 4096

_signal: int | None = None
_listeners: dict[object, Callable[[], object]] = {}
_wake: tuple[socket.socket, socket.socket] | None = None


def arm() -> None:
    """Make waits interruptible. Called by a host before it installs its signal handlers.

    A socket pair, not a `threading.Event`: ``Event.set()`` in a handler deadlocks when the signal arrives while the
    same thread is inside ``Event.wait()`` (its lock is not reentrant); a byte on a socket cannot.
    """
    global _wake  # noqa: PLW0603 - one process, one flag
    if _wake is None:
        _wake = _pair()


def _pair() -> tuple[socket.socket, socket.socket]:
    ends = socket.socketpair()
    for end in ends:
        end.settimeout(0)
    return ends


def request(signal: int = signals.SIGTERM) -> None:
    """Ask all work in this process to stop at its next safe point. Safe to call in a signal handler; sticks."""
    global _signal  # noqa: PLW0603 - one process, one flag
    if _signal is None:
        _signal = int(signal)
    if _wake is not None:
        with contextlib.suppress(OSError):  # full: it has been readable for long; or the handler interrupted `reset`
            _wake[1].send(b"\0")
    for listener in tuple(_listeners.values()):
        listener()


def requested() -> bool:
    """Tell whether this process was asked to stop."""
    return _signal is not None


def raise_if_requested() -> None:
    """Mark a safe point.

    Raises:
        ShutdownRequested: This process was asked to stop.
    """
    if _signal is not None:
        name = signals.Signals(_signal).name
        message = f"{name} was received: stopped at a safe point. Nothing is half done; start again to go on."
        raise ShutdownRequested(message, signal=_signal)


def wait(timeout_s: float) -> None:
    """Return after *timeout_s* seconds (24 days at most), at once when a shutdown is requested, or for nothing. Needs `arm`.

    For nothing: a signal of another kind arrived, see `woken_by_signals`.
    """
    if _wake is None:
        message = "shutdown.wait() needs arm() first"
        raise RuntimeError(message)
    poller = poll()  # not select(2), which knows no descriptor above 1023
    poller.register(_wake[0], POLLIN)
    if poller.poll(min(timeout_s * 1000, _LONGEST_POLL_MS)) and _signal is None:
        with contextlib.suppress(OSError):
            _wake[0].recv(_MANY_BYTES)


@contextmanager
def woken_by_signals() -> Iterator[None]:
    """Let every signal end a `wait`, and not its Python handler alone. Main thread only; needs `arm`.

    The handler runs between two bytecodes of the main thread, and a signal does not always break off what that thread is
    blocked in: another thread may receive it, or it arrives just before the system call. The interpreter writes a byte at
    once, in whichever thread (signal.set_wakeup_fd).
    """
    if _wake is None:
        message = "shutdown.woken_by_signals() needs arm() first"
        raise RuntimeError(message)
    before = signals.set_wakeup_fd(_wake[1].fileno(), warn_on_full_buffer=False)
    try:
        yield
    finally:
        signals.set_wakeup_fd(before)


def armed() -> bool:
    """Tell whether waits can be interrupted."""
    return _wake is not None


@contextmanager
def on_request(listener: Callable[[], object]) -> Iterator[None]:
    """Call *listener* when a shutdown is requested, from the signal handler: it may only set flags and wake loops."""
    key = object()
    _listeners[key] = listener
    try:
        yield
    finally:
        del _listeners[key]


def reset() -> None:
    """Forget the request and close the wake-up sockets. For hosts that live on (and for tests)."""
    global _signal, _wake  # noqa: PLW0603 - one process, one flag
    _signal = None
    if _wake is not None:
        for end in _wake:
            end.close()
    _wake = None


def _arm_anew() -> None:
    """Give a forked child sockets of its own: through shared ones, its SIGTERM would end every wait of the parent."""
    global _wake  # noqa: PLW0603 - one process, one flag
    if _wake is None:
        return
    heard_at = signals.set_wakeup_fd(-1)
    is_ours = heard_at == _wake[1].fileno()
    for end in _wake:
        end.close()
    _wake = _pair()
    signals.set_wakeup_fd(_wake[1].fileno() if is_ours else heard_at, warn_on_full_buffer=False)


os.register_at_fork(after_in_child=_arm_anew)
