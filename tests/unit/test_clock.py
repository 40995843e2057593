from __future__ import annotations

import asyncio
import math
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, timedelta
from typing import TYPE_CHECKING

import pytest

from controlroom import clock, shutdown
from controlroom.clock import SystemClock, current_deadline, deadline
from controlroom.errors import ConfigError, ShutdownRequested
from controlroom.testing import ManualClock

if TYPE_CHECKING:
    from collections.abc import Iterator

AN_HOUR_S = 3600.0  # nothing here waits that long: a test that did would be ended by the suite's own watchdog


@pytest.fixture(autouse=True)
def fresh_shutdown() -> Iterator[None]:
    yield
    shutdown.reset()


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the machine was asked to sleep, in place of sleeping."""
    asked: list[float] = []
    monkeypatch.setattr(time, "sleep", asked.append)
    return asked


def test_the_wall_clock_is_aware_and_in_utc() -> None:
    assert clock.utcnow().tzinfo is UTC


def test_elapsed_time_is_read_from_a_clock_that_never_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 12.5)

    assert clock.monotonic_s() == 12.5


def test_without_a_host_a_sleep_is_the_machines_own(slept: list[float]) -> None:
    clock.sleep(1.5)

    assert slept == [1.5]


def test_a_negative_wait_is_no_wait_rather_than_an_error(slept: list[float]) -> None:
    clock.sleep(-1)

    assert slept == [0.0]


def test_a_negative_asynchronous_wait_is_no_wait_rather_than_an_error() -> None:
    with ManualClock() as manual:
        asyncio.run(clock.asleep(-1))

    assert manual.sleeps == [0.0]


def test_asked_to_stop_before_it_a_sleep_does_not_begin(slept: list[float]) -> None:
    shutdown.request()

    with pytest.raises(ShutdownRequested):
        clock.sleep(AN_HOUR_S)

    assert slept == []


def test_asked_to_stop_before_it_an_asynchronous_sleep_does_not_begin() -> None:
    shutdown.request()

    with ManualClock() as manual, pytest.raises(ShutdownRequested):
        asyncio.run(clock.asleep(AN_HOUR_S))

    assert manual.sleeps == []


def test_asked_to_stop_meanwhile_a_sleep_says_so_when_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: shutdown.request())

    with pytest.raises(ShutdownRequested):
        clock.sleep(AN_HOUR_S)


def test_under_a_host_a_sleep_waits_where_a_signal_can_end_it(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 2:  # the first time it returned for nothing
            shutdown.request()

    monkeypatch.setattr(shutdown, "wait", wait)
    shutdown.arm()

    with pytest.raises(ShutdownRequested):
        clock.sleep(AN_HOUR_S)

    assert AN_HOUR_S >= waited[0] > waited[1] > 0


def test_without_a_host_an_asynchronous_sleep_is_asyncios_own(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    asyncio.run(clock.asleep(1.5))

    assert slept == [1.5]


def test_a_request_ends_an_asynchronous_sleep_at_once() -> None:
    shutdown.arm()

    async def main() -> None:
        asyncio.get_running_loop().call_soon(shutdown.request)
        with pytest.raises(ShutdownRequested):
            await clock.asleep(AN_HOUR_S)

    asyncio.run(main())


def test_a_request_from_another_thread_ends_an_asynchronous_sleep_at_once() -> None:
    shutdown.arm()

    async def main() -> None:
        with ThreadPoolExecutor(1) as pool:
            asyncio.get_running_loop().call_soon(pool.submit, shutdown.request)
            with pytest.raises(ShutdownRequested):
                await clock.asleep(AN_HOUR_S)

    asyncio.run(main())


def test_a_request_that_came_before_the_sleeper_was_listening_is_not_missed() -> None:
    shutdown.arm()
    shutdown.request()

    asyncio.run(SystemClock().asleep(AN_HOUR_S))


def test_an_asynchronous_sleep_that_runs_its_time_ends_quietly() -> None:
    shutdown.arm()

    asyncio.run(clock.asleep(0))


@pytest.mark.parametrize("ending", ["time", "request", "cancellation"])
def test_an_asynchronous_sleep_leaves_no_task_and_no_listener_behind(ending: str) -> None:
    shutdown.arm()

    async def main() -> None:
        task = asyncio.create_task(clock.asleep(0 if ending == "time" else AN_HOUR_S))
        await asyncio.sleep(0)
        if ending == "request":
            shutdown.request()
        if ending == "cancellation":
            task.cancel()
        await asyncio.wait([task])
        assert task.cancelled() is (ending == "cancellation")
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert shutdown._listeners == {}
        if ending == "request":
            assert isinstance(task.exception(), ShutdownRequested)

    asyncio.run(main())


def test_a_timeout_around_a_sleep_is_not_mistaken_for_the_end_of_the_sleep() -> None:
    shutdown.arm()

    async def main() -> None:
        async with asyncio.timeout(0):
            await clock.asleep(AN_HOUR_S)

    with pytest.raises(TimeoutError):
        asyncio.run(main())


def test_a_request_after_a_loop_was_closed_under_its_sleepers_does_not_break_the_signal_handler() -> None:
    shutdown.arm()
    loop = asyncio.new_event_loop()
    sleeper = clock.asleep(AN_HOUR_S)
    task = loop.create_task(sleeper)
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.close()

    shutdown.request()

    assert shutdown.requested()
    task._log_destroy_pending = False
    sleeper.close()


def test_another_clock_is_used_while_it_is_installed_and_not_after_an_error() -> None:
    before = clock._clock

    def fail_inside_two_clocks() -> None:
        with ManualClock() as outer:
            with ManualClock() as inner:
                clock.sleep(5)
            assert (clock.monotonic_s(), inner.monotonic_s()) == (0.0, 5.0)
            assert clock._clock is outer
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_inside_two_clocks()

    assert clock._clock is before


def test_nobody_set_a_deadline() -> None:
    assert current_deadline() is None


def test_a_deadline_is_ambient_inside_its_block_and_gone_after_it() -> None:
    with ManualClock(), deadline(30) as ambient:
        assert current_deadline() is ambient
        clock.sleep(12)
        assert ambient.remaining_s() == 18

    assert current_deadline() is None


@pytest.mark.parametrize(("outer_s", "inner_s", "left_s"), [(30, 5, 5), (5, 30, 5), (5, 5, 5), (0, 5, 0)])
def test_nested_deadlines_only_ever_tighten(outer_s: float, inner_s: float, left_s: float) -> None:
    with ManualClock(), deadline(outer_s) as outer:
        with deadline(inner_s) as inner:
            assert inner.remaining_s() == left_s
            assert current_deadline() is inner
        assert current_deadline() is outer


def test_the_outer_deadline_is_back_after_an_error_inside_the_inner_one() -> None:
    with ManualClock(), deadline(30) as outer:
        with pytest.raises(ZeroDivisionError), deadline(5):
            raise ZeroDivisionError
        assert current_deadline() is outer


@pytest.mark.parametrize("timeout_s", [-1, math.nan, math.inf])
def test_an_impossible_deadline_is_refused_and_changes_nothing(timeout_s: float) -> None:
    with deadline(30) as outer:
        with pytest.raises(ConfigError), deadline(timeout_s):
            pytest.fail("the block was entered")
        assert current_deadline() is outer


def test_a_new_thread_starts_without_a_deadline() -> None:
    with ThreadPoolExecutor(1) as pool, deadline(30):
        assert pool.submit(current_deadline).result(timeout=30) is None


def test_a_new_task_inherits_the_deadline_and_one_of_its_own_stays_its_own() -> None:
    async def tighten() -> float:
        with deadline(5) as own:
            await asyncio.sleep(0)
            return own.remaining_s()

    async def inherit() -> float:
        await asyncio.sleep(0)
        ambient = current_deadline()
        assert ambient is not None
        return ambient.remaining_s()

    async def main() -> None:
        with deadline(30) as outer:
            assert await asyncio.gather(tighten(), inherit(), tighten()) == [5, 30, 5]
            assert current_deadline() is outer

    with ManualClock():
        asyncio.run(main())


def test_a_deadline_outlives_neither_its_task_nor_its_loop() -> None:
    async def main() -> None:
        with deadline(30):
            await asyncio.sleep(0)

    asyncio.run(main())

    assert current_deadline() is None


def test_utc_on_a_manual_clock_moves_with_its_sleeps() -> None:
    with ManualClock():
        before = clock.utcnow()
        clock.sleep(90)
        assert clock.utcnow() - before == timedelta(seconds=90)


def test_work_that_is_abandoned_waits_for_nothing_any_more() -> None:
    with ManualClock() as clock_:
        context, abandon = clock.abandonable()
        context.run(clock.sleep, 10)
        assert clock_.monotonic_s() == pytest.approx(10)
        assert context.run(clock.current_deadline).remaining_s() > 1e8

        abandon()
        context.run(clock.sleep, 300)

        assert clock_.monotonic_s() == pytest.approx(10)
        assert context.run(clock.current_deadline).is_over
        assert clock.current_deadline() is None


def test_abandoning_ends_the_deadlines_that_nest_in_it_too() -> None:
    def inside() -> tuple[bool, bool]:
        with clock.deadline(60) as inner:
            before = inner.is_over
            abandon()
            return before, inner.is_over

    with ManualClock(), clock.deadline(100):
        context, abandon = clock.abandonable()
        assert context.run(inside) == (False, True)
        assert not clock.current_deadline().is_over
