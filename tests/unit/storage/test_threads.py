from __future__ import annotations

import asyncio
import gc
from threading import Event, get_ident

import pytest

from controlroom.clock import current_deadline, deadline
from controlroom.storage.threads import in_thread


def test_work_is_done_in_another_thread_with_the_callers_context() -> None:
    async def main() -> None:
        with deadline(60) as outer:
            assert await in_thread(lambda: (get_ident() != loop_thread, current_deadline())) == (True, outer)

    loop_thread = get_ident()
    asyncio.run(main())


def test_arguments_and_errors_come_through() -> None:
    async def main() -> None:
        assert await in_thread(int, "ff", base=16) == 255
        with pytest.raises(ValueError, match="invalid literal"):
            await in_thread(int, "x")

    asyncio.run(main())


def cancelled_while_working(cancels: int, *, failing: bool = False) -> list[str]:
    """What happened, in order, to work that is cancelled while it is done."""
    happened: list[str] = []
    begun, may_end = Event(), Event()

    def work() -> None:
        begun.set()
        may_end.wait(60)
        happened.append("work ended")
        if failing:
            raise OSError("lost")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: happened.append(context["message"]))
        task = asyncio.ensure_future(in_thread(work))
        await loop.run_in_executor(None, begun.wait)
        for _ in range(cancels):
            task.cancel()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert not task.done()
        may_end.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        happened.append("cancelled")
        del task
        gc.collect()

    asyncio.run(main())
    return happened


@pytest.mark.parametrize("cancels", [1, 2, 5])
def test_a_cancellation_is_delivered_when_the_work_has_ended(cancels: int) -> None:
    assert cancelled_while_working(cancels) == ["work ended", "cancelled"]


def test_a_cancellation_wins_over_what_the_work_raises_afterwards_and_the_loop_does_not_complain() -> None:
    assert cancelled_while_working(1, failing=True) == ["work ended", "cancelled"]


def test_the_end_of_the_loop_waits_for_the_work_too() -> None:
    happened: list[str] = []
    begun, may_end = Event(), Event()

    def work() -> None:
        begun.set()
        may_end.wait(60)
        happened.append("work ended")

    async def main() -> None:
        task = asyncio.ensure_future(in_thread(work))
        await asyncio.get_running_loop().run_in_executor(None, begun.wait)
        asyncio.get_running_loop().call_soon(may_end.set)
        task.add_done_callback(lambda _: happened.append("task ended"))

    asyncio.run(main())

    assert happened == ["work ended", "task ended"]
