from __future__ import annotations

import math

import pytest

from controlroom.errors import ConfigError
from controlroom.policy.backoff import Backoff


def test_without_jitter_the_waits_double_up_to_the_cap() -> None:
    backoff = Backoff(jitter="none")

    assert [backoff.delay_s(attempt, draw=0.3) for attempt in range(1, 7)] == [1, 2, 4, 8, 8, 8]


def test_full_jitter_spreads_over_all_of_the_ceiling_and_not_over_a_half_of_it() -> None:
    backoff = Backoff()

    assert [backoff.delay_s(3, draw) for draw in (0.0, 0.25, 0.5)] == [0, 1, 2]


def test_the_first_wait_is_bounded_by_the_cap_too() -> None:
    assert Backoff(initial_s=60, cap_s=8, jitter="none").delay_s(1, 0.0) == 8


def test_a_factor_of_one_waits_the_same_each_time() -> None:
    backoff = Backoff(initial_s=3, factor=1, jitter="none")

    assert [backoff.delay_s(attempt, 0.0) for attempt in (1, 2, 50)] == [3, 3, 3]


@pytest.mark.parametrize("attempt", [1_025, 100_000])
def test_a_number_too_large_for_a_float_is_the_cap_and_no_crash(attempt: int) -> None:
    assert Backoff().ceiling_s(attempt) == 8


def test_nothing_doubled_ever_so_often_is_still_nothing() -> None:
    assert Backoff(initial_s=0).ceiling_s(1_000_000) == 0.0


@pytest.mark.parametrize("field", ["initial_s", "cap_s"])
@pytest.mark.parametrize("seconds", [-1, math.nan, math.inf])
def test_a_schedule_that_could_not_be_kept_is_refused(field: str, seconds: float) -> None:
    with pytest.raises(ConfigError) as refused:
        Backoff(**{field: seconds})

    assert f"{field}={seconds}" in refused.value.message
    assert refused.value.message.endswith("has a time that is negative or not a number: give seconds, zero or more.")


@pytest.mark.parametrize("factor", [math.nan, math.inf])
def test_a_factor_that_is_no_number_is_refused(factor: float) -> None:
    with pytest.raises(ConfigError, match="not a number"):
        Backoff(factor=factor)


def test_a_schedule_that_would_wait_less_after_each_failure_is_refused() -> None:
    with pytest.raises(ConfigError) as refused:
        Backoff(factor=0.99)

    assert refused.value.message == (
        "Backoff(initial_s=1.0, factor=0.99, cap_s=8.0, jitter='full') would wait less after each failure: "
        "give a factor of 1 or more."
    )


def test_a_misspelt_jitter_is_refused_rather_than_read_as_none() -> None:
    with pytest.raises(ConfigError) as refused:
        Backoff(jitter="ful")  # type: ignore[arg-type]  # the mistake under test

    assert refused.value.message.endswith("""jitter='ful') names an unknown jitter: choose "full" or "none".""")


def test_a_schedule_of_no_wait_at_all_is_allowed() -> None:
    assert Backoff(initial_s=0, cap_s=0).delay_s(5, 0.9) == 0
