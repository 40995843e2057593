"""The next pages load while the consumer works on this one, in order, and no further ahead than asked."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass
from typing import Self, TypeVar

from controlroom.clock import abandonable
from controlroom.errors import ConfigError, ControlRoomError
from controlroom.policy.pagination import MOST_AT_ONCE, FetchPage, Foreseen, Page, PageResponse, Prospect, Walk
from controlroom.policy.quantities import is_whole

__all__ = ["FellBack", "Fetch", "ahead", "at_once", "require_count"]

T = TypeVar("T")

Fetch = Callable[[FetchPage], PageResponse]
FellBack = Callable[[FetchPage, int], None]
Walked = Callable[[Callable[[Fetch, FellBack], Fetch]], Generator[Page[T], None, None]]


def require_count(prefetch: int) -> None:
    """Refuse what is no number of pages.

    Raises:
        ConfigError: It is not.
    """
    if not is_whole(prefetch) or prefetch < 0:
        message = f"prefetch={prefetch!r} is not possible: give the number of pages to load ahead, or 0 for none."
        raise ConfigError(message)


def ahead(pages: Generator[T, None, None], count: int, in_hand: T | None = None) -> Iterator[T]:
    """Yield *in_hand*, if it is a page, and what *pages* yields, with up to *count* more loaded by a thread meanwhile.

    Guarantees:
        An error comes where it would come without: behind the pages before it. However the consumer ends, the thread
        ends too, and *pages* is closed; a request under way is given up as soon as its socket moves or its phase times
        out.
    """
    context, abandon = abandonable()
    asked: deque[Future[T | None]] = deque()

    def following() -> T | None:
        return next(pages, None)

    with ThreadPoolExecutor(1, "controlroom-prefetch") as thread:
        try:
            for _ in range(count + (in_hand is None)):
                asked.append(thread.submit(context.run, following))
            page = asked.popleft().result() if in_hand is None else in_hand
            while page is not None:
                yield page
                asked.append(thread.submit(context.run, following))
                page = asked.popleft().result()
        finally:
            abandon()
            for future in asked:
                future.cancel()
            thread.submit(context.run, pages.close).result()


def at_once(walked: Walked[T], walk: Walk, count: int) -> Iterator[Page[T]]:
    """Yield the pages of *walk*, with up to *count* more loaded meanwhile, several at once.

    Which they are is foreseen (`Prospect`), and the walk judges them in order as it judges every page. Where the list is
    not what its first page said, or says too little, what follows is loaded one after the other: see `ahead`.

    Guarantees:
        Those of `ahead`, for each thread.
    """
    with _AskedAhead(count) as foreseen, closing(walked(foreseen.before)) as pages:
        for page in pages:
            if not foreseen.ask(walk.prospect):
                yield from ahead(pages, count, page)
                return
            yield page


@dataclass(frozen=True, slots=True)
class _UnderWay:
    answer: Future[PageResponse]
    abandon: Callable[[], None]


class _AskedAhead:
    """Pages asked for ahead of a walk, each by a thread, and given to the walk when it asks for them."""

    def __init__(self, count: int) -> None:
        self._threads = ThreadPoolExecutor(min(count, MOST_AT_ONCE), "controlroom-prefetch")
        self._book: Foreseen[_UnderWay] = Foreseen(count)
        self._forgotten: list[Future[PageResponse]] = []

    def before(self, fetch: Fetch, fell_back: FellBack) -> Fetch:
        """Return what performs a walk's steps in the place of *fetch*; *fell_back* is told when that ends."""
        self._fetch, self._fell_back = fetch, fell_back
        return self._take

    def ask(self, prospect: Prospect | None) -> bool:
        """Ask for as many pages as may be loaded; False: none can be foreseen any more."""
        for step in self._book.wanted(prospect):
            context, abandon = abandonable()
            self._book.asked(step, _UnderWay(self._threads.submit(context.run, self._fetch, step), abandon))
        return self._book.can_go_on

    def _take(self, step: FetchPage) -> PageResponse:
        under_way = len(self._book)
        if not under_way:
            return self._fetch(step)
        response = self._book.judged(step, self._answer(step))
        if self._book.is_over:
            self._fell_back(step, under_way)
            self._forget()
        if response is not None:
            return response
        wait(self._forgotten)  # one that waits for its turn would have taken this page's
        return self._fetch(step)

    def _answer(self, step: FetchPage) -> PageResponse | None:
        asked = self._book.answer_to(step)
        try:
            # In no local: an error's traceback would hold what holds the error.
            return None if asked is None else asked.answer.result()
        except ControlRoomError as error:
            if not self._book.is_worth_another_try(error):
                raise
            return None

    def _forget(self) -> None:
        for asked in self._book.forget():
            asked.abandon()
            asked.answer.cancel()
            self._forgotten.append(asked.answer)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._forget()
        self._threads.shutdown()
