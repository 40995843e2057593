"""A turn under the rate limit that nobody waits for any more: it goes to whoever comes next."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress

import httpx
import pytest

from controlroom import clock
from controlroom.errors import DeadlineExceededError
from controlroom.http import ApiClient, AsyncApiClient, RateLimit, Timeouts

BASE = "https://api.example.com"
PATIENT = Timeouts(total_s=10_000)


class Waits(threading.Event):
    """Tells when a wait for a turn has begun: a clock that does not move, and sleeps in moments."""

    begun: asyncio.Event

    def monotonic_s(self) -> float:
        return 0.0

    def utcnow(self) -> object:
        return clock.SystemClock().utcnow()

    def sleep(self, _seconds: float) -> None:
        self.set()

    async def asleep(self, _seconds: float) -> None:
        self.begun.set()
        await asyncio.Event().wait()


def answers() -> httpx.MockTransport:
    return httpx.MockTransport(lambda _: httpx.Response(200, json={}))


def test_a_thread_that_is_abandoned_gives_its_turn_back() -> None:
    limit, waits = RateLimit(1, per_s=60), Waits()
    with clock.installed(waits), ApiClient(BASE, rate_limit=limit, timeouts=PATIENT, transport=answers()) as api:
        api.get("/first")
        context, abandon = clock.abandonable()
        refused: list[DeadlineExceededError] = []

        def second() -> None:
            with pytest.raises(DeadlineExceededError) as raised:
                api.get("/second")
            refused.append(raised.value)

        thread = threading.Thread(target=context.run, args=(second,))
        thread.start()
        waits.wait()
        abandon()
        thread.join()

        assert refused
        assert limit.reserve(0.0) == 60


def test_a_task_that_is_cancelled_gives_its_turn_back() -> None:
    limit, waits = RateLimit(1, per_s=60), Waits()

    async def main() -> None:
        waits.begun = asyncio.Event()
        async with AsyncApiClient(BASE, rate_limit=limit, timeouts=PATIENT, transport=answers()) as api:
            await api.get("/first")
            second = asyncio.ensure_future(api.get("/second"))
            await waits.begun.wait()
            second.cancel()
            with suppress(asyncio.CancelledError):
                await second

    with clock.installed(waits):
        asyncio.run(main())

    assert limit.reserve(0.0) == 60
