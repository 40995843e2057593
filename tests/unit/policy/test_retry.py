from __future__ import annotations

import math
import select
import threading
from typing import Any

import pytest

import controlroom
from controlroom import policy
from controlroom.errors import (
    APIConnectionError,
    APIRateLimitError,
    ConfigError,
    ControlRoomError,
    DeadlineExceededError,
    Disposition,
    NothingToDo,
    PublicationInDoubtError,
    QueryError,
    ShutdownRequested,
)
from controlroom.policy.backoff import Backoff
from controlroom.policy.retry import Decision, GiveUp, RetryAfter, RetryBudget, judge

REFUSED = APIConnectionError("refused")


def decide(error: BaseException = REFUSED, **facts: Any) -> Decision:
    usual = {"attempt": 1, "attempts": 5, "backoff": Backoff(jitter="none"), "draw": 0.0}
    return judge(error, **{**usual, **facts})


def test_a_passing_failure_is_tried_again_after_the_backoff() -> None:
    assert decide(attempt=3) == RetryAfter(4.0, "APIConnectionError: backing off 4.0 s; attempt 3 of 5 failed")


def test_the_jitter_is_drawn_by_the_caller() -> None:
    assert decide(backoff=Backoff(), attempt=4, draw=0.25) == RetryAfter(
        2.0, "APIConnectionError: backing off 2.0 s; attempt 4 of 5 failed"
    )


def asked(seconds: float) -> APIRateLimitError:
    error = APIRateLimitError("slow down")
    error.retry_after_s = seconds  # behind the back of the constructor, which puts impossible numbers right
    return error


@pytest.mark.parametrize("error", [KeyError("bug"), OSError("disk"), KeyboardInterrupt(), TimeoutError()])
def test_what_nobody_classified_is_never_repeated(error: BaseException) -> None:
    assert decide(error) == GiveUp(f"{type(error).__name__} is not known to be worth repeating", "disposition")


@pytest.mark.parametrize("disposition", [d for d in Disposition if d is not Disposition.RETRY])
def test_only_retry_means_retry(disposition: Disposition) -> None:
    error = ControlRoomError("no", disposition=disposition, retry_after_s=0.0)

    assert decide(error) == GiveUp(
        f"ControlRoomError says {disposition.value}: repeating cannot help or could harm", "disposition"
    )


@pytest.mark.parametrize("kind", [QueryError, PublicationInDoubtError, NothingToDo])
def test_an_error_in_doubt_or_for_a_person_is_not_repeated(kind: type[ControlRoomError]) -> None:
    assert isinstance(decide(kind("no")), GiveUp)


def test_the_instance_and_not_the_class_has_the_last_word_about_repeating() -> None:
    assert isinstance(decide(APIConnectionError("sent half of it", disposition=Disposition.STOP)), GiveUp)
    assert isinstance(decide(QueryError("known to pass", disposition=Disposition.RETRY)), RetryAfter)


def test_a_request_to_stop_is_never_retried_in_process_though_it_says_retry_to_the_scheduler() -> None:
    assert decide(ShutdownRequested("SIGTERM")) == GiveUp("this process was asked to stop", "shutdown")


@pytest.mark.parametrize(("attempt", "goes_on"), [(4, True), (5, False), (6, False)])
def test_the_last_attempt_is_the_last(attempt: int, goes_on: bool) -> None:
    decision = decide(attempt=attempt)

    assert isinstance(decision, RetryAfter) is goes_on
    if not goes_on:
        assert decision == GiveUp(f"attempt {attempt} of 5 failed", "attempts")


def test_what_the_server_asks_for_wins_over_the_backoff_both_ways() -> None:
    for asked_s in (0.0, 60.0):
        error = asked(asked_s)
        assert decide(error, attempt=3) == RetryAfter(
            asked_s, f"APIRateLimitError: the other side asked for {asked_s:.1f} s; attempt 3 of 5 failed"
        )


def test_an_instant_that_has_passed_already_is_no_wait_rather_than_a_negative_one() -> None:
    assert decide(asked(-5)).wait_s == 0.0


def test_a_retry_after_that_is_no_number_falls_back_on_the_backoff() -> None:
    assert decide(asked(math.nan)).wait_s == 1.0


def test_asked_to_wait_longer_than_allowed_it_gives_up_rather_than_come_back_early() -> None:
    assert decide(asked(301), max_wait_s=300) == GiveUp(
        "APIRateLimitError: the other side asked for 301.0 s; the longest wait allowed is 300.0 s", "longest wait"
    )
    assert decide(asked(300), max_wait_s=300).wait_s == 300


def test_asked_to_wait_forever_it_gives_up_even_where_no_limit_was_set() -> None:
    decision = decide(asked(math.inf))

    assert isinstance(decision, GiveUp)
    assert decision.rule == "longest wait"


def test_a_backoff_longer_than_the_longest_wait_is_cut_and_does_not_end_the_series() -> None:
    assert decide(backoff=Backoff(initial_s=600, cap_s=3600, jitter="none"), max_wait_s=300).wait_s == 300


@pytest.mark.parametrize(("elapsed_s", "goes_on"), [(7.9, True), (8.0, True), (8.1, False)])
def test_no_retry_begins_later_than_the_time_for_all_attempts(elapsed_s: float, goes_on: bool) -> None:
    decision = decide(attempt=2, elapsed_s=elapsed_s, max_elapsed_s=10.0)

    assert isinstance(decision, RetryAfter) is goes_on


def test_giving_up_for_lack_of_time_says_how_much_was_needed_and_left() -> None:
    assert decide(attempt=2, elapsed_s=8.5, max_elapsed_s=10.0) == GiveUp(
        "needed 2.0 s, 1.5 s left of 10.0 s for all attempts", "elapsed"
    )
    assert decide(attempt=2, elapsed_s=12.0, max_elapsed_s=10.0) == GiveUp(
        "needed 2.0 s, 0.0 s left of 10.0 s for all attempts", "elapsed"
    )


def test_elapsed_time_is_counted_from_zero_when_nobody_says() -> None:
    assert isinstance(decide(max_elapsed_s=1.0), RetryAfter)


@pytest.mark.parametrize(("remaining_s", "goes_on"), [(1.1, True), (1.0, False), (0.0, False)])
def test_a_wait_that_would_use_up_the_deadline_is_not_begun(remaining_s: float, goes_on: bool) -> None:
    decision = decide(remaining_s=remaining_s)

    assert isinstance(decision, RetryAfter) is goes_on
    if not goes_on:
        assert decision == GiveUp(f"needed 1.0 s, {remaining_s:.1f} s left before the deadline", "deadline")


def test_retry_after_beyond_the_deadline_gives_up_at_once() -> None:
    decision = decide(asked(60), remaining_s=30)

    assert decision == GiveUp("needed 60.0 s, 30.0 s left before the deadline", "deadline")


def test_after_the_deadline_not_even_an_immediate_retry_is_begun() -> None:
    assert isinstance(decide(DeadlineExceededError("late"), backoff=Backoff(initial_s=0), remaining_s=0.0), GiveUp)


def test_an_empty_budget_ends_the_series() -> None:
    assert decide(budget_left=False) == GiveUp("the shared retry budget is empty: too many calls are failing", "budget")


def test_what_could_not_be_repeated_anyway_is_not_blamed_on_the_budget() -> None:
    assert decide(QueryError("no"), budget_left=False).rule == "disposition"
    assert decide(attempt=5, budget_left=False).rule == "attempts"
    assert decide(remaining_s=0, budget_left=False).rule == "deadline"


class TestBudget:
    def test_it_starts_full_and_each_retry_takes_one(self) -> None:
        budget = RetryBudget(tokens=2, refill_per_s=0)

        assert [budget.take(0.0) for _ in range(3)] == [True, True, False]

    def test_looking_takes_nothing(self) -> None:
        budget = RetryBudget(tokens=1, refill_per_s=0)

        assert all(budget.has_token(0.0) for _ in range(5))
        assert budget.take(0.0)
        assert not budget.has_token(0.0)

    def test_tokens_come_back_with_time_and_not_before(self) -> None:
        budget = RetryBudget(tokens=1, refill_per_s=0.5)
        budget.take(100.0)

        assert not budget.has_token(101.9)
        assert budget.has_token(102.0)
        assert budget.take(102.0)

    def test_an_idle_night_does_not_save_up_a_storm_for_the_morning(self) -> None:
        budget = RetryBudget(tokens=2, refill_per_s=1)
        budget.take(0.0)

        assert [budget.take(40_000.0) for _ in range(3)] == [True, True, False]

    def test_time_before_the_first_retry_does_not_overfill_it(self) -> None:
        assert [RetryBudget(tokens=0.5, refill_per_s=1).take(now_s) for now_s in (0.0, 1e6)] == [False, False]

    def test_a_refused_retry_keeps_what_had_come_back_so_far(self) -> None:
        budget = RetryBudget(tokens=1, refill_per_s=0.5)
        budget.take(0.0)
        refused = [budget.take(now_s) for now_s in (0.5, 1.0, 1.5)]

        assert refused == [False, False, False]
        assert budget.take(2.0)

    def test_a_thread_that_read_the_clock_earlier_but_arrived_later_pays_no_second_out_twice(self) -> None:
        budget = RetryBudget(tokens=2, refill_per_s=1)
        for now_s in (10.0, 10.0, 9.5):  # the third is refused, and must not turn the clock back
            budget.take(now_s)

        assert not budget.take(10.9)
        assert budget.take(11.0)

    def test_a_reading_from_before_the_last_one_takes_nothing_away(self) -> None:
        budget = RetryBudget(tokens=2, refill_per_s=1)
        budget.take(10.0)

        assert budget.has_token(0.0)

    @pytest.mark.parametrize("field", ["tokens", "refill_per_s"])
    @pytest.mark.parametrize("number", [-0.1, math.nan, math.inf])
    def test_a_budget_that_cannot_be_is_refused(self, field: str, number: float) -> None:
        with pytest.raises(ConfigError) as refused:
            RetryBudget(**{"tokens": 1, "refill_per_s": 1, field: number})

        assert f"{field}={number}" in refused.value.message
        assert refused.value.message.endswith("is not possible: give finite numbers, zero or more.")

    def test_a_budget_of_nothing_is_allowed_and_allows_no_retry(self) -> None:
        assert not RetryBudget(tokens=0, refill_per_s=0).take(0.0)

    def test_two_budgets_are_two_even_when_equally_full_so_policies_that_hold_one_can_be_hashed(self) -> None:
        one, other = RetryBudget(1, 1), RetryBudget(1, 1)

        assert one != other
        assert len({one, other}) == 2
        assert repr(one) == "RetryBudget(tokens=1, refill_per_s=1)"

    def test_eight_threads_never_take_more_than_there_is(self) -> None:
        class Hesitant(RetryBudget):
            def _level(self, now_s: float) -> float:
                level = super()._level(now_s)
                select.select([], [], [], 0)  # lets another thread run between looking and taking
                return level

        budget = Hesitant(tokens=50, refill_per_s=0)
        start = threading.Barrier(8)
        taken: list[bool] = []

        def take() -> None:
            start.wait(timeout=30)
            taken.extend(budget.take(0.0) for _ in range(20))

        threads = [threading.Thread(target=take) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=30)

        assert len(taken) == 160
        assert sum(taken) == 50


@pytest.mark.parametrize("name", ["RetryPolicy", "deadline", "current_deadline"])
def test_what_needs_a_clock_is_found_in_policy_too(name: str) -> None:
    assert getattr(policy, name) is getattr(controlroom, name)
    assert name in policy.__all__


def test_policy_offers_nothing_else_from_upstairs() -> None:
    with pytest.raises(AttributeError) as refused:
        _ = policy.ApiClient

    assert str(refused.value) == "module 'controlroom.policy' has no attribute 'ApiClient'"
