"""The cap on requests under way: kept by threads and tasks together, and given back whatever happens."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import httpx
import pytest

from controlroom.errors import APIConnectionError, DeadlineExceededError
from controlroom.http import ApiClient, AsyncApiClient, RateLimit, Timeouts

pytestmark = pytest.mark.integration

BASE = "https://api.example.com"


class Watch:
    """Counts who is under way, and how many there were at most."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.now = self.most = self.all = 0
        self.may_end = threading.Event()

    def begin(self) -> None:
        with self.lock:
            self.now += 1
            self.all += 1
            self.most = max(self.most, self.now)

    def end(self) -> None:
        with self.lock:
            self.now -= 1


def test_threads_and_tasks_keep_to_one_cap_between_them() -> None:
    watch, limit = Watch(), RateLimit(10_000, in_flight=3)

    def blocking(_: httpx.Request) -> httpx.Response:
        watch.begin()
        watch.may_end.wait(0.002)
        watch.end()
        return httpx.Response(200)

    async def awaited(_: httpx.Request) -> httpx.Response:
        watch.begin()
        await asyncio.sleep(0.002)
        watch.end()
        return httpx.Response(200)

    def in_a_thread() -> None:
        with ApiClient(BASE, rate_limit=limit, transport=httpx.MockTransport(blocking)) as api:
            for _ in range(5):
                api.get("/x")

    async def in_tasks() -> None:
        async with AsyncApiClient(BASE, rate_limit=limit, transport=httpx.MockTransport(awaited)) as api:
            await asyncio.gather(*(api.get("/x") for _ in range(20)))

    threads = [threading.Thread(target=in_a_thread) for _ in range(4)]
    threads.append(threading.Thread(target=lambda: asyncio.run(in_tasks())))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert watch.all == 40
    assert 1 <= watch.most <= 3


def test_a_request_that_fails_or_is_cancelled_gives_its_place_back() -> None:
    limit = RateLimit(10_000, in_flight=1)

    async def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/breaks":
            message = "reset"
            raise httpx.ReadError(message)
        if request.url.path == "/hangs":
            await asyncio.sleep(60)
        return httpx.Response(200)

    async def main() -> None:
        options: dict[str, Any] = {"transport": httpx.MockTransport(answer), "rate_limit": limit, "retry": None}
        async with AsyncApiClient(BASE, **options) as api:
            with pytest.raises(APIConnectionError):
                await api.get("/breaks")
            hanging = asyncio.create_task(api.get("/hangs"))
            await asyncio.sleep(0.01)
            queued = asyncio.create_task(api.get("/queued"))
            waiting = asyncio.create_task(api.get("/x"))
            await asyncio.sleep(0.01)
            queued.cancel()  # leaves the queue
            await asyncio.sleep(0.01)
            hanging.cancel()  # leaves its place
            assert (await waiting).status_code == 200
            for task in (queued, hanging):
                with pytest.raises(asyncio.CancelledError):
                    await task
            assert (await api.get("/x")).status_code == 200

    asyncio.run(asyncio.wait_for(main(), 20))


@pytest.mark.parametrize("colour", ["sync", "async"])
def test_a_wait_for_a_place_ends_at_the_deadline(colour: str) -> None:
    limit = RateLimit(10_000, in_flight=1)
    assert limit.room is not None
    held = limit.room.ask()
    options: dict[str, Any] = {
        "transport": httpx.MockTransport(lambda _: httpx.Response(200)),
        "rate_limit": limit,
        "timeouts": Timeouts(total_s=0.3),
    }

    async def asynchronous() -> None:
        async with AsyncApiClient(BASE, **options) as api:
            await api.get("/x")

    with pytest.raises(DeadlineExceededError, match="fewer requests are under way"):
        if colour == "async":
            asyncio.run(asynchronous())
        else:
            with ApiClient(BASE, **options) as api:
                api.get("/x")

    held.leave()
    assert limit.room.ask().is_taken  # whoever gave up is not in the queue
