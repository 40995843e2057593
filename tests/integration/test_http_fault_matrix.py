"""Twenty-three ways in which a list behind an API lies or fails, in both colours: all records, or an error.

250 records in 5 pages, over real loopback sockets. Waits pass on a manual clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from controlroom.errors import (
    APIAuthError,
    APIContractError,
    APIStatusError,
    IncompletePaginationError,
    PaginationError,
    PaginationLoopError,
)
from controlroom.http import (
    ApiKeyAuth,
    BearerAuth,
    CursorPagination,
    Endpoint,
    LinkHeaderPagination,
    OffsetPagination,
    PageNumberPagination,
)
from controlroom.testing import ManualClock
from tests.integration.http_colours import COLOURS, walk
from tests.integration.http_server import Answer, Asked, page_number, serving

pytestmark = pytest.mark.integration

TOTAL, SIZE = 250, 50
ALL = [{"id": number} for number in range(TOTAL)]
CURSOR = Endpoint("/items", records="items", pagination=CursorPagination("cursor", "next"))
NUMBERED = Endpoint("/items", records="items", pagination=PageNumberPagination())
OFFSET = Endpoint("/items", records="items", pagination=OffsetPagination(size=100))
LINKED = Endpoint("/items", records="items", pagination=LinkHeaderPagination())


@dataclass
class Scenario:
    endpoint: Endpoint[Any]
    answer: Callable[[Asked], Answer]
    raises: type[Exception] | None = None
    received: int = TOTAL
    sleeps: list[float] = field(default_factory=list)
    requests: int | None = None
    client: dict[str, Any] = field(default_factory=dict)


def page_of(number: int, *, end: Any = "no key", cursor: str = "c{}", **more: Any) -> dict[str, Any]:
    """Page *number* of a cursor walk; *end* is what stands for the cursor on the last page."""
    body: dict[str, Any] = {"items": ALL[(number - 1) * SIZE : number * SIZE], **more}
    if number * SIZE < TOTAL:
        body["next"] = cursor.format(number + 1)
    elif end != "no key":
        body["next"] = end
    return body


def at(asked: Asked) -> int:
    """The page that a cursor "c3" asks for."""
    return int(asked.query.get("cursor", "c1").strip("c/+ =&?é%"))


def instead(number: int, answer: Answer) -> Callable[[Asked], Answer]:
    """The *number*-th request is answered so; all others as they should be."""
    return lambda asked: answer if asked.number == number else Answer(page_of(at(asked)))


def with_empty_page(asked: Asked) -> Answer:
    if asked.query.get("cursor") == "gap":
        return Answer({"items": [], "next": "c3"})
    body = page_of(at(asked))
    return Answer({**body, "next": "gap"} if at(asked) == 2 else body)


def with_null_at_the_end(asked: Asked) -> Answer:
    number = int(asked.query.get("cursor", "c1")[1:])
    return Answer({"items": None, "next": None} if number == 6 else {**page_of(number), "next": f"c{number + 1}"})


def cyclic(asked: Asked) -> Answer:
    number = at(asked)
    return Answer({**page_of(number), "next": "c2" if number == 3 else f"c{number + 1}"})


def numbered(asked: Asked, short: int | None = None) -> Answer:
    """Page numbers; page *short* holds one record less, which comes on the next."""
    bounds = [SIZE * number - (number == short) for number in range(TOTAL // SIZE + 1)]
    number = page_number(asked)
    return Answer({"items": ALL[bounds[number - 1] : bounds[number]] if number < len(bounds) else []})


def offset(asked: Asked, *, clamp: int = 100, short_at: int | None = None) -> Answer:
    start, limit = int(asked.query["offset"]), min(clamp, int(asked.query["limit"]))
    return Answer({"items": ALL[start : start + limit - (start == short_at)]})


def linked(asked: Asked, form: str) -> Answer:
    number = page_number(asked)
    items = {"items": ALL[(number - 1) * SIZE : number * SIZE]}
    if number * SIZE >= TOTAL:
        return Answer(items, headers={"Link": '</items?page=1>; rel="first"'})
    return Answer(items, headers={"Link": form.format(host=asked.headers["host"], page=number + 1)})


def with_key_in_query(asked: Asked) -> Answer:
    assert asked.query["api_key"] == "k3y-in-the-query"
    return Answer({"error": "bad", "you sent": asked.query}, 400) if asked.number == 3 else Answer(page_of(at(asked)))


LATER = {"Date": "Wed, 01 Jan 2025 00:00:00 GMT", "Retry-After": "Wed, 01 Jan 2025 00:00:07 GMT"}
SEVERAL_RELS = '</items?page=1>; title="one, two; rel=\\"next\\""; rel=first, </items?page={page}>; rel="last next"'

SCENARIOS = {
    "plain": Scenario(CURSOR, lambda asked: Answer(page_of(at(asked), end=None)), requests=5),
    "no cursor key at the end": Scenario(CURSOR, lambda asked: Answer(page_of(at(asked))), requests=5),
    "reserved characters in the cursor": Scenario(
        CURSOR,
        lambda asked: Answer(
            page_of(int(asked.query.get("cursor", "c1").rpartition("c")[2]), cursor="&=?/ +%é#c{}"),
        ),
        requests=5,
    ),
    "end signalled by an empty text": Scenario(CURSOR, lambda asked: Answer(page_of(at(asked), end="")), requests=5),
    "empty page midway": Scenario(CURSOR, with_empty_page, requests=6),
    "same cursor for ever": Scenario(
        CURSOR, lambda asked: Answer({**page_of(min(asked.number, 4)), "next": "c2"}), PaginationLoopError, SIZE
    ),
    "cursor cycle": Scenario(CURSOR, cyclic, PaginationLoopError, 2 * SIZE, requests=3),
    "page parameter ignored": Scenario(
        NUMBERED, lambda asked: Answer({"items": ALL[:SIZE]}), PaginationLoopError, SIZE, requests=2
    ),
    "error with status 200": Scenario(
        CURSOR, instead(3, Answer({"error": {"code": 17}})), APIContractError, 2 * SIZE, requests=3
    ),
    "total not reached": Scenario(
        Endpoint("/items", records="items", pagination=CursorPagination("cursor", "next"), total="total"),
        lambda asked: Answer({**page_of(at(asked), total=TOTAL), **({"next": None} if at(asked) == 4 else {})}),
        IncompletePaginationError,
        200,
    ),
    "null items on the last page": Scenario(CURSOR, with_null_at_the_end, requests=6),
    "body cut mid-transfer": Scenario(CURSOR, instead(3, Answer(page_of(3), cut=True)), requests=6),
    "503 with Retry-After": Scenario(CURSOR, instead(3, Answer(b"", 503, {"Retry-After": "5"})), sleeps=[5.0]),
    "429 with an HTTP date": Scenario(CURSOR, instead(3, Answer(b"", 429, LATER)), sleeps=[7.0]),
    "403 midway": Scenario(CURSOR, instead(3, Answer(b"", 403)), APIAuthError, 2 * SIZE, requests=3),
    "offset: limit clamped": Scenario(OFFSET, lambda asked: offset(asked, clamp=50), requests=6),
    "offset: short page midway": Scenario(OFFSET, lambda asked: offset(asked, short_at=100)),
    "page number: short page midway": Scenario(NUMBERED, lambda asked: numbered(asked, short=2), requests=6),
    "link: plain": Scenario(LINKED, lambda asked: linked(asked, '<http://{host}/items?page={page}>; rel="next"')),
    "link: relative": Scenario(LINKED, lambda asked: linked(asked, "<?page={page}>; rel=next")),
    "link: several relations": Scenario(LINKED, lambda asked: linked(asked, SEVERAL_RELS), requests=5),
    "link to another origin": Scenario(
        LINKED,
        lambda asked: linked(asked, '<http://evil.example/items?page={page}>; rel="next"'),
        PaginationError,
        SIZE,
        requests=1,
        client={"auth": BearerAuth("b3arer-of-the-matrix")},
    ),
    "key in the query, 400 midway": Scenario(
        CURSOR,
        with_key_in_query,
        APIStatusError,
        2 * SIZE,
        client={"auth": ApiKeyAuth("k3y-in-the-query", param="api_key")},
    ),
}


@contextmanager
def played(colour: str, scenario: Scenario) -> Iterator[Any]:
    """The outcome, the server and the clock."""
    with ManualClock() as clock, serving(scenario.answer) as server:
        yield walk(colour, server.url, scenario.endpoint, **scenario.client), server, clock


def test_the_matrix_is_whole() -> None:
    assert len(SCENARIOS) == 23


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("name", SCENARIOS)
def test_all_records_come_once_or_an_error_says_why(name: str, colour: str) -> None:
    scenario = SCENARIOS[name]
    with played(colour, scenario) as (outcome, server, clock):
        assert type(outcome.error) is (scenario.raises or type(None)), outcome.error
        assert outcome.records == ALL[: scenario.received]
        assert [wait_s for wait_s in clock.sleeps if wait_s >= 5] == scenario.sleeps
        assert scenario.requests in (None, len(server.asked))


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("name", [name for name, scenario in SCENARIOS.items() if scenario.raises])
def test_the_error_of_a_walk_names_where_it_stands_and_no_secret(name: str, colour: str) -> None:
    scenario = SCENARIOS[name]

    with played(colour, scenario) as (outcome, _, _):
        facts = outcome.error.to_dict()
        assert facts["checkpoint"]["records"] == scenario.received
        assert facts["method"] == "GET"
        assert "/items" in facts["url"]
        text = f"{facts}{outcome.error!r}{outcome.error}"
        assert "k3y-in-the-query" not in text
        assert "b3arer-of-the-matrix" not in text


def test_a_cursor_is_sent_as_it_was_received() -> None:
    with serving(SCENARIOS["reserved characters in the cursor"].answer) as server:
        walk("sync", server.url, CURSOR)

    assert server.asked[1].query == {"cursor": "&=?/ +%é#c2"}
