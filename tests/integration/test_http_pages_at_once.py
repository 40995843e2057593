"""Counted pages of a list that states its length load several at once, and come as if they had come one by one."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from contextlib import aclosing, closing
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from controlroom.errors import (
    APIStatusError,
    ControlRoomError,
    IncompletePaginationError,
    PaginationError,
    ShutdownRequested,
)
from controlroom.http import (
    ApiClient,
    AsyncApiClient,
    Endpoint,
    OffsetPagination,
    PageNumberPagination,
    RateLimit,
    Timeouts,
)
from controlroom.http.prefetch import at_once
from controlroom.logs import bound
from controlroom.policy.pagination import FetchPage, Page, PageRequest, PageResponse, Prospect
from controlroom.retrying import RetryPolicy
from controlroom.testing import ManualClock
from tests.integration.http_colours import COLOURS, Outcome, walk
from tests.integration.http_server import Answer, Asked, serving
from tests.unit.errors.every_class import EVERY_CLASS

pytestmark = pytest.mark.integration

OFFSET = Endpoint("/items", records="items", pagination=OffsetPagination(size=2, total="total"))
NUMBER = Endpoint("/items", records="items", pagination=PageNumberPagination(total_pages="pages"), total="total")
TOTAL = Endpoint("/items", records="items", pagination=PageNumberPagination(), total="total")
STYLES = {"offset": OFFSET, "number": TOTAL, "number of so many": NUMBER}
PAGES = 8

Serve = Callable[[int], Answer]


def page_number(asked: Asked) -> int:
    sent = {**asked.query, **(json.loads(asked.body) if asked.body else {})}
    return int(sent["page"]) if "page" in sent else int(sent["offset"]) // 2 + 1


def body(number: int) -> dict[str, Any]:
    data = list(range(2 * PAGES))
    return {"items": data[2 * number - 2 : 2 * number], "total": len(data), "pages": PAGES}


@dataclass
class Listing:
    """A list of eight pages; *instead* answers for some of them. Tells how many requests were there at once."""

    instead: Callable[[int, int], Answer | None] = lambda number, time: None
    asked: list[int] = field(default_factory=list)
    most: int = 0
    under_way: int = 0
    changed: threading.Condition = field(default_factory=threading.Condition)

    def __call__(self, asked: Asked) -> Answer:
        number = page_number(asked)
        with self.changed:
            self.asked.append(number)
            self.under_way += 1
            self.most = max(self.most, self.under_way)
            time = self.asked.count(number)
            self.changed.notify_all()
        try:
            return self.instead(number, time) or Answer(body(number))
        finally:
            with self.changed:
                self.under_way -= 1

    def reach(self, count: int) -> bool:
        with self.changed:
            return self.changed.wait_for(lambda: len(self.asked) >= count, timeout=30)


def told(outcome: Outcome) -> Any:
    error = outcome.error
    pages = [(page.number, page.records, page.checkpoint, page.start, page.report) for page in outcome.pages]
    return pages, error and (type(error), getattr(error, "checkpoint", None))


def left_over() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("controlroom")]


@pytest.fixture(autouse=True)
def nothing_left() -> Any:
    yield
    assert left_over() == []


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("style", STYLES)
def test_as_many_as_asked_for_are_under_way_together(colour: str, style: str) -> None:
    """Page 2 and the three behind it are answered when all four are there: one after the other, none ever would be."""
    together = threading.Barrier(4)

    def instead(number: int, time: int) -> None:
        if 2 <= number <= 5:
            together.wait(30)

    listing = Listing(instead)
    with serving(listing) as server:
        outcome = walk(colour, server.url, STYLES[style], prefetch=4)

    assert (outcome.error, outcome.records) == (None, list(range(2 * PAGES)))
    assert sorted(listing.asked) == list(range(1, PAGES + 1))
    assert listing.most == 4


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("prefetch", [2, 3, 100])
def test_pages_checkpoints_and_the_report_are_those_of_a_walk_page_by_page(
    colour: str, style: str, prefetch: int
) -> None:
    with serving(Listing()) as server:
        one_by_one = walk(colour, server.url, STYLES[style])
        whole = walk(colour, server.url, STYLES[style], prefetch=prefetch)
        rest = walk(colour, server.url, STYLES[style], prefetch=prefetch, resume=whole.pages[2].checkpoint)

    assert told(whole) == told(one_by_one)
    assert told(rest)[0] == told(one_by_one)[0][3:]
    assert whole.pages[-1].report is not None


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("prefetch", [2, 4])
def test_it_loads_as_far_ahead_as_asked_and_no_further(colour: str, prefetch: int) -> None:
    listing, seen = Listing(), []

    def work(page: Page[Any]) -> None:
        ahead = min(page.number + prefetch, PAGES)
        seen.append((listing.reach(ahead), len(listing.asked) == ahead))

    async def asynchronous(url: str) -> None:
        async with AsyncApiClient(url) as api:
            async for page in api.pages(OFFSET, prefetch=prefetch):
                await asyncio.to_thread(work, page)

    with serving(listing) as server:
        if colour == "async":
            asyncio.run(asynchronous(server.url))
        else:
            with ApiClient(server.url) as api:
                for page in api.pages(OFFSET, prefetch=prefetch):
                    work(page)

    assert seen == [(True, True)] * PAGES


def test_no_more_than_sixteen_threads_load_however_many_pages_may() -> None:
    gate = threading.Event()

    def answer(request: httpx.Request) -> httpx.Response:
        number = int(request.url.params["page"])
        assert number == 1 or gate.wait(30)
        return httpx.Response(200, json={"items": [number], "total": 60, "pages": 60})

    with ApiClient("https://x", transport=httpx.MockTransport(answer)) as api:
        pages = api.pages(NUMBER, prefetch=50)
        first = next(pages)
        assert len(left_over()) == 16
        gate.set()
        records = [record for page in [first, *pages] for record in page.records]

    assert records == list(range(1, 61))


def test_no_more_than_sixteen_tasks_ask_however_many_pages_may_load() -> None:
    under_way, most = 0, 0

    async def answer(request: httpx.Request) -> httpx.Response:
        nonlocal under_way, most
        number = int(request.url.params["page"])
        under_way, most = under_way + 1, max(most, under_way + 1)
        for _ in range(5):
            await asyncio.sleep(0)
        under_way -= 1
        return httpx.Response(200, json={"items": [number], "total": 60, "pages": 60})

    outcome = walk("async", "https://x", NUMBER, prefetch=50, transport=httpx.MockTransport(answer))

    assert outcome.records == list(range(1, 61))
    assert most == 16


@pytest.mark.parametrize("colour", COLOURS)
def test_where_only_pages_are_counted_one_comes_after_the_other(colour: str) -> None:
    """Their number hides a record that came or went, and old and new pages would mix."""
    listing = Listing()
    endpoint = Endpoint("/items", records="items", pagination=NUMBER.pagination)
    with serving(listing) as server:
        outcome = walk(colour, server.url, endpoint, prefetch=4)

    assert (outcome.error, outcome.records) == (None, list(range(2 * PAGES)))
    assert listing.most == 1


# What the server does otherwise than its first page said


def total_changes(number: int, time: int) -> Answer | None:
    return Answer({**body(number), "total": 2 * PAGES + 1}) if number == 4 and time == 1 else None


def pages_change(number: int, time: int) -> Answer | None:
    return Answer({**body(number), "pages": PAGES + 1}) if number == 4 and time == 1 else None


def short(number: int, time: int) -> Answer | None:
    return Answer({**body(number), "items": [6]}) if number == 4 and time == 1 else None


def reports_an_error(number: int, time: int) -> Answer | None:
    return Answer({"error": "too many at once"}) if number == 4 and time == 1 else None


def unavailable(number: int, time: int) -> Answer | None:
    return Answer({}, 503) if number == 4 and time == 1 else None


def limited(number: int, time: int) -> Answer | None:
    return Answer({}, 429) if number == 4 and time == 1 else None


def broken_off(number: int, time: int) -> Answer | None:
    return Answer(body(number), cut=True) if number == 4 and time == 1 else None


OF_ANY = [short, reports_an_error, unavailable, limited, broken_off]
FAULTS = [(fault, style) for style in STYLES for fault in OF_ANY]
FAULTS += [*((total_changes, style) for style in STYLES), (pages_change, "number of so many")]


@pytest.mark.parametrize("colour", COLOURS)
def test_a_page_that_was_given_up_is_given_up_once(colour: str, caplog: pytest.LogCaptureFixture) -> None:
    listing = Listing(lambda number, time: Answer({}, 503) if number == 4 else None)
    with serving(listing) as server, ManualClock():
        outcome = walk(colour, server.url, OFFSET, prefetch=3, retry=RetryPolicy(attempts=2))

    assert isinstance(outcome.error, APIStatusError)
    assert outcome.records == list(range(6))
    assert listing.asked.count(4) == 2
    lines = [record.__dict__["controlroom"] for record in caplog.records]
    assert [line["event"] for line in lines].count("gave_up") == 1


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize(("fault", "style"), FAULTS, ids=lambda value: getattr(value, "__name__", value))
def test_a_page_that_does_not_fit_is_asked_for_again_alone_and_so_is_what_follows(
    colour: str, style: str, fault: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="controlroom")
    listing = Listing(fault)
    with serving(listing) as server:
        outcome = walk(colour, server.url, STYLES[style], prefetch=3, retry=None)

    assert (outcome.error, outcome.records) == (None, list(range(2 * PAGES)))
    again = [number for number in range(1, PAGES + 1) if listing.asked.count(number) > 1]
    assert again[0] == 4
    assert set(again) <= {4, 5, 6}
    assert max(listing.asked.count(number) for number in again) == 2
    lines = [record.__dict__["controlroom"] for record in caplog.records]
    assert [line["page"] for line in lines if line["event"] == "walk_fell_back"] == [4]


@pytest.mark.parametrize("colour", COLOURS)
def test_a_second_page_that_does_not_fit_was_no_guess_and_is_not_asked_for_again(colour: str) -> None:
    listing = Listing(lambda number, time: Answer({**body(2), "items": [2]}) if number == 2 else None)
    with serving(listing) as server:
        outcome = walk(colour, server.url, NUMBER, prefetch=3)

    assert isinstance(outcome.error, IncompletePaginationError)
    assert len(outcome.records) == 2 * PAGES - 1
    assert listing.asked.count(2) == 1


@pytest.mark.parametrize("colour", COLOURS)
def test_a_server_that_serves_one_at_a_time_is_walked_one_at_a_time(colour: str) -> None:
    """It turns away whoever comes second; on the second page the walk has no company yet but its own."""
    listing = Listing()
    listing.instead = lambda number, time: Answer({}, 503) if listing.under_way > 1 and number != 2 else None
    with serving(listing) as server:
        outcome = walk(colour, server.url, OFFSET, prefetch=2, retry=None)

    assert (outcome.error, outcome.records) == (None, list(range(2 * PAGES)))


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("prefetch", [0, 4])
def test_a_rate_that_leaves_no_time_for_several_at_once_fails_no_walk(colour: str, prefetch: int) -> None:
    """One request a minute, and 100 seconds for each call: the second of a handful would wait too long."""

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=body(int(request.url.params["offset"]) // 2 + 1))

    with ManualClock():
        outcome = walk(
            colour,
            "https://api.example.com",
            OFFSET,
            prefetch=prefetch,
            rate_limit=RateLimit(1, per_s=60),
            timeouts=Timeouts(total_s=100),
            transport=httpx.MockTransport(answer),
        )

    assert (outcome.error, outcome.records) == (None, list(range(2 * PAGES)))


@pytest.mark.parametrize("colour", COLOURS)
def test_the_cap_of_requests_under_way_holds(colour: str) -> None:
    listing = Listing()
    with serving(listing) as server:
        outcome = walk(colour, server.url, OFFSET, prefetch=6, rate_limit=RateLimit(float("inf"), in_flight=2))

    assert outcome.records == list(range(2 * PAGES))
    assert listing.most <= 2


@pytest.mark.parametrize("colour", COLOURS)
def test_no_page_beyond_the_budget_of_pages_is_asked_for(colour: str) -> None:
    bounded = Endpoint("/items", records="items", pagination=OFFSET.pagination, max_pages=3)
    listing = Listing()
    with serving(listing) as server:
        outcome = walk(colour, server.url, bounded, prefetch=5)

    assert isinstance(outcome.error, PaginationError)
    assert outcome.records == list(range(6))
    assert sorted(listing.asked) == [1, 2, 3]


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize(("only_reads", "most"), [(False, 1), (True, 3)])
def test_what_may_change_something_is_not_sent_on_a_guess(colour: str, only_reads: bool, most: int) -> None:
    together = threading.Barrier(most)

    def instead(number: int, time: int) -> None:
        if 2 <= number <= 4:
            together.wait(30)

    listing = Listing(instead)
    search = Endpoint(
        "/items", method="POST", records="items", pagination=OFFSET.pagination, json={}, only_reads=only_reads
    )
    with serving(listing) as server:
        outcome = walk(colour, server.url, search, prefetch=3)

    assert (outcome.error, outcome.records) == (None, list(range(2 * PAGES)))
    assert listing.most == most


# Errors, and consumers that leave


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("failing", [2, 3, 5, PAGES])
def test_an_error_comes_behind_the_pages_before_it_and_is_not_asked_for_twice(colour: str, failing: int) -> None:
    listing = Listing(lambda number, time: Answer({}, 404) if number == failing else None)
    with serving(listing) as server:
        outcome = walk(colour, server.url, OFFSET, prefetch=4, retry=None)

    assert isinstance(outcome.error, APIStatusError)
    assert [page.number for page in outcome.pages] == list(range(1, failing))
    assert outcome.error.checkpoint == outcome.pages[-1].checkpoint
    assert "offset=" in str(outcome.error.url)
    assert listing.asked.count(failing) == 1


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("taken", range(1, PAGES + 1))
def test_a_consumer_that_leaves_behind_any_page_leaves_nothing_under_way(colour: str, taken: int) -> None:
    async def asynchronous(url: str) -> None:
        async with AsyncApiClient(url) as api:
            pages: Any = api.pages(OFFSET, prefetch=3)
            for _ in range(taken):
                await anext(pages)
            await pages.aclose()
            assert asyncio.all_tasks() == {asyncio.current_task()}

    with serving(Listing()) as server:
        if colour == "async":
            asyncio.run(asynchronous(server.url))
            return
        with ApiClient(server.url) as api:
            pages: Any = api.pages(OFFSET, prefetch=3)
            for _ in range(taken):
                next(pages)
            pages.close()
            assert left_over() == []


@pytest.mark.parametrize("colour", COLOURS)
def test_a_consumer_that_stops_waits_for_no_retry_after(colour: str) -> None:
    """Would otherwise be here for five minutes, and the suite's own limit with it."""
    listing = Listing(lambda number, time: Answer({}, 503, {"Retry-After": "300"}) if number > 2 else None)
    long = Timeouts(total_s=1000)

    async def asynchronous(url: str) -> None:
        async with AsyncApiClient(url, timeouts=long) as api:
            pages: Any = api.pages(OFFSET, prefetch=4)
            async with aclosing(pages):
                await anext(pages)
                assert await asyncio.to_thread(listing.reach, 3)

    with serving(listing) as server:
        if colour == "async":
            asyncio.run(asynchronous(server.url))
            return
        with ApiClient(server.url, timeouts=long) as api:
            pages: Any = api.pages(OFFSET, prefetch=4)
            with closing(pages):
                next(pages)
                assert listing.reach(3)


@pytest.mark.parametrize("colour", COLOURS)
def test_a_walk_that_falls_back_does_not_wait_for_what_it_threw_away(colour: str) -> None:
    went_on: list[bool] = []

    def instead(number: int, time: int) -> Answer | None:
        if (number, time) == (5, 1):
            went_on.append(listing.reach(PAGES + 2))  # up to page 5, and from page 4 on to the end
        return total_changes(number, time)

    listing = Listing(instead)
    with serving(listing) as server:
        outcome = walk(colour, server.url, OFFSET, prefetch=3)

    assert (outcome.error, outcome.records) == (None, list(range(2 * PAGES)))
    assert went_on == [True]


def turns_until_done(cancel_at: int | None) -> tuple[int, list[int]]:
    """Walk in a task, cancel it after so many turns of the loop; return how many there were, and what was under way."""
    open_now: list[int] = []

    async def answer(request: httpx.Request) -> httpx.Response:
        number = int(request.url.params["offset"]) // 2 + 1
        open_now.append(number)
        try:
            for _ in range(3 + number % 3):
                await asyncio.sleep(0)
        finally:
            open_now.remove(number)
        return httpx.Response(200, json={**body(number), "total": 2 * PAGES + (number == 6)})

    async def walked() -> None:
        async with AsyncApiClient("https://x", transport=httpx.MockTransport(answer), retry=None) as api:
            pages: Any = api.pages(OFFSET, prefetch=3)
            async with aclosing(pages):
                async for _ in pages:
                    await asyncio.sleep(0)

    async def main() -> int:
        task, turns = asyncio.ensure_future(walked()), 0
        while not task.done() and turns != cancel_at:
            turns += 1
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return turns

    return asyncio.run(main()), open_now


def test_a_task_cancelled_at_any_await_leaves_no_task_and_no_request() -> None:
    turns, left = turns_until_done(None)
    assert left == []
    assert turns > 20

    assert [turns_until_done(turn)[1] for turn in range(turns)] == [[]] * turns


def test_a_request_to_stop_is_not_answered_by_another_request() -> None:
    asked: list[int] = []

    def fetch(step: FetchPage) -> PageResponse:
        asked.append(step.number)
        if step.number == 3:
            raise ShutdownRequested("SIGTERM was received.")
        return PageResponse("https://x", {}, {**body(step.number), "for": step.number})

    pages = scripted(fetch, [1, 2, 3])
    with pytest.raises(ShutdownRequested):
        list(pages)

    assert asked.count(3) == 1


def test_what_the_walk_did_not_ask_for_is_never_given_to_it() -> None:
    """Should a guess be wrong, whatever the answer says."""

    def fetch(step: FetchPage) -> PageResponse:
        return PageResponse("https://x", {}, {**body(step.number), "for": step.number})

    assert list(scripted(fetch, [1, 2, 7, 8])) == [1, 2, 7, 8]


def scripted(fetch: Callable[[FetchPage], PageResponse], wanted: list[int]) -> Any:
    """A walk that asks for the pages *wanted*, whatever was foreseen: 2, 3, 4 …"""

    def step(number: int) -> FetchPage:
        return FetchPage(PageRequest("GET", "https://x", {"page": number}), number)

    def walked(before: Any) -> Any:
        take = before(fetch, lambda *_: None)
        for number in wanted:
            yield take(step(number)).body["for"]

    prospect = Prospect(step(2), PAGES - 1, "page", 1, 2, 2 * PAGES - 2, "items", (("total", 2 * PAGES),))
    return at_once(walked, SimpleNamespace(prospect=prospect), 3)  # type: ignore[arg-type]  # stands for a walk


# What is told of it


@pytest.mark.parametrize("colour", COLOURS)
def test_each_line_knows_its_walk_and_its_page_and_what_was_bound(
    colour: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", logger="controlroom")
    with serving(Listing(unavailable)) as server, bound(run_id="r1"):
        assert walk(colour, server.url, OFFSET, prefetch=4).error is None

    lines = [record.__dict__["controlroom"] for record in caplog.records]
    of_pages = [line for line in lines if line["event"] in {"request_finished", "retry_scheduled", "page_fetched"}]
    assert {line["run_id"] for line in lines} == {"r1"}
    assert len({line["walk"] for line in of_pages}) == 1
    for line in of_pages:
        if line["event"] == "request_finished":
            assert f"offset={2 * line['page'] - 2}" in line["url"]
    assert [line["page"] for line in lines if line["event"] == "page_fetched"] == list(range(1, PAGES + 1))
    assert [line["page"] for line in lines if line["event"] == "retry_scheduled"] == [4]


REPORTED = ("pages", "records", "expected", "verified", "stop_reason", "rejected")


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("prefetch", [0, 1, 4])
@pytest.mark.parametrize("take", [None, PAGES], ids=["to the end", "and closed behind the last page"])
def test_the_report_on_the_last_page_is_the_one_in_the_log(
    colour: str, style: str, prefetch: int, take: int | None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="controlroom")
    with serving(Listing()) as server:
        outcome = walk(colour, server.url, STYLES[style], prefetch=prefetch, take=take)

    lines = [record.__dict__["controlroom"] for record in caplog.records]
    finished = [line for line in lines if line["event"].startswith("walk_") and line["event"] != "walk_started"]
    report = outcome.pages[-1].report
    assert [line["event"] for line in finished] == ["walk_finished"]
    assert {name: finished[0][name] for name in REPORTED} == {name: getattr(report, name) for name in REPORTED}


class Refusing:
    """Credentials that fail for the third page, with any error at all."""

    def __init__(self, error: ControlRoomError) -> None:
        self.error = error

    def __call__(self, request: Any) -> None:
        if "offset=4" in request.url:
            raise self.error


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("prefetch", [0, 1, 4])
def test_every_class_of_error_resumes_the_walk_that_it_ended(colour: str, prefetch: int) -> None:
    with serving(Listing()) as server:
        for cls in EVERY_CLASS:
            ended = walk(colour, server.url, OFFSET, prefetch=prefetch, retry=None, auth=Refusing(cls("x")))
            assert isinstance(ended.error, cls)
            assert ended.error.checkpoint == ended.pages[-1].checkpoint

        rest = walk(colour, server.url, OFFSET, prefetch=prefetch, resume=ended.error.checkpoint)

    assert ended.records + rest.records == list(range(2 * PAGES))
