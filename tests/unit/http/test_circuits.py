"""A client whose server fails again and again: it stops asking, says so, and finds out by one probe when to go on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from controlroom.errors import APIConnectionError, APIStatusError, CircuitOpenError, ConfigError, ControlRoomError
from controlroom.http import ApiClient, AsyncApiClient, CircuitBreaker, RateLimit
from controlroom.policy import Backoff
from controlroom.retrying import RetryPolicy
from controlroom.testing import ManualClock
from tests.integration.http_colours import COLOURS

BASE = "https://api.example.com"


@pytest.fixture(autouse=True)
def manual() -> Iterator[ManualClock]:
    with ManualClock() as clock:
        yield clock


def ask(colour: str, answer: Callable[[httpx.Request], httpx.Response], circuit: CircuitBreaker, **client: Any) -> Any:
    """What one GET of a client with this circuit gave or raised."""
    options = {"transport": httpx.MockTransport(answer), "circuit": circuit, "retry": None, **client}

    async def asynchronous() -> Any:
        async with AsyncApiClient(BASE, **options) as api:
            return await api.get("/x")

    try:
        if colour == "async":
            return asyncio.run(asynchronous())
        with ApiClient(BASE, **options) as api:
            return api.get("/x")
    except ControlRoomError as error:
        return error


def status(code: int) -> Callable[[httpx.Request], httpx.Response]:
    return lambda request: httpx.Response(code)


def lost(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("refused")


def never(request: httpx.Request) -> httpx.Response:
    raise AssertionError("it was asked")


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("failure", [status(500), status(503), lost], ids=["500", "503", "lost"])
def test_an_origin_that_fails_again_and_again_is_not_asked_any_more(colour: str, failure: Any) -> None:
    circuit = CircuitBreaker(2, open_s=30)
    assert [isinstance(ask(colour, failure, circuit), APIStatusError | APIConnectionError) for _ in range(2)] == [
        True
    ] * 2

    refused = ask(colour, never, circuit)

    assert isinstance(refused, CircuitOpenError)
    assert refused.retry_after_s == pytest.approx(30)
    assert "was not sent" in refused.message


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("code", [404, 401, 429, 501])
def test_a_server_that_refuses_is_not_a_server_that_fails(colour: str, code: int) -> None:
    circuit = CircuitBreaker(1)
    ask(colour, status(code), circuit)

    assert ask(colour, status(200), circuit).status_code == 200


@pytest.mark.parametrize("colour", COLOURS)
def test_retries_wait_for_the_probe_and_the_probe_closes_it(colour: str, manual: ManualClock) -> None:
    circuit, answers = CircuitBreaker(2, open_s=20), [500, 500, 200]
    seen: list[float] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(round(sum(manual.sleeps), 3))
        return httpx.Response(answers[len(seen) - 1])

    response = ask(colour, answer, circuit, retry=RetryPolicy(attempts=4, backoff=Backoff(jitter="none", initial_s=1)))

    assert response.status_code == 200
    assert seen == [0, 1, 21]
    assert ask(colour, status(200), circuit).status_code == 200


@pytest.mark.parametrize("colour", COLOURS)
def test_a_post_that_was_refused_was_never_sent_and_may_be_repeated(colour: str) -> None:
    circuit = CircuitBreaker(1, open_s=5)
    ask("sync", status(500), circuit)
    options: dict[str, Any] = {"transport": httpx.MockTransport(status(200)), "circuit": circuit}

    async def asynchronous() -> Any:
        async with AsyncApiClient(BASE, **options) as api:
            return await api.post("/x", json={})

    with ApiClient(BASE, **options) as api:
        response = asyncio.run(asynchronous()) if colour == "async" else api.post("/x", json={})

    assert response.status_code == 200


def test_a_call_that_was_given_up_by_its_own_caller_says_nothing_about_the_server() -> None:
    circuit = CircuitBreaker(1, open_s=5)
    ask("sync", status(500), circuit)

    async def hanging(request: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError

    async def main() -> None:
        async with AsyncApiClient(BASE, transport=httpx.MockTransport(hanging), circuit=circuit, retry=None) as api:
            call = asyncio.ensure_future(api.get("/x"))
            for _ in range(5):
                await asyncio.sleep(0)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call

    with ManualClock() as clock:
        clock.advance(10)
        asyncio.run(main())
        assert ask("sync", status(200), circuit).status_code == 200


def test_a_pool_that_is_full_is_our_own_doing() -> None:
    def full(request: httpx.Request) -> httpx.Response:
        raise httpx.PoolTimeout("full")

    circuit = CircuitBreaker(1)
    ask("sync", full, circuit)

    assert ask("sync", status(200), circuit).status_code == 200


def test_something_else_than_a_circuit_breaker_is_refused() -> None:
    with pytest.raises(ConfigError, match="circuit is a int"):
        ApiClient(BASE, circuit=5)


@pytest.mark.parametrize("colour", COLOURS)
def test_who_was_in_the_queue_when_the_circuit_opened_is_not_sent_all_the_same(colour: str) -> None:
    circuit, limit, seen = CircuitBreaker(2, open_s=300), RateLimit(1000, in_flight=1), []

    def failing(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(500)

    options: dict[str, Any] = {"transport": httpx.MockTransport(failing), "circuit": circuit, "rate_limit": limit}

    async def asynchronous() -> list[Any]:
        async with AsyncApiClient(BASE, retry=None, **options) as api:
            return await asyncio.gather(*(api.get("/x") for _ in range(6)), return_exceptions=True)

    def synchronous() -> list[Any]:
        with ApiClient(BASE, retry=None, **options) as api, ThreadPoolExecutor(6) as threads:
            return [future.exception() for future in [threads.submit(api.get, "/x") for _ in range(6)]]

    errors = asyncio.run(asynchronous()) if colour == "async" else synchronous()

    assert len(seen) == 2
    assert sum(isinstance(error, CircuitOpenError) for error in errors) == 4
