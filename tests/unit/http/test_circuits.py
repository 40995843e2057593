"""A client whose server fails again and again: it stops asking, says so, and finds out by one probe when to go on."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import ctypes
import gc
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from controlroom import clock
from controlroom.errors import (
    APIConnectionError,
    APIContractError,
    APIStatusError,
    CircuitOpenError,
    ConfigError,
    ControlRoomError,
    StorageFullError,
)
from controlroom.http import ApiClient, AsyncApiClient, CircuitBreaker, RateLimit
from controlroom.policy import Backoff
from controlroom.policy.flow import Crash
from controlroom.retrying import RetryPolicy
from controlroom.testing import ManualClock, MemoryStore
from tests.integration.http_colours import COLOURS

BASE = "https://api.example.com"


@pytest.fixture(autouse=True)
def manual() -> Iterator[ManualClock]:
    with ManualClock() as time:
        yield time


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

    with ManualClock() as later:
        later.advance(10)
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


# The probe gives its turn back, whatever becomes of it


def half_open(manual: ManualClock) -> CircuitBreaker:
    """A breaker whose next call is the probe."""
    circuit = CircuitBreaker(1, open_s=30)
    ask("sync", status(500), circuit)
    manual.advance(30)
    return circuit


def admits_one_probe(circuit: CircuitBreaker) -> bool:
    """Whether one call, and not a second one, is let through now."""
    return [circuit.admit(f"{BASE}:443", clock.monotonic_s()).wait_s > 0 for _ in range(2)] == [False, True]


@pytest.mark.parametrize("after", range(40))
def test_a_probe_cancelled_at_any_await_lets_the_next_one_through(after: int, manual: ManualClock) -> None:
    circuit, answered = half_open(manual), []

    async def slow(request: httpx.Request) -> httpx.Response:
        for _ in range(5):
            await asyncio.sleep(0)
        return httpx.Response(200, stream=Slow())

    class Slow(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            for _ in range(5):
                await asyncio.sleep(0)
                yield b"x"

    async def main() -> None:
        options: dict[str, Any] = {"circuit": circuit, "retry": None, "rate_limit": RateLimit(1000, in_flight=1)}
        async with AsyncApiClient(BASE, transport=httpx.MockTransport(slow), **options) as api:
            call = asyncio.ensure_future(api.get("/x"))
            for _ in range(after):
                await asyncio.sleep(0)
            call.cancel()
            answered.extend(await asyncio.gather(call, return_exceptions=True))

    asyncio.run(main())

    if isinstance(answered[0], asyncio.CancelledError):
        assert admits_one_probe(circuit)
    else:
        assert answered[0].content == b"xxxxx"
        assert [circuit.admit(f"{BASE}:443", clock.monotonic_s()).wait_s for _ in range(3)] == [0, 0, 0]


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), ZeroDivisionError(), Crash()], ids=repr)
def test_a_probe_that_dies_lets_the_next_one_through(colour: str, error: BaseException, manual: ManualClock) -> None:
    circuit = half_open(manual)

    def dying(request: httpx.Request) -> httpx.Response:
        raise error

    with pytest.raises(type(error)):
        ask(colour, dying, circuit)
    error.__traceback__ = None  # the end of a process takes its frames along
    gc.collect()

    assert admits_one_probe(circuit)


def test_a_thread_that_is_ended_amid_its_probe_lets_the_next_one_through(manual: ManualClock) -> None:
    """Ended as a debugger or a watchdog does it: with an exception from outside, at any instruction."""
    circuit, asked = half_open(manual), threading.Event()

    def endless(request: httpx.Request) -> httpx.Response:
        asked.set()
        while True:
            pass

    def run() -> None:
        with contextlib.suppress(SystemExit):
            ask("sync", endless, circuit)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert asked.wait(10)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(SystemExit))
    thread.join(10)

    assert not thread.is_alive()
    assert admits_one_probe(circuit)


def test_a_download_whose_writer_fails_lets_the_next_probe_through(manual: ManualClock) -> None:
    circuit, full = half_open(manual), StorageFullError("the disk is full", ref="x")

    class Refusing(MemoryStore):
        def writer(self, *args: Any, **kwargs: Any) -> Any:
            raise full

    options: dict[str, Any] = {"transport": httpx.MockTransport(lambda _: httpx.Response(200, content=b"x" * 100))}
    with ApiClient(BASE, circuit=circuit, retry=None, **options) as api, pytest.raises(StorageFullError):
        api.download("/x", to=Refusing(), key="x")

    assert admits_one_probe(circuit)


@pytest.mark.parametrize("colour", COLOURS)
def test_an_answer_that_breaks_its_contract_says_nothing_and_lets_the_next_one_through(
    colour: str, manual: ManualClock
) -> None:
    circuit = half_open(manual)
    error = ask(colour, lambda _: httpx.Response(200, content=b"x" * 10), circuit, max_response_bytes=5)

    assert isinstance(error, APIContractError)

    assert admits_one_probe(circuit)


def test_a_client_dropped_amid_its_probe_lets_the_next_one_through(manual: ManualClock) -> None:
    """Nobody awaits the task any more: its loop was closed under it, and the collector ends it."""
    circuit = half_open(manual)

    async def hanging(request: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError

    options: dict[str, Any] = {"transport": httpx.MockTransport(hanging), "circuit": circuit, "retry": None}
    loop, context = asyncio.new_event_loop(), contextvars.copy_context()
    calls = [loop.create_task(AsyncApiClient(BASE, **options).get("/x"), context=context)]
    for _ in range(5):
        loop.run_until_complete(asyncio.sleep(0))
    assert circuit.admit(f"{BASE}:443", clock.monotonic_s()).wait_s > 0
    loop.close()
    context.run(calls.clear)
    context.run(gc.collect)

    assert admits_one_probe(circuit)


def test_threads_and_tasks_send_one_probe_between_them(manual: ManualClock) -> None:
    circuit, started, go_on, seen = half_open(manual), threading.Event(), threading.Event(), []

    def probed(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        started.set()
        assert go_on.wait(10)
        return httpx.Response(200)

    options: dict[str, Any] = {"circuit": circuit, "retry": None}

    async def tasks() -> list[Any]:
        async with AsyncApiClient(BASE, transport=httpx.MockTransport(never), **options) as api:
            return await asyncio.gather(*(api.get("/x") for _ in range(8)), return_exceptions=True)

    with ApiClient(BASE, transport=httpx.MockTransport(probed), **options) as api, ThreadPoolExecutor(9) as threads:
        first = threads.submit(api.get, "/x")
        assert started.wait(10)
        others = [threads.submit(api.get, "/x").exception() for _ in range(8)]
        refused = asyncio.run(tasks()) + others
        go_on.set()
        assert first.result().status_code == 200

    assert (len(seen), len(refused)) == (1, 16)
    assert all(isinstance(error, CircuitOpenError) for error in refused)
