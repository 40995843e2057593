"""Several waits at once, none of them longer than the time there is."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextvars import copy_context
from typing import TypeVar

from controlroom.policy.deadlines import Deadline

__all__ = ["at_once"]

T = TypeVar("T")

_MOST_THREADS = 8
_Waiting = queue.SimpleQueue[tuple[int, Callable[[], T]]]
_Done = queue.SimpleQueue[tuple[int, Future[T]]]


def at_once(jobs: Sequence[Callable[[], T]], limit: Deadline) -> dict[int, T]:
    """Return, by position, what those of *jobs* returned that ended before *limit*; the others go on unheard.

    Each job sees the caller's context: bound facts, deadline.

    Raises:
        BaseException: What a job raised.
    """
    waiting: _Waiting[T] = queue.SimpleQueue()
    done: _Done[T] = queue.SimpleQueue()
    for numbered in enumerate(jobs):
        waiting.put(numbered)
    for _ in range(min(_MOST_THREADS, len(jobs))):
        # Daemons: a server that drips a byte now and then must not keep the process from ending.
        run = copy_context().run
        threading.Thread(target=run, args=(_work, waiting, done), name="controlroom-cloud", daemon=True).start()
    try:
        return _results(done, len(jobs), limit)
    finally:
        _take_all(waiting)


def _results(done: _Done[T], expected: int, limit: Deadline) -> dict[int, T]:
    results: dict[int, T] = {}
    while len(results) < expected:
        try:
            number, ended = done.get(timeout=limit.remaining_s())
        except queue.Empty:
            break
        results[number] = ended.result()
    return results


def _work(waiting: _Waiting[T], done: _Done[T]) -> None:
    while True:
        try:
            number, job = waiting.get_nowait()
        except queue.Empty:
            return
        ended: Future[T] = Future()
        try:
            ended.set_result(job())
        except BaseException as error:  # noqa: BLE001 - it belongs to the thread that waits
            ended.set_exception(error)
        done.put((number, ended))


def _take_all(waiting: _Waiting[T]) -> None:
    """Leave nothing to begin to those who come late."""
    while not waiting.empty():
        try:
            waiting.get_nowait()
        except queue.Empty:
            return
