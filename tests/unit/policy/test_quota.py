from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlroom.policy.quota import Quota, quotas_in
from controlroom.policy.rate_limit import RateLimit

NOW = datetime(2013, 1, 7, tzinfo=UTC)
EPOCH_S = int(NOW.timestamp())


@pytest.mark.parametrize(
    ("headers", "quotas"),
    [
        ({"ratelimit": '"default";r=50;t=30'}, [Quota(50, 30)]),
        ({"ratelimit": '"burst";r=0;t=12;pk=:cHA=:, "daily";t=3600;r=400'}, [Quota(0, 12), Quota(400, 3600)]),
        ({"ratelimit": '"a,b;r=9;t=9";r=1;t=2'}, [Quota(1, 2)]),
        ({"ratelimit": "limit=100, remaining=0, reset=12"}, [Quota(0, 12)]),
        ({"ratelimit-limit": "100, 100;w=60", "ratelimit-remaining": "3", "ratelimit-reset": "7"}, [Quota(3, 7)]),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(EPOCH_S + 90)}, [Quota(0, 90)]),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": str((EPOCH_S + 90) * 1000)}, [Quota(0, 90)]),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(EPOCH_S - 5)}, [Quota(0, 0)]),
        (
            {"x-rate-limit-limit": "15", "x-rate-limit-remaining": "14", "x-rate-limit-reset": "900"},
            [Quota(14, 900)],
        ),
        ({"x-ratelimit-remaining": "2.5", "x-ratelimit-reset": "0.25"}, [Quota(2.5, 0.25)]),
    ],
)
def test_each_family_is_read(headers: Mapping[str, str], quotas: list[Quota]) -> None:
    assert quotas_in(headers, lambda: NOW) == quotas


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"ratelimit": ""},
        {"ratelimit": '"default";r=50'},
        {"ratelimit": '"default";q=50;w=30'},
        {"ratelimit": '"unclosed;r=1;t=2'},
        {"ratelimit": "remaining=x, reset=1"},
        {"x-ratelimit-remaining": "-1", "x-ratelimit-reset": "60"},
        {"x-ratelimit-remaining": "unlimited", "x-ratelimit-reset": "60"},
        {"x-ratelimit-remaining": "0"},
        {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "Mon, 07 Jan 2013 00:01:30 GMT"},
        {"x-ratelimit-remaining": "٣", "x-ratelimit-reset": "٣"},
    ],
)
def test_what_cannot_be_read_holds_nobody_up(headers: Mapping[str, str]) -> None:
    assert quotas_in(headers, lambda: NOW) == []


@pytest.mark.parametrize("digits", [19, 400, 50_000])
def test_a_number_of_any_length_is_one_and_finite(digits: int) -> None:
    many = "9" * digits
    headers = {"ratelimit": f'"a";r=0;t={many}', "x-ratelimit-remaining": many, "x-ratelimit-reset": many}

    first, second = quotas_in(headers, lambda: NOW)

    assert first.remaining == 0
    assert all(1e15 < number < math.inf for number in (first.reset_s, second.remaining, second.reset_s))


@given(st.dictionaries(st.sampled_from(["ratelimit", "x-ratelimit-remaining", "x-ratelimit-reset"]), st.text()))
def test_no_header_makes_it_raise_or_wait_backwards(headers: dict[str, str]) -> None:
    assert all(quota.remaining >= 0 <= quota.reset_s < math.inf for quota in quotas_in(headers, lambda: NOW))


def test_a_used_up_quota_lets_nothing_leave_before_its_reset() -> None:
    limit = RateLimit(math.inf)
    limit.heed([Quota(400, 3600), Quota(0, 12)], 100.0)

    assert limit.reserve(101.0) == 11.0
    assert limit.reserve(112.0) == 0.0


def test_what_is_not_used_up_slows_nobody_down() -> None:
    limit = RateLimit(math.inf)
    limit.heed([Quota(1, 3600)], 0.0)

    assert [limit.reserve(0.0) for _ in range(3)] == [0.0, 0.0, 0.0]
