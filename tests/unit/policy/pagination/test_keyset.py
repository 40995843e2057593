"""Paging by the key of the last record: what the server must not do unnoticed."""

from __future__ import annotations

from typing import Any

import pytest

from controlroom.errors import APIContractError, PaginationError
from controlroom.policy.pagination import KeysetPagination, PageRequest, PageResponse

HERE = "https://api.example.com/items"
BY_ID = KeysetPagination("after", "id")


def following(records: list[Any], after: Any = None, by: KeysetPagination = BY_ID) -> PageRequest | None:
    request = PageRequest("GET", HERE) if after is None else PageRequest("GET", HERE, {"after": after})
    return by.following(request, PageResponse(HERE, {}, records, records))


def test_the_next_page_begins_behind_the_last_record() -> None:
    request = following([{"id": 3}, {"id": 5}], after=2)

    assert request is not None
    assert request.params == {"after": 5}


def test_only_an_empty_page_proves_the_end() -> None:
    assert following([], after=9) is None
    assert following([{"id": 10}], after=9) is not None


def test_the_first_page_is_asked_for_as_the_endpoint_says() -> None:
    request = PageRequest("GET", HERE, {"limit": 2})

    assert BY_ID.first(request) == request


def test_the_key_may_lie_deeper_and_travel_in_a_body() -> None:
    request = PageRequest("POST", HERE, json={"page": {"size": 2}})
    records = [{"meta": {"id": "a"}}, {"meta": {"id": "b"}}]

    after = KeysetPagination("page.after", "meta.id").following(request, PageResponse(HERE, {}, records, records))

    assert after is not None
    assert after.json == {"page": {"size": 2, "after": "b"}}


@pytest.mark.parametrize("record", [{}, {"id": None}, {"id": True}, {"id": [1]}])
def test_a_record_without_a_key_raises(record: Any) -> None:
    with pytest.raises(APIContractError, match='Record 2 of the page has no key at "id"'):
        following([{"id": 1}, record])


def test_a_record_that_is_no_object_raises() -> None:
    with pytest.raises(APIContractError, match="another shape"):
        following([{"id": 1}, "text"])


@pytest.mark.parametrize("key", [4, "d"])
def test_a_page_that_begins_with_the_record_before_it_raises(key: Any) -> None:
    with pytest.raises(PaginationError, match="came twice"):
        following([{"id": key}, {"id": "z"}], after=key)


def test_records_that_share_a_key_raise_since_a_page_might_end_between_them() -> None:
    with pytest.raises(PaginationError, match="not unique"):
        following([{"id": "2013-01-01"}, {"id": "2013-01-02"}, {"id": "2013-01-02"}])


@pytest.mark.parametrize(("after", "keys"), [(None, [1, 3, 2]), (5, [4, 6]), (None, [2.5, 1, 9])])
def test_numbers_that_go_up_and_down_raise(after: Any, keys: list[float]) -> None:
    with pytest.raises(PaginationError, match="up and down"):
        following([{"id": key} for key in keys], after)


@pytest.mark.parametrize(("after", "keys"), [(9, [8, 5, 2]), (1, [2.5, 3]), (None, ["b", "A", "c"]), ("1", [2, 3])])
def test_either_direction_and_any_collation_is_an_order(after: Any, keys: list[Any]) -> None:
    assert following([{"id": key} for key in keys], after) is not None
