from __future__ import annotations

import asyncio
import gc
import inspect
import logging
import traceback
import weakref
from collections.abc import Callable
from contextlib import suppress
from dataclasses import FrozenInstanceError
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import tenacity

from controlroom import clock, shutdown
from controlroom.errors import (
    APIConnectionError,
    APIRateLimitError,
    ConfigError,
    ControlRoomError,
    DeadlineExceededError,
    Disposition,
    PublicationInDoubtError,
    QueryError,
    ShutdownRequested,
)
from controlroom.retrying import Backoff, Deadline, GiveUp, RetryAfter, RetryBudget, RetryPolicy, deadline, series
from controlroom.testing import ManualClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

STEADY = RetryPolicy(backoff=Backoff(jitter="none"))

Run = Callable[..., Any]


@pytest.fixture(autouse=True)
def time_() -> Iterator[ManualClock]:
    with ManualClock() as manual:
        yield manual
    shutdown.reset()


class Lines:
    """Stands for the logger: notes what it is told."""

    def __init__(self) -> None:
        self.warnings: list[dict[str, Any]] = []
        self.ends: list[dict[str, Any]] = []
        self.failures: list[dict[str, Any]] = []

    def warning(self, event: str, /, **facts: Any) -> None:
        self.warnings.append({"event": event, **facts})

    def info(self, event: str, /, **facts: Any) -> None:
        self.ends.append({"event": event, **facts})

    def failure(self, event: str, /, error: BaseException, **facts: Any) -> None:
        self.failures.append({"event": event, "raised": error, **facts})


@pytest.fixture(autouse=True)
def lines(monkeypatch: pytest.MonkeyPatch) -> Lines:
    told = Lines()
    monkeypatch.setattr(series, "_log", told)
    return told


def facts_of(record: Any) -> dict[str, Any]:
    return dict(record.controlroom)


def by_call(policy: RetryPolicy, fn: Callable[[], Any]) -> Any:
    return policy.call(fn)


def by_acall(policy: RetryPolicy, fn: Callable[[], Any]) -> Any:
    async def asynchronous() -> Any:
        await asyncio.sleep(0)
        return fn()

    return asyncio.run(policy.acall(asynchronous))


def by_decorator(policy: RetryPolicy, fn: Callable[[], Any]) -> Any:
    @policy
    def decorated() -> Any:
        return fn()

    return decorated()


def by_async_decorator(policy: RetryPolicy, fn: Callable[[], Any]) -> Any:
    @policy
    async def decorated() -> Any:
        await asyncio.sleep(0)
        return fn()

    return asyncio.run(decorated())


@pytest.fixture(params=[by_call, by_acall, by_decorator, by_async_decorator], ids=lambda run: run.__name__)
def run(request: pytest.FixtureRequest) -> Run:
    return request.param


class Failing:
    """Raises what is planned, one after the other; then answers."""

    def __init__(self, *errors: BaseException) -> None:
        self.errors = list(errors)
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "answer"


def refused(text: str = "refused") -> APIConnectionError:
    return APIConnectionError(text)


def test_what_works_at_once_is_called_once_and_says_nothing(run, time_, lines) -> None:
    flaky = Failing()

    assert run(STEADY, flaky) == "answer"
    assert flaky.calls == 1
    assert time_.sleeps == []
    assert lines.warnings == lines.failures == []


def test_what_works_at_once_needs_no_loop(run, monkeypatch) -> None:
    for engine in ("Retrying", "AsyncRetrying"):
        monkeypatch.setattr(f"controlroom.retrying.{engine}", None)

    assert run(STEADY, Failing()) == "answer"


def test_a_passing_failure_is_tried_again_after_each_wait(run, time_) -> None:
    flaky = Failing(refused(), refused(), refused(), refused())

    assert run(STEADY, flaky) == "answer"
    assert flaky.calls == 5
    assert time_.sleeps == [1, 2, 4, 8]


def test_giving_up_raises_the_very_error_of_the_last_attempt(run, time_) -> None:
    errors = [refused(str(number)) for number in range(1, 6)]
    flaky = Failing(*errors)

    with pytest.raises(APIConnectionError) as caught:
        run(STEADY, flaky)

    assert caught.value is errors[-1]
    assert flaky.calls == 5
    assert time_.sleeps == [1, 2, 4, 8]


def test_the_error_tells_of_every_attempt_and_why_the_last_was_the_last(run) -> None:
    with pytest.raises(APIConnectionError) as caught:
        run(RetryPolicy(attempts=3, backoff=Backoff(jitter="none")), Failing(*(refused(text) for text in "abc")))

    told = [(a.number, a.error, a.wait_s, a.reason) for a in caught.value.attempts]
    assert told == [
        (1, "APIConnectionError: a", 1, "APIConnectionError: backing off 1.0 s; attempt 1 of 3 failed"),
        (2, "APIConnectionError: b", 2, "APIConnectionError: backing off 2.0 s; attempt 2 of 3 failed"),
        (3, "APIConnectionError: c", None, "attempt 3 of 3 failed"),
    ]


def test_the_error_comes_out_with_its_own_traceback_and_without_the_loops(run) -> None:
    def deep() -> None:
        raise refused()

    with pytest.raises(APIConnectionError) as caught:
        run(RetryPolicy(attempts=2), deep)

    assert_own_traceback(caught.value, "deep")


class Halt(BaseException):
    """Neither ours nor an Exception, and nothing that asyncio treats in a way of its own."""


def test_what_is_no_exception_comes_out_with_its_own_traceback_too(run) -> None:
    def deep() -> None:
        raise Halt

    with pytest.raises(Halt) as caught:
        run(STEADY, deep)

    assert_own_traceback(caught.value, "deep")


def test_code_that_belongs_to_no_module_has_a_traceback_too(run) -> None:
    namespace: dict[str, Any] = {"refused": refused}
    exec("def deep(): raise refused()", namespace)
    del namespace["__builtins__"]

    with pytest.raises(APIConnectionError) as caught:
        RetryPolicy(attempts=2).call(namespace["deep"])

    assert_own_traceback(caught.value, "deep")


def assert_own_traceback(error: BaseException, last: str) -> None:
    frames = traceback.extract_tb(error.__traceback__)
    assert frames[-1].name == last
    assert [frame.filename for frame in frames if "tenacity" in frame.filename] == []
    assert [frame.name for frame in frames].count(last) == 1


def test_no_attempt_becomes_the_context_of_the_next(run) -> None:
    with pytest.raises(APIConnectionError) as caught:
        run(RetryPolicy(attempts=4), Failing(*(refused() for _ in range(4))))

    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None


def by_awaiting(policy: RetryPolicy, fn: Callable[[], Any]) -> Any:
    """As `by_acall`, without asyncio, which raises again what comes out, and so puts it in another context."""

    async def asynchronous() -> Any:
        return fn()

    return policy.acall(asynchronous).send(None)


@pytest.mark.parametrize("run", [by_call, by_awaiting])
@pytest.mark.parametrize("kind", [APIConnectionError, KeyError])
def test_the_context_of_an_error_stays_whatever_the_caller_is_dealing_with(run, kind, monkeypatch) -> None:
    async def asleep(_: float) -> None:
        """Wait for nothing, so that no loop is needed."""

    monkeypatch.setattr(clock, "asleep", asleep)

    def refuse() -> None:
        raise OSError("ECONNREFUSED")

    def fail() -> None:
        try:
            refuse()
        except OSError:
            raise kind("refused")  # noqa: B904 - its context is what is looked at

    try:
        refuse()
    except OSError:
        with pytest.raises(kind) as caught:
            run(RetryPolicy(attempts=2), fail)

    assert caught.value.__context__ is not None
    assert caught.value.__context__.__traceback__ is not None
    assert caught.value.__context__.__traceback__.tb_frame.f_code.co_name == "fail"


def test_the_cause_of_the_last_error_stays_its_cause(run) -> None:
    cause = OSError("ECONNREFUSED")

    def fail() -> None:
        raise refused() from cause

    with pytest.raises(APIConnectionError) as caught:
        run(RetryPolicy(attempts=2), fail)

    assert caught.value.__cause__ is cause


@pytest.mark.parametrize("kind", [KeyError, OSError, TimeoutError, tenacity.TryAgain, RecursionError])
def test_an_error_nobody_classified_goes_up_at_once_untouched(run, time_, lines, kind: type[Exception]) -> None:
    original = kind("bug")
    flaky = Failing(original)

    with pytest.raises(kind) as caught:
        run(STEADY, flaky)

    assert caught.value is original
    assert flaky.calls == 1
    assert (original.__context__, original.__cause__, vars(original)) == (None, None, {})
    assert time_.sleeps == []
    assert lines.warnings == lines.failures == []


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, asyncio.CancelledError])
def test_being_told_to_end_is_never_retried(run, kind: type[BaseException]) -> None:
    original = kind()
    flaky = Failing(original)

    with pytest.raises(kind):
        run(STEADY, flaky)

    assert flaky.calls == 1


def test_stop_iteration_is_an_error_like_any_other() -> None:
    with pytest.raises(StopIteration):
        STEADY.call(Failing(StopIteration()))


def test_no_error_of_the_engine_comes_out(run) -> None:
    for errors in ([refused() for _ in range(9)], [tenacity.TryAgain()], [tenacity.RetryError(None)]):  # type: ignore[arg-type]  # its text is of no matter here
        with pytest.raises(type(errors[0])) as caught:
            run(STEADY, Failing(*errors))
        assert caught.value in errors or isinstance(caught.value, APIConnectionError)


@pytest.mark.parametrize("kind", [QueryError, PublicationInDoubtError])
def test_an_error_that_says_anything_but_retry_goes_up_at_once_and_unlogged(run, time_, lines, kind) -> None:
    flaky = Failing(kind("no"))

    with pytest.raises(kind) as caught:
        run(STEADY, flaky)

    assert flaky.calls == 1
    assert time_.sleeps == []
    assert lines.warnings == lines.failures == []
    assert [(a.number, a.wait_s) for a in caught.value.attempts] == [(1, None)]
    assert "repeating cannot help or could harm" in caught.value.attempts[0].reason


def test_an_error_that_says_stop_ends_a_series_under_way_and_tells_what_came_before(run, lines) -> None:
    with pytest.raises(QueryError) as caught:
        run(STEADY, Failing(refused("a"), refused("b"), QueryError("c")))

    assert [a.error for a in caught.value.attempts] == [
        "APIConnectionError: a",
        "APIConnectionError: b",
        "QueryError: c",
    ]
    assert len(lines.warnings) == 2
    assert lines.failures == []


def test_a_request_to_stop_raised_by_the_work_is_not_retried(run, lines) -> None:
    flaky = Failing(ShutdownRequested("SIGTERM was received"))

    with pytest.raises(ShutdownRequested):
        run(STEADY, flaky)

    assert flaky.calls == 1
    assert lines.failures == []


def test_a_request_to_stop_ends_the_wait_and_what_had_failed_stays_visible(run, monkeypatch) -> None:
    monkeypatch.setattr(ManualClock, "advance", lambda _self, _seconds: shutdown.request())
    monkeypatch.setattr(ManualClock, "asleep", _request_while_asleep)
    pending = refused("not reached")
    flaky = Failing(pending)

    with pytest.raises(ShutdownRequested) as caught:
        run(STEADY, flaky)

    assert flaky.calls == 1
    assert caught.value.__context__ is pending
    assert [a.error for a in caught.value.attempts] == ["APIConnectionError: not reached"]


async def _request_while_asleep(_clock: ManualClock, _seconds: float) -> None:
    shutdown.request()


def test_cancelling_the_task_ends_the_wait_and_what_had_failed_stays_visible() -> None:
    pending = refused()

    async def main() -> None:
        waiting = asyncio.Event()

        async def wait_for_ever(_: float) -> None:
            waiting.set()
            await asyncio.Event().wait()

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(clock, "asleep", wait_for_ever)

            async def fail() -> None:
                raise pending

            task = asyncio.create_task(STEADY.acall(fail))
            await waiting.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError) as caught:
                await task
            assert task.cancelled()
            chain = [caught.value, caught.value.__context__]
            while chain[-1] is not None:
                chain.append(chain[-1].__context__)
            assert pending in chain

    asyncio.run(main())


def test_an_interruption_that_has_a_context_keeps_it(monkeypatch) -> None:
    stop, context = KeyboardInterrupt(), OSError()
    stop.__context__ = context

    def interrupted(_: float) -> None:
        raise stop

    monkeypatch.setattr(clock, "sleep", interrupted)

    with pytest.raises(KeyboardInterrupt):
        STEADY.call(Failing(refused()))

    assert stop.__context__ is context


class TestDeadline:
    def test_a_wait_that_does_not_fit_is_not_slept(self, run, time_, lines) -> None:
        flaky = Failing(*(refused() for _ in range(9)))

        with deadline(6.5), pytest.raises(APIConnectionError) as caught:
            run(STEADY, flaky)

        assert time_.sleeps == [1, 2]
        assert flaky.calls == 3
        assert caught.value.attempts[-1].reason == "needed 4.0 s, 3.5 s left before the deadline"
        assert lines.failures[0]["rule"] == "deadline"

    def test_retry_after_beyond_the_deadline_gives_up_at_once(self, run, time_) -> None:
        flaky = Failing(APIRateLimitError("slow down", retry_after_s=60))

        with deadline(30), pytest.raises(APIRateLimitError):
            run(STEADY, flaky)

        assert time_.sleeps == []

    def test_after_the_deadline_nothing_is_even_begun(self, run) -> None:
        flaky = Failing()

        with deadline(0), pytest.raises(DeadlineExceededError):
            run(STEADY, flaky)

        assert flaky.calls == 0

    def test_what_was_not_begun_is_named(self) -> None:
        with deadline(0), pytest.raises(DeadlineExceededError, match=r"^GET /orders: needed 0\.0 s, 0\.0 s left"):
            STEADY.named("GET /orders").call(Failing())
        with deadline(0), pytest.raises(DeadlineExceededError, match=r"^len: needed"):
            STEADY.call(len, "abc")

    def test_a_deadline_of_the_work_itself_can_be_missed_and_tried_again(self, run, time_) -> None:
        def work() -> str:
            with deadline(5) as own:
                if time_.monotonic_s() == 0:
                    time_.advance(6)
                own.require("the second half")
            return "answer"

        assert run(STEADY, work) == "answer"
        assert time_.sleeps == [1]

    def test_an_ambient_deadline_that_was_missed_is_not_tried_again(self, run, time_) -> None:
        def work() -> None:
            time_.advance(60)
            ambient = clock.current_deadline()
            assert ambient is not None
            ambient.require("the second half")

        with deadline(30), pytest.raises(DeadlineExceededError) as caught:
            run(STEADY, work)

        assert len(caught.value.attempts) == 1


def test_no_retry_begins_later_than_the_time_for_all_attempts(run, time_, lines) -> None:
    time_.advance(1_000)

    def work() -> None:
        time_.advance(3)
        raise refused()

    with pytest.raises(APIConnectionError):
        run(RetryPolicy(backoff=Backoff(jitter="none"), max_elapsed_s=9), work)

    assert time_.sleeps == [1, 2]
    assert lines.failures[0]["rule"] == "elapsed"
    assert lines.failures[0]["reason"] == "needed 4.0 s, 0.0 s left of 9.0 s for all attempts"


def test_what_the_server_asks_for_is_waited_exactly(run, time_) -> None:
    run(STEADY, Failing(APIRateLimitError("slow down", retry_after_s=17.5)))

    assert time_.sleeps == [17.5]


def test_asked_to_wait_for_a_day_it_gives_up_rather_than_hang_or_come_back_early(run, time_) -> None:
    with pytest.raises(APIRateLimitError) as caught:
        run(STEADY, Failing(APIRateLimitError("slow down", retry_after_s=86_400)))

    assert time_.sleeps == []
    assert caught.value.attempts[0].reason.endswith("the longest wait allowed is 300.0 s")


class TestBudget:
    def test_a_token_is_taken_for_each_retry_and_none_for_the_first_try(self, run) -> None:
        budget = RetryBudget(tokens=2, refill_per_s=0)
        policy = RetryPolicy(backoff=Backoff(jitter="none"), budget=budget)

        run(policy, Failing())
        run(policy, Failing(refused(), refused()))

        assert not budget.has_token(0)

    def test_an_empty_budget_ends_the_series_and_says_so(self, run, time_, lines) -> None:
        policy = RetryPolicy(backoff=Backoff(jitter="none"), budget=RetryBudget(tokens=1, refill_per_s=0))

        with pytest.raises(APIConnectionError) as caught:
            run(policy, Failing(*(refused() for _ in range(5))))

        assert time_.sleeps == [1]
        assert "budget is empty" in caught.value.attempts[-1].reason
        assert lines.failures[0]["rule"] == "budget"

    def test_tokens_come_back_with_the_waits(self, run, time_) -> None:
        budget = RetryBudget(tokens=1, refill_per_s=1)

        run(RetryPolicy(backoff=Backoff(jitter="none"), budget=budget), Failing(*(refused() for _ in range(4))))

        assert time_.sleeps == [1, 2, 4, 8]

    def test_what_another_limit_forbids_costs_no_token(self, run) -> None:
        budget = RetryBudget(tokens=1, refill_per_s=0)
        policy = RetryPolicy(attempts=1, budget=budget)

        for error in (refused(), QueryError("no")):
            with pytest.raises(ControlRoomError):
                run(policy, Failing(error))
        with deadline(0.001), pytest.raises(APIConnectionError):
            run(RetryPolicy(backoff=Backoff(jitter="none"), budget=budget), Failing(refused()))
        with pytest.raises(APIConnectionError):
            run(RetryPolicy(budget=budget, only_if=lambda _: False), Failing(refused()))

        assert budget.has_token(0)

    def test_judging_looks_at_the_budget_and_takes_nothing(self) -> None:
        budget = RetryBudget(tokens=1, refill_per_s=0)
        policy = RetryPolicy(budget=budget)

        for _ in range(5):
            assert isinstance(policy.judge(refused(), attempt=1), RetryAfter)
        budget.take(0)
        assert policy.judge(refused(), attempt=1) == GiveUp(
            "the shared retry budget is empty: too many calls are failing", "budget"
        )


class TestOnlyIf:
    def test_it_narrows_what_may_be_repeated(self, run, lines) -> None:
        policy = RetryPolicy(only_if=lambda error: isinstance(error, APIRateLimitError))
        flaky = Failing(refused())

        with pytest.raises(APIConnectionError) as caught:
            run(policy, flaky)

        assert flaky.calls == 1
        assert caught.value.attempts[0].reason == "APIConnectionError is not among what may be repeated here"
        assert lines.failures == []

    def test_it_is_not_asked_about_what_can_never_be_repeated_and_cannot_widen(self, run) -> None:
        asked: list[ControlRoomError] = []

        def only_if(error: ControlRoomError) -> bool:
            asked.append(error)
            return True

        for error in (QueryError("no"), KeyError("bug"), ShutdownRequested("SIGTERM")):
            with pytest.raises(type(error)):
                run(RetryPolicy(only_if=only_if), Failing(error))

        assert asked == []

    def test_what_it_excludes_is_excluded_on_the_last_attempt_too_and_stays_unlogged(self, run, lines) -> None:
        with pytest.raises(APIConnectionError):
            run(
                RetryPolicy(attempts=2, only_if=lambda error: "passing" in error.message),
                Failing(refused("passing"), refused("lasting")),
            )

        assert len(lines.warnings) == 1
        assert lines.failures == []

    def test_what_it_lets_through_is_repeated(self, run) -> None:
        assert run(RetryPolicy(only_if=lambda _: True), Failing(refused())) == "answer"


class TestLogging:
    def test_one_warning_for_each_retry_with_what_when_and_why(self, run, lines) -> None:
        run(STEADY.named("GET /orders"), Failing(refused("a"), refused("b")))

        assert lines.warnings == [
            {
                "event": "retry_scheduled",
                "series": lines.warnings[0]["series"],
                "what": "GET /orders",
                "attempt": attempt,
                "attempts": 5,
                "wait_s": wait_s,
                "reason": f"APIConnectionError: backing off {wait_s:.1f} s; attempt {attempt} of 5 failed",
                "error": f"APIConnectionError: {text}",
                "code": refused().code,
            }
            for attempt, wait_s, text in [(1, 1, "a"), (2, 2, "b")]
        ]
        assert lines.failures == []

    def test_one_error_at_the_end_with_the_limit_that_ended_it(self, run, lines) -> None:
        policy = RetryPolicy(attempts=2, what="GET /orders")

        with pytest.raises(APIConnectionError) as caught:
            run(policy, Failing(refused(), refused()))

        called_from = lines.failures[0].pop("called_from")
        assert called_from.startswith(f"{__file__}:")
        assert lines.failures == [
            {
                "event": "gave_up",
                "raised": caught.value,
                "series": lines.warnings[0]["series"],
                "what": "GET /orders",
                "attempt": 2,
                "attempts": 2,
                "reason": "attempt 2 of 2 failed",
                "rule": "attempts",
                "elapsed_s": lines.warnings[0]["wait_s"],
            }
        ]
        assert len(lines.warnings) == 1
        assert lines.ends == []

    def test_the_error_line_already_has_the_attempts(self, run, monkeypatch) -> None:
        seen: list[int] = []
        monkeypatch.setattr(Lines, "failure", lambda _self, _event, error, **_: seen.append(len(error.attempts)))

        with pytest.raises(APIConnectionError):
            run(RetryPolicy(attempts=3), Failing(*(refused() for _ in range(3))))

        assert seen == [3]

    def test_a_policy_of_one_attempt_is_no_series_and_leaves_the_line_to_the_boundary(self, run, lines) -> None:
        with pytest.raises(APIConnectionError):
            run(RetryPolicy(attempts=1), Failing(refused()))

        assert lines.failures == []

    def test_what_is_tried_is_named_after_the_function_when_nobody_named_it(self, lines) -> None:
        class Worker:
            def __call__(self) -> None:
                raise refused()

            def method(self) -> None:
                raise refused()

        for fn in (Worker(), Worker().method, partial(partial(Worker().method))):
            with suppress(APIConnectionError):
                RetryPolicy(attempts=2).call(fn)

        assert [line["what"].rpartition("<locals>.")[2] for line in lines.warnings] == [
            "Worker",
            "Worker.method",
            "Worker.method",
        ]

    def test_an_asynchronous_try_is_named_too(self, lines) -> None:
        async def fetch() -> None:
            raise refused()

        with pytest.raises(APIConnectionError):
            asyncio.run(RetryPolicy(attempts=2).acall(fetch))

        assert lines.warnings[0]["what"].endswith("<locals>.fetch")

    def test_waits_are_told_in_milliseconds_and_not_in_seventeen_digits(self, run, lines) -> None:
        run(STEADY, Failing(APIRateLimitError("slow down", retry_after_s=0.123456789)))

        assert lines.warnings[0]["wait_s"] == 0.123

    def test_the_real_logger_takes_these_lines(self, run, monkeypatch, caplog) -> None:
        monkeypatch.undo()
        with ManualClock(), caplog.at_level(logging.DEBUG), pytest.raises(APIConnectionError):
            run(RetryPolicy(attempts=3, what="GET /orders"), Failing(*(refused() for _ in range(3))))

        levels = [record.levelno for record in caplog.records if record.name == "controlroom.retrying"]
        assert levels == [logging.WARNING, logging.WARNING, logging.ERROR]

    def test_a_series_that_succeeds_in_the_end_says_so_once(self, run, lines) -> None:
        run(STEADY.named("GET /orders"), Failing(refused("a"), refused("b")))

        assert lines.ends == [
            {
                "event": "retries_ended",
                "series": lines.warnings[0]["series"],
                "what": "GET /orders",
                "attempt": 3,
                "attempts": 5,
                "outcome": "succeeded",
                "elapsed_s": 3.0,
            }
        ]

    @pytest.mark.parametrize(
        ("last", "outcome"),
        [
            (QueryError("no"), "failed"),
            (KeyError("bug"), "failed"),
            (ShutdownRequested("SIGTERM"), "interrupted"),
            (KeyboardInterrupt(), "interrupted"),
        ],
        ids=lambda value: type(value).__name__,
    )
    def test_a_series_that_ends_with_what_is_not_repeated_says_how(self, run, lines, last, outcome) -> None:
        with pytest.raises(type(last)):
            run(STEADY, Failing(refused(), last))

        assert [(end["attempt"], end["outcome"]) for end in lines.ends] == [(2, outcome)]
        assert lines.failures == []

    def test_a_wait_that_is_interrupted_is_the_end_of_its_series(self, run, lines, monkeypatch) -> None:
        monkeypatch.setattr(ManualClock, "advance", lambda _self, _seconds: shutdown.request())
        monkeypatch.setattr(ManualClock, "asleep", _request_while_asleep)
        with pytest.raises(ShutdownRequested):
            run(STEADY, Failing(refused()))

        assert [(end["attempt"], end["outcome"]) for end in lines.ends] == [(1, "interrupted")]

    def test_a_call_that_is_not_repeated_says_nothing(self, run, lines) -> None:
        run(STEADY, Failing())
        for error in (QueryError("no"), KeyError("bug"), KeyboardInterrupt()):
            with pytest.raises(type(error)):
                run(STEADY, Failing(error))

        assert (lines.warnings, lines.ends, lines.failures) == ([], [], [])

    def test_two_series_are_told_apart_and_the_lines_of_one_belong_together(self, run, lines) -> None:
        for _ in range(2):
            run(STEADY, Failing(refused(), refused()))

        first, second = lines.ends
        assert first["series"] != second["series"]
        assert [line["series"] for line in lines.warnings] == [first["series"]] * 2 + [second["series"]] * 2

    def test_a_failure_that_a_policy_further_in_told_is_not_told_again_but_the_series_has_an_end(
        self, run, monkeypatch, caplog
    ) -> None:
        monkeypatch.undo()
        refusal = refused()

        def inner() -> None:
            RetryPolicy(attempts=2, what="inner").call(Failing(refusal, refusal))

        with ManualClock(), caplog.at_level(logging.INFO), pytest.raises(APIConnectionError):
            run(RetryPolicy(attempts=2, what="outer"), inner)

        told = [(line["event"], line["what"], line.get("outcome")) for line in map(facts_of, caplog.records)]
        assert told == [
            ("retry_scheduled", "inner", None),
            ("gave_up", "inner", None),
            ("retry_scheduled", "outer", None),
            ("retry_scheduled", "inner", None),
            ("retries_ended", "inner", "failed"),
            ("retries_ended", "outer", "failed"),
        ]


class TestNested:
    def test_the_attempts_of_the_outer_policy_win_and_say_how_many_each_was_made_of(self, run) -> None:
        def inner() -> None:
            RetryPolicy(attempts=3).call(Failing(*(refused() for _ in range(3))))

        with pytest.raises(APIConnectionError) as caught:
            run(RetryPolicy(attempts=2), inner)

        assert [a.number for a in caught.value.attempts] == [1, 2]
        assert [a.error for a in caught.value.attempts] == [
            "APIConnectionError: refused (after 3 attempts of its own)"
        ] * 2

    def test_an_outer_policy_that_made_no_retry_leaves_the_attempts_of_the_inner_one(self, run) -> None:
        def inner() -> None:
            RetryPolicy(attempts=3).call(Failing(refused("a"), refused("b"), QueryError("c")))

        for policy in (STEADY, RetryPolicy(attempts=1)):
            with pytest.raises(QueryError) as caught:
                run(policy, inner)
            assert len(caught.value.attempts) == 3

    def test_two_tries_are_a_series_already(self, run) -> None:
        def inner() -> None:
            RetryPolicy(attempts=2).call(Failing(refused(), refused()))

        with pytest.raises(APIConnectionError) as caught:
            run(RetryPolicy(attempts=2), inner)

        assert caught.value.attempts[0].error.endswith("(after 2 attempts of its own)")

    def test_a_single_try_is_not_called_a_series(self, run) -> None:
        def inner() -> None:
            RetryPolicy(attempts=1).call(Failing(refused()))

        with pytest.raises(APIConnectionError) as caught:
            run(RetryPolicy(attempts=2), inner)

        assert caught.value.attempts[0].error == "APIConnectionError: refused"


def test_a_series_of_thousands_is_remembered_by_its_last_hundred(run) -> None:
    with pytest.raises(APIConnectionError) as caught:
        run(RetryPolicy(attempts=1_000, backoff=Backoff(initial_s=0)), Failing(*(refused() for _ in range(1_000))))

    assert [a.number for a in caught.value.attempts] == list(range(901, 1_001))


class TestColours:
    def test_arguments_and_results_pass_whatever_they_are_called(self) -> None:
        def echo(*args: Any, **kwargs: Any) -> Any:
            return args, kwargs

        async def aecho(*args: Any, **kwargs: Any) -> Any:
            return args, kwargs

        names = {"self": 1, "fn": 2, "policy": 3, "what": 4}

        assert STEADY.call(echo, 5, **names) == ((5,), names)
        assert STEADY(echo)(5, **names) == ((5,), names)
        assert asyncio.run(STEADY.acall(aecho, 5, **names)) == ((5,), names)
        assert asyncio.run(STEADY(aecho)(5, **names)) == ((5,), names)

    def test_a_decorated_function_keeps_its_name_signature_and_colour(self) -> None:
        @STEADY
        def fetch(page: int, *, size: int = 5) -> str:
            """Fetch a page."""
            return f"{page}/{size}"

        @STEADY
        async def afetch(page: int) -> str:
            return str(page)

        assert (fetch.__name__, fetch.__doc__) == ("fetch", "Fetch a page.")
        assert str(inspect.signature(fetch)) == "(page: 'int', *, size: 'int' = 5) -> 'str'"
        assert fetch(7) == "7/5"
        assert afetch.__name__ == "afetch"
        assert inspect.iscoroutinefunction(afetch)
        assert not inspect.iscoroutinefunction(fetch)

    def test_methods_can_be_decorated(self) -> None:
        class Client:
            calls = 0

            @STEADY
            def fetch(self, page: int) -> int:
                self.calls += 1
                if self.calls == 1:
                    raise refused()
                return page

        assert Client().fetch(7) == 7

    def test_a_lambda_that_makes_a_coroutine_is_awaited_at_each_attempt(self) -> None:
        flaky = Failing(refused())

        async def attempt() -> str:
            return flaky()

        assert asyncio.run(STEADY.acall(lambda: attempt())) == "answer"  # noqa: PLW0108 - the lambda is what is tested
        assert flaky.calls == 2

    def test_two_calls_of_one_policy_at_the_same_time_do_not_mix(self) -> None:
        async def attempt(flaky: Failing) -> str:
            await asyncio.sleep(0)
            return flaky()

        async def main() -> None:
            flaky = [Failing(*(refused() for _ in range(number))) for number in range(5)]
            policy = STEADY(attempt)
            assert await asyncio.gather(*map(policy, flaky)) == ["answer"] * 5
            assert [one.calls for one in flaky] == [1, 2, 3, 4, 5]

        asyncio.run(main())

    def test_a_function_that_calls_itself_under_the_policy_does_not_lose_count(self) -> None:
        calls: list[int] = []

        @RetryPolicy(attempts=2)
        def recurse(depth: int) -> None:
            calls.append(depth)
            if depth:
                recurse(depth - 1)
            else:
                raise refused()

        with pytest.raises(APIConnectionError):
            recurse(1)

        assert calls == [1, 0, 0, 1, 0, 0]

    @pytest.mark.parametrize("wrapped", [False, True])
    def test_a_generator_function_is_refused_because_it_would_repeat_records(self, wrapped: bool) -> None:
        def records() -> Iterator[int]:
            yield 1

        async def arecords() -> AsyncIterator[int]:
            yield 1

        class Records:
            def __call__(self) -> Iterator[int]:
                yield 1

        for function in (records, arecords, Records()):
            fn = partial(function) if wrapped else function
            for use in (STEADY, STEADY.call, lambda fn: asyncio.run(STEADY.acall(fn))):
                with pytest.raises(ConfigError, match=r"ecords is a generator: begun again, it would repeat records\."):
                    use(fn)

    @pytest.mark.parametrize("wrapped", [False, True])
    def test_a_coroutine_function_called_in_the_sync_colour_is_refused_rather_than_never_awaited(
        self, wrapped: bool
    ) -> None:
        async def fetch() -> None:
            pytest.fail("was called")

        with pytest.raises(ConfigError, match=r"fetch is asynchronous: use `await policy\.acall\(…\)`"):
            STEADY.call(partial(fetch) if wrapped else fetch)

    def test_a_coroutine_hidden_behind_a_plain_function_is_refused_rather_than_never_awaited(self) -> None:
        async def fetch() -> None:
            pytest.fail("was run")

        with pytest.raises(ConfigError, match=r"<lambda> is asynchronous"):
            STEADY.call(lambda: fetch())  # noqa: PLW0108 - the lambda is what is tested

    def test_an_asynchronous_callable_object_is_recognised(self) -> None:
        class Fetch:
            async def __call__(self) -> str:
                return "answer"

        decorated = STEADY(Fetch())

        assert inspect.iscoroutinefunction(decorated)
        assert asyncio.run(decorated()) == "answer"

    def test_a_function_without_code_of_its_own_is_called_like_any_other(self) -> None:
        assert STEADY.call(len, "abc") == 3
        assert STEADY(partial(int, base=2))("11") == 3

    def test_what_is_no_function_is_refused_where_it_is_decorated(self) -> None:
        with pytest.raises(ConfigError, match="cannot be called"):
            STEADY(7)  # type: ignore[arg-type]  # the mistake under test


class TestPolicy:
    @pytest.mark.parametrize(
        "facts",
        [
            {"attempts": 0},
            {"attempts": -1},
            {"max_elapsed_s": -0.1},
            {"max_elapsed_s": float("nan")},
            {"max_wait_s": -1},
            {"max_wait_s": float("nan")},
        ],
    )
    def test_a_policy_that_cannot_be_is_refused(self, facts: dict[str, Any]) -> None:
        with pytest.raises(ConfigError) as refused_:
            RetryPolicy(**facts)

        ((name, value),) = facts.items()
        assert refused_.value.message.startswith(f"RetryPolicy({name}={value}) ")

    def test_no_time_at_all_and_no_wait_at_all_are_allowed(self, run, time_) -> None:
        policy = RetryPolicy(max_elapsed_s=0, max_wait_s=0)

        assert run(policy, Failing(refused())) == "answer"
        assert time_.sleeps == [0]

    def test_it_is_immutable_hashable_and_equal_to_its_like(self) -> None:
        assert RetryPolicy() == RetryPolicy()
        assert len({RetryPolicy(), RetryPolicy(), RetryPolicy(budget=RetryBudget(1, 1))}) == 2
        with pytest.raises(FrozenInstanceError):
            RetryPolicy().attempts = 9  # type: ignore[misc]  # the mistake under test

    def test_naming_it_changes_nothing_else(self) -> None:
        policy = RetryPolicy(attempts=7, max_wait_s=2)

        assert policy.named("GET /") == RetryPolicy(attempts=7, max_wait_s=2, what="GET /")
        assert policy.what is None

    def test_judging_consults_the_ambient_deadline_unless_another_is_given(self) -> None:
        error = refused()

        with deadline(0.5):
            assert STEADY.judge(error, attempt=1) == GiveUp("needed 1.0 s, 0.5 s left before the deadline", "deadline")
            later = Deadline.after(60, clock.monotonic_s)
            assert isinstance(STEADY.judge(error, attempt=1, deadline=later), RetryAfter)
        assert isinstance(STEADY.judge(error, attempt=1), RetryAfter)

    def test_judging_counts_the_time_that_it_is_told(self) -> None:
        policy = RetryPolicy(backoff=Backoff(jitter="none"), max_elapsed_s=4.2)

        assert policy.judge(refused(), attempt=2, elapsed_s=2.2) == RetryAfter(
            2.0, "APIConnectionError: backing off 2.0 s; attempt 2 of 5 failed"
        )
        assert isinstance(policy.judge(refused(), attempt=2, elapsed_s=3.2), GiveUp)
        assert isinstance(
            RetryPolicy(max_elapsed_s=0.0, backoff=Backoff(initial_s=0)).judge(refused(), attempt=1), RetryAfter
        )

    def test_judging_draws_the_jitter_anew_each_time(self) -> None:
        waits = {RetryPolicy().judge(refused(), attempt=4).wait_s for _ in range(20)}  # type: ignore[union-attr]  # a GiveUp would fail here as well

        assert len(waits) > 1
        assert all(0 <= wait_s < 8 for wait_s in waits)

    def test_the_attempt_judged_is_the_one_given(self) -> None:
        assert isinstance(RetryPolicy(attempts=3).judge(refused(), attempt=2), RetryAfter)
        assert isinstance(RetryPolicy(attempts=3).judge(refused(), attempt=3), GiveUp)

    def test_the_disposition_of_the_instance_decides(self) -> None:
        stopped = APIConnectionError("half of it was sent", disposition=Disposition.STOP)

        assert isinstance(STEADY.judge(stopped, attempt=1), GiveUp)


def by_hand(policy: RetryPolicy, fn: Callable[[], Any]) -> Any:
    """Await without a loop, which would hold references of its own."""

    async def asynchronous() -> Any:
        return fn()

    policy.acall(asynchronous).send(None)


@pytest.mark.parametrize("attempts", [1, 3])
@pytest.mark.parametrize("kind", [APIConnectionError, OSError])
@pytest.mark.parametrize("run", [by_call, by_hand])
def test_a_failure_leaves_no_cycle_that_keeps_bodies_in_memory_until_the_collector_runs(
    run, attempts, kind, lines, monkeypatch
) -> None:
    async def asleep(_: float) -> None:
        """Wait for nothing, so that no loop is needed."""

    monkeypatch.setattr(clock, "asleep", asleep)

    class Body:
        pass

    refs: list[weakref.ref[Body]] = []

    def fail() -> None:
        body = Body()
        refs.append(weakref.ref(body))
        raise kind("broken")

    gc.collect()
    gc.disable()
    try:
        with suppress(kind):
            run(RetryPolicy(attempts=attempts), fail)
        lines.failures.clear()
        assert [ref() for ref in refs] == [None] * len(refs)
        assert len(refs) == (attempts if kind is APIConnectionError else 1)
    finally:
        gc.enable()


def test_a_series_may_begin_with_a_try_that_somebody_else_made(time_) -> None:
    # That one is the first of its attempts, and its time counts; the deadline that it met is no reason to call it not begun.
    first, policy = refused("first"), RetryPolicy(attempts=3, backoff=Backoff(initial_s=1.0, jitter="none"))
    outcomes = iter([refused("second"), "done"])

    def attempt() -> str:
        outcome = next(outcomes)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def attempt_async() -> str:
        return attempt()

    assert policy.resumed(attempt, failed=first, began_at_s=clock.monotonic_s()) == "done"
    assert time_.sleeps == [1.0, 2.0]
    outcomes = iter(["done"])
    assert asyncio.run(policy.aresumed(attempt_async, failed=first, began_at_s=clock.monotonic_s())) == "done"
    with deadline(5):
        time_.advance(6)
        with pytest.raises(type(first)) as caught:
            policy.resumed(attempt, failed=first, began_at_s=clock.monotonic_s() - 6)
    assert caught.value is first
    assert [attempt.number for attempt in first.attempts] == [1]
