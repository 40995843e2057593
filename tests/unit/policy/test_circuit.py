from __future__ import annotations

import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlroom.errors import ConfigError
from controlroom.policy.circuit import Change, CircuitBreaker

HERE = "https://api.example.com"


def opened(breaker: CircuitBreaker, at_s: float = 0.0) -> CircuitBreaker:
    """A breaker whose circuit opened at *at_s*."""
    for number in range(breaker.failures):
        assert breaker.admit(HERE, at_s) == 0
        change = breaker.report(HERE, at_s, succeeded=False)
        assert (change is Change.OPENED) == (number == breaker.failures - 1)
    return breaker


def test_it_opens_at_the_last_straw_and_says_for_how_long() -> None:
    breaker = opened(CircuitBreaker(3, of=5, open_s=30), at_s=100)

    assert breaker.admit(HERE, 100) == 30
    assert breaker.admit(HERE, 129) == 1


def test_failures_that_are_few_among_many_do_not_open_it() -> None:
    breaker = CircuitBreaker(3, of=5)

    for number in range(40):
        assert breaker.report(HERE, 0, succeeded=number % 5 in {0, 2, 4}) is None
        assert breaker.admit(HERE, 0) == 0


def test_failures_beyond_the_window_are_forgotten() -> None:
    breaker = CircuitBreaker(2, of=2)

    assert [breaker.report(HERE, 0, succeeded=good) for good in (False, True, False, True, False)] == [None] * 5
    assert breaker.report(HERE, 0, succeeded=False) is Change.OPENED


def test_one_probe_goes_first_and_the_others_wait_for_it() -> None:
    breaker = opened(CircuitBreaker(1, open_s=30))

    assert breaker.admit(HERE, 30) == 0
    assert breaker.admit(HERE, 31) == 29


def test_a_probe_that_succeeds_closes_it_and_the_past_is_forgotten() -> None:
    breaker = opened(CircuitBreaker(2, of=2, open_s=30))
    breaker.admit(HERE, 30)

    assert breaker.report(HERE, 31, succeeded=True) is Change.CLOSED
    assert breaker.admit(HERE, 31) == 0
    assert breaker.report(HERE, 31, succeeded=False) is None


def test_a_probe_that_fails_opens_it_for_as_long_again() -> None:
    breaker = opened(CircuitBreaker(3, open_s=30))
    breaker.admit(HERE, 30)

    assert breaker.report(HERE, 32, succeeded=False) is Change.OPENED
    assert breaker.admit(HERE, 33) == 29


@pytest.mark.parametrize("succeeded", [True, False])
def test_news_from_before_it_opened_changes_nothing(succeeded: bool) -> None:
    breaker = opened(CircuitBreaker(1, open_s=30))

    assert breaker.report(HERE, 5, succeeded=succeeded) is None
    assert breaker.admit(HERE, 5) == 25


def test_a_probe_that_is_given_up_makes_room_for_another() -> None:
    breaker = opened(CircuitBreaker(1, open_s=30))
    breaker.admit(HERE, 30)
    breaker.abandon(HERE)

    assert breaker.admit(HERE, 31) == 0


def test_a_probe_that_never_reports_does_not_keep_it_open_for_ever() -> None:
    breaker = opened(CircuitBreaker(1, open_s=30))
    breaker.admit(HERE, 30)

    assert breaker.admit(HERE, 60) == 0


def test_each_origin_has_a_circuit_of_its_own() -> None:
    breaker = opened(CircuitBreaker(1))

    assert breaker.admit("https://other.example.com", 0) == 0
    breaker.abandon("https://third.example.com")


@pytest.mark.parametrize(
    "arguments",
    [{"failures": 0}, {"failures": 11}, {"failures": 1.5}, {"of": "10"}, {"open_s": 0}, {"open_s": float("inf")}],
)
def test_an_impossible_breaker_is_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="not possible"):
        CircuitBreaker(**arguments)


def test_threads_get_one_probe_between_them() -> None:
    breaker, admitted, barrier = opened(CircuitBreaker(1, open_s=30)), [], threading.Barrier(8)

    def ask() -> None:
        barrier.wait()
        if breaker.admit(HERE, 30) == 0:
            admitted.append(1)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert admitted == [1]


@given(st.lists(st.tuples(st.sampled_from(["admit", "good", "bad", "abandon"]), st.floats(0, 20)), max_size=60))
def test_whatever_happens_it_is_never_open_for_longer_than_it_says(events: list[tuple[str, float]]) -> None:
    breaker, now_s = CircuitBreaker(2, of=3, open_s=10), 0.0
    for what, later_s in events:
        now_s += later_s
        match what:
            case "admit":
                assert 0 <= breaker.admit(HERE, now_s) <= 10 + 1e-9  # instants are sums of floats
            case "abandon":
                breaker.abandon(HERE)
            case _:
                breaker.report(HERE, now_s, succeeded=what == "good")

    assert breaker.admit(HERE, now_s + 10 + 1e-9) == 0


def test_asking_how_long_admits_nobody() -> None:
    breaker = opened(CircuitBreaker(1, open_s=30))

    assert (breaker.wait_s(HERE, 10), breaker.wait_s("https://other.example.com", 10)) == (20, 0)
    assert [breaker.wait_s(HERE, 30) for _ in range(2)] == [0, 0]
    assert breaker.admit(HERE, 30) == 0
    assert breaker.wait_s(HERE, 31) == 29
