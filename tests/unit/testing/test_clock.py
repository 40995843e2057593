from __future__ import annotations

import asyncio
import math
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest

from controlroom import clock, shutdown
from controlroom.errors import ConfigError, ShutdownRequested
from controlroom.testing import ManualClock
from controlroom.testing import clock as clock_of_tests

if TYPE_CHECKING:
    from collections.abc import Iterator

    from controlroom.clock import Clock


@pytest.fixture(autouse=True)
def fresh_shutdown() -> Iterator[None]:
    yield
    shutdown.reset()


def test_it_is_a_clock_to_the_type_checker_too() -> None:
    as_clock: Clock = ManualClock()

    assert as_clock.monotonic_s() == 0.0


def test_the_time_stands_still_until_somebody_sleeps_or_moves_it() -> None:
    with ManualClock() as manual:
        assert clock.monotonic_s() == clock.monotonic_s() == 0.0
        clock.sleep(1.5)
        manual.advance(10)
        assert clock.monotonic_s() == 11.5
        assert manual.sleeps == [1.5]


def test_the_wall_clock_begins_where_it_is_told_and_is_always_utc() -> None:
    start = datetime(2026, 3, 29, 3, 30, tzinfo=timezone(timedelta(hours=2)))

    with ManualClock(start=start):
        clock.sleep(60)
        assert clock.utcnow() == datetime(2026, 3, 29, 1, 31, tzinfo=UTC)
        assert clock.utcnow().tzinfo is UTC


def test_the_wall_clock_begins_at_the_same_instant_in_every_run() -> None:
    assert ManualClock().utcnow() == datetime(2026, 1, 1, tzinfo=UTC)


def test_a_naive_start_is_refused_rather_than_taken_for_local_time() -> None:
    with pytest.raises(ConfigError, match="names no time zone"):
        ManualClock(start=datetime(2026, 1, 1))  # noqa: DTZ001 - the mistake under test


@pytest.mark.parametrize("seconds", [-0.1, math.nan, math.inf])
def test_the_time_never_goes_back_and_never_to_the_end_of_days(seconds: float) -> None:
    manual = ManualClock()

    with pytest.raises(ConfigError, match="cannot move by"):
        manual.advance(seconds)

    assert manual.monotonic_s() == 0.0


@pytest.mark.parametrize("seconds", [0, 0.5])
def test_the_time_can_move_by_little_or_nothing(seconds: float) -> None:
    manual = ManualClock()

    manual.advance(seconds)

    assert manual.monotonic_s() == seconds


def test_after_the_block_the_former_clock_is_back_even_after_an_error() -> None:
    before = clock._clock

    with pytest.raises(ZeroDivisionError), ManualClock():
        raise ZeroDivisionError

    assert clock._clock is before


def test_a_clock_can_be_used_again_and_goes_on_where_it_was() -> None:
    manual = ManualClock()

    for _ in range(2):
        with manual:
            clock.sleep(5)

    assert manual.monotonic_s() == 10


def test_tasks_that_sleep_at_the_same_time_wake_in_the_order_of_their_instants() -> None:
    woken: list[tuple[str, float]] = []

    async def sleeper(name: str, *seconds: float) -> None:
        for wait_s in seconds:
            await clock.asleep(wait_s)
            woken.append((name, clock.monotonic_s()))

    async def main() -> None:
        await asyncio.gather(sleeper("slow", 10), sleeper("quick", 1, 1, 7), sleeper("even", 4, 4))

    with ManualClock() as manual:
        asyncio.run(main())

    assert woken == [("quick", 1), ("quick", 2), ("even", 4), ("even", 8), ("quick", 9), ("slow", 10)]
    assert manual.sleeps == [10, 1, 4, 1, 7, 4]


def test_equal_instants_wake_in_the_order_in_which_they_went_to_sleep() -> None:
    woken: list[int] = []

    async def sleeper(number: int) -> None:
        await clock.asleep(5)
        woken.append(number)

    async def main() -> None:
        await asyncio.gather(*map(sleeper, range(20)))

    with ManualClock():
        asyncio.run(main())

    assert woken == list(range(20))


def test_the_time_does_not_move_while_another_task_can_still_run() -> None:
    seen: list[float] = []

    async def busy() -> None:
        for _ in range(95):
            await asyncio.sleep(0)
        seen.append(clock.monotonic_s())

    async def main() -> None:
        await asyncio.gather(clock.asleep(5), busy())

    with ManualClock():
        asyncio.run(main())

    assert seen == [0.0]


def test_a_task_that_polls_for_ever_does_not_stop_the_time() -> None:
    async def main() -> None:
        task = asyncio.create_task(clock.asleep(5))
        while not task.done():  # noqa: ASYNC110 - the polling is what is tested
            await asyncio.sleep(0)

    with ManualClock() as manual:
        asyncio.run(main())

    assert manual.monotonic_s() == 5


def test_a_loop_in_which_nobody_can_run_is_not_gone_around_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock_of_tests, "_BUSY_ROUNDS", 10**12)  # were they counted, this would not end

    with ManualClock() as manual:
        asyncio.run(clock.asleep(5))

    assert manual.monotonic_s() == 5


def test_a_loop_that_does_not_tell_who_is_ready_is_gone_around_a_while() -> None:
    scheduled: list[tuple[object, ...]] = []

    class Loop:
        def call_soon(self, *what: object) -> None:
            scheduled.append(what)

    manual, loop = ManualClock(), Loop()
    manual._wake_the_earliest(loop, 7)  # type: ignore[arg-type]  # as much of a loop as is asked for

    assert scheduled == [(manual._wake_the_earliest, loop, 8)]


def test_a_cancelled_sleeper_moves_no_time_and_holds_nobody_up() -> None:
    async def main() -> None:
        cancelled = asyncio.create_task(clock.asleep(3))
        other = asyncio.create_task(clock.asleep(5))
        await asyncio.sleep(0)
        cancelled.cancel()
        await asyncio.wait([cancelled])
        assert clock.monotonic_s() == 0
        await other

    with ManualClock() as manual:
        asyncio.run(main())

    assert manual.monotonic_s() == 5
    assert manual.sleeps == [3, 5]


def test_a_last_sleeper_that_was_cancelled_leaves_the_time_where_it_was() -> None:
    async def main() -> None:
        cancelled = asyncio.create_task(clock.asleep(3))
        await asyncio.sleep(0)
        cancelled.cancel()
        await asyncio.wait([cancelled])
        for _ in range(150):
            await asyncio.sleep(0)

    with ManualClock() as manual:
        asyncio.run(main())

    assert manual.monotonic_s() == 0
    assert manual._sleepers == {}


def test_time_that_passed_meanwhile_is_not_turned_back_by_a_sleeper_that_wakes_late() -> None:
    async def main() -> None:
        sleeping = asyncio.create_task(clock.asleep(5))
        await asyncio.sleep(0)
        clock.sleep(60)
        await sleeping

    with ManualClock() as manual:
        asyncio.run(main())

    assert manual.monotonic_s() == 60


def test_sleepers_of_a_loop_that_ended_hold_nobody_up() -> None:
    with ManualClock() as manual:
        loop = asyncio.new_event_loop()
        orphan = loop.create_task(clock.asleep(1))
        loop.call_soon(loop.stop)
        loop.run_forever()

        asyncio.run(clock.asleep(5))

        assert manual.monotonic_s() == 5
        orphan.cancel()
        with pytest.raises(asyncio.CancelledError):
            loop.run_until_complete(orphan)
        loop.close()


def test_no_second_is_lost_between_threads() -> None:
    with ManualClock() as manual, ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: clock.sleep(1), range(2_000)))

        assert manual.monotonic_s() == 2_000
        assert len(manual.sleeps) == 2_000


def test_a_request_to_stop_still_ends_a_sleep() -> None:
    async def main() -> None:
        asyncio.get_running_loop().call_soon(shutdown.request)
        await clock.asleep(5)

    with ManualClock(), pytest.raises(ShutdownRequested):
        asyncio.run(main())
