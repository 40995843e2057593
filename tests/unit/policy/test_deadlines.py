from __future__ import annotations

import math

import pytest

from controlroom.errors import ConfigError, DeadlineExceededError, Disposition
from controlroom.policy.deadlines import Deadline


class Clock:
    def __init__(self, now_s: float = 100.0) -> None:
        self.now_s = now_s

    def __call__(self) -> float:
        return self.now_s


def test_a_deadline_is_an_instant_so_time_that_passes_counts_against_it() -> None:
    clock = Clock()
    deadline = Deadline.after(30, clock)

    clock.now_s += 12

    assert deadline.at_s == 130
    assert deadline.remaining_s() == 18


def test_what_is_left_is_never_negative_so_that_no_timeout_below_is() -> None:
    clock = Clock()
    deadline = Deadline.after(5, clock)

    clock.now_s += 6

    assert deadline.remaining_s() == 0.0
    assert deadline.fit(10) == 0.0


@pytest.mark.parametrize(("passed_s", "over"), [(4.9, False), (5.0, True), (5.1, True)])
def test_at_the_instant_itself_a_deadline_is_over(passed_s: float, over: bool) -> None:
    clock = Clock()
    deadline = Deadline.after(5, clock)

    clock.now_s += passed_s

    assert deadline.is_over is over


def test_a_deadline_of_zero_seconds_is_over_and_allowed() -> None:
    assert Deadline.after(0, Clock()).is_over


@pytest.mark.parametrize("timeout_s", [-0.001, math.nan, math.inf, -math.inf])
def test_a_deadline_that_could_not_be_kept_is_refused(timeout_s: float) -> None:
    with pytest.raises(ConfigError) as refused:
        Deadline.after(timeout_s, Clock())

    assert refused.value.message == f"A deadline of {timeout_s} s is not possible: give seconds, zero or more."


@pytest.mark.parametrize(("timeout_s", "fitted_s"), [(10, 10), (30, 30), (31, 30)])
def test_a_timeout_is_cut_to_what_is_left(timeout_s: float, fitted_s: float) -> None:
    assert Deadline.after(30, Clock()).fit(timeout_s) == fitted_s


def test_an_inner_deadline_never_extends_an_outer_one() -> None:
    clock = Clock()
    near, far = Deadline.after(5, clock), Deadline.after(9, clock)

    assert near.tightest(far) is near
    assert far.tightest(near) is near
    assert far.tightest(None) is far


def test_of_two_equal_deadlines_the_own_one_is_kept() -> None:
    clock = Clock()
    own, other = Deadline.after(5, clock), Deadline.after(5, clock)

    assert own.tightest(other) is own


def test_nothing_is_begun_that_needs_more_than_is_left() -> None:
    with pytest.raises(DeadlineExceededError) as refused:
        Deadline.after(3.1, Clock()).require("GET /orders", needed_s=8)

    assert refused.value.message == ("GET /orders: needed 8.0 s, 3.1 s left before the deadline. It was not begun.")
    assert (refused.value.needed_s, refused.value.left_s) == (8, pytest.approx(3.1))
    assert refused.value.disposition is Disposition.RETRY


def test_what_needs_exactly_what_is_left_may_begin() -> None:
    Deadline.after(3, Clock()).require("GET /orders", needed_s=3)


@pytest.mark.parametrize("left_s", [0.001, 0.5])
def test_what_needs_nothing_in_particular_may_begin_while_anything_is_left(left_s: float) -> None:
    Deadline.after(left_s, Clock()).require("GET /orders")


def test_after_the_deadline_not_even_what_needs_nothing_may_begin() -> None:
    with pytest.raises(DeadlineExceededError) as refused:
        Deadline.after(0, Clock()).require("GET /orders")

    assert (refused.value.needed_s, refused.value.left_s) == (0.0, 0.0)


def test_two_deadlines_at_the_same_instant_are_equal_whatever_clock_reads_it() -> None:
    assert Deadline(7.0, Clock()) == Deadline(7.0, Clock(8))
    assert repr(Deadline(7.0, Clock())) == "Deadline(at_s=7.0)"
