"""A path that the user got wrong must not make a walk end early and look whole."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

from controlroom.errors import APIContractError
from controlroom.policy.flow import drive
from controlroom.policy.pagination import (
    CursorPagination,
    FetchPage,
    NextUrlPagination,
    PageNumberPagination,
    PageRequest,
    PageResponse,
    Walk,
)
from controlroom.policy.pagination.paths import has_no_parent, value_at

START = PageRequest("GET", "https://api.example.com/v1/items")


def walked(pagination: Any, *bodies: dict[str, Any], **more: Any) -> Walk:
    """Walk to the end over *bodies*."""
    walk = Walk(START, pagination, **{"records": "items", **more})
    left = iter(enumerate(bodies))

    def fetch(step: FetchPage) -> PageResponse:
        number, body = next(left)
        return PageResponse(step.request.url, {}, body, digest=bytes([number]))

    while drive(walk.next_page(), fetch) is not None:
        pass
    return walk


@pytest.mark.parametrize(
    "wrong", [lambda body: body["metaa"]["next"], lambda body: body["items"]["x"], lambda body: body.next], ids=count()
)
def test_a_callable_path_that_fails_is_a_bug_and_not_an_end(wrong: Any) -> None:
    with pytest.raises(APIContractError, match=r"callable path .*lambda.* failed on the body") as raised:
        walked(CursorPagination("cursor", wrong), {"items": [1], "meta": {"next": "b"}})

    assert isinstance(raised.value.__cause__, KeyError | TypeError | AttributeError)


def test_a_callable_path_keeps_the_error_that_it_raised_on_purpose() -> None:
    class OddError(ValueError):
        pass

    def refuse(_: Any) -> None:
        raise OddError

    with pytest.raises(APIContractError) as raised:
        value_at({}, refuse)

    assert isinstance(raised.value.__cause__, OddError)


def test_a_misspelt_number_of_pages_does_not_leave_the_walk_to_an_empty_page() -> None:
    with pytest.raises(
        APIContractError, match=r"GET https://\S+ the first page states no number of pages at \"pagez\""
    ):
        walked(PageNumberPagination(total_pages="pagez"), {"items": [1], "pages": 2}, {"items": []})


@pytest.mark.parametrize("pages", [{"pages": 2}, {}, {"pages": None}])
def test_a_number_of_pages_may_be_left_out_behind_the_first_page(pages: dict[str, Any]) -> None:
    last = [] if "pages" not in pages or pages["pages"] is None else [2]
    walk = walked(PageNumberPagination(total_pages="pages"), {"items": [1], "pages": 2}, {"items": last, **pages})

    assert walk.report.pages == 2


@pytest.mark.parametrize("pagination", [CursorPagination("c", "metaa.next"), NextUrlPagination("metaa.page.next")])
def test_a_misspelt_parent_of_the_next_path_is_told_not_passed_over(pagination: Any) -> None:
    walk = walked(pagination, {"items": [1], "meta": {"next": "b"}})

    assert walk.report.missing_path == pagination.next


@pytest.mark.parametrize(
    "bodies",
    [
        ({"items": [1], "meta": {"next": "b"}}, {"items": [2]}),  # absent at the end
        ({"items": [1], "meta": {"next": "b"}}, {"items": [2], "meta": None}),
        ({"items": [1], "meta": {}},),  # the last key alone
        ({"items": [1], "meta": None},),
        ({"items": []},),  # nothing is lost
    ],
)
def test_an_end_that_servers_really_send_is_not_called_a_misspelling(bodies: tuple[Any, ...]) -> None:
    assert walked(CursorPagination("c", "meta.next"), *bodies).report.missing_path is None


def test_a_total_that_was_reached_leaves_nothing_to_warn_of() -> None:
    walk = walked(CursorPagination("c", "meta.next"), {"items": [1], "total": 1}, total="total")

    assert (walk.report.verified, walk.report.missing_path) == (True, None)


@pytest.mark.parametrize("body", [{"value": [1]}, {"value": [1], "odata.metadata": "x"}])
def test_a_key_with_a_dot_in_it_has_no_parent_to_miss(body: Any) -> None:
    assert not has_no_parent(body, "@odata.nextLink")
    assert has_no_parent(body, "odata.nextLink") is ("odata.metadata" not in body)


def test_missing_records_name_the_request_and_what_to_correct() -> None:
    with pytest.raises(APIContractError) as raised:
        walked(CursorPagination("c", "next"), {"data": [1]})

    message = raised.value.message
    assert message.startswith(
        'GET https://api.example.com/v1/items: the answer has no "items"; it is an object with data'
    )
    assert message.endswith("Correct Endpoint(records=…).")
