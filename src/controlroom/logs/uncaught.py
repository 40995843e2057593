"""Exceptions that nobody catches, as one ERROR each: what Python prints by itself is masked nowhere, and in no file."""

from __future__ import annotations

import sys
import threading
from types import TracebackType

from controlroom.logs.changes import Changes
from controlroom.logs.logger import get_logger

__all__ = ["log_uncaught"]

_log = get_logger("controlroom.logs")


def log_uncaught(changes: Changes) -> None:
    """Let exceptions that end the process, or a thread, be logged instead of printed. `SystemExit` and Ctrl-C stay as they are."""
    before_sys, before_threading, before_unraisable = sys.excepthook, threading.excepthook, sys.unraisablehook

    def of_the_process(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        if issubclass(kind, Exception):
            _log.failure("exception_uncaught", error.with_traceback(traceback), thread=None)
        if before_sys is not sys.__excepthook__ or not issubclass(
            kind, Exception
        ):  # an error tracker's hook still hears
            before_sys(kind, error, traceback)

    def of_a_thread(ended: threading.ExceptHookArgs) -> None:
        if isinstance(ended.exc_value, Exception):
            name = None if ended.thread is None else ended.thread.name
            _log.failure("exception_uncaught", ended.exc_value, thread=name)
        else:
            before_threading(ended)

    def of_nobody(left: sys.UnraisableHookArgs) -> None:
        if isinstance(left.exc_value, Exception):  # out of a __del__, or of a callback that C code called
            _log.failure("exception_uncaught", left.exc_value, thread=threading.current_thread().name)
        else:
            before_unraisable(left)

    changes.set_hook(sys, "excepthook", of_the_process, "let exceptions that nobody catches be logged")
    changes.set_hook(threading, "excepthook", of_a_thread, "let exceptions that end a thread be logged")
    changes.set_hook(sys, "unraisablehook", of_nobody, "let exceptions that cannot be raised be logged")
