"""Both stages, in this very process: signals are raised, and nothing waits for a real clock."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from controlroom import shutdown
from controlroom.errors import ShutdownRequested
from controlroom.hosts.draining import Draining
from controlroom.testing import ManualClock

LONG_S = 3600.0


@pytest.fixture(autouse=True)
def handlers_are_restored() -> Iterator[None]:
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGALRM)
    before = [signal.getsignal(number) for number in numbers]
    yield
    assert [signal.getsignal(number) for number in numbers] == before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    assert not shutdown.requested()
    assert not shutdown.armed()


def term() -> None:
    signal.raise_signal(signal.SIGTERM)


def alarm() -> None:
    """What the timer does when its time has come."""
    signal.raise_signal(signal.SIGALRM)


def interrupted_by(*steps: Callable[[], Any], drain_s: float = LONG_S) -> ShutdownRequested:
    def work(draining: Draining) -> None:
        with draining.interrupting():
            for step in steps:
                step()

    with ManualClock(), Draining(drain_s) as draining, pytest.raises(ShutdownRequested) as caught:
        work(draining)
    return caught.value


def test_the_first_signal_only_asks() -> None:
    with Draining(LONG_S) as draining, draining.interrupting():
        term()

        assert shutdown.requested()
        assert 0 < signal.getitimer(signal.ITIMER_REAL)[0] <= LONG_S


@pytest.mark.parametrize(("first", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_the_second_signal_interrupts_and_the_first_one_names_the_exit_code(first: int, code: int, second: int) -> None:
    error = interrupted_by(lambda: signal.raise_signal(first), lambda: signal.raise_signal(second))

    assert error.exit_code == code
    assert f"{signal.Signals(second).name} followed" in error.message
    assert "Nothing is half done" not in error.message


def test_the_end_of_the_drain_interrupts() -> None:
    assert "No safe point was reached within 7 s" in interrupted_by(term, alarm, drain_s=7).message


@pytest.mark.parametrize("drain_s", [0.0, -1.0])
def test_no_time_to_drain_interrupts_at_once(drain_s: float) -> None:
    assert "No time was given" in interrupted_by(term, drain_s=drain_s).message


def test_outside_the_work_nothing_is_interrupted() -> None:
    """While settings load, and while the last lines are logged, a signal may only be noted."""
    with ManualClock(), Draining(LONG_S) as draining:
        term()
        term()
        alarm()
        with draining.interrupting():
            pass
        term()

        assert shutdown.requested()


def test_an_interruption_that_was_swallowed_is_repeated() -> None:
    def swallow() -> None:
        with pytest.raises(ShutdownRequested):
            term()

    assert interrupted_by(term, swallow, alarm).exit_code == 143


def cleaning_up(*steps: Callable[[], Any]) -> Callable[[], None]:
    def work() -> None:
        try:
            term()
        finally:
            for step in steps:
                step()

    return work


def test_a_clean_up_is_left_alone_for_as_long_as_the_drain() -> None:
    cleaned: list[bool] = []

    def fail_and_go_on() -> None:
        try:
            _ = {}["x"]
        except KeyError:
            alarm()  # deep inside, where another exception is being handled

    error = interrupted_by(term, cleaning_up(alarm, fail_and_go_on, lambda: cleaned.append(True)))

    assert cleaned == [True]
    assert "followed" in error.message


def test_a_clean_up_that_takes_longer_is_interrupted_too() -> None:
    cleaned: list[bool] = []
    with ManualClock() as time, Draining(30.0) as draining:
        lasting = cleaning_up(
            lambda: time.advance(29), alarm, lambda: time.advance(1), alarm, lambda: cleaned.append(True)
        )

        def work() -> None:
            with draining.interrupting():
                term()
                lasting()

        with pytest.raises(ShutdownRequested, match="No safe point"):
            work()

    assert cleaned == []


def test_a_third_signal_interrupts_the_clean_up() -> None:
    cleaned: list[bool] = []
    interrupted_by(term, cleaning_up(term, lambda: cleaned.append(True)))

    assert cleaned == []


def test_a_timer_that_somebody_had_set_goes_on_afterwards() -> None:
    handler = signal.signal(signal.SIGALRM, lambda *_: None)
    try:
        signal.setitimer(signal.ITIMER_REAL, 500.0, 7.0)
        with Draining(LONG_S):
            term()
        left_s, interval_s = signal.getitimer(signal.ITIMER_REAL)
        signal.setitimer(signal.ITIMER_REAL, 0)
    finally:
        signal.signal(signal.SIGALRM, handler)

    assert 0 < left_s <= 500
    assert interval_s == 7.0


def test_a_signal_that_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Draining(LONG_S):
            signal.raise_signal(signal.SIGINT)
            assert not shutdown.requested()
    finally:
        signal.signal(signal.SIGINT, before)


# Tasks.


def run_with(draining: Draining, work: Callable[[], Any]) -> None:
    async def main() -> None:
        with draining.interrupting(asyncio.current_task()):
            await work()

    with draining.interrupting(), asyncio.Runner() as runner:
        runner.run(main())


@pytest.mark.parametrize("how", [term, alarm])
def test_an_awaiting_task_is_cancelled_and_the_cancellation_is_told_as_what_it_was(how: Callable[[], None]) -> None:
    cleaned: list[bool] = []

    async def work() -> None:
        loop = asyncio.get_running_loop()
        loop.call_soon(term)
        loop.call_soon(how)
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned.append(True)

    with Draining(0.001 if how is alarm else LONG_S) as draining, pytest.raises(ShutdownRequested) as caught:
        run_with(draining, work)

    assert cleaned == [True]
    assert caught.value.exit_code == 143


def test_a_task_that_is_busy_is_interrupted_in_its_own_frames() -> None:
    async def work() -> None:
        term()
        term()

    with Draining(LONG_S) as draining, pytest.raises(ShutdownRequested, match="SIGTERM followed"):
        run_with(draining, work)


def test_a_task_that_was_interrupted_in_its_frames_cleans_up_without_being_cancelled_too() -> None:
    cleaned: list[bool] = []

    async def work() -> None:
        try:
            term()
            term()
        finally:
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            cleaned.append(True)

    with Draining(LONG_S) as draining, pytest.raises(ShutdownRequested):
        run_with(draining, work)

    assert cleaned == [True]


def test_a_task_that_cleans_up_after_its_cancellation_is_left_alone() -> None:
    cleaned: list[bool] = []

    async def work() -> None:
        loop = asyncio.get_running_loop()
        loop.call_soon(term)
        loop.call_soon(term)
        try:
            await asyncio.Event().wait()
        finally:
            loop.call_soon(alarm)
            for _ in range(3):
                await asyncio.sleep(0)
            cleaned.append(True)

    with Draining(LONG_S) as draining, pytest.raises(ShutdownRequested):
        run_with(draining, work)

    assert cleaned == [True]


def test_another_task_that_keeps_the_loop_busy_is_interrupted_too() -> None:
    reached: list[str] = []

    async def busy() -> None:
        term()
        term()
        reached.append("busy")

    async def work() -> None:
        child = asyncio.create_task(busy())
        child.add_done_callback(asyncio.Task.exception)  # nobody else asks for it
        await asyncio.wait([child])
        reached.append("work")

    with Draining(LONG_S) as draining, pytest.raises(ShutdownRequested):
        run_with(draining, work)

    assert reached == []


def test_a_cancellation_that_nobody_asked_for_stays_one() -> None:
    async def work() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)

    with Draining(LONG_S) as draining, pytest.raises(asyncio.CancelledError):
        run_with(draining, work)
