"""What must not be left half done is seen to its end, and the cancellation is delivered then."""

from __future__ import annotations

import asyncio

import pytest

from controlroom.draining import drained


async def cancelled_meanwhile(work, times=1, hurry=None):
    """Await *work* drained in a task that is cancelled *times* times while it waits."""
    task = asyncio.ensure_future(drained(work, hurry))
    for _ in range(3):
        await asyncio.sleep(0)
    for _ in range(times):
        task.cancel()
        await asyncio.sleep(0)
    return await task


def test_without_a_cancellation_it_is_transparent() -> None:
    async def seven():
        await asyncio.sleep(0)
        return 7

    async def raises():
        raise ValueError("mine")

    assert asyncio.run(drained(seven())) == 7
    with pytest.raises(ValueError, match="mine"):
        asyncio.run(drained(raises()))


@pytest.mark.parametrize("times", [1, 2, 5])
def test_the_work_is_done_before_the_cancellation_is_delivered(times: int) -> None:
    done = []

    async def work():
        for _ in range(20):
            await asyncio.sleep(0)
        done.append(1)

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cancelled_meanwhile(work(), times))
    assert done == [1]


def test_what_the_work_raised_is_the_cause_of_the_cancellation() -> None:
    async def work():
        for _ in range(20):
            await asyncio.sleep(0)
        raise ValueError("mine")

    with pytest.raises(asyncio.CancelledError) as caught:
        asyncio.run(cancelled_meanwhile(work()))
    assert isinstance(caught.value.__cause__, ValueError)


def test_the_work_may_be_told_to_hurry_even_by_cancelling_it() -> None:
    async def work():
        await asyncio.Event().wait()

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cancelled_meanwhile(work(), hurry=lambda task: task.cancel()))


def test_a_timeout_around_it_is_still_a_timeout() -> None:
    async def main():
        go_on = asyncio.Event()

        async def work():
            await go_on.wait()

        async with asyncio.timeout(None) as scope:
            task = asyncio.current_task()
            loop = asyncio.get_running_loop()
            loop.call_soon(scope.reschedule, loop.time())
            loop.call_soon(loop.call_soon, loop.call_soon, loop.call_soon, go_on.set)
            await drained(work())
        return task

    with pytest.raises(TimeoutError):
        asyncio.run(main())
