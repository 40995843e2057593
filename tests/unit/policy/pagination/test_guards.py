from __future__ import annotations

import pytest

from controlroom.errors import PaginationLoopError
from controlroom.policy.pagination import PageRequest, PageResponse
from controlroom.policy.pagination.guards import Guards


def request(page: int) -> PageRequest:
    return PageRequest("GET", "https://x/items", {"page": page})


def test_it_is_the_request_that_was_sent_that_is_remembered_not_the_one_judged_before_it() -> None:
    guards = Guards(max_pages=9, max_empty_pages=9, repeats_allowed=False, counted_by_client=False)
    guards.before(request(1))
    guards.following(request(2), 1)

    guards.before(request(3))

    guards.following(request(2), 2)
    with pytest.raises(PaginationLoopError, match="would go in circles"):
        guards.following(request(3), 2)


def page(number: int, *records: int) -> PageResponse:
    return PageResponse("https://x/items", {}, None, records, digest=str(number).encode())


def test_a_server_that_ignores_the_cursor_and_makes_up_a_new_one_each_time_is_noticed() -> None:
    guards = Guards(max_pages=9, max_empty_pages=9, repeats_allowed=False, counted_by_client=False)
    guards.after(page(1, 1, 2, 3), 1)
    guards.after(page(2, 1, 2, 3), 2)

    with pytest.raises(PaginationLoopError, match="same records"):
        guards.after(page(3, 1, 2, 3), 3)


def test_pages_that_begin_and_end_alike_are_not_taken_for_repeats() -> None:
    guards = Guards(max_pages=9, max_empty_pages=9, repeats_allowed=False, counted_by_client=False)

    for number in range(1, 6):
        guards.after(page(number, 1, 10 + number, 3), number)
