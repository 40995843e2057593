"""A walk against answers that lie; the answers come from a function, not from a network."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from controlroom.errors import (
    APIConnectionError,
    APIContractError,
    APIStatusError,
    CheckpointRejectedError,
    ConfigError,
    IncompletePaginationError,
    PaginationError,
    PaginationLoopError,
)
from controlroom.policy.flow import drive
from controlroom.policy.pagination import (
    CursorPagination,
    FetchPage,
    HeaderCursorPagination,
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
)

HERE = "https://api.example.com/v1/items"
START = PageRequest("GET", HERE)
CURSOR = CursorPagination("cursor", "next")

Server = Callable[[PageRequest], Any]


def respond(server: Server) -> Callable[[FetchPage], PageResponse]:
    def fetch(step: FetchPage) -> PageResponse:
        body = server(step.request)
        return PageResponse(step.request.url, {}, body, digest=json.dumps(body, default=repr).encode())

    return fetch


def taken(walk: Walk, server: Server) -> list[Page[Any]]:
    pages = []
    while (page := drive(walk.next_page(), respond(server))) is not None:
        pages.append(page)
    return pages


def records(walk: Walk, server: Server) -> list[Any]:
    return [record for page in taken(walk, server) for record in page.records]


def chain(pages: dict[str | None, dict[str, Any]]) -> Server:
    """Pages by cursor."""
    return lambda request: pages[request.params.get("cursor")]


THREE = chain(
    {
        None: {"items": [1, 2], "next": "b", "total": 5},
        "b": {"items": [3, 4], "next": "c", "total": 5},
        "c": {"items": [5], "next": None, "total": 5},
    }
)


# What counts as records


@pytest.mark.parametrize(
    ("body", "path", "match"),
    [
        ({"error": "boom"}, "items", "reports an error|has no"),
        ({"error": {"code": 7}}, "items", "has no"),
        ({"data": None, "errors": [{"message": "x"}]}, "data", "reports an error"),
        ({"data": [], "error": "partial"}, "data", "reports an error"),
        ({"data": [1], "errors": [{"message": "shard 3 is down"}]}, "data", "not all may be there.*shard 3 is down"),
        ({"data": [], "success": False}, "data", 'reports an error.*"success": false'),
        ({"items": {}}, "items", "dict instead of a list"),
        ({"items": "abc"}, "items", "str instead of a list"),
        ({"items": 0}, "items", "int instead of a list"),
        ({"data": {"other": []}}, "data.items", "has no"),
        (None, None, "NoneType"),
        ({"items": []}, None, "dict instead of a list"),
        ([], "items", "another shape"),
        ("text", "items", "another shape"),
    ],
)
def test_a_body_without_records_is_a_broken_contract_not_an_empty_page(body: Any, path: Any, match: str) -> None:
    walk = Walk(START, SinglePage(), records=path)

    with pytest.raises(APIContractError, match=match) as raised:
        taken(walk, lambda _: body)

    assert raised.value.url == HERE
    assert raised.value.checkpoint is not None
    assert raised.value.checkpoint["page"] == 0


def test_without_a_path_the_body_is_the_list() -> None:
    assert records(Walk(START, SinglePage()), lambda _: [1, 2]) == [1, 2]


def test_null_is_an_empty_list() -> None:
    assert records(Walk(START, SinglePage(), records="items"), lambda _: {"items": None}) == []


def test_a_list_of_errors_is_a_list_and_a_function_may_know_better() -> None:
    body = {"items": [1], "errors": [2]}

    assert records(Walk(START, SinglePage(), records="errors"), lambda _: body) == [2]
    assert records(Walk(START, SinglePage(), records=lambda found: found["items"]), lambda _: body) == [1]


@pytest.mark.parametrize(
    ("pagination", "body"),
    [
        (CURSOR, {"items": [1], "next": None, "has_more": True}),
        (CursorPagination("after", "page.end"), {"items": [1], "page": {"end": None, "hasNextPage": True}}),
        (PageNumberPagination(), {"items": [], "has_more": True}),
        (OffsetPagination(total="meta.total"), {"items": [], "meta": {"total": None, "hasMore": True}}),
    ],
)
def test_an_end_that_the_answer_itself_denies_is_none(pagination: Any, body: Any) -> None:
    with pytest.raises(APIContractError, match="would be cut short"):
        taken(Walk(START, pagination, records="items"), lambda _: body)


@pytest.mark.parametrize("flag", [False, None, 0, "true", {}])
def test_only_a_plain_yes_denies_an_end(flag: Any) -> None:
    assert records(Walk(START, CURSOR, records="items"), lambda _: {"items": [1], "has_more": flag}) == [1]


def test_a_users_own_pagination_reads_such_flags_itself() -> None:
    class Once(SinglePage):
        pass

    assert records(Walk(START, Once(), records="items"), lambda _: {"items": [1], "has_more": True}) == [1]


def test_harmless_error_keys_do_not_matter() -> None:
    body = {"items": [], "error": None, "errors": []}

    assert records(Walk(START, SinglePage(), records="items"), lambda _: body) == []


# Loops


def test_a_cursor_seen_before_raises_before_its_page_is_fetched_again() -> None:
    fetched = []

    def server(request: PageRequest) -> Any:
        fetched.append(request.params.get("cursor"))
        number = len(fetched)
        return {"items": [number], "next": {1: "b", 2: "c", 3: "b"}[number]}

    with pytest.raises(PaginationLoopError, match="circles"):
        taken(Walk(START, CURSOR, records="items"), server)

    assert fetched == [None, "b", "c"]


def test_a_link_back_to_the_first_page_is_a_loop() -> None:
    with pytest.raises(PaginationLoopError):
        taken(Walk(START, NextUrlPagination("next"), records="items"), lambda _: {"items": [1], "next": HERE})


def test_a_total_reached_ends_the_walk_even_where_the_server_points_back() -> None:
    walk = Walk(START, CURSOR, records="items", total="total")

    assert records(walk, lambda _: {"items": [1, 2], "next": "b", "total": 2}) == [1, 2]
    assert walk.report.stop_reason == "total reached"
    assert walk.report.verified


def test_a_server_that_ignores_the_page_parameter_is_noticed_at_once() -> None:
    walk = Walk(START, PageNumberPagination(), records="items")
    page = drive(walk.next_page(), respond(lambda _: {"items": [1, 2]}))
    assert page is not None

    with pytest.raises(PaginationLoopError, match="ignore"):
        drive(walk.next_page(), respond(lambda _: {"items": [1, 2]}))


def test_a_new_time_stamp_in_each_body_does_not_hide_that_the_records_are_the_same() -> None:
    stamps = iter(range(100))

    with pytest.raises(PaginationLoopError, match="same records"):
        taken(Walk(START, OffsetPagination(), records="items"), lambda _: {"items": [1, 2], "at": next(stamps)})


def test_records_changed_by_the_consumer_do_not_hide_it_either() -> None:
    stamps = iter(range(100))
    walk = Walk(START, PageNumberPagination(), records="items")
    fetch = respond(lambda _: {"items": [{"id": 1}, {"id": 2}], "at": next(stamps)})
    page = drive(walk.next_page(), fetch)
    assert page is not None
    page.records.clear()

    with pytest.raises(PaginationLoopError):
        drive(walk.next_page(), fetch)


def test_one_value_over_and_over_is_data_not_a_loop() -> None:
    def server(request: PageRequest) -> Any:
        return {"items": [{"v": 0}] * 3 if request.params["page"] < 4 else [], "page": request.params["page"]}

    assert len(records(Walk(START, PageNumberPagination(), records="items"), server)) == 9


def test_records_that_json_could_not_hold_are_compared_by_their_body_only() -> None:
    stamps = iter(range(3))

    def found(body: Any) -> list[Any]:
        return [complex(1, 2), object()] if body["at"] < 2 else []

    walk = Walk(START, PageNumberPagination(), records=found)

    assert len(records(walk, lambda _: {"at": next(stamps)})) == 4


def test_repeats_can_be_declared_genuine() -> None:
    def server(request: PageRequest) -> Any:
        return {"items": [1, 2] if request.params["page"] < 4 else []}

    assert records(Walk(START, PageNumberPagination(), records="items", repeats_allowed=True), server) == [1, 2] * 3


def test_equal_empty_pages_are_no_loop() -> None:
    def server(request: PageRequest) -> Any:
        return {"items": [1] if request.params["page"] == 3 else [], "pages": 3}

    walk = Walk(START, PageNumberPagination(total_pages="pages"), records="items")

    assert records(walk, server) == [1]


def test_empty_pages_without_end_raise() -> None:
    numbers = iter(range(10_000))
    walk = Walk(START, CURSOR, records="items", max_empty_pages=20)

    with pytest.raises(PaginationError, match="21 empty pages"):
        taken(walk, lambda _: {"items": [], "next": str(next(numbers))})


def test_records_in_between_begin_the_count_of_empty_pages_anew() -> None:
    def server(request: PageRequest) -> Any:
        number = int(request.params.get("cursor", 0))
        return {"items": [number] if number % 20 == 0 else [], "next": str(number + 1) if number < 100 else None}

    assert len(records(Walk(START, CURSOR, records="items", max_empty_pages=20), server)) == 6


def test_the_page_cap_raises_and_the_walk_can_go_on_from_there() -> None:
    def server(request: PageRequest) -> Any:
        number = int(request.params.get("cursor", 0))
        return {"items": [number], "next": str(number + 1) if number < 24 else None}

    with pytest.raises(PaginationError, match="10 pages") as raised:
        taken(Walk(START, CURSOR, records="items", max_pages=10), server)
    resumed = Walk(START, CURSOR, records="items", max_pages=100, resume=raised.value.checkpoint)

    assert records(resumed, server) == list(range(10, 25))


def test_a_walk_of_exactly_as_many_pages_as_it_may_take_is_whole() -> None:
    assert records(Walk(START, CURSOR, records="items", max_pages=3), THREE) == [1, 2, 3, 4, 5]


# Totals


@pytest.mark.parametrize("stated", [4, 6, "7", 0])
def test_another_number_of_records_than_stated_raises_after_all_were_handed_out(stated: Any) -> None:
    walk = Walk(START, SinglePage(), records="items", total="total")
    fetch = respond(lambda _: {"items": [1, 2, 3, 4, 5], "total": stated})
    page = drive(walk.next_page(), fetch)
    assert page is not None
    assert page.records == [1, 2, 3, 4, 5]

    with pytest.raises(IncompletePaginationError) as raised:
        drive(walk.next_page(), fetch)

    assert (raised.value.expected, raised.value.received) == (int(stated), 5)


def test_an_incomplete_walk_stays_incomplete_when_it_is_resumed_at_its_end() -> None:
    def server(_: PageRequest) -> Any:
        return {"items": [1], "total": 2}

    walk = Walk(START, SinglePage(), records="items", total="total")
    page = drive(walk.next_page(), respond(server))
    assert page is not None

    with pytest.raises(IncompletePaginationError):
        taken(Walk(START, SinglePage(), records="items", total="total", resume=page.checkpoint), server)


def test_the_last_stated_total_counts_and_may_be_absent_on_later_pages() -> None:
    server = chain({None: {"items": [1], "next": "b", "total": 3}, "b": {"items": [2, 3]}})
    walk = Walk(START, CURSOR, records="items", total="total")

    assert records(walk, server) == [1, 2, 3]
    assert walk.report.verified


def test_a_total_that_was_promised_and_is_nowhere_raises() -> None:
    with pytest.raises(APIContractError, match="states no total"):
        taken(Walk(START, SinglePage(), records="items", total="meta.total"), lambda _: {"items": [1]})


def test_an_unknown_total_leaves_the_walk_unverified() -> None:
    walk = Walk(START, SinglePage(), records="items", total="total")

    assert records(walk, lambda _: {"items": [1], "total": None}) == [1]
    assert not walk.report.verified


def test_records_that_went_while_a_client_counted_on_hide_that_others_were_passed_over() -> None:
    held = list(range(10))

    def server(request: PageRequest) -> Any:
        at = request.params["offset"]
        answer = {"items": held[at : at + 3], "total": len(held)}
        del held[: 2 if at == 3 else 0]
        return answer

    walk = Walk(START, OffsetPagination(size=3, total="total"), records="items")

    with pytest.raises(IncompletePaginationError) as raised:
        taken(walk, server)

    assert (raised.value.expected, raised.value.received) == (10, 8)


def test_a_total_that_tells_of_what_is_left_ends_no_walk() -> None:
    def server(request: PageRequest) -> Any:
        number = int(request.params.get("cursor", 0))
        return {"items": [number], "total": 3 - number, "next": str(number + 1) if number < 3 else None}

    with pytest.raises(IncompletePaginationError) as raised:
        taken(Walk(START, CURSOR, records="items", total="total"), server)

    assert raised.value.received == 4


@pytest.mark.parametrize("pages", [0, 1, 2])
def test_a_stated_number_of_pages_that_is_passed_is_no_end(pages: int) -> None:
    def server(request: PageRequest) -> Any:
        number = request.params["page"]
        return {"items": [number] if number < 5 else [], "pages": pages if number > 2 else None}

    walk = Walk(START, PageNumberPagination(total_pages="pages"), records="items")

    assert records(walk, server) == [1, 2, 3, 4]


@pytest.mark.parametrize("total", [-1, "x", 2.5, True, {}, "9" * 5000])
def test_a_total_that_is_no_count_raises(total: Any) -> None:
    with pytest.raises(APIContractError, match="no count"):
        taken(Walk(START, SinglePage(), records="items", total="total"), lambda _: {"items": [1], "total": total})


def test_an_offset_walk_is_verified_by_its_own_total() -> None:
    def server(request: PageRequest) -> Any:
        return {"items": [1, 2] if request.params["offset"] == 0 else [], "total": 5}

    with pytest.raises(IncompletePaginationError):
        taken(Walk(START, OffsetPagination(total="total"), records="items"), server)


@pytest.mark.parametrize(
    ("params", "pagination"),
    [({"offset": 3}, OffsetPagination(total="total")), ({"page": 2}, PageNumberPagination(total_pages="pages"))],
)
def test_a_walk_begun_midway_is_not_compared_with_the_whole(params: Any, pagination: Any) -> None:
    start = PageRequest("GET", HERE, params)
    walk = Walk(start, pagination, records="items", total="total")

    assert records(walk, lambda _: {"items": [4, 5], "total": 5, "pages": 2}) == [4, 5]
    assert not walk.report.verified


def test_naming_the_first_page_oneself_is_not_midway() -> None:
    start = PageRequest("GET", HERE, {"page": "1"})
    walk = Walk(start, PageNumberPagination(total_pages="pages"), records="items", total="total")

    with pytest.raises(IncompletePaginationError):
        taken(walk, lambda _: {"items": [4], "total": 5, "pages": 1})


# Checkpoints


STYLES = [
    (CURSOR, THREE),
    (
        PageNumberPagination(),
        lambda request: {"items": [[1, 2], [3, 4], [5], []][request.params["page"] - 1]},
    ),
    (OffsetPagination(size=2), lambda request: {"items": [1, 2, 3, 4, 5][request.params["offset"] :][:2]}),
    (
        NextUrlPagination("next"),
        lambda request: {
            HERE: {"items": [1, 2], "next": "?page=2&token=t"},
            f"{HERE}?page=2&token=t": {"items": [3, 4], "next": "https://other.example/3"},
            "https://other.example/3": {"items": [5]},
        }[request.url],
    ),
]


@pytest.mark.parametrize(("pagination", "server"), STYLES)
@pytest.mark.parametrize("stopped_after", [1, 2, 3])
def test_a_walk_resumed_after_any_page_has_the_rest_and_nothing_twice(
    pagination: Any, server: Any, stopped_after: int
) -> None:
    whole = taken(Walk(START, pagination, records="items"), server)
    checkpoint = json.loads(json.dumps(whole[stopped_after - 1].checkpoint))

    rest = taken(Walk(START, pagination, records="items", resume=checkpoint), server)

    assert [page.number for page in rest] == [page.number for page in whole[stopped_after:]]
    assert [page.records for page in rest] == [page.records for page in whole[stopped_after:]]


def test_a_post_walk_resumes_through_its_body() -> None:
    start = PageRequest("POST", HERE, {}, {"filter": {"secret": "s3cret"}, "page": {"size": 2}})

    def server(request: PageRequest) -> Any:
        assert request.json["filter"] == {"secret": "s3cret"}
        assert request.json["page"]["size"] == 2
        after = request.json["page"].get("after", 0)
        return {"items": [after], "next": after + 1 if after < 3 else None}

    pagination = CursorPagination("page.after", "next")
    whole = taken(Walk(start, pagination, records="items"), server)
    checkpoint = whole[1].checkpoint

    assert checkpoint["next"] == {"json": {"page": {"after": 2}}}
    assert "s3cret" not in json.dumps(checkpoint)
    assert records(Walk(start, pagination, records="items", resume=checkpoint), server) == [2, 3]


def test_a_checkpoint_moves_to_another_host_but_a_foreign_link_stays_foreign() -> None:
    pagination, server = STYLES[3]
    whole = taken(Walk(START, pagination, records="items"), server)
    moved = PageRequest("GET", HERE.replace("api.example.com", "10.0.0.7"))

    assert whole[0].checkpoint["next"] == {"url": "/v1/items?page=2&token=t"}
    assert whole[1].checkpoint["next"] == {"url": "https://other.example/3"}
    assert records(
        Walk(moved, pagination, records="items", resume=whole[0].checkpoint),
        lambda request: server(PageRequest("GET", request.url.replace("10.0.0.7", "api.example.com"))),
    ) == [3, 4, 5]


@pytest.mark.parametrize(
    "other",
    [
        Walk(PageRequest("GET", HERE, {"since": "2020"}), CURSOR),
        Walk(PageRequest("GET", f"{HERE}2"), CURSOR),
        Walk(PageRequest("POST", HERE), CURSOR),
        Walk(START, PageNumberPagination()),
    ],
)
def test_a_checkpoint_of_another_walk_is_refused(other: Walk) -> None:
    with pytest.raises(ConfigError, match="another walk"):
        Walk(START, CURSOR, resume=other.checkpoint)


@pytest.mark.parametrize(
    "damage",
    [
        lambda checkpoint: {**checkpoint, "version": 2},
        lambda checkpoint: {},
        lambda checkpoint: "text",
        lambda checkpoint: [1],
        lambda checkpoint: {key: value for key, value in checkpoint.items() if key != "next"},
        lambda checkpoint: {**checkpoint, "page": "x"},
        lambda checkpoint: {**checkpoint, "next": [1]},
        lambda checkpoint: {**checkpoint, "expected": {}},
        lambda checkpoint: {**checkpoint, "expected": -1},
        lambda checkpoint: {**checkpoint, "records": float("inf")},
    ],
    ids=count(),
)
def test_a_damaged_checkpoint_is_refused_not_taken_as_the_beginning(damage: Any) -> None:
    with pytest.raises(ConfigError):
        Walk(START, CURSOR, resume=damage(Walk(START, CURSOR).checkpoint))


def test_a_checkpoint_that_is_still_json_is_not_advised_to_be_thrown_away() -> None:
    checkpoint: Any = json.dumps(Walk(START, CURSOR).checkpoint)
    with pytest.raises(ConfigError, match=r"Give what json\.loads makes of it"):
        Walk(START, CURSOR, resume=checkpoint)


def test_a_failed_fetch_leaves_the_checkpoint_of_the_page_before() -> None:
    def server(request: PageRequest) -> Any:
        if "cursor" in request.params:
            message = "lost"
            raise APIConnectionError(message)
        return {"items": [1], "next": "b"}

    with pytest.raises(APIConnectionError) as raised:
        taken(Walk(START, CURSOR, records="items"), server)

    assert raised.value.checkpoint is not None
    assert raised.value.checkpoint["next"] == {"params": {"cursor": "b"}}
    assert records(Walk(START, CURSOR, records="items", resume=raised.value.checkpoint), lambda _: {"items": [2]}) == [
        2
    ]


def test_a_failed_fetch_can_be_tried_again_on_the_same_walk() -> None:
    walk = Walk(START, CURSOR, records="items")
    answers = iter([{"items": [1], "next": "b"}, None, {"items": [2]}])

    def server(_: PageRequest) -> Any:
        if (answer := next(answers)) is None:
            message = "lost"
            raise APIConnectionError(message)
        return answer

    assert drive(walk.next_page(), respond(server)) is not None
    with pytest.raises(APIConnectionError):
        drive(walk.next_page(), respond(server))
    assert records(walk, server) == [2]


def test_an_interruption_is_handed_on_untouched() -> None:
    def server(_: PageRequest) -> Any:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        taken(Walk(START, CURSOR, records="items"), server)


def test_stripped_requests_never_reach_a_checkpoint() -> None:
    def stripped(request: PageRequest) -> PageRequest:
        return PageRequest(request.method, request.url.replace("&key=s3cret", ""), request.params, request.json)

    walk = Walk(START, NextUrlPagination("next"), records="items", stripped=stripped)
    page = drive(walk.next_page(), respond(lambda _: {"items": [1], "next": "?page=2&key=s3cret"}))

    assert page is not None
    assert page.checkpoint["next"] == {"url": "/v1/items?page=2"}


# A style of one's own


class EveryOther:
    """Two pure methods are all it takes."""

    def first(self, request: PageRequest) -> PageRequest:
        return request.with_value("n", 0)

    def following(self, request: PageRequest, response: PageResponse) -> PageRequest | None:
        return None if response.body["end"] else request.with_value("n", request.value("n") + 2)


def test_a_users_own_pagination_is_walked_guarded_and_resumed() -> None:
    def server(request: PageRequest) -> Any:
        return {"items": [request.params["n"]], "end": request.params["n"] >= 6}

    whole = taken(Walk(START, EveryOther(), records="items"), server)

    assert [page.records for page in whole] == [[0], [2], [4], [6]]
    assert records(Walk(START, EveryOther(), records="items", resume=whole[1].checkpoint), server) == [4, 6]
    with pytest.raises(PaginationLoopError):
        taken(Walk(START, EveryOther(), records="items"), lambda _: {"items": [1], "end": False})


def test_the_report_tells_why_the_walk_ended() -> None:
    def reason(pagination: Any, server: Server) -> str:
        walk = Walk(START, pagination, records="items")
        taken(walk, server)
        return walk.report.stop_reason

    assert reason(CURSOR, THREE) == "no next page"
    assert reason(*STYLES[1]) == "empty page"
    assert reason(LinkHeaderPagination(), lambda _: {"items": [1]}) == "no next page"


def test_a_finished_walk_stays_finished() -> None:
    walk = Walk(START, CURSOR, records="items")
    taken(walk, THREE)

    assert taken(walk, THREE) == []


@pytest.mark.parametrize("limits", [{"max_pages": 0}, {"max_empty_pages": 0}])
def test_a_walk_without_room_is_refused(limits: Any) -> None:
    with pytest.raises(ConfigError, match="room"):
        Walk(START, CURSOR, **limits)


def test_a_cursor_in_a_header_is_sent_back_until_none_comes() -> None:
    tokens = {None: "a b", "a b": "c", "c": " "}

    def fetch(step: FetchPage) -> PageResponse:
        asked = step.request.params.get("token")
        return PageResponse(HERE, {"x-next": tokens[asked]}, [asked], digest=repr(asked).encode())

    walk, seen = Walk(START, HeaderCursorPagination("token", "X-Next")), []
    while (page := drive(walk.next_page(), fetch)) is not None:
        seen += page.records

    assert seen == [None, "a b", "c"]


def test_a_cursor_in_a_header_that_comes_again_raises() -> None:
    def fetch(step: FetchPage) -> PageResponse:
        return PageResponse(HERE, {"x-next": "again"}, [step.number], digest=str(step.number).encode())

    walk = Walk(START, HeaderCursorPagination("token", "X-Next"))
    drive(walk.next_page(), fetch)

    with pytest.raises(PaginationLoopError):
        drive(walk.next_page(), fetch)


# In the middle of a page


def test_a_walk_resumes_in_the_middle_of_a_page() -> None:
    first, second = taken(Walk(START, CURSOR, records="items", total="total"), THREE)[:2]

    for page, dealt_with, rest in [
        (first, 0, [1, 2, 3, 4, 5]),
        (first, 1, [2, 3, 4, 5]),
        (second, 1, [4, 5]),
        (second, 2, [5]),
    ]:
        stored = json.loads(json.dumps(page.checkpoint_behind(dealt_with)))
        assert records(Walk(START, CURSOR, records="items", total="total", resume=stored), THREE) == rest


def test_a_place_in_a_page_counts_on_where_the_page_was_resumed_in_its_middle() -> None:
    page = taken(Walk(START, CURSOR, records="items"), chain({None: {"items": list(range(9)), "next": None}}))[0]
    server = chain({None: {"items": list(range(9)), "next": None}})

    (again,) = taken(Walk(START, CURSOR, records="items", resume=page.checkpoint_behind(3)), server)
    assert again.records == [3, 4, 5, 6, 7, 8]
    assert records(Walk(START, CURSOR, records="items", resume=again.checkpoint_behind(2)), server) == [5, 6, 7, 8]


def test_records_that_were_set_aside_are_behind_too() -> None:
    def odd_only(page: list[Any]) -> tuple[list[Any], tuple[RejectedRecord, ...]]:
        bad = tuple(RejectedRecord(one, at, "even") for at, one in enumerate(page) if one % 2 == 0)
        return [one for one in page if one % 2], bad

    server = chain({None: {"items": list(range(9)), "next": None}})

    def walk(resume: Any = None) -> Walk:
        return Walk(START, CURSOR, records="items", convert=odd_only, max_rejected_share=1, resume=resume)

    (page,) = taken(walk(), server)
    assert page.records == [1, 3, 5, 7]
    (rest,) = taken(walk(page.checkpoint_behind(2)), server)
    assert (rest.records, [(one.record, one.position) for one in rest.rejected]) == ([5, 7], [(4, 4), (6, 6), (8, 8)])


@pytest.mark.parametrize("count", [-1, 3])
def test_a_place_that_the_page_has_not_is_refused(count: int) -> None:
    page = taken(Walk(START, CURSOR, records="items"), THREE)[0]

    with pytest.raises(ConfigError, match="page 1 has 2 records"):
        page.checkpoint_behind(count)


def test_a_page_that_shrank_under_its_checkpoint_raises() -> None:
    page = taken(Walk(START, CURSOR, records="items"), chain({None: {"items": [1, 2, 3], "next": None}}))[0]

    with pytest.raises(PaginationError, match="has 1 records, of which 2 were dealt with"):
        records(
            Walk(START, CURSOR, records="items", resume=page.checkpoint_behind(2)),
            chain({None: {"items": [1], "next": None}}),
        )


def test_a_checkpoint_of_before_there_were_places_in_pages_still_resumes() -> None:
    stored = taken(Walk(START, CURSOR, records="items"), THREE)[0].checkpoint
    del stored["index"]

    assert records(Walk(START, CURSOR, records="items", resume=stored), THREE) == [3, 4, 5]


# A position that the server forgot


def refusing(status: int) -> Callable[[FetchPage], PageResponse]:
    def fetch(step: FetchPage) -> PageResponse:
        raise APIStatusError("refused", status_code=status)

    return fetch


@pytest.mark.parametrize("status", [400, 404, 410, 422])
def test_a_position_that_the_server_refuses_is_an_error_of_its_own(status: int) -> None:
    stored = taken(Walk(START, CURSOR, records="items"), THREE)[0].checkpoint

    with pytest.raises(CheckpointRejectedError, match="Begin the walk without the checkpoint") as raised:
        drive(Walk(START, CURSOR, records="items", resume=stored).next_page(), refusing(status))

    assert (raised.value.status_code, raised.value.checkpoint) == (status, stored)
    assert isinstance(raised.value.__cause__, APIStatusError)


@pytest.mark.parametrize("resumed", [True, False])
def test_other_refusals_stay_what_they_are(resumed: bool) -> None:
    stored = taken(Walk(START, CURSOR, records="items"), THREE)[0].checkpoint
    walk = Walk(START, CURSOR, records="items", resume=stored if resumed else None)

    with pytest.raises(APIStatusError):
        drive(walk.next_page(), refusing(403 if resumed else 404))


def test_a_refusal_behind_the_first_page_of_a_resumed_walk_is_no_matter_of_the_checkpoint() -> None:
    walk = Walk(START, CURSOR, records="items", resume=taken(Walk(START, CURSOR, records="items"), THREE)[0].checkpoint)
    drive(walk.next_page(), respond(THREE))

    with pytest.raises(APIStatusError):
        drive(walk.next_page(), refusing(404))


def test_a_secret_that_the_server_repeats_in_its_links_is_in_no_checkpoint_and_is_sent_again() -> None:
    start = PageRequest("GET", HERE, {"api_key": "s3cret-key", "limit": 2})
    asked: list[PageRequest] = []

    def server(request: PageRequest) -> Any:
        asked.append(request)
        last = "page=2" in request.url
        return {"items": [len(asked)], "next": None if last else f"{HERE}?page=2&api_key=s3cret-key&limit=2"}

    walk = Walk(start, NextUrlPagination("next"), records="items")
    stored = json.loads(json.dumps(drive(walk.next_page(), respond(server)).checkpoint))
    assert "s3cret" not in json.dumps(stored)

    assert records(Walk(start, NextUrlPagination("next"), records="items", resume=stored), server) == [2]
    assert asked[-1].params["api_key"] == "s3cret-key"
