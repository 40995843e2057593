"""Pages that load ahead: in order, no further than asked, and gone when the consumer is."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import aclosing, closing
from typing import Any

import pytest

from controlroom.errors import APIStatusError, ConfigError
from controlroom.http import ApiClient, AsyncApiClient, CursorPagination, Endpoint, Timeouts
from controlroom.logs import bound
from controlroom.retrying import RetryPolicy
from tests.integration.http_colours import COLOURS
from tests.integration.http_server import Answer, Asked, serving

pytestmark = pytest.mark.integration

ITEMS = Endpoint("/items", records="items", pagination=CursorPagination("cursor", "next"))
PAGES = 8


def pages_of_two(asked: Asked) -> Answer:
    number = int(asked.query.get("cursor", "0"))
    return Answer({"items": [2 * number, 2 * number + 1], "next": str(number + 1) if number + 1 < PAGES else None})


class Counted:
    """A server that counts what it answered, and lets a test wait for it."""

    def __init__(self, answer: Callable[[Asked], Answer]) -> None:
        self.answer = answer
        self.answered = 0
        self.changed = threading.Condition()

    def __call__(self, asked: Asked) -> Answer:
        answer = self.answer(asked)
        with self.changed:
            self.answered += 1
            self.changed.notify_all()
        return answer

    def reach(self, count: int) -> bool:
        with self.changed:
            return self.changed.wait_for(lambda: self.answered >= count, timeout=30)


def walked(colour: str, url: str, each: Callable[[Any], None], *, prefetch: int, **client: Any) -> None:
    async def asynchronous() -> None:
        async with AsyncApiClient(url, **client) as api, aclosing(api.pages(ITEMS, prefetch=prefetch)) as pages:
            async for page in pages:
                await asyncio.to_thread(each, page)

    if colour == "async":
        asyncio.run(asynchronous())
        return
    with ApiClient(url, **client) as api, closing(api.pages(ITEMS, prefetch=prefetch)) as pages:
        for page in pages:
            each(page)


def left_over() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("controlroom")]


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("prefetch", [0, 1, 3, 50])
def test_every_record_comes_once_and_in_order(colour: str, prefetch: int) -> None:
    records: list[int] = []
    with serving(pages_of_two) as server:
        walked(colour, server.url, lambda page: records.extend(page.records), prefetch=prefetch)

    assert records == list(range(2 * PAGES))
    assert left_over() == []


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("prefetch", [1, 2])
def test_it_loads_as_far_ahead_as_asked_while_the_consumer_works(colour: str, prefetch: int) -> None:
    server_side, seen = Counted(pages_of_two), []

    def work(page: Any) -> None:
        ahead = min(page.number + prefetch, PAGES)
        seen.append((server_side.reach(ahead), server_side.answered == ahead))

    with serving(server_side) as server:
        walked(colour, server.url, work, prefetch=prefetch)

    assert seen == [(True, True)] * PAGES


@pytest.mark.parametrize("colour", COLOURS)
def test_an_error_comes_behind_the_pages_before_it(colour: str) -> None:
    def answer(asked: Asked) -> Answer:
        return Answer({}, 404) if asked.query.get("cursor") == "3" else pages_of_two(asked)

    taken: list[Any] = []
    with serving(answer) as server, pytest.raises(APIStatusError) as raised:
        walked(colour, server.url, taken.append, prefetch=5, retry=None)

    assert [page.number for page in taken] == [1, 2, 3]
    assert raised.value.checkpoint == taken[-1].checkpoint
    assert left_over() == []


@pytest.mark.parametrize("colour", COLOURS)
def test_a_consumer_that_fails_leaves_no_thread_and_no_task(colour: str) -> None:
    def fail(page: Any) -> None:
        raise ZeroDivisionError

    with serving(pages_of_two) as server, pytest.raises(ZeroDivisionError):
        walked(colour, server.url, fail, prefetch=2)

    assert left_over() == []


def test_a_consumer_that_stops_does_not_wait_for_a_retry_after() -> None:
    waits = threading.Event()

    def answer(asked: Asked) -> Answer:
        if asked.query.get("cursor") == "1":
            waits.set()
            return Answer({}, 503, {"Retry-After": "300"})
        return pages_of_two(asked)

    with serving(answer) as server, ApiClient(server.url, timeouts=Timeouts(total_s=1000)) as api:
        pages = api.pages(ITEMS, prefetch=1)
        next(pages)
        assert waits.wait(30)
        pages.close()  # would otherwise be here for five minutes, and the suite's own limit with it

    assert left_over() == []


def test_a_consumer_that_leaves_early_is_no_failure_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="controlroom")
    hangs, may_go_on = threading.Event(), threading.Event()

    def answer(asked: Asked) -> Answer:
        if asked.query.get("cursor") == "1":
            hangs.set()
            may_go_on.wait(30)
        return pages_of_two(asked)

    with serving(answer) as server, ApiClient(server.url, timeouts=Timeouts(read_s=1)) as api:
        pages = api.pages(ITEMS, prefetch=1)
        next(pages)
        assert hangs.wait(30)
        pages.close()
        may_go_on.set()

    told = [record.__dict__["controlroom"] for record in caplog.records]
    assert [line["event"] for line in told if line["level"] in {"ERROR", "WARNING"}] == []
    assert [line["reason"] for line in told if line["event"] == "walk_broken_off"] == ["closed"]


def test_what_was_bound_and_the_deadline_reach_the_thread(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="controlroom")
    with serving(pages_of_two) as server, ApiClient(server.url) as api, bound(run_id="r1"):
        list(api.pages(ITEMS, prefetch=2))

    fetched = [record for record in caplog.records if record.getMessage().startswith("page_fetched")]
    assert [record.__dict__["controlroom"]["run_id"] for record in fetched] == ["r1"] * PAGES


@pytest.mark.parametrize("prefetch", [-1, 1.5, True, "2"])
def test_what_is_no_number_of_pages_is_refused_at_once(prefetch: Any) -> None:
    with ApiClient("http://127.0.0.1:1", retry=RetryPolicy(attempts=1)) as api, pytest.raises(ConfigError):
        api.pages(ITEMS, prefetch=prefetch)
