"""Laws of pages that load at once: what comes is what a walk one page after the other would have brought, or an error."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
from hypothesis import event, given
from hypothesis import strategies as st

from controlroom.errors import ControlRoomError, IncompletePaginationError
from controlroom.http import AsyncApiClient, Endpoint, OffsetPagination, Page, PageNumberPagination
from controlroom.retrying import RetryPolicy

State = list[int]


@dataclass
class Listing:
    """A server of one list, which answers in any order: each request waits for as many turns as *delays* say."""

    states: list[State]
    clamp: int
    lie: int = 0
    short: int | None = None
    busy_beyond: int = 1000
    delays: list[int] = field(default_factory=lambda: [0])
    asked: list[tuple[int, int]] = field(default_factory=list)
    begun: int = 0
    under_way: int = 0
    changes_at: list[int] = field(default_factory=list)

    @property
    def version(self) -> int:
        """How often the list changed by now: before the n-th answer, for each n in `changes_at`."""
        return min(len(self.states) - 1, sum(at < len(self.asked) for at in self.changes_at))

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        params = {name: int(value) for name, value in request.url.params.items()}
        size = min(params["limit"], self.clamp)
        at = params["offset"] if "offset" in params else (params["page"] - 1) * size
        self.begun, self.under_way = self.begun + 1, self.under_way + 1
        try:
            if self.under_way > self.busy_beyond:
                return httpx.Response(503, json={})
            for _ in range(self.delays[self.begun % len(self.delays)]):
                await asyncio.sleep(0)
            self.asked.append((at, self.version))
            state = self.states[self.version]
            records = [{"id": one, "version": self.version} for one in state[at : at + size]]
            if self.short is not None and at <= self.short < at + size:
                records = records[:-1]  # filtered behind the paging
            total = max(0, len(state) + self.lie)
            return httpx.Response(200, json={"items": records, "total": total, "pages": -(-total // size)})
        finally:
            self.under_way -= 1


def endpoint(style: str, size: int) -> Endpoint[Any]:
    pagination = {
        "offset": OffsetPagination(size=size, total="total"),
        "number": PageNumberPagination(size_param="limit", size=size),
        "only pages": PageNumberPagination(size_param="limit", size=size, total_pages="pages"),
        "number of so many": PageNumberPagination(size_param="limit", size=size, total_pages="pages"),
    }[style]
    return Endpoint("/items", records="items", pagination=pagination, total="total" if "number" in style else None)


Outcome = tuple[list[Page[Any]], ControlRoomError | None]


def walked(listing: Listing, style: str, size: int, prefetch: int) -> Outcome:
    pages: list[Page[Any]] = []

    async def walk() -> ControlRoomError | None:
        retry = RetryPolicy(attempts=1)
        async with AsyncApiClient("https://x", transport=httpx.MockTransport(listing), retry=retry) as api:
            try:
                async for page in api.pages(endpoint(style, size), prefetch=prefetch):
                    pages.append(page)  # noqa: PERF401 - those before an error are kept
            except ControlRoomError as error:
                return error
            finally:
                assert asyncio.all_tasks() == {asyncio.current_task()}
        return None

    return pages, asyncio.run(walk())


def told(outcome: Outcome) -> Any:
    pages, error = outcome
    said = None if error is None else (type(error), error.message, error.checkpoint)
    return [(page.records, page.number, page.checkpoint, page.report) for page in pages], said


STYLES = st.sampled_from(["offset", "number", "number of so many", "only pages"])
DELAYS = st.lists(st.integers(0, 6), min_size=1, max_size=8)


STILL = st.builds(
    Listing,
    states=st.integers(0, 40).map(lambda length: [list(range(length))]),
    clamp=st.integers(1, 9),
    lie=st.sampled_from([0, 0, 0, -3, -1, 1, 5]),
    short=st.none() | st.integers(0, 39),
    busy_beyond=st.sampled_from([1000, 1000, 1, 3]),
    delays=DELAYS,
)


@given(STILL, st.integers(1, 9), STYLES, st.integers(2, 6))
def test_a_list_that_stands_still_comes_page_by_page_as_without(
    at_once: Listing, size: int, style: str, prefetch: int
) -> None:
    one_by_one = replace(at_once, delays=[0], asked=[], begun=0)

    expected = told(walked(one_by_one, style, size, 0))

    assert told(walked(at_once, style, size, prefetch)) == expected
    assert len(at_once.asked) <= len(one_by_one.asked) + prefetch  # whatever was thrown away, it was one handful
    event(
        f"thrown away: {len(at_once.asked) > len(one_by_one.asked)}, error: {expected[1] and expected[1][0].__name__}"
    )


@st.composite
def changing(draw: st.DrawFn) -> Listing:
    """A list that only grows or only shrinks, each time in another place."""
    states = [list(range(draw(st.integers(0, 30))))]
    grows = draw(st.booleans())
    for new in range(4):
        states.append(changed(states[-1], draw(st.sampled_from(["front", "end", "middle"])), 100 + new, grows=grows))
    changes_at = draw(st.lists(st.integers(0, 20), max_size=4))
    return Listing(states, draw(st.integers(1, 6)), delays=draw(DELAYS), changes_at=changes_at)


def changed(state: State, place: str, new: int, *, grows: bool) -> State:
    at = {"front": 0, "end": len(state), "middle": len(state) // 2}[place]
    if grows:
        return [*state[:at], new, *state[at:]]
    gone = min(at, len(state) - 1)
    return [*state[:gone], *state[gone + 1 :]] if state else state


@given(changing(), st.integers(1, 6), STYLES, st.integers(2, 6))
def test_a_list_that_grows_or_shrinks_meanwhile_is_seen_in_its_own_order(
    listing: Listing, size: int, style: str, prefetch: int
) -> None:
    """No page shows an older list than the page before it, as in a walk that asks for one page after the other."""
    pages, error = walked(listing, style, size, prefetch)

    received, versions = 0, [0]
    for page in pages:
        at = received if style == "offset" else (page.number - 1) * min(size, listing.clamp)
        versions += sorted({record["version"] for record in page.records})
        records = [record["id"] for record in page.records]
        assert records == listing.states[versions[-1]][at : at + min(size, listing.clamp)] or not records
        received += len(page.records)
    assert versions == sorted(versions)
    assert error is None or isinstance(error, IncompletePaginationError)
    if error is None:
        assert pages[-1].report is not None
        assert pages[-1].report.records == received
        assert pages[-1].report.expected in {None, received}
    event(f"error: {error and type(error).__name__}, versions: {len(set(versions))}")
