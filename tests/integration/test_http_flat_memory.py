"""A walk holds one page, however many it has taken."""

from __future__ import annotations

import asyncio
import json
import tracemalloc

import httpx
import pytest

from controlroom.http import ApiClient, AsyncApiClient, CursorPagination, Endpoint
from tests.integration.http_colours import COLOURS

EARLY, PAGES = 100, 500
ENDPOINT = Endpoint("/items", records="items", pagination=CursorPagination("cursor", "next"), total="total")


def page(request: httpx.Request) -> httpx.Response:
    number = int(request.url.params.get("cursor", "0"))
    items = [
        {"id": number * 10 + index, "name": f"record {index} of page {number}: {'x' * 2_000}"} for index in range(10)
    ]
    following = number + 1 if number + 1 < PAGES else None
    return httpx.Response(200, content=json.dumps({"items": items, "next": following, "total": PAGES * 10}))


class Meter:
    """Counts records and looks at the memory on two pages."""

    def __init__(self) -> None:
        self.records = 0
        self.bytes_at: dict[int, int] = {}

    def take(self, number: int, records: int) -> None:
        self.records += records
        if number in (EARLY, PAGES):
            self.bytes_at[number] = tracemalloc.get_traced_memory()[0]


async def walk_async(meter: Meter) -> None:
    async with AsyncApiClient("https://x", transport=httpx.MockTransport(page)) as api:
        async for taken in api.pages(ENDPOINT):
            meter.take(taken.number, len(taken.records))
            # A transport in memory never waits; a loop that never runs would throw none of its cancelled timers away.
            await asyncio.sleep(0)


def walk_sync(meter: Meter) -> None:
    with ApiClient("https://x", transport=httpx.MockTransport(page)) as api:
        for taken in api.pages(ENDPOINT):
            meter.take(taken.number, len(taken.records))


@pytest.mark.slow
@pytest.mark.parametrize("colour", COLOURS)
def test_five_hundred_pages_need_no_more_memory_than_one_hundred(colour: str) -> None:
    meter = Meter()
    tracemalloc.start()
    try:
        walk_sync(meter) if colour == "sync" else asyncio.run(walk_async(meter))
    finally:
        tracemalloc.stop()

    assert meter.records == PAGES * 10
    # Kept are two short digests a page, to notice a loop, and bounded caches; the records in between have 8 MB.
    assert meter.bytes_at[PAGES] - meter.bytes_at[EARLY] < 500_000
