"""What follows the first page of a list that states its length, and what is no proof of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from controlroom.policy.flow import drive
from controlroom.policy.pagination import (
    CursorPagination,
    FetchPage,
    OffsetPagination,
    PageNumberPagination,
    PageRequest,
    PageResponse,
    Prospect,
    Walk,
)

HERE = "https://api.example.com/v1/items"
START = PageRequest("GET", HERE, {"year": 2013})
BODY = {"items": [1, 2, 3], "total": 10, "pages": 4, "of": 3}
OFFSET = OffsetPagination(size=3, total="total")
NUMBER = PageNumberPagination(total_pages="pages")
COUNTED = {"total": "total"}


def foreseen(pagination: Any, body: Any = None, *, start: PageRequest = START, **walk: Any) -> Prospect | None:
    """What is foreseen behind the first page, which is *body*."""
    one = Walk(start, pagination, **{"records": "items", **walk})
    body = BODY if body is None else body
    page = drive(one.next_page(), lambda _: PageResponse(HERE, {}, body, digest=json.dumps(body).encode()))
    assert page is not None
    return one.prospect


def positions(prospect: Prospect | None) -> list[tuple[int, int]]:
    assert prospect is not None
    return [(step.number, step.request.value(prospect.param)) for step in prospect.steps()]


@pytest.mark.parametrize(
    ("pagination", "walk", "expected"),
    [
        (OFFSET, {}, [(2, 3), (3, 6), (4, 9)]),
        (OffsetPagination(size=100, total="total"), {}, [(2, 3), (3, 6), (4, 9)]),  # the server gives what it likes
        (OffsetPagination(size=3), {"total": "total"}, [(2, 3), (3, 6), (4, 9)]),
        (OFFSET, {"max_pages": 3}, [(2, 3), (3, 6)]),
        (NUMBER, COUNTED, [(2, 2), (3, 3), (4, 4)]),
        (PageNumberPagination(), COUNTED, [(2, 2), (3, 3), (4, 4)]),
        (PageNumberPagination(first=0, total_pages="pages"), COUNTED, [(2, 1), (3, 2), (4, 3)]),
        (PageNumberPagination(total_pages="of"), COUNTED, [(2, 2), (3, 3)]),
        (OFFSET, {"start": PageRequest("GET", HERE, {"offset": 4})}, [(2, 7)]),
        (OFFSET, {"start": PageRequest("POST", HERE, json={"q": 1})}, [(2, 3), (3, 6), (4, 9)]),
    ],
)
def test_the_pages_behind_the_first_are_those_that_the_walk_will_ask_for(
    pagination: Any, walk: Any, expected: list[tuple[int, int]]
) -> None:
    assert positions(foreseen(pagination, **walk)) == expected


def test_each_is_the_request_that_the_walk_makes() -> None:
    data = list(range(10))

    def fetch(step: FetchPage) -> PageResponse:
        asked.append(step)
        body = {"items": data[step.request.params["offset"] :][:3], "total": 10}
        return PageResponse(HERE, {}, body, digest=json.dumps(body).encode())

    asked: list[FetchPage] = []
    walk = Walk(START, OFFSET, records="items")
    while drive(walk.next_page(), fetch) is not None:
        pass

    assert walk.prospect is not None
    assert list(walk.prospect.steps()) == asked[1:]


class Another(OffsetPagination):
    """Counts otherwise, perhaps."""


@pytest.mark.parametrize(
    ("pagination", "body", "walk"),
    [
        (CursorPagination("cursor", "next"), {**BODY, "next": "b"}, {"total": "total"}),
        (OffsetPagination(size=3), None, {}),
        (PageNumberPagination(), None, {}),
        (NUMBER, None, {}),  # a number of pages hides a record that came or went
        (
            NUMBER,
            None,
            {**COUNTED, "start": PageRequest("GET", HERE, {"page": 2})},
        ),  # a total of the whole says nothing
        (OFFSET, {**BODY, "total": None}, {}),
        (OFFSET, {**BODY, "items": []}, {}),
        (OFFSET, {**BODY, "total": 3}, {}),  # over
        (Another(size=3, total="total"), None, {}),
    ],
)
def test_nothing_is_foreseen_where_the_list_or_the_style_does_not_say(pagination: Any, body: Any, walk: Any) -> None:
    assert foreseen(pagination, body, **walk) is None


def test_nothing_is_foreseen_behind_pages_but_the_first() -> None:
    """One guess a walk: where it was wrong, another is not made."""
    walk = Walk(START, OFFSET, records="items")
    bodies = iter([{**BODY, "total": None}, {**BODY, "items": [4, 5, 6]}])
    for body in bodies:
        drive(walk.next_page(), lambda _, body=body: PageResponse(HERE, {}, body, digest=json.dumps(body).encode()))

    assert walk.prospect is None


@pytest.mark.parametrize(
    ("index", "body", "fits"),
    [
        (0, {"items": [4, 5, 6], "total": 10}, True),
        (0, {"items": [4, 5, 6], "total": "10"}, True),
        (2, {"items": [10], "total": 10}, True),
        (0, {"items": [4, 5, 6], "total": 11}, False),
        (0, {"items": [4, 5, 6], "total": 9}, False),
        (0, {"items": [4, 5, 6], "total": None}, False),
        (0, {"items": [4, 5, 6]}, False),
        (0, {"items": [4, 5, 6], "total": "many"}, False),
        (0, {"items": [4, 5], "total": 10}, False),
        (0, {"items": [4, 5, 6, 7], "total": 10}, False),
        (0, {"items": [], "total": 10}, False),
        (2, {"items": [], "total": 10}, False),
        (2, {"items": [10, 11], "total": 10}, False),
        (0, {"error": "too many at once"}, False),
        (0, {"items": [], "error": "too many at once", "total": 10}, False),
        (0, "busy", False),
    ],
)
def test_a_page_that_says_anything_else_of_the_list_does_not_count(index: int, body: Any, fits: bool) -> None:
    prospect = foreseen(OFFSET)
    assert prospect is not None
    step = list(prospect.steps())[index]

    assert prospect.fits(step, PageResponse(HERE, {}, body)) == fits


def test_where_pages_are_stated_too_they_have_to_be_repeated() -> None:
    prospect = foreseen(NUMBER, **COUNTED)
    assert prospect is not None
    step = next(prospect.steps())

    assert prospect.fits(step, PageResponse(HERE, {}, {"items": [4, 5, 6], "total": 10, "pages": 4}))
    assert not prospect.fits(step, PageResponse(HERE, {}, {"items": [4, 5, 6], "total": 10, "pages": 5}))
