from __future__ import annotations

import math
import threading
from typing import Any

import pytest

from controlroom.errors import ConfigError
from controlroom.policy.rate_limit import RateLimit


def instants(limit: RateLimit, count: int, now_s: float = 0.0) -> list[float]:
    """When *count* requests that all come at *now_s* may leave."""
    return [round(now_s + limit.reserve(now_s), 9) for _ in range(count)]


def test_requests_are_spread_evenly() -> None:
    assert instants(RateLimit(10, per_s=1.0), 4) == [0.0, 0.1, 0.2, 0.3]


@pytest.mark.parametrize("burst", [1, 3])
def test_a_place_that_is_given_back_goes_to_the_next(burst: int) -> None:
    limit = RateLimit(10, per_s=1.0, burst=burst)
    last = instants(limit, burst + 4)[-1]

    limit.give_back(last)

    assert instants(limit, 1) == [last]


def test_a_place_with_others_behind_it_is_not_given_twice() -> None:
    limit = RateLimit(10, per_s=1.0)
    *_, earlier, last = instants(limit, 4)

    limit.give_back(earlier)

    assert instants(limit, 1) == [round(last + 0.1, 9)]


@pytest.mark.parametrize("limit", [RateLimit(10), RateLimit(3, per_s=0.7), RateLimit(1, per_s=5)])
def test_no_window_ever_sees_more_than_the_limit(limit: RateLimit) -> None:
    left = instants(limit, 50)

    for start in left:
        in_window = [instant for instant in left if start <= instant < start + limit.per_s - 1e-9]
        assert len(in_window) <= limit.requests


def test_an_idle_limit_saves_up_its_burst_and_no_more() -> None:
    limit = RateLimit(10, burst=3)
    limit.reserve(0.0)

    assert instants(limit, 5, now_s=100.0) == [100.0, 100.0, 100.0, 100.1, 100.2]


def test_a_wait_that_does_not_fit_takes_no_place() -> None:
    limit = RateLimit(1, per_s=10)
    limit.reserve(0.0)

    assert limit.reserve(0.0, longest_wait_s=9.9) == 10.0
    assert limit.reserve(0.0, longest_wait_s=10.0) == 10.0


@pytest.mark.parametrize("burst", [1, 4])
def test_a_hold_stops_everybody_until_its_end(burst: int) -> None:
    limit = RateLimit(10, burst=burst)
    limit.hold(30.0)

    assert limit.reserve(0.0) == 30.0


def test_a_shorter_hold_does_not_end_a_longer_one() -> None:
    limit = RateLimit(10)
    limit.hold(30.0)
    limit.hold(5.0)

    assert limit.reserve(0.0) == 30.0


def test_threads_share_one_limit_and_no_place_is_given_twice() -> None:
    limit = RateLimit(1000)
    found: list[float] = []
    barrier = threading.Barrier(8)

    def reserve() -> None:
        barrier.wait()
        found.extend([limit.reserve(0.0) for _ in range(100)])

    threads = [threading.Thread(target=reserve) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(round(wait_s, 6) for wait_s in found) == [round(n / 1000, 6) for n in range(800)]


@pytest.mark.parametrize(
    "wrong",
    [
        {"requests": 0},
        {"requests": -1},
        {"requests": 1, "per_s": 0},
        {"requests": math.nan},
        {"requests": 1, "burst": 0},
    ],
)
def test_a_limit_that_lets_nothing_through_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        RateLimit(**wrong)


def test_a_cap_of_requests_under_way_has_a_room_of_that_many_places() -> None:
    room = RateLimit(10, in_flight=2).room

    assert room is not None
    assert RateLimit(10).room is None
    first, second, third = (room.ask() for _ in range(3))
    assert [place.is_taken for place in (first, second, third)] == [True, True, False]
