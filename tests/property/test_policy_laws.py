from __future__ import annotations

import asyncio
import math
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlroom.clock import deadline
from controlroom.errors import APIConnectionError, ControlRoomError, Disposition, ShutdownRequested
from controlroom.policy.deadlines import Deadline
from controlroom.policy.flow import drive, drive_async
from controlroom.policy.retry import Decision, GiveUp, RetryAfter, RetryBudget, judge
from controlroom.retrying import Backoff, RetryPolicy
from controlroom.retrying import series as series_of_tries
from controlroom.testing import FaultPlan, ManualClock, SimulatedCrash
from tests.property.strategies import (
    Script,
    World,
    attempt_numbers,
    backoffs,
    broken_steps,
    draws,
    errors,
    repeatable_errors,
    scripts,
    seconds,
    short_waits,
    steady_backoffs,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

optional_seconds = st.none() | seconds

situations = st.fixed_dictionaries(
    {
        "error": errors,
        "attempt": st.integers(1, 12),
        "attempts": st.integers(1, 10),
        "backoff": backoffs,
        "draw": draws,
        "elapsed_s": seconds,
        "max_elapsed_s": optional_seconds,
        "max_wait_s": seconds | st.just(math.inf),
        "remaining_s": optional_seconds,
        "budget_left": st.booleans(),
    }
)
# As wide, but so that most end in a retry: laws about retries need some.
hopeful = st.fixed_dictionaries(
    {
        "error": st.one_of(repeatable_errors, repeatable_errors, repeatable_errors, errors),
        "attempt": st.integers(1, 5),
        "attempts": st.integers(4, 10),
        "backoff": backoffs,
        "draw": draws,
        "elapsed_s": short_waits,
        "max_elapsed_s": st.none() | st.floats(100, 400),
        "max_wait_s": st.floats(50, 200) | st.just(math.inf),
        "remaining_s": st.none() | st.floats(50, 200),
        "budget_left": st.sampled_from([True, True, True, False]),
    }
)


def decide(situation: dict[str, Any], **changes: Any) -> Decision:
    facts = {**situation, **changes}
    return judge(facts.pop("error"), **facts)


@given(backoffs, attempt_numbers, draws)
def test_no_backoff_is_negative_or_longer_than_the_cap(backoff: Backoff, attempt: int, draw: float) -> None:
    assert 0 <= backoff.delay_s(attempt, draw) <= backoff.ceiling_s(attempt) <= backoff.cap_s


@given(backoffs, attempt_numbers)
def test_the_ceiling_of_the_backoff_never_comes_down(backoff: Backoff, attempt: int) -> None:
    assert backoff.ceiling_s(attempt) <= backoff.ceiling_s(attempt + 1)


@given(steady_backoffs, attempt_numbers, draws, draws)
def test_without_jitter_chance_plays_no_part_in_the_backoff(
    backoff: Backoff, attempt: int, one: float, two: float
) -> None:
    assert backoff.delay_s(attempt, one) == backoff.delay_s(attempt, two)


@given(hopeful)
def test_a_retry_breaks_no_limit(situation: dict[str, Any]) -> None:
    decision = decide(situation)
    if isinstance(decision, GiveUp):
        return
    error, wait_s = situation["error"], decision.wait_s

    assert isinstance(error, ControlRoomError)
    assert error.disposition is Disposition.RETRY
    assert not isinstance(error, ShutdownRequested)
    assert situation["attempt"] < situation["attempts"]
    assert situation["budget_left"]
    assert 0 <= wait_s <= situation["max_wait_s"]
    assert wait_s < (math.inf if situation["remaining_s"] is None else situation["remaining_s"])
    if situation["max_elapsed_s"] is not None:
        assert situation["elapsed_s"] + wait_s <= situation["max_elapsed_s"]


@given(hopeful)
def test_the_wait_is_what_was_asked_for_or_at_most_the_cap(situation: dict[str, Any]) -> None:
    decision = decide(situation)
    if isinstance(decision, GiveUp):
        return
    asked_s = situation["error"].retry_after_s

    if asked_s is None:
        assert decision.wait_s <= situation["backoff"].cap_s
    else:
        assert decision.wait_s == asked_s


@given(situations)
def test_the_same_situation_is_judged_the_same(situation: dict[str, Any]) -> None:
    assert decide(situation) == decide(situation)


@given(situations, steady_backoffs, draws)
def test_without_jitter_chance_plays_no_part_in_the_judgement(
    situation: dict[str, Any], steady: Backoff, draw: float
) -> None:
    assert decide(situation, backoff=steady) == decide(situation, backoff=steady, draw=draw)


@given(hopeful)
def test_more_room_never_turns_a_retry_into_giving_up(situation: dict[str, Any]) -> None:
    if isinstance(decide(situation), GiveUp):
        return
    roomier = {"attempts": situation["attempts"] + 1, "max_elapsed_s": None, "remaining_s": None, "elapsed_s": 0.0}

    for change, value in roomier.items():
        assert isinstance(decide(situation, **{change: value}), RetryAfter)


@given(situations)
def test_with_every_limit_left_out_only_the_error_and_the_attempts_decide(situation: dict[str, Any]) -> None:
    free = {"max_elapsed_s": None, "remaining_s": None, "max_wait_s": math.inf, "budget_left": True}
    decision = decide(situation, **free)

    if isinstance(decision, GiveUp):
        assert decision.rule in {"disposition", "shutdown", "attempts"}


@given(situations)
def test_every_decision_says_why(situation: dict[str, Any]) -> None:
    assert decide(situation).reason


@pytest.fixture(scope="module", autouse=True)
def _quiet() -> Iterator[None]:
    """Thousands of series give up here; none of that is news."""

    class Silent:
        def info(self, *_: Any, **__: Any) -> None: ...
        def warning(self, *_: Any, **__: Any) -> None: ...
        def failure(self, *_: Any, **__: Any) -> None: ...

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(series_of_tries, "_log", Silent())
        yield


def series(policy: RetryPolicy, planned: list[BaseException], limit_s: float, *, asynchronous: bool) -> dict[str, Any]:
    """Run *planned* failures, each costing 0.25 s, under *policy* and a deadline; say what happened."""
    left = list(planned)
    calls = 0

    with ManualClock() as clock, deadline(limit_s) as within:

        def attempt() -> str:
            nonlocal calls
            assert not within.is_over, "an attempt was begun after the deadline"
            calls += 1
            clock.advance(0.25)
            if left:
                raise left.pop(0)
            return "answer"

        async def aattempt() -> str:
            return attempt()

        raised: BaseException | None = None
        result = None
        try:
            result = asyncio.run(policy.acall(aattempt)) if asynchronous else policy.call(attempt)
        except BaseException as error:
            raised = error
        return {
            "calls": calls,
            "sleeps": clock.sleeps,
            "result": result,
            "raised": raised if raised is None else planned.index(raised),
            "attempts": getattr(raised, "attempts", ()),
        }


policies = st.builds(
    RetryPolicy,
    attempts=st.integers(1, 8),
    backoff=steady_backoffs,
    max_elapsed_s=optional_seconds,
    max_wait_s=short_waits,
)
limits = st.floats(min_value=0.01, max_value=1000)
plans = st.lists(errors, max_size=10, unique_by=id)


@given(policies, st.lists(repeatable_errors, max_size=10), limits)
def test_a_series_never_tries_more_often_nor_waits_longer_than_allowed(
    policy: RetryPolicy, planned: list[APIConnectionError], limit_s: float
) -> None:
    told = series(policy, list(planned), limit_s, asynchronous=False)

    assert 1 <= told["calls"] <= policy.attempts
    assert len(told["sleeps"]) == told["calls"] - 1
    assert all(0 <= wait_s <= policy.max_wait_s for wait_s in told["sleeps"])
    assert sum(told["sleeps"]) <= limit_s
    if policy.max_elapsed_s is not None:
        assert sum(told["sleeps"]) <= policy.max_elapsed_s


@given(policies, plans, limits)
def test_what_comes_out_of_a_series_is_the_answer_or_the_very_error_of_the_last_try(
    policy: RetryPolicy, planned: list[BaseException], limit_s: float
) -> None:
    told = series(policy, planned, limit_s, asynchronous=False)

    if told["raised"] is None:
        assert (told["result"], told["calls"]) == ("answer", len(planned) + 1)
    else:
        assert told["raised"] == told["calls"] - 1


@given(policies, st.lists(repeatable_errors, min_size=10, max_size=10), limits)
def test_the_attempts_on_the_error_are_what_happened(
    policy: RetryPolicy, planned: list[APIConnectionError], limit_s: float
) -> None:
    told = series(policy, list(planned), limit_s, asynchronous=False)

    assert [attempt.number for attempt in told["attempts"]] == list(range(1, told["calls"] + 1))
    assert [attempt.wait_s for attempt in told["attempts"]] == [*told["sleeps"], None]


@given(policies, st.lists(repeatable_errors, max_size=10), limits)
def test_both_colours_retry_the_same(policy: RetryPolicy, planned: list[APIConnectionError], limit_s: float) -> None:
    again = [APIConnectionError("refused", retry_after_s=error.retry_after_s) for error in planned]

    assert series(policy, list(planned), limit_s, asynchronous=False) == series(
        policy, list(again), limit_s, asynchronous=True
    )


@given(
    st.integers(0, 20),
    st.floats(0, 10),
    st.lists(st.floats(0, 100), min_size=1, max_size=60),
)
def test_a_budget_never_pays_out_more_than_was_there_and_came_back(
    tokens: int, refill_per_s: float, instants: list[float]
) -> None:
    """In whatever order the threads arrive with the instants that they read."""
    budget = RetryBudget(tokens, refill_per_s)

    taken = 0
    for now_s in instants:
        taken += budget.take(now_s)
        assert 0 <= budget._left <= tokens

    assert taken <= tokens + refill_per_s * (max(instants) - min(instants)) + 1e-6


@given(st.integers(0, 20), st.floats(0, 10), st.lists(st.floats(0, 100), max_size=30), st.floats(0, 100))
def test_a_budget_says_that_it_has_a_token_exactly_when_one_can_be_taken(
    tokens: int, refill_per_s: float, instants: list[float], now_s: float
) -> None:
    budget = RetryBudget(tokens, refill_per_s)
    for instant_s in instants:
        budget.take(instant_s)

    assert budget.has_token(now_s) == budget.take(now_s)


@given(st.integers(0, 100))
def test_eight_threads_never_take_a_budget_below_zero(tokens: int) -> None:
    budget = RetryBudget(tokens, refill_per_s=0)
    taken: list[bool] = []
    threads = [threading.Thread(target=lambda: taken.extend(budget.take(0.0) for _ in range(20))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)

    assert sum(taken) == min(tokens, 160)
    assert budget._left >= 0


@given(st.lists(seconds, min_size=1, max_size=8), seconds)
def test_nested_deadlines_only_tighten_and_never_outlast_the_first(nested: list[float], passed_s: float) -> None:
    now_s = 50.0

    def now() -> float:
        return now_s

    ambient: Deadline | None = None
    for timeout_s in nested:
        outer, ambient = ambient, Deadline.after(timeout_s, now).tightest(ambient)
        assert outer is None or ambient.at_s <= outer.at_s
    assert ambient is not None
    assert ambient.remaining_s() == max(0.0, 50.0 + min(nested) - 50.0)
    before_s = ambient.remaining_s()
    now_s += passed_s
    assert 0 <= ambient.remaining_s() <= before_s


@given(seconds, seconds)
def test_a_timeout_is_never_lengthened_and_never_negative(limit_s: float, timeout_s: float) -> None:
    fitted_s = Deadline.after(limit_s, lambda: 0.0).fit(timeout_s)

    assert 0 <= fitted_s <= min(limit_s, timeout_s)


@given(scripts, broken_steps)
def test_both_colours_drive_the_same(script: Script, broken: dict[int, type[BaseException]]) -> None:
    sync, async_ = World(broken), World(broken)

    def run_async() -> Any:
        """Without a loop, since asyncio lets KeyboardInterrupt out by a door of its own."""
        try:
            drive_async(script.flow(), async_.aperform).send(None)
        except StopIteration as end:
            return end.value

    assert sync.outcome_of(lambda: drive(script.flow(), sync.perform)) == async_.outcome_of(run_async)
    assert sync.performed == async_.performed


@given(scripts, broken_steps)
def test_what_goes_up_from_a_flow_is_the_very_error_of_a_step_or_the_flows_own(
    script: Script, broken: dict[int, type[BaseException]]
) -> None:
    world = World(broken)

    kind, what = world.outcome_of(lambda: drive(script.flow(), world.perform))

    failed = next((step for step in script.steps if step in broken), None)
    undo_failed = next((step for step in script.undo if step in broken), None)
    if failed is None:
        assert (kind, what) == ("value", [step * step for step in script.steps])
    elif undo_failed is not None:
        assert (kind, what) == ("error", [undo_failed])
    else:
        done = [step * step for step in script.steps[: script.steps.index(failed)]]
        expected = {"raise": ("error", [failed]), "go on": ("value", done), "translate": ("error", LookupError)}
        assert (kind, what) == expected[script.then]


@given(scripts, broken_steps, st.data())
def test_after_a_crash_nothing_was_done_that_would_not_have_been_done_without_it(
    script: Script, broken: dict[int, type[BaseException]], data: st.DataObject
) -> None:
    whole = World(broken)
    counting = FaultPlan()
    with suppress(BaseException):
        drive(script.flow(), counting.wrap(whole.perform))
    if not counting.steps:
        return
    step, when = data.draw(st.sampled_from(counting.points))

    world, plan = World(broken), FaultPlan.crash(step, when=when)
    with pytest.raises(SimulatedCrash):
        drive(script.flow(), plan.wrap(world.perform))

    assert world.performed == whole.performed[: len(world.performed)]
