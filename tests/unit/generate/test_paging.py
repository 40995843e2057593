"""What is made of the ways in which servers page: the one whose end is proved, and a comment that says why."""

from __future__ import annotations

import re
from typing import Any

import pytest

from controlroom.generate import generate
from controlroom.http import (
    CursorPagination,
    Endpoint,
    HeaderCursorPagination,
    KeysetPagination,
    LinkHeaderPagination,
    NextUrlPagination,
    OffsetPagination,
    PageNumberPagination,
    SinglePage,
)
from tests.unit.generate.documents import (
    FLAG,
    NUMBER,
    PET,
    TEXT,
    Schema,
    document,
    listed,
    module_for,
    of,
    operation,
    query,
    source_for,
)

PETS = listed(PET)
URL: Schema = {"type": "string", "format": "uri"}
NULLABLE_TEXT: Schema = {"anyOf": [TEXT, {"type": "null"}]}


def endpoint(answer: Schema, *parameters: Schema, **more: Any) -> Endpoint[Any]:
    found: Endpoint[Any] = module_for(answer, *parameters, **more).PetStore.pets
    return found


LINK = {"Link": {"description": "RFC 8288", "schema": TEXT}}
NEXT_URLS = {
    "Django REST framework": (of(count=NUMBER, next=URL, previous=URL, results=PETS), "next", "count"),
    "a text and no cursor": (of(next=TEXT, results=PETS), "next", None),
    "JSON:API": (of(data=PETS, links=of(next=NULLABLE_TEXT)), "links.next", None),
    "OData": ({"properties": {"@odata.nextLink": TEXT, "value": PETS}}, "@odata.nextLink", None),
    "HAL": (of(_embedded=of(pets=PETS), _links=of(next=of(href=TEXT))), "_links.next.href", None),
    "Graph API": (of(data=PETS, paging=of(next=TEXT, cursors=of(after=TEXT))), "paging.next", None),
    "by description": (of(items=PETS, next_page={**TEXT, "description": "URL of the next page"}), "next_page", None),
    "a link or an object": (of(data=PETS, links=of(next={"oneOf": [TEXT, of(href=TEXT)]})), "links.next", None),
}


@pytest.mark.parametrize("style", NEXT_URLS)
def test_a_url_in_the_answer_is_followed(style: str) -> None:
    answer, path, total = NEXT_URLS[style]
    found = (
        endpoint(answer, query("after"), query("limit", NUMBER), query("offset", NUMBER))
        if style != "a text and no cursor"
        else endpoint(answer)
    )

    assert found.pagination == NextUrlPagination(next=path)
    assert found.total == total


CURSORS = {
    "next_cursor": (of(data=PETS, next_cursor=NULLABLE_TEXT), "cursor", "next_cursor", "cursor"),
    "Google": (of(items=PETS, nextPageToken=TEXT), "pageToken", "nextPageToken", "pageToken"),
    "Slack": (
        of(items=PETS, response_metadata=of(next_cursor=TEXT)),
        "cursor",
        "response_metadata.next_cursor",
        "cursor",
    ),
    "meta": (of(data=PETS, meta=of(next_cursor=TEXT, total=NUMBER)), "cursor", "meta.next_cursor", "cursor"),
    "Twitch": (of(data=PETS, pagination=of(cursor=TEXT)), "after", "pagination.cursor", "after"),
    "HubSpot": (of(results=PETS, paging=of(next=of(after=TEXT))), "after", "paging.next.after", "after"),
    "fastapi-pagination": (of(items=PETS, current_page=TEXT, next_page=NULLABLE_TEXT), "cursor", "next_page", "cursor"),
    "the next page's number": (of(items=PETS, next_page=NUMBER), "page", "next_page", "page"),
    "Azure": (of(value=PETS, continuationToken=TEXT), "continuationToken", "continuationToken", "continuationToken"),
    "JSON:API": (of(data=PETS, meta=of(after_cursor=TEXT)), "page[after]", "meta.after_cursor", "page[after]"),
    "Asana": (of(data=PETS, next_page=of(offset=TEXT, path=TEXT)), "offset", "next_page.offset", "offset"),
    "Box": (of(entries=PETS, next_stream_position=TEXT), "stream_position", "next_stream_position", "stream_position"),
    "a text that is sent back": (of(data=PETS, next=TEXT), "cursor", "next", "cursor"),
}


@pytest.mark.parametrize("style", CURSORS)
def test_a_cursor_goes_back_where_the_document_takes_it(style: str) -> None:
    answer, parameter, source, param = CURSORS[style]

    assert endpoint(answer, query(parameter)).pagination == CursorPagination(param=param, next=source)


def test_a_documented_link_header_beats_page_numbers() -> None:
    found = endpoint(PETS, query("page", NUMBER), query("per_page", NUMBER), headers=LINK)

    assert found.pagination == LinkHeaderPagination()
    assert found.records is None


def test_a_cursor_in_a_header_is_sent_back() -> None:
    by_token = endpoint(PETS, query("next_token"), headers={"X-Next-Token": {"schema": TEXT}})
    by_page = endpoint(PETS, query("page", NUMBER), headers={"X-Next-Page": {"schema": TEXT}})

    assert by_token.pagination == HeaderCursorPagination(param="next_token", header="X-Next-Token")
    assert by_page.pagination == HeaderCursorPagination(param="page", header="X-Next-Page")


def test_the_key_of_the_last_record_where_the_answer_says_whether_there_is_more() -> None:
    found = endpoint(
        of(object=TEXT, data=PETS, has_more=FLAG, url=TEXT), query("starting_after"), query("limit", NUMBER)
    )

    assert found.pagination == KeysetPagination(param="starting_after", key="id")


def test_offsets_are_verified_by_a_total() -> None:
    found = endpoint(of(items=PETS, total=NUMBER), query("offset", NUMBER), query("limit", {**NUMBER, "maximum": 500}))

    assert found.pagination == OffsetPagination(param="offset", size_param="limit", size=500, total="total")


@pytest.mark.parametrize(
    ("names", "schema", "expected"),
    [
        (("$skip", "$top"), {**NUMBER, "default": 20}, OffsetPagination(param="$skip", size_param="$top", size=20)),
        (
            ("startAt", "maxResults"),
            {**NUMBER, "default": 50, "maximum": 1_000_000},
            OffsetPagination(param="startAt", size_param="maxResults", size=50),
        ),
        (("skip", "limit"), NUMBER, OffsetPagination(param="skip", size_param="limit", size=100)),
    ],
)
def test_offsets_by_other_names_and_sizes(names: tuple[str, str], schema: Schema, expected: object) -> None:
    assert endpoint(PETS, query(names[0], NUMBER), query(names[1], schema)).pagination == expected


def test_an_offset_that_counts_from_one_is_not_verified_by_a_total_it_would_reach_too_early() -> None:
    found = endpoint(
        of(items=PETS, total=NUMBER), query("startIndex", {**NUMBER, "default": 1}), query("count", NUMBER)
    )

    assert found.params == {"startIndex": 1}
    assert found.pagination == OffsetPagination(param="startIndex", size_param="count", size=100)
    assert found.total is None


@pytest.mark.parametrize(
    ("schema", "first"),
    [
        ({**NUMBER, "default": 0}, 0),
        ({**NUMBER, "minimum": 0}, 0),
        ({**NUMBER, "minimum": 0, "default": 1}, 1),
        (NUMBER, 1),
    ],
)
def test_the_first_page_has_the_number_that_the_schema_says(schema: Schema, first: int) -> None:
    answer = of(content=PETS, totalPages=NUMBER, totalElements=NUMBER)
    found = endpoint(answer, query("page", schema), query("size", {**NUMBER, "maximum": 100}))

    expected = PageNumberPagination("page", size_param="size", size=100, first=first, total_pages="totalPages")
    assert found.pagination == expected
    assert found.total == "totalElements"


def test_of_a_cursor_and_an_offset_the_one_that_cannot_end_too_early_is_taken() -> None:
    source = source_for(
        of(data=PETS, next_cursor=NULLABLE_TEXT, total=NUMBER), query("cursor"), query("offset", NUMBER)
    )

    assert 'pagination=OffsetPagination(param="offset", size_param=None, total="total")' in source
    assert "# The answer has a cursor as well; counting ends only on proof, so it counts." in source


def test_an_offset_that_is_deprecated_does_not_beat_the_cursor() -> None:
    found = endpoint(of(data=PETS, next_cursor=TEXT), query("cursor"), query("offset", NUMBER, deprecated=True))

    assert found.pagination == CursorPagination(param="cursor", next="next_cursor")


def test_a_count_that_may_be_the_pages_own_ends_no_walk() -> None:
    unknown = endpoint(of(items=PETS, count=NUMBER), query("offset", NUMBER))
    of_a_page = endpoint(of(items=PETS, total={**NUMBER, "description": "Items on this page"}), query("offset", NUMBER))
    of_all = endpoint(of(items=PETS, count={**NUMBER, "description": "All matching pets"}), query("offset", NUMBER))

    assert isinstance(unknown.pagination, OffsetPagination)
    assert isinstance(of_a_page.pagination, OffsetPagination)
    assert isinstance(of_all.pagination, OffsetPagination)
    assert (unknown.pagination.total, of_a_page.pagination.total, of_all.pagination.total) == (None, None, "count")


def test_what_is_a_time_or_a_range_does_not_page() -> None:
    moment: Schema = {"type": "string", "format": "date-time"}
    of_time = endpoint(of(data=PETS, next_cursor=TEXT), query("after", moment), query("page_token"))
    of_range = endpoint(PETS, query("from", NUMBER), query("to", NUMBER))

    assert of_time.pagination == CursorPagination(param="page_token", next="next_cursor")
    assert of_range.pagination == SinglePage()


def test_the_largest_pages_are_asked_for_where_the_document_states_a_maximum() -> None:
    limits = [query("limit", {**NUMBER, "maximum": 100}), query("page_size", {**NUMBER, "default": 10})]
    stated = endpoint(of(data=PETS, next_cursor=TEXT), query("cursor"), limits[0])
    usual = endpoint(of(data=PETS, next_cursor=TEXT), query("cursor"), limits[1])

    assert (stated.params, usual.params) == ({"limit": 100}, None)


def test_a_first_page_that_nothing_tells_the_number_of_is_told() -> None:
    unknown = generate(document({"/pets": operation(PETS, query("page", NUMBER))}))
    verified = generate(document({"/pets": operation(of(items=PETS, total=NUMBER), query("page", NUMBER))}))

    assert [doubt.partition(";")[0] for doubt in unknown.doubts] == ["pets: begins with page 1"]
    assert verified.doubts == ()


def test_a_list_without_any_sign_of_pages_is_one() -> None:
    assert endpoint(PETS).pagination == SinglePage()
    assert endpoint(of(pets=PETS, total_count=NUMBER)).total == "total_count"


def test_a_limit_that_nothing_goes_on_from_is_told_in_the_module_and_to_the_caller() -> None:
    found = generate(document({"/pets": operation(PETS, query("limit", NUMBER))}))

    assert "# NOT PAGED: it takes" in found.source
    assert found.doubts == ('pets: takes "limit", but nothing says how its pages go on: it reads the first one only',)


def test_a_total_that_may_be_left_out_says_so() -> None:
    answer = {"properties": {"items": PETS, "total": NUMBER}, "required": ["items"]}
    source = re.sub(r"\n +# ", " ", source_for(answer, query("offset", NUMBER)))

    assert "it is optional there: leave it out if the server leaves it out" in source
