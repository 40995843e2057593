"""The next pages load while the consumer works on this one, in order, and no further ahead than asked."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from controlroom.clock import abandonable
from controlroom.errors import ConfigError
from controlroom.policy.quantities import is_whole

__all__ = ["ahead", "require_count"]

T = TypeVar("T")


def require_count(prefetch: int) -> None:
    """Refuse what is no number of pages.

    Raises:
        ConfigError: It is not.
    """
    if not is_whole(prefetch) or prefetch < 0:
        message = f"prefetch={prefetch!r} is not possible: give the number of pages to load ahead, or 0 for none."
        raise ConfigError(message)


def ahead(pages: Generator[T, None, None], count: int) -> Iterator[T]:
    """Yield what *pages* yields, with up to *count* more loaded by a thread meanwhile.

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
            for _ in range(count + 1):
                asked.append(thread.submit(context.run, following))
            while (page := asked.popleft().result()) is not None:
                yield page
                asked.append(thread.submit(context.run, following))
        finally:
            abandon()
            for future in asked:
                future.cancel()
            thread.submit(context.run, pages.close).result()
