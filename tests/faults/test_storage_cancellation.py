"""A task that is cancelled at any of its awaits: the step in hand ends, what is not published is undone, then it raises."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from itertools import count
from pathlib import Path

import pytest

from controlroom.storage import AsyncLocalStore
from controlroom.testing import FaultPlan
from controlroom.testing.faults import When
from tests.faults.storage_worlds import ASYNC, NEW, OLD, Operation, published, run, staged

OPERATIONS = pytest.mark.parametrize("operation", ASYNC, ids=lambda operation: operation.name)


def once(task: asyncio.Task[None]) -> None:
    task.cancel()


def again_while_it_drains(task: asyncio.Task[None]) -> None:
    """The second one arrives while the first is held back until the thread has ended."""
    task.cancel()
    asyncio.get_running_loop().call_soon(task.cancel)


def again_while_it_undoes(task: asyncio.Task[None]) -> None:
    """The second one arrives in the undo, some turns of the loop later."""
    loop = asyncio.get_running_loop()

    def later(turns: int) -> None:
        if turns:
            loop.call_soon(later, turns - 1)
        else:
            task.cancel()

    task.cancel()
    later(20)


@OPERATIONS
@pytest.mark.parametrize("cancel", [once, again_while_it_drains, again_while_it_undoes])
def test_a_cancellation_at_any_await_leaves_the_old_or_the_whole_new_and_nothing_staged(
    tmp_path: Path, operation: Operation, cancel: Callable[[asyncio.Task[None]], None]
) -> None:
    folders = count()

    def new_folder() -> Path:
        folder = tmp_path / str(next(folders))
        folder.mkdir()
        operation.set_up(folder)
        return folder

    async def cancelled(folder: Path, step: int, when: When) -> bool:
        task: asyncio.Task[None] = asyncio.ensure_future(operation.run(folder))
        with FaultPlan.stall(step, lambda: cancel(task), when=when):
            try:
                await task
            except asyncio.CancelledError:
                return True
            return False

    with FaultPlan() as counting:
        run(operation, new_folder())
    descriptors = len(os.listdir("/proc/self/fd"))
    outcomes = []
    for point in counting.points:
        folder = new_folder()
        outcomes.append(asyncio.run(cancelled(folder, *point)))
        assert published(folder) in operation.allowed, point
        assert staged(folder) == [], point
        assert len(os.listdir("/proc/self/fd")) == descriptors, point
    assert any(outcomes)


@pytest.mark.parametrize("through", ["publish", "writer", "copy"])
def test_a_coroutine_that_is_closed_instead_of_cancelled_leaves_nothing_staged(tmp_path: Path, through: str) -> None:
    """A loop that is stopped for good closes its coroutines: they can await nothing any more."""
    store, half_way = AsyncLocalStore(tmp_path), asyncio.Event()

    async def wait_for_ever() -> None:
        half_way.set()
        await asyncio.get_running_loop().create_future()

    async def half() -> AsyncIterator[bytes]:
        yield b"half"
        await wait_for_ever()

    async def write() -> None:
        async with store.writer("a") as file:
            await file.write(b"half")
            await wait_for_ever()

    coroutines = {"publish": lambda: store.publish("a", half()), "writer": write, "copy": lambda: store.copy("b", "a")}
    (tmp_path / "a").write_bytes(OLD)
    (tmp_path / "b").write_bytes(NEW)
    coroutine = coroutines[through]()
    loop = asyncio.new_event_loop()
    with FaultPlan.stall(2, wait_for_ever) if through == "copy" else FaultPlan():
        task = loop.create_task(coroutine)
        loop.run_until_complete(half_way.wait())
        assert staged(tmp_path)
        coroutine.close()
    task._log_destroy_pending = False  # type: ignore[attr-defined]  # that is what this test is about
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()

    assert published(tmp_path) == {"a": OLD, "b": NEW}
    assert staged(tmp_path) == []


def test_a_timeout_round_a_publication_is_one(tmp_path: Path) -> None:
    async def never_ending() -> AsyncIterator[bytes]:
        yield NEW
        await asyncio.get_running_loop().create_future()

    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await AsyncLocalStore(tmp_path).publish("a", never_ending())

    asyncio.run(main())
    assert staged(tmp_path) == []
    assert published(tmp_path) == {}


def test_a_listing_that_is_left_early_ends(tmp_path: Path) -> None:
    store = AsyncLocalStore(tmp_path, durable=False)

    async def main() -> None:
        for number in range(300):
            await store.publish(f"{number:03}/a", b"")
        async for info in store.list():
            assert info.key == "000/a"
            break

    before = len(os.listdir("/proc/self/fd"))
    asyncio.run(main())
    assert len(os.listdir("/proc/self/fd")) == before
