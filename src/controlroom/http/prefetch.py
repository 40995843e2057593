"""The next pages load while the consumer works on this one, in order, and no further ahead than asked."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import Final, Self, TypeVar

from controlroom.clock import abandonable
from controlroom.errors import ConfigError, ControlRoomError, DeadlineExceededError, Disposition, ExternalAPIError
from controlroom.policy.pagination import FetchPage, Page, PageResponse, Prospect, Walk
from controlroom.policy.quantities import is_whole

__all__ = ["MOST_AT_ONCE", "FellBack", "Fetch", "ahead", "at_once", "is_worth_another_try", "require_count"]

T = TypeVar("T")

MOST_AT_ONCE: Final = 16  # requests of one walk under way: the library keeps 20 connections open, and others walk too

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
    with _Foreseen(count) as foreseen, closing(walked(foreseen.before)) as pages:
        for page in pages:
            if not foreseen.ask(walk.prospect):
                yield from ahead(pages, count, page)
                return
            yield page


def is_worth_another_try(error: ControlRoomError) -> bool:
    """Tell whether *error* of a page that was fetched beside others may be due to their company.

    What a retry policy has given up on is not: it was tried, waited for and told as a failure.
    """
    may_pass = isinstance(error, ExternalAPIError | DeadlineExceededError) and error.disposition is Disposition.RETRY
    return may_pass and len(error.attempts) <= 1


@dataclass(frozen=True, slots=True)
class _Asked:
    step: FetchPage
    answer: Future[PageResponse]
    abandon: Callable[[], None]
    is_due: bool  # asked for when all pages before it had been accepted: its answer counts whatever it says

    def forget(self) -> None:
        self.abandon()
        self.answer.cancel()


class _Foreseen:
    """Pages asked for ahead of a walk, each by a thread, and given to the walk when it asks for them."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._threads = ThreadPoolExecutor(min(count, MOST_AT_ONCE), "controlroom-prefetch")
        self._asked: deque[_Asked] = deque()
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
            context, abandon = abandonable()
            answer = self._threads.submit(context.run, self._fetch, step)
            self._asked.append(_Asked(step, answer, abandon, is_due))
            is_due = False
        return self._prospect is not None and not self._is_over

    def _take(self, step: FetchPage) -> PageResponse:
        if not self._asked:
            return self._fetch(step)
        is_due = self._asked[0].is_due
        response = self._answer() if self._asked[0].step == step else None
        if response is None or not self._fits(step, response):
            self._fell_back(step, len(self._asked))
            self._forget()
            return response if response is not None and is_due else self._fetch(step)
        self._asked.popleft()
        return response

    def _answer(self) -> PageResponse | None:
        try:
            return self._asked[0].answer.result()  # in no local: an error's traceback would hold what holds the error
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
            asked.forget()
        self._asked.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._forget()
        self._threads.shutdown()
