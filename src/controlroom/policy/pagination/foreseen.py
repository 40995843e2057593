"""The book of pages that were asked for ahead of a walk: what to ask for, what an answer is worth, and when to stop.

Whoever performs the requests keeps one for a walk, and hands it what it performs them with: a future or a task.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from controlroom.errors import ControlRoomError, DeadlineExceededError, Disposition, ExternalAPIError
from controlroom.policy.pagination.pages import FetchPage, PageResponse
from controlroom.policy.pagination.prospect import Prospect

__all__ = ["MOST_AT_ONCE", "Foreseen"]

MOST_AT_ONCE: Final = 16  # requests of one walk under way: the library keeps 20 connections open, and others walk too

AnswerT = TypeVar("AnswerT")


@dataclass(frozen=True, slots=True)
class _Asked(Generic[AnswerT]):
    step: FetchPage
    answer: AnswerT
    is_due: bool  # asked for when all pages before it had been accepted: its answer counts whatever it says


class Foreseen(Generic[AnswerT]):
    """Pages asked for and not yet given to the walk, in the order in which it will ask for them.

    Args:
        count: Pages to have asked for at a time.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._asked: deque[_Asked[AnswerT]] = deque()
        self._prospect: Prospect | None = None
        self._steps: Iterator[FetchPage] = iter(())
        self._is_next_due = True
        self.is_over: bool = False

    def __len__(self) -> int:
        return len(self._asked)

    @property
    def can_go_on(self) -> bool:
        """Whether any page can be foreseen."""
        return self._prospect is not None and not self.is_over

    def wanted(self, prospect: Prospect | None) -> Iterator[FetchPage]:
        """Yield what to ask for now; each is to be told by `asked` before the next is taken.

        Args:
            prospect: Of the walk as it stands; the first one that is none decides for the whole of it.
        """
        self._is_next_due = self._prospect is None
        if self._is_next_due and prospect is not None:
            self._prospect, self._steps = prospect, prospect.steps()
        while not self.is_over and len(self._asked) < self._count and (step := next(self._steps, None)) is not None:
            yield step

    def asked(self, step: FetchPage, answer: AnswerT) -> None:
        """Note that *answer* will be the one to *step*."""
        self._asked.append(_Asked(step, answer, self._is_next_due))
        self._is_next_due = False

    def answer_to(self, step: FetchPage) -> AnswerT | None:
        """Return what was asked for ahead, if it was *step*."""
        return self._asked[0].answer if self._asked[0].step == step else None

    def is_worth_another_try(self, error: ControlRoomError) -> bool:
        """Tell whether *error*, of the page next in turn, may be due to those that were fetched beside it.

        What a retry policy has given up on is not: it was tried, waited for and told as a failure.
        """
        had_company = len(self._asked) > 1 or not self._asked[0].is_due
        may_pass = (
            isinstance(error, ExternalAPIError | DeadlineExceededError) and error.disposition is Disposition.RETRY
        )
        return had_company and may_pass and len(error.attempts) <= 1

    def judged(self, step: FetchPage, response: PageResponse | None) -> PageResponse | None:
        """Return what *response* to *step*, next in turn, is worth: itself, or None where *step* has to be asked for anew.

        Where the list is not what its first page said, all that was asked for ahead is over: see `is_over`.

        Args:
            step: What the walk asks for.
            response: What was answered ahead; None for nothing, or for something else.
        """
        if response is not None and self._prospect is not None and self._prospect.fits(step, response):
            self._asked.popleft()
            return response
        self.is_over = True
        return response if self._asked[0].is_due else None

    def forget(self) -> list[AnswerT]:
        """Return what is under way for nothing, once."""
        self.is_over = True
        forgotten = [asked.answer for asked in self._asked]
        self._asked.clear()
        return forgotten
