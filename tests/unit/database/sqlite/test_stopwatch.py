"""A statement is stopped by the nearer of its own timeout and the deadline, and told which it was."""

from __future__ import annotations

import asyncio
import gc

import pytest

from controlroom.clock import deadline
from controlroom.database.sqlite.stopwatch import Stopwatch
from controlroom.errors import DeadlineExceededError, QueryError
from controlroom.testing import ManualClock


def test_a_statement_is_stopped_at_its_timeout_not_before() -> None:
    with ManualClock() as clock:
        watch = Stopwatch(10)
        assert watch.look() == 0
        watch.start("x")
        clock.advance(9.9)
        assert watch.look() == 0
        clock.advance(0.1)
        assert watch.look() == 1
        assert isinstance(watch.verdict("x"), QueryError)
        watch.stop()
        assert watch.look() == 0


def test_a_nearer_deadline_wins_and_is_worth_another_try() -> None:
    with ManualClock() as clock:
        watch = Stopwatch(10)
        with deadline(3):
            watch.start("x")
            clock.advance(3)
            assert watch.look() == 1
            verdict = watch.verdict("x")
        assert isinstance(verdict, DeadlineExceededError)
        assert verdict.disposition == "retry"
        watch.start("x")
        clock.advance(9)
        assert watch.look() == 0


def test_nothing_begins_after_the_deadline() -> None:
    with ManualClock(), deadline(0), pytest.raises(DeadlineExceededError, match="not begun"):
        Stopwatch(10).start("x")


def test_a_cancellation_stops_what_runs_and_what_would_follow() -> None:
    watch = Stopwatch(10)
    watch.start("x")
    watch.cancelled = True
    assert watch.look() == 1
    assert watch.verdict("x") is None
    watch.stop()
    with pytest.raises(asyncio.CancelledError):
        watch.start("the next")


@pytest.mark.parametrize("kind", [KeyboardInterrupt, ZeroDivisionError])
def test_what_a_signal_handler_raises_in_the_handler_is_not_taken_for_the_timeout(
    kind: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    watch, raised = Stopwatch(10), kind("from a signal handler")

    def interrupted() -> float:
        raise raised

    watch.start("x")
    with monkeypatch.context() as patch:
        patch.setattr("controlroom.clock.monotonic_s", interrupted)
        assert watch.look() == 1
    assert watch.look() == 1
    assert watch.verdict("x") is raised
    watch.stop()
    watch.start("the next")
    assert watch.look() == 0


def test_a_stopwatch_that_is_thrown_away_says_nothing() -> None:
    del_me = Stopwatch(10)
    del_me.look()
    del del_me
    gc.collect()  # a generator that yields once more when it is closed is reported, which fails the test
