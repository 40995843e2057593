"""The styles of paging, judged one answer at a time."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

from controlroom.errors import APIContractError, ConfigError
from controlroom.policy.pagination import (
    CursorPagination,
    LinkHeaderPagination,
    NextUrlPagination,
    OffsetPagination,
    PageNumberPagination,
    PageRequest,
    PageResponse,
    SinglePage,
)
from controlroom.policy.pagination.links import links
from controlroom.policy.pagination.paths import MISSING, value_at

HERE = "https://api.example.com/v1/items"
GET = PageRequest("GET", HERE, {"limit": 50})
POST = PageRequest("POST", HERE, {}, {"filter": {"a": 1}})


def answer(body: Any = None, records: Any = (1,), link: str | None = None, url: str = HERE) -> PageResponse:
    return PageResponse(url, {} if link is None else {"link": link}, body, records)


# Where a value stands


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("data.items", [1]),
        ("results.0.id", 7),
        ("results.-1.id", 8),
        ("results.5.id", MISSING),
        ("data.none", MISSING),
        ("nothing.at.all", MISSING),
        ("null", None),
        ("null.deeper", MISSING),
        ("@odata.nextLink", "https://x/2"),
        ("dotted.key.inner", 3),
        (lambda body: body["data"]["items"][0], 1),
        (lambda body: body["data"].get("gone"), None),
    ],
)
def test_a_path_finds_what_is_there_and_nothing_else(path: Any, value: Any) -> None:
    body = {
        "data": {"items": [1]},
        "results": [{"id": 7}, {"id": 8}],
        "null": None,
        "@odata.nextLink": "https://x/2",
        "dotted.key": {"inner": 3},
    }

    found = value_at(body, path)

    assert found is value or found == value


@pytest.mark.parametrize(("body", "path"), [({"data": "text"}, "data.items"), ({"data": [1]}, "data.items"), (7, "a")])
def test_a_path_through_a_text_or_a_number_is_another_shape_not_an_end(body: Any, path: str) -> None:
    with pytest.raises(APIContractError, match="another shape"):
        value_at(body, path)


# Cursors


@pytest.mark.parametrize("body", [{}, {"meta": {}}, {"meta": None}, {"meta": {"next": None}}, {"meta": {"next": ""}}])
def test_a_cursor_walk_ends_where_no_cursor_is_whatever_form_that_takes(body: Any) -> None:
    assert CursorPagination("cursor", "meta.next").following(GET, answer(body)) is None


def test_an_empty_page_with_a_cursor_is_not_the_end() -> None:
    following = CursorPagination("cursor", "next").following(GET, answer({"next": "abc"}, records=()))

    assert following == PageRequest("GET", HERE, {"limit": 50, "cursor": "abc"})


def test_a_numeric_cursor_of_zero_is_a_cursor() -> None:
    following = CursorPagination("since", "next").following(GET, answer({"next": 0}))

    assert following is not None
    assert following.params["since"] == 0


@pytest.mark.parametrize("cursor", [True, ["a"], {"a": 1}])
def test_what_cannot_be_sent_in_a_query_is_no_cursor(cursor: Any) -> None:
    with pytest.raises(APIContractError, match="no cursor"):
        CursorPagination("cursor", "next").following(GET, answer({"next": cursor}))


def test_a_post_pages_through_its_body_and_keeps_the_rest() -> None:
    following = CursorPagination("page.after", "next").following(POST, answer({"next": [1, "b"]}))

    assert following == PageRequest("POST", HERE, {}, {"filter": {"a": 1}, "page": {"after": [1, "b"]}})
    assert POST.json == {"filter": {"a": 1}}


def test_a_post_without_a_body_gets_one() -> None:
    following = CursorPagination("cursor", "next").following(PageRequest("POST", HERE), answer({"next": "b"}))

    assert following is not None
    assert following.json == {"cursor": "b"}


def test_a_body_that_is_a_list_has_no_place_for_a_cursor() -> None:
    request = PageRequest("POST", HERE, {}, [1, 2])

    with pytest.raises(ConfigError, match="no place"):
        CursorPagination("cursor", "next").following(request, answer({"next": "b"}))


# Links and URLs


@pytest.mark.parametrize(
    "header",
    [
        '<https://api.example.com/v1/items?page=2>; rel="next"',
        "<?page=2>; rel=next",
        "</v1/items?page=2>;rel=NEXT",
        '<?page=1>; rel="prev", <?page=2>; rel="next"',
        '<?page=2>; rel="last next"',
        '<?page=9>; title="a, b; rel=next"; rel=last, <?page=2>; rel="next"',
        '<?page=9>; rel="first"; rel="next", <?page=2>; rel="next"',
        "<?page=2>; rel*=x; rel=next",
        ',, <?page=2> ; rel = "next" ,',
        '<?page=9>; rel=next; anchor="/other", <?page=2>; rel=next',
        '<?page=2>; rel=next; anchor=""',
        '<?page=2>; rel="next"; title="unreadable from here',
        "<?page=2>; rel=next;",
    ],
)
def test_the_next_link_is_found_in_any_form_rfc_8288_allows(header: str) -> None:
    if "unreadable" in header:
        with pytest.raises(APIContractError):
            LinkHeaderPagination().following(GET, answer(link=header))
        return

    following = LinkHeaderPagination().following(GET, answer(link=header))

    assert following == PageRequest("GET", "https://api.example.com/v1/items?page=2", {})


@pytest.mark.parametrize("header", [None, "", ", ,", "<?page=1>; rel=prev", "<?page=1>", '<?page=9>; title="rel=next"'])
def test_no_next_link_is_the_end(header: str | None) -> None:
    assert LinkHeaderPagination().following(GET, answer(link=header)) is None


@pytest.mark.parametrize("header", ["garbage", "<?page=2", '<?page=1>; rel=prev, "nonsense"', "<?a>; rel=x <?b>"])
def test_an_unreadable_link_header_is_not_the_end(header: str) -> None:
    with pytest.raises(APIContractError, match="Link header"):
        LinkHeaderPagination().following(GET, answer(link=header))


def test_an_escaped_quote_does_not_end_a_quoted_text() -> None:
    (link,) = links('<x>; title="a \\" , <y>; rel=next"; rel=prev')

    assert (link.target, link.relations) == ("x", {"prev"})


def test_a_link_is_relative_to_where_the_answer_came_from() -> None:
    following = LinkHeaderPagination().following(
        GET, answer(link="<b?p=2>; rel=next", url="https://cdn.example/a/items")
    )

    assert following is not None
    assert following.url == "https://cdn.example/a/b?p=2"


def test_a_next_url_replaces_path_and_parameters() -> None:
    pagination = NextUrlPagination("links.next.href")

    following = pagination.following(GET, answer({"links": {"next": {"href": "/v2/items?after=3"}}}))

    assert following == PageRequest("GET", "https://api.example.com/v2/items?after=3", {})


@pytest.mark.parametrize("body", [{}, {"next": None}, {"next": ""}, {"next": False}])
def test_no_next_url_is_the_end(body: Any) -> None:
    assert NextUrlPagination("next").following(GET, answer(body)) is None


def test_a_next_url_that_is_no_text_is_not_the_end() -> None:
    with pytest.raises(APIContractError, match="not a text"):
        NextUrlPagination("next").following(GET, answer({"next": {"href": "/2"}}))


@pytest.mark.parametrize("pagination", [NextUrlPagination("next"), LinkHeaderPagination()])
def test_what_is_no_url_is_a_broken_contract(pagination: Any) -> None:
    response = answer({"next": "https://[broken"}, link="<https://[broken>; rel=next")

    with pytest.raises(APIContractError, match="no URL"):
        pagination.following(GET, response)


# Counting


def test_page_numbers_begin_where_they_are_told() -> None:
    pagination = PageNumberPagination("p", size_param="n", size=10, first=0)

    first = pagination.first(PageRequest("GET", HERE))

    assert first.params == {"n": 10, "p": 0}
    assert pagination.following(first, answer({})).params == {"n": 10, "p": 1}


def test_the_callers_own_page_and_size_win() -> None:
    pagination = PageNumberPagination(size_param="n", size=10)

    assert pagination.first(PageRequest("GET", HERE, {"page": 4, "n": 5})).params == {"page": 4, "n": 5}


def test_a_short_page_proves_nothing_and_an_empty_one_ends_page_numbers() -> None:
    pagination = PageNumberPagination(size_param="n", size=10)
    first = pagination.first(PageRequest("GET", HERE))

    assert pagination.following(first, answer({}, records=[1])) is not None
    assert pagination.following(first, answer({}, records=[])) is None


@pytest.mark.parametrize(
    ("number", "first", "ends"), [(2, 1, False), (3, 1, True), (4, 1, True), (1, 0, False), (2, 0, True)]
)
def test_stated_pages_end_the_walk_and_an_empty_page_before_does_not(number: int, first: int, ends: bool) -> None:
    pagination = PageNumberPagination(first=first, total_pages="pages")
    request = PageRequest("GET", HERE, {"page": number})

    assert (pagination.following(request, answer({"pages": 3}, records=[])) is None) is ends


@pytest.mark.parametrize("body", [{"pages": None}, {}])
def test_without_a_stated_number_of_pages_an_empty_page_is_the_proof(body: Any) -> None:
    pagination = PageNumberPagination(total_pages="pages")
    request = PageRequest("GET", HERE, {"page": 1})

    assert pagination.following(request, answer(body, records=[1])) is not None
    assert pagination.following(request, answer(body, records=[])) is None


@pytest.mark.parametrize("pages", [-1, 2.5, "many", True, [3]])
def test_a_number_of_pages_that_is_no_count_is_not_the_end(pages: Any) -> None:
    with pytest.raises(APIContractError, match="no count"):
        PageNumberPagination(total_pages="pages").following(
            PageRequest("GET", HERE, {"page": 1}), answer({"pages": pages})
        )


def test_the_offset_advances_by_what_was_received_not_by_what_was_asked_for() -> None:
    pagination = OffsetPagination(size=100)
    first = pagination.first(PageRequest("GET", HERE))

    assert first.params == {"limit": 100, "offset": 0}
    assert pagination.following(first, answer({}, records=[1] * 50)).params["offset"] == 50
    assert pagination.following(first, answer({}, records=[])) is None


def test_a_page_size_or_offset_that_was_given_is_not_overwritten() -> None:
    assert OffsetPagination().first(PageRequest("GET", HERE, {"limit": 7, "offset": 3})).params == {
        "limit": 7,
        "offset": 3,
    }
    assert OffsetPagination(size_param=None).first(PageRequest("GET", HERE)).params == {"offset": 0}


def test_a_reached_total_ends_an_offset_walk_so_that_no_page_beyond_is_asked_for() -> None:
    pagination = OffsetPagination(total="total")
    request = PageRequest("GET", HERE, {"offset": 200})

    assert pagination.following(request, answer({"total": 250}, records=[1] * 50)) is None
    assert pagination.following(request, answer({"total": "251"}, records=[1] * 50)) is not None


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: PageNumberPagination(size=10),
        lambda: PageNumberPagination(size_param="n"),
        lambda: OffsetPagination(size=0),
        lambda: PageNumberPagination().following(PageRequest("GET", HERE, {"page": "x"}), answer({})),
    ],
    ids=count(),
)
def test_a_pagination_that_cannot_count_is_refused(wrong: Any) -> None:
    with pytest.raises(ConfigError):
        wrong()


def test_a_single_page_has_no_following() -> None:
    assert SinglePage().first(GET) is GET
    assert SinglePage().following(GET, answer({"next": "x"})) is None


@pytest.mark.parametrize(
    "pagination", [PageNumberPagination("p", first=0), OffsetPagination(), CursorPagination("c", "n")]
)
def test_paginations_compare_by_value_and_cannot_be_changed(pagination: Any) -> None:
    assert eval(repr(pagination).replace("first_number", "first")) == pagination
    with pytest.raises(AttributeError):
        pagination.param = "other"
