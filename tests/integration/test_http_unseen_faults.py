"""Faults that no list of faults foresaw, each met once: over real sockets, in both colours."""

from __future__ import annotations

import asyncio
import gc
import json
import socket
import threading
from typing import Any

import pytest

from controlroom.errors import APIContractError, ConfigError, PaginationLoopError
from controlroom.http import AsyncApiClient, CursorPagination, Endpoint, NextUrlPagination
from tests.integration.http_colours import COLOURS, walk
from tests.integration.http_server import Answer, Asked, raw_server, read_request, serving

pytestmark = pytest.mark.integration

ITEMS = Endpoint("/items", records="items", pagination=CursorPagination("cursor", "next"))


def encoded(body: Any) -> bytes:
    content = json.dumps(body).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(content), content)


def answering_twice(connection: socket.socket, over: threading.Event) -> None:
    """Send behind each answer another one that nobody asked for, as a server that lost count does."""
    while not over.is_set() and (head := read_request(connection)):
        number = int(head.partition(b"cursor=")[2][:1] or b"0")
        genuine = {"items": [number], "next": str(number + 1) if number < 3 else None}
        connection.sendall(encoded(genuine) + encoded({"items": [666], "next": None}))


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("path", ["/items", "/it'ems"])  # the second is not plain, and goes through the whole library
def test_what_comes_behind_an_answer_is_not_the_answer_to_the_next_request(path: str, colour: str) -> None:
    with raw_server(answering_twice) as url:
        outcome = walk(colour, url, Endpoint(path, records="items", pagination=CursorPagination("cursor", "next")))

    assert outcome.error is None
    assert outcome.records == [0, 1, 2, 3]


@pytest.mark.parametrize("colour", COLOURS)
def test_a_page_that_comes_under_two_cursors_is_not_handed_out_twice(colour: str) -> None:
    def answer(asked: Asked) -> Answer:
        number = int(asked.query.get("cursor", "0"))
        first = min(number, 1) * 10
        return Answer(
            {"items": [{"id": first + at} for at in range(10)], "next": str(number + 1) if number < 4 else None}
        )

    with serving(answer) as server:
        outcome = walk(colour, server.url, ITEMS)

    assert isinstance(outcome.error, PaginationLoopError)
    assert [record["id"] for record in outcome.records] == list(range(20))


@pytest.mark.parametrize("colour", COLOURS)
def test_links_that_are_written_anew_each_time_do_not_lead_in_circles(colour: str) -> None:
    def answer(asked: Asked) -> Answer:
        spelt = ["/items?a=1&b=2", "/%69tems?b=2&a=1", "/items?a=%31&b=2#x"][asked.number % 3]
        return Answer({"items": [{"id": 1}, {"id": 2}], "next": spelt, "at": asked.number})

    with serving(answer) as server:
        outcome = walk(colour, server.url, Endpoint("/items", records="items", pagination=NextUrlPagination("next")))

    assert isinstance(outcome.error, PaginationLoopError)
    assert len(outcome.records) == 2


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("last", [{"next": None, "has_more": True}, {"next": None, "errors": ["shard 3 is down"]}])
def test_a_last_page_that_says_it_is_none_raises(colour: str, last: dict[str, Any]) -> None:
    def answer(asked: Asked) -> Answer:
        return Answer({"items": [asked.number], **({"next": "2"} if asked.number == 1 else last)})

    with serving(answer) as server:
        outcome = walk(colour, server.url, ITEMS)

    assert isinstance(outcome.error, APIContractError)
    assert outcome.records == [1]
    assert outcome.error.checkpoint == outcome.pages[-1].checkpoint


# What a dead loop leaves behind warns of itself.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_one_client_serves_one_event_loop_after_the_other_and_never_two_at_once() -> None:
    with serving(lambda _: Answer({})) as server:
        api = AsyncApiClient(server.url)

        async def ask_once() -> int:
            return (await api.get("/")).status_code

        async def ask_elsewhere() -> None:
            await ask_once()
            with pytest.raises(ConfigError, match="another event loop"):
                await asyncio.to_thread(asyncio.run, ask_once())
            await api.aclose()

        assert asyncio.run(ask_once()) == 200
        assert asyncio.run(ask_once()) == 200
        asyncio.run(ask_elsewhere())
        gc.collect()
