"""`controlroom.http.prefetch` for asyncio: a task in the place of the thread."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Self, TypeVar

from controlroom.errors import ControlRoomError
from controlroom.http.prefetch import FellBack
from controlroom.policy.pagination import MOST_AT_ONCE, FetchPage, Foreseen, Page, PageResponse, Prospect, Walk

__all__ = ["Fetch", "ahead", "at_once"]

T = TypeVar("T")

Fetch = Callable[[FetchPage], Awaitable[PageResponse]]
Walked = Callable[[Callable[[Fetch, FellBack], Fetch]], AsyncGenerator[Page[T], None]]


async def ahead(pages: AsyncGenerator[T, None], count: int, in_hand: T | None = None) -> AsyncGenerator[T, None]:
    """Yield *in_hand*, if it is a page, and what *pages* yields, with up to *count* more loaded by a task meanwhile.

    Guarantees:
        An error comes where it would come without: behind the pages before it. However the consumer ends, the task is
        cancelled and awaited, and *pages* is closed.
    """
    loaded: asyncio.Queue[T | None] = asyncio.Queue()
    room = asyncio.Semaphore(count + (in_hand is None))

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
        page = await loaded.get() if in_hand is None else in_hand
        while page is not None:
            yield page
            room.release()
            page = await loaded.get()
        await loading  # raises what ended the walk, if it was no end
    finally:
        loading.cancel()
        await _gone([loading])


async def at_once(walked: Walked[T], walk: Walk, count: int) -> AsyncIterator[Page[T]]:
    """Yield the pages of *walk*, with up to *count* more loaded meanwhile, several at once.

    See `controlroom.http.prefetch.at_once`.
    """
    async with _AskedAhead(count) as foreseen, aclosing(walked(foreseen.before)) as pages:
        async for page in pages:
            if not foreseen.ask(walk.prospect):
                async with aclosing(ahead(pages, count, page)) as rest:
                    async for one in rest:
                        yield one
                return
            yield page


async def _gone(tasks: list[asyncio.Future[T]]) -> None:
    """Wait until *tasks* are done, and see what they raised: the loop would report it as never retrieved."""
    if tasks:
        await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled():
            task.exception()


class _AskedAhead:
    """Pages asked for ahead of a walk, each by a task, and given to the walk when it asks for them."""

    def __init__(self, count: int) -> None:
        self._room = asyncio.Semaphore(MOST_AT_ONCE)
        self._book: Foreseen[asyncio.Future[PageResponse]] = Foreseen(count)
        self._forgotten: list[asyncio.Future[PageResponse]] = []

    def before(self, fetch: Fetch, fell_back: FellBack) -> Fetch:
        """Return what performs a walk's steps in the place of *fetch*; *fell_back* is told when that ends."""
        self._fetch, self._fell_back = fetch, fell_back
        return self._take

    def ask(self, prospect: Prospect | None) -> bool:
        """Ask for as many pages as may be loaded; False: none can be foreseen any more."""
        for step in self._book.wanted(prospect):
            self._book.asked(step, asyncio.ensure_future(self._load(step)))
        return self._book.can_go_on

    async def _load(self, step: FetchPage) -> PageResponse:
        async with self._room:
            return await self._fetch(step)

    async def _take(self, step: FetchPage) -> PageResponse:
        under_way = len(self._book)
        if not under_way:
            return await self._fetch(step)
        response = self._book.judged(step, await self._answer(step))
        if self._book.is_over:
            self._fell_back(step, under_way)
            self._forget()
        if response is not None:
            return response
        await _gone(self._forgotten)  # one that waits for its turn would have taken this page's
        return await self._fetch(step)

    async def _answer(self, step: FetchPage) -> PageResponse | None:
        asked = self._book.answer_to(step)
        try:
            # In no local: an error's traceback would hold what holds the error.
            return None if asked is None else await asked
        except ControlRoomError as error:
            if not self._book.is_worth_another_try(error):
                raise
            return None

    def _forget(self) -> None:
        for answer in self._book.forget():
            answer.cancel()
            self._forgotten.append(answer)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._forget()
        await _gone(self._forgotten)
        self._forgotten.clear()
