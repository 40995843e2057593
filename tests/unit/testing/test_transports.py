from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from controlroom.errors import APIConnectionError, APIStatusError, APITimeoutError, ConfigError
from controlroom.http import ApiClient, AsyncApiClient
from controlroom.testing import ManualClock
from controlroom.testing.transports import FlakyTransport
from tests.integration.http_colours import COLOURS, ask


@pytest.fixture(autouse=True)
def manual() -> Iterator[ManualClock]:
    with ManualClock() as clock:
        yield clock


class Orders:
    """A server with an effect: what it carried out is counted."""

    def __init__(self) -> None:
        self.placed = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.placed += 1
        return httpx.Response(200, json={"order": self.placed})


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize(
    ("fault", "kind", "reaches_the_server"),
    [
        ("connect_error", APIConnectionError, False),
        ("connect_timeout", APITimeoutError, False),
        ("read_timeout", APITimeoutError, True),
        ("reset", APIConnectionError, True),
        ("cut_body", APIConnectionError, True),
        (503, APIStatusError, False),
        ((429, {"Retry-After": "5"}), APIStatusError, False),
    ],
    ids=["connect_error", "connect_timeout", "read_timeout", "reset", "cut_body", "503", "429"],
)
def test_each_fault_is_what_it_says_and_leaves_the_effect_it_says(
    colour: str, fault: Any, kind: type, reaches_the_server: bool
) -> None:
    server = Orders()
    transport = FlakyTransport(server, {2: fault})

    assert ask(colour, "https://x", path="/y", client={"transport": transport}).json() == {"order": 1}
    with pytest.raises(kind):
        ask(colour, "https://x", path="/y", client={"transport": transport, "retry": None})

    assert server.placed == 1 + reaches_the_server
    assert [(one.number, one.fault, one.method, one.url) for one in transport.injected] == [
        (2, fault, "GET", "https://x/y")
    ]
    assert transport.requests == 2


@pytest.mark.parametrize("colour", COLOURS)
def test_a_client_gets_through_a_plan_of_all_faults(colour: str, manual: ManualClock) -> None:
    plan = {1: "connect_error", 2: (503, {"Retry-After": "9"}), 3: "cut_body", 4: "reset"}
    server = Orders()

    response = ask(colour, "https://x", client={"transport": FlakyTransport(server, plan)})

    assert response.json() == {"order": 3}
    assert 9.0 in manual.sleeps


def test_an_order_whose_answer_was_lost_is_placed_once_per_try_that_arrived() -> None:
    """What an idempotency key is for: the second try reaches the server too."""
    server = Orders()

    ask("sync", "https://x", "POST", idempotency_key="k", client={"transport": FlakyTransport(server, {1: "reset"})})

    assert server.placed == 2


def test_an_asynchronous_handler_and_a_transport_can_be_wrapped() -> None:
    async def handler(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=1)

    inner = httpx.MockTransport(handler)

    assert ask("async", "https://x", client={"transport": FlakyTransport(handler, {})}).json() == 1
    assert ask("async", "https://x", client={"transport": FlakyTransport(inner, {})}).json() == 1


def test_the_inner_transport_is_closed_too() -> None:
    closed: list[str] = []

    class Inner(httpx.BaseTransport, httpx.AsyncBaseTransport):
        def close(self) -> None:
            closed.append("close")

        async def aclose(self) -> None:
            closed.append("aclose")

    ApiClient("https://x", transport=FlakyTransport(Inner(), {})).close()
    asyncio.run(AsyncApiClient("https://x", transport=FlakyTransport(Inner(), {})).aclose())

    assert closed == ["close", "aclose"]


def test_many_threads_meet_each_fault_once() -> None:
    transport = FlakyTransport(Orders(), dict.fromkeys(range(1, 20, 2), 500))
    statuses: list[int] = []

    def use() -> None:
        request = httpx.Request("GET", "https://x")
        statuses.extend([transport.handle_request(request).status_code for _ in range(5)])

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (statuses.count(500), statuses.count(200)) == (10, 10)


@pytest.mark.parametrize("plan", [{0: 503}, {1: "explode"}, {-1: "reset"}], ids=["zero", "unknown", "negative"])
def test_a_plan_that_cannot_happen_is_refused(plan: Any) -> None:
    with pytest.raises(ConfigError):
        FlakyTransport(Orders(), plan)
