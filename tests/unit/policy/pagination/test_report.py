"""The page that nothing follows says how the walk ended; no page of a walk that is to raise does."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from controlroom.errors import ControlRoomError, IncompletePaginationError, QuarantineThresholdError
from controlroom.policy.flow import drive
from controlroom.policy.pagination import (
    CursorPagination,
    FetchPage,
    HeaderCursorPagination,
    KeysetPagination,
    LinkHeaderPagination,
    NextUrlPagination,
    OffsetPagination,
    Page,
    PageNumberPagination,
    PageRequest,
    PageResponse,
    RejectedRecord,
    SinglePage,
    Walk,
    WalkReport,
)
from tests.unit.errors.every_class import EVERY_CLASS, sample_of

HERE = "https://api.example.com/v1/items"
START = PageRequest("GET", HERE)
DATA = [{"id": number} for number in range(5)]

Server = Callable[[PageRequest], tuple[Any, dict[str, str]]]


def listing(request: PageRequest) -> tuple[Any, dict[str, str]]:
    """Any style at once: two records a page."""
    at = int(request.params.get("cursor") or request.url.partition("?at=")[2] or request.params.get("offset") or 0)
    at = 2 * (int(request.params["page"]) - 1) if "page" in request.params else at
    at = int(request.params["after"]) + 1 if "after" in request.params else at
    following = at + 2 if at + 2 < len(DATA) else None
    body = {"items": DATA[at : at + 2], "next": following, "url": following and f"{HERE}?at={following}"}
    linked = {} if following is None else {"link": f'<{HERE}?at={following}>; rel="next"', "x-next": str(following)}
    return {**body, "total": len(DATA), "pages": 3}, linked


def taken(walk: Walk, server: Server = listing) -> tuple[list[Page[Any]], ControlRoomError | None]:
    pages: list[Page[Any]] = []

    def fetch(step: FetchPage) -> PageResponse:
        body, headers = server(step.request)
        return PageResponse(step.request.url, headers, body, digest=json.dumps(body).encode())

    try:
        while (page := drive(walk.next_page(), fetch)) is not None:
            pages.append(page)
    except ControlRoomError as error:
        return pages, error
    return pages, None


@pytest.mark.parametrize(
    ("pagination", "total", "expected"),
    [
        (CursorPagination("cursor", "next"), None, WalkReport(3, 5, None, False, "no next page")),
        (CursorPagination("cursor", "next"), "total", WalkReport(3, 5, 5, True, "total reached")),
        (HeaderCursorPagination("cursor", "x-next"), None, WalkReport(3, 5, None, False, "no next page")),
        (NextUrlPagination("url"), None, WalkReport(3, 5, None, False, "no next page")),
        (LinkHeaderPagination(), None, WalkReport(3, 5, None, False, "no next page")),
        (PageNumberPagination(), None, WalkReport(4, 5, None, False, "empty page")),
        (PageNumberPagination(total_pages="pages"), None, WalkReport(3, 5, None, False, "no next page")),
        (OffsetPagination(size=2), None, WalkReport(4, 5, None, False, "empty page")),
        (OffsetPagination(size=2, total="total"), None, WalkReport(3, 5, 5, True, "total reached")),
        (KeysetPagination("after", "id"), None, WalkReport(4, 5, None, False, "empty page")),
        (SinglePage(), None, WalkReport(1, 2, None, False, "no next page")),
    ],
)
def test_the_last_page_and_no_other_carries_the_report_that_the_walk_ends_with(
    pagination: Any, total: str | None, expected: WalkReport
) -> None:
    walk = Walk(START, pagination, records="items", total=total)
    pages, error = taken(walk)

    assert error is None
    assert [page.report for page in pages] == [None] * (expected.pages - 1) + [expected]
    assert walk.report == expected


def test_a_resumed_walk_reports_the_whole_and_one_that_was_over_has_no_page_to_say_so() -> None:
    pagination = CursorPagination("cursor", "next")
    whole, _ = taken(Walk(START, pagination, records="items", total="total"))

    resumed, _ = taken(Walk(START, pagination, records="items", total="total", resume=whole[0].checkpoint))
    over = Walk(START, pagination, records="items", total="total", resume=whole[2].checkpoint)

    assert resumed[-1].report == whole[-1].report
    assert taken(over) == ([], None)
    assert over.report == WalkReport(3, 5, 5, True, "over before")


@pytest.mark.parametrize("stated", [3, 6])
def test_no_page_claims_an_end_that_raises(stated: int) -> None:
    def lying(request: PageRequest) -> tuple[Any, dict[str, str]]:
        body, headers = listing(request)
        return {**body, "total": stated}, headers

    pages, error = taken(Walk(START, CursorPagination("cursor", "next"), records="items", total="total"), lying)

    assert isinstance(error, IncompletePaginationError)
    assert [page.report for page in pages] == [None] * len(pages)


@pytest.mark.parametrize(("share", "raises"), [(0.0, True), (0.3, True), (0.4, False)])
def test_no_page_claims_an_end_with_too_many_records_set_aside(share: float, raises: bool) -> None:
    """Two of five, judged only at the end: before a hundred, a share says little."""

    def convert(records: list[Any]) -> tuple[list[Any], tuple[RejectedRecord, ...]]:
        wrong = tuple(RejectedRecord(record, at, "odd") for at, record in enumerate(records) if record["id"] % 2)
        return [record for record in records if not record["id"] % 2], wrong

    walk = Walk(START, CursorPagination("cursor", "next"), records="items", convert=convert, max_rejected_share=share)
    pages, error = taken(walk)

    assert isinstance(error, QuarantineThresholdError) == raises
    assert (pages[-1].report is None) == raises
    assert raises or pages[-1].report == WalkReport(3, 5, None, False, "no next page", rejected=2)


def test_a_path_that_may_be_misspelt_is_in_the_report() -> None:
    pages, _ = taken(Walk(START, CursorPagination("cursor", "mta.next"), records="items"))

    assert pages[-1].report == WalkReport(1, 2, None, False, "no next page", missing_path="mta.next")


# Every error of a walk says where it can be resumed

PLACES = ["fetching", "converting", "going on"]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("cls", EVERY_CLASS, ids=lambda cls: cls.__name__)
def test_every_error_that_leaves_a_walk_carries_the_place_behind_the_last_page(
    cls: type[ControlRoomError], place: str
) -> None:
    raised, asked = sample_of(cls), []

    class Own:
        def first(self, request: PageRequest) -> PageRequest:
            return request

        def following(self, request: PageRequest, response: PageResponse) -> PageRequest:
            if place == "going on" and len(asked) == 3:
                raise raised
            return request.with_value("cursor", len(asked) * 2)

    def server(request: PageRequest) -> tuple[Any, dict[str, str]]:
        asked.append(request)
        if place == "fetching" and len(asked) == 3:
            raise raised
        return listing(request)

    def convert(records: list[Any]) -> tuple[list[Any], tuple[RejectedRecord, ...]]:
        if place == "converting" and len(asked) == 3:
            raise raised
        return records, ()

    walk = Walk(START, Own(), records="items", convert=convert)
    pages, error = taken(walk, server)

    assert error is raised
    assert len(pages) == 2
    assert error.checkpoint == pages[-1].checkpoint
    assert json.loads(json.dumps(error.checkpoint)) == error.checkpoint


def test_an_error_that_ended_no_walk_has_no_checkpoint_and_shows_none() -> None:
    error = QuarantineThresholdError("x")

    assert error.checkpoint is None
    assert "checkpoint" not in error.to_dict()
