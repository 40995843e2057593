from __future__ import annotations

from typing import Any

import pytest

from controlroom.errors import PaginationLoopError
from controlroom.policy.pagination import PageRequest, PageResponse
from controlroom.policy.pagination.guards import Guards


def request(page: int) -> PageRequest:
    return PageRequest("GET", "https://x/items", {"page": page})


def test_it_is_the_request_that_was_sent_that_is_remembered_not_the_one_judged_before_it() -> None:
    guards = Guards(max_pages=9, max_empty_pages=9, repeats_allowed=False)
    guards.before(request(1))
    guards.following(request(2), 1)

    guards.before(request(3))

    guards.following(request(2), 2)
    with pytest.raises(PaginationLoopError, match="would go in circles"):
        guards.following(request(3), 2)


def page(number: int, *records: Any) -> PageResponse:
    return PageResponse("https://x/items", {}, None, records, digest=str(number).encode())


def guards_of() -> Guards:
    return Guards(max_pages=99, max_empty_pages=9, repeats_allowed=False)


def test_a_server_that_ignores_the_cursor_and_makes_up_a_new_one_each_time_is_noticed() -> None:
    guards = guards_of()
    guards.after(page(1, 1, 2, 3), 1)

    with pytest.raises(PaginationLoopError, match="same records"):
        guards.after(page(2, 1, 2, 3), 2)


def test_a_page_that_comes_twice_is_noticed_although_the_consumer_changes_what_it_is_given() -> None:
    guards = guards_of()
    guards.after(page(1, *({"id": at} for at in range(100))), 1)
    records = [{"id": at} for at in range(100, 200)]
    guards.after(page(2, *records), 2)
    for record in records:
        record.clear()

    with pytest.raises(PaginationLoopError, match="same records"):
        guards.after(page(3, *({"id": at} for at in range(100, 200))), 3)


def test_pages_that_come_by_turns_are_noticed_though_no_two_bodies_are_equal() -> None:
    guards = guards_of()
    guards.after(page(1, 1, 2), 1)
    guards.after(page(2, 3, 4), 2)

    with pytest.raises(PaginationLoopError, match="same records"):
        guards.after(page(3, 1, 2), 3)


def test_a_last_page_of_one_record_does_not_come_for_ever() -> None:
    guards = guards_of()

    with pytest.raises(PaginationLoopError, match="same records"):
        for number in range(1, 30):
            guards.after(page(number, {"name": "Ada"}), number)


def test_nor_does_it_come_twice_where_the_record_has_an_id() -> None:
    guards = guards_of()
    guards.after(page(1, {"id": 7}), 1)

    with pytest.raises(PaginationLoopError, match="same records"):
        guards.after(page(2, {"id": 7}), 2)


def test_one_record_that_comes_by_turns_with_others_is_data() -> None:
    guards = guards_of()

    for number in range(1, 60):
        guards.after(page(number, {"v": number % 2}), number)


def test_pages_that_begin_and_end_alike_are_not_taken_for_repeats() -> None:
    guards = Guards(max_pages=9, max_empty_pages=9, repeats_allowed=False)

    for number in range(1, 6):
        guards.after(page(number, 1, 10 + number, 3), number)


def test_long_pages_without_ids_that_differ_in_one_place_only_are_no_repeats() -> None:
    guards = guards_of()
    readings = [{"at": at, "value": 0} for at in range(100)]

    guards.after(page(1, *readings), 1)
    guards.after(page(2, *readings[:50], {"at": 50, "value": 1}, *readings[51:]), 2)

    with pytest.raises(PaginationLoopError, match="same records"):
        guards.after(page(3, *readings), 3)
