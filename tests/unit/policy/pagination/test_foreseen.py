"""The book of pages asked for ahead: which answers count, and what ends it."""

from __future__ import annotations

from typing import Any

import pytest

from controlroom.errors import APIContractError, APIRateLimitError, APITimeoutError, Attempt, ControlRoomError
from controlroom.policy.pagination import FetchPage, Foreseen, PageRequest, PageResponse, Prospect

HERE = "https://api.example.com/items"
FIRST = FetchPage(PageRequest("GET", HERE, {"offset": 3}), 2)
LIST = Prospect(FIRST, 3, "offset", 3, 3, 7, "items", ())
STEPS = tuple(LIST.steps())
TOO_FAST = APIRateLimitError("429")


def page(*records: Any) -> PageResponse:
    return PageResponse(HERE, {}, {"items": list(records)})


def begun(count: int = 2, prospect: Prospect | None = LIST) -> Foreseen[str]:
    book: Foreseen[str] = Foreseen(count)
    for step in book.wanted(prospect):
        book.asked(step, f"answer {step.number}")
    return book


def test_no_more_is_wanted_than_may_be_under_way_and_none_twice() -> None:
    book = begun(2)

    assert (len(book), list(book.wanted(LIST))) == (2, [])
    assert book.judged(STEPS[0], page(1, 2, 3)) is not None
    assert list(book.wanted(None)) == [STEPS[2]]
    assert book.can_go_on


def test_where_nothing_can_be_foreseen_nothing_is_wanted() -> None:
    book = begun(2, None)

    assert (len(book), book.can_go_on) == (0, False)


def test_an_answer_belongs_to_its_step_alone() -> None:
    book = begun()

    assert (book.answer_to(STEPS[0]), book.answer_to(STEPS[1])) == ("answer 2", None)


def test_an_answer_that_does_not_fit_ends_the_book_and_counts_only_where_it_was_due() -> None:
    shorter = page(1)
    first, later = begun(), begun()
    assert later.judged(STEPS[0], page(1, 2, 3)) is not None

    assert first.judged(STEPS[0], shorter) is shorter
    assert later.judged(STEPS[1], shorter) is None
    assert (first.is_over, later.is_over, list(later.wanted(LIST))) == (True, True, [])


def test_no_answer_ends_the_book_and_the_step_is_asked_anew() -> None:
    book = begun()

    assert book.judged(STEPS[0], None) is None
    assert (book.is_over, book.can_go_on) == (True, False)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (TOO_FAST, True),
        (APITimeoutError("slow"), True),
        (APIContractError("no JSON"), False),
        (ControlRoomError("else"), False),
    ],
)
def test_an_error_is_worth_another_try_where_company_may_have_caused_it(
    error: ControlRoomError, expected: bool
) -> None:
    assert begun(2).is_worth_another_try(error) is expected


def test_without_company_an_error_counts() -> None:
    assert not begun(1).is_worth_another_try(TOO_FAST)


def test_a_later_page_had_company_although_it_is_alone_now() -> None:
    book = begun(2)
    assert book.judged(STEPS[0], page(1, 2, 3)) is not None

    assert book.is_worth_another_try(TOO_FAST)


def test_what_was_retried_and_given_up_is_no_fault_of_its_company() -> None:
    tried = APIRateLimitError("429")
    tried.attempts = (Attempt(1, "429", 1.0, "it may pass"), Attempt(2, "429", None, "the last"))

    assert not begun(2).is_worth_another_try(tried)


def test_what_is_under_way_is_forgotten_once() -> None:
    book = begun(2)

    assert (book.forget(), book.forget()) == (["answer 2", "answer 3"], [])
    assert book.is_over
