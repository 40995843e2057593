"""What servers say about when to come back, where it makes no sense: years, minus signs, thousands of digits."""

from __future__ import annotations

import asyncio
import logging
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from controlroom.errors import APIRateLimitError, ControlRoomError, DeadlineExceededError
from controlroom.http import ApiClient, AsyncApiClient, RateLimit, Response, Timeouts
from controlroom.policy import Backoff
from controlroom.policy.quota import Quota
from controlroom.policy.rate_limit import LONGEST_HOLD_S
from controlroom.retrying import RetryPolicy
from controlroom.testing import ManualClock
from tests.integration.http_colours import COLOURS

BASE: Final = "https://api.example.com"
DAY_S: Final = 86_400.0
TOO_LONG: Final = [
    {"RateLimit": '"default";r=0;t=99999999'},
    {"RateLimit": '"default";r=0;t=' + "9" * 5_000},
    {"RateLimit": "limit=5, remaining=0, reset=99999999"},
    {"RateLimit-Remaining": "0", "RateLimit-Reset": "99999999"},
    {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "9" * 20},
    {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "9" * 5_000},
    {"X-Rate-Limit-Remaining": "0", "X-Rate-Limit-Reset": "253402300799"},  # the last second of the year 9999
    {"X-RateLimit-Remaining": "0." + "0" * 400, "X-RateLimit-Reset": "86401"},
]
UNREADABLE: Final = [
    "-1",
    "-99999999",
    "NaN",
    "inf",
    "1e9",
    "0x10",
    "+5",
    "",
    "soon",
    "٣",
    "Fri, 31 Dec 9999 23:59:59 GMT",
]
NO_WAIT: Final = ["0", "1", str(10**9), "1" + "0" * 12]  # instants of 2001, in seconds and in milliseconds
DATES: Final = [
    "Fri, 31 Dec 9999 23:59:59 GMT",
    "Fri, 31 Dec 9999 23:00:00 -2300",  # beyond the last day that Python knows
    "Mon, 01 Jan 99999 00:00:00 GMT",
    "Mon, 01 Jan " + "9" * 5_000 + " 00:00:00 GMT",
    "Mon, 01 Jan 0001 00:00:00 +2359",
    "Thu, 01 Jan 1970 00:00:00 GMT",
    "Mon, 01 Jan 2024 00:00:00 +99999999",
]


@pytest.fixture(params=["alone", "shared"])
def limit(request: pytest.FixtureRequest, tmp_path: Path) -> RateLimit:
    return RateLimit(math.inf, shared=tmp_path / "limit" if request.param == "shared" else None)


@pytest.fixture(autouse=True)
def manual() -> Iterator[ManualClock]:
    with ManualClock() as clock:
        yield clock


class Client:
    """Makes calls of one limit; the first is answered with *headers*."""

    def __init__(
        self, colour: str, limit: RateLimit | None, status: int, headers: dict[str, str], **options: Any
    ) -> None:
        self.seen: list[httpx.Request] = []
        self.colour, self.first = colour, httpx.Response(status, headers=headers)
        transport = httpx.MockTransport(self.answer)
        self.options = {"transport": transport, "rate_limit": limit or RateLimit(math.inf), "retry": None, **options}

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        return self.first if len(self.seen) == 1 else httpx.Response(200)

    def get(self) -> Response | ControlRoomError:
        async def asynchronous() -> Response:
            async with AsyncApiClient(BASE, **self.options) as api:
                return await api.get("/x")

        try:
            if self.colour == "async":
                return asyncio.run(asynchronous())
            with ApiClient(BASE, **self.options) as api:
                return api.get("/x")
        except ControlRoomError as error:
            return error


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("headers", TOO_LONG, ids=range(len(TOO_LONG)))
def test_a_reset_in_years_holds_for_a_day_and_refuses_at_once(
    headers: dict[str, str], colour: str, limit: RateLimit, manual: ManualClock, caplog: Any
) -> None:
    caplog.set_level(logging.WARNING)
    client = Client(colour, limit, 200, headers)
    assert isinstance(client.get(), Response)

    refused = client.get()

    assert isinstance(refused, DeadlineExceededError)
    assert refused.retry_after_s == pytest.approx(DAY_S, abs=1)
    assert "waiting for the rate limit" in refused.message
    assert (len(client.seen), manual.sleeps) == (1, [])
    assert [record.message.partition(" ")[0] for record in caplog.records] == ["rate_limit_held"]
    manual.advance(DAY_S)
    assert isinstance(client.get(), Response)


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("reset", UNREADABLE)
def test_what_is_no_number_is_ignored(reset: str, colour: str, manual: ManualClock) -> None:
    for headers in (
        {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset.encode("ascii", "replace").decode()},
        {"RateLimit": f'"default";r=0;t={reset.encode("ascii", "replace").decode()}'},
    ):
        client = Client(colour, None, 200, headers)
        assert [isinstance(client.get(), Response) for _ in range(2)] == [True, True]

    assert manual.sleeps == []


@pytest.mark.parametrize("reset", NO_WAIT)
def test_a_reset_that_is_past_holds_nobody_up(reset: str, manual: ManualClock) -> None:
    client = Client("sync", None, 200, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset})

    assert [isinstance(client.get(), Response) for _ in range(2)] == [True, True]
    assert sum(manual.sleeps) <= 1


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("until", DATES, ids=range(len(DATES)))
@pytest.mark.parametrize("where", ["Retry-After", "Date"])
def test_a_date_of_any_year_neither_breaks_nor_stalls(where: str, until: str, colour: str, manual: ManualClock) -> None:
    fields = (
        {"Retry-After": until}
        if where == "Retry-After"
        else {"Retry-After": "Mon, 01 Jan 2024 00:00:00 GMT", "Date": until}
    )
    client = Client(colour, None, 429, fields)

    error = client.get()

    assert isinstance(error, APIRateLimitError)
    assert error.retry_after_s is None or 0 <= error.retry_after_s <= 1e9
    assert manual.sleeps == []
    manual.advance(DAY_S)
    assert isinstance(client.get(), Response)


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("after", ["99999999", "9" * 5_000], ids=["8 digits", "5000 digits"])
def test_a_retry_after_in_years_is_told_and_not_waited_for(after: str, colour: str, manual: ManualClock) -> None:
    policy = RetryPolicy(attempts=5, backoff=Backoff(initial_s=0.0))
    client = Client(colour, None, 429, {"Retry-After": after}, retry=policy, timeouts=Timeouts(total_s=1e9))

    error = client.get()

    assert isinstance(error, APIRateLimitError)
    assert error.retry_after_s is not None
    assert 99_999_999 <= error.retry_after_s <= 1e9
    assert (len(client.seen), manual.sleeps) == (1, [])
    assert error.attempts[-1].reason is not None


def test_a_call_with_all_the_time_in_the_world_waits_no_longer_than_a_day(manual: ManualClock) -> None:
    client = Client("sync", None, 200, TOO_LONG[0], timeouts=Timeouts(total_s=10 * DAY_S))
    client.get()

    assert isinstance(client.get(), Response)
    assert manual.sleeps == [DAY_S]


def test_whoever_heeds_quotas_holds_for_a_day_at_most() -> None:
    limit = RateLimit(math.inf)
    limit.heed([Quota(0, sys.float_info.max)], 100.0)

    assert limit.reserve(100.0) == LONGEST_HOLD_S == DAY_S


def test_a_hold_of_seconds_is_no_news(manual: ManualClock, caplog: Any) -> None:
    client = Client("sync", None, 200, {"RateLimit": '"default";r=0;t=59'})

    assert [isinstance(client.get(), Response) for _ in range(2)] == [True, True]
    assert manual.sleeps == [59.0]
    assert caplog.records == []
