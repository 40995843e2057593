"""`controlroom.http.prefetch` for asyncio: a task in the place of the thread."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Self, TypeVar

from controlroom.errors import ControlRoomError
from controlroom.http.prefetch import MOST_AT_ONCE, FellBack, is_worth_another_try
from controlroom.policy.pagination import FetchPage, Page, PageResponse, Prospect, Walk

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
    async with _Foreseen(count) as foreseen, aclosing(walked(foreseen.before)) as pages:
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


@dataclass(frozen=True, slots=True)
class _Asked:
    step: FetchPage
    answer: asyncio.Future[PageResponse]
    is_due: bool  # as in the synchronous twin


class _Foreseen:
    """Pages asked for ahead of a walk, each by a task, and given to the walk when it asks for them."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._room = asyncio.Semaphore(MOST_AT_ONCE)
        self._asked: deque[_Asked] = deque()
        self._forgotten: list[asyncio.Future[PageResponse]] = []
        self._prospect: Prospect | None = None
        self._steps: Iterator[FetchPage] = iter(())
        self._is_over = False

    def before(self, fetch: Fetch, fell_back: FellBack) -> Fetch:
        """Return what performs a walk's steps in the place of *fetch*; *fell_back* is told when that ends."""
        self._fetch, self._fell_back = fetch, fell_back
        return self._take

    def ask(self, prospect: Prospect | None) -> bool:
        """Ask for as many pages as may be loaded; False: none can be foreseen any more."""
        is_due = self._prospect is None
        if is_due and prospect is not None:
            self._prospect, self._steps = prospect, prospect.steps()
        while not self._is_over and len(self._asked) < self._count and (step := next(self._steps, None)) is not None:
            self._asked.append(_Asked(step, asyncio.ensure_future(self._load(step)), is_due))
            is_due = False
        return self._prospect is not None and not self._is_over

    async def _load(self, step: FetchPage) -> PageResponse:
        async with self._room:
            return await self._fetch(step)

    async def _take(self, step: FetchPage) -> PageResponse:
        if not self._asked:
            return await self._fetch(step)
        is_due = self._asked[0].is_due
        response = await self._answer() if self._asked[0].step == step else None
        if response is None or not self._fits(step, response):
            self._fell_back(step, len(self._asked))
            self._forget()
            return response if response is not None and is_due else await self._fetch(step)
        self._asked.popleft()
        return response

    async def _answer(self) -> PageResponse | None:
        try:
            return await self._asked[0].answer  # in no local: an error's traceback would hold what holds the error
        except ControlRoomError as error:
            had_company = len(self._asked) > 1 or not self._asked[0].is_due
            if not (had_company and is_worth_another_try(error)):
                raise
            return None

    def _fits(self, step: FetchPage, response: PageResponse) -> bool:
        return self._prospect is not None and self._prospect.fits(step, response)

    def _forget(self) -> None:
        self._is_over = True
        for asked in self._asked:
            asked.answer.cancel()
            self._forgotten.append(asked.answer)
        self._asked.clear()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._forget()
        await _gone(self._forgotten)
        self._forgotten.clear()
