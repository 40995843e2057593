"""Work that is seen through to its end although whoever awaits it was cancelled: only then is its outcome known."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

__all__ = ["drained"]

T = TypeVar("T")


async def drained(work: Awaitable[T], hurry: Callable[[asyncio.Future[T]], object] | None = None) -> T:
    """Await *work* to its end, and deliver a cancellation that came meanwhile only then.

    Args:
        work: What must not be left half done: a coroutine, a task, or the future of a thread.
        hurry: Called with the future of *work* on each cancellation: may make it end sooner.

    Raises:
        CancelledError: The awaiting task was cancelled meanwhile; what *work* raised is its cause.
        BaseException: What *work* raised, otherwise.
    """
    future = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not future.done():
        try:
            await asyncio.wait([future])  # not shield(): it would let go of the work with the first cancellation
        except asyncio.CancelledError as error:
            cancelled = cancelled or error
            if hurry is not None:
                hurry(future)
    if cancelled is None:
        return future.result()
    raise cancelled from (None if future.cancelled() else future.exception())
