"""Facts that follow the work: bound once, on every line below, across ``await`` and into threads that `spawn` starts."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from types import MappingProxyType
from typing import Any, ParamSpec, TypeVar

from controlroom.logs.shape import without_reserved

__all__ = ["bound", "bound_facts", "current_job", "running", "spawn"]

P = ParamSpec("P")
T = TypeVar("T")

_NOTHING: Mapping[str, Any] = MappingProxyType({})
# One variable of our own: structlog's contextvars belong to the host, whose lines must not change.
_facts: ContextVar[Mapping[str, Any]] = ContextVar("controlroom_bound_facts", default=_NOTHING)
# Beside the facts: its name stands in the first and the last line of a run, and would only lengthen those between.
_job: ContextVar[str | None] = ContextVar("controlroom_job", default=None)


def bound_facts() -> Mapping[str, Any]:
    """Return the facts bound here, outermost first, under the names that they have in a line. Not to be changed."""
    return _facts.get()


@contextmanager
def bound(**facts: Any) -> Iterator[None]:
    """Put *facts* on every line that is logged inside the block, by any logger, ours or of another package.

    Blocks nest; an inner fact hides an outer one of the same name. Facts of a log call itself come last and win.

    Guarantees:
        They follow ``await``, new asyncio tasks and `spawn`, and never leak into what runs beside the block.
        Not promised: a bare ``threading.Thread`` or executor starts without them.
    """
    token = _facts.set({**_facts.get(), **without_reserved(facts)})
    try:
        yield
    finally:
        # A generator that is closed from another context (an abandoned async one, by the loop) has nothing to restore.
        with contextlib.suppress(ValueError):
            _facts.reset(token)


@contextmanager
def running(job: str, run_id: str) -> Iterator[None]:
    """Make the block the run *run_id* of *job*: every line of it carries ``run_id``. For `controlroom.jobs`."""
    token = _job.set(job)
    try:
        with bound(run_id=run_id):
            yield
    finally:
        with contextlib.suppress(ValueError):  # as above
            _job.reset(token)


def current_job() -> str | None:
    """Return the name of the job that runs here; None outside of a run. It follows what bound facts follow."""
    return _job.get()


def spawn(fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
    """Run ``fn(*args, **kwargs)`` in a thread of its own, with the caller's context: bound facts and deadline included.

    Returns:
        A future of its result; an exception of *fn* is raised by ``future.result()`` and is not logged here.

    Guarantees:
        The context is copied now: what the caller binds later does not reach the thread, nor the other way round.
        The process does not end before the thread does. Not promised: a limit on the number of threads.
    """
    context = copy_context()
    future: Future[T] = Future()
    future.set_running_or_notify_cancel()

    def run() -> None:
        try:
            result = context.run(fn, *args, **kwargs)
        except BaseException as error:  # noqa: BLE001 - it belongs to whoever asks the future
            future.set_exception(error)
        else:
            future.set_result(result)

    name = getattr(fn, "__name__", type(fn).__name__)
    threading.Thread(target=run, name=f"controlroom-{name}").start()
    return future
