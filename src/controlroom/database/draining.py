"""Work that is seen through to its end although whoever awaits it was cancelled: only then is its outcome known."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

__all__ = ["drained"]

T = TypeVar("T")


async def drained(work: Coroutine[Any, Any, T], hurry: Callable[[asyncio.Task[T]], object] | None = None) -> T:
    """Await *work* to its end, and deliver a cancellation that came meanwhile only then.

    Args:
        work: What must not be left half done.
        hurry: Called with the task of *work* on each cancellation: may make it end sooner.

    Raises:
        CancelledError: The awaiting task was cancelled meanwhile; what *work* raised is its cause.
        BaseException: What *work* raised, otherwise.
    """
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = cancelled or error
            if hurry is not None:
                hurry(task)
    if cancelled is None:
        return task.result()
    raise cancelled from (None if task.cancelled() else task.exception())
