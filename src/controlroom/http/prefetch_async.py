"""`controlroom.http.prefetch` for asyncio: a task in the place of the thread."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import TypeVar

__all__ = ["ahead"]

T = TypeVar("T")


async def ahead(pages: AsyncGenerator[T, None], count: int) -> AsyncIterator[T]:
    """Yield what *pages* yields, with up to *count* more loaded by a task meanwhile.

    Guarantees:
        An error comes where it would come without: behind the pages before it. However the consumer ends, the task is
        cancelled and awaited, and *pages* is closed.
    """
    loaded: asyncio.Queue[T | None] = asyncio.Queue()
    room = asyncio.Semaphore(count + 1)

    async def load() -> None:
        try:
            async with aclosing(pages):
                await room.acquire()
                async for page in pages:
                    loaded.put_nowait(page)
                    await room.acquire()
        finally:
            loaded.put_nowait(None)

    loading = asyncio.ensure_future(load())
    try:
        while (page := await loaded.get()) is not None:
            yield page
            room.release()
        await loading  # raises what ended the walk, if it was no end
    finally:
        loading.cancel()
        await asyncio.wait([loading])
        if not loading.cancelled():
            loading.exception()  # seen: the loop would report it as never retrieved
