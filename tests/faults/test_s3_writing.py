"""Whoever publishes in S3 crashes, is cancelled or is killed at any point: readers see the old object or the whole new one."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from controlroom.clock import deadline
from controlroom.errors import (
    DeadlineExceededError,
    ObjectChangedError,
    PublicationInDoubtError,
    StorageUnavailableError,
)
from controlroom.storage import AsyncS3Store, Receipt, S3Store
from controlroom.testing import FaultPlan, HttpProxy, ManualClock, SimulatedCrash
from controlroom.testing.faults import When
from tests.faults.s3_worlds import LARGE, NEW, OLD, World, quick

# Each operation on another server, where both would take long: both servers and both operations are met.
SERVERS = pytest.mark.parametrize("place", ["seaweedfs_server", "ministack_server"])
WORKER = Path(__file__).with_name("s3_writing_worker.py")

pytestmark = pytest.mark.integration


@pytest.fixture
def world(place: str, request: pytest.FixtureRequest) -> World:
    return World(request.getfixturevalue(place))


def store_in(world: World, **options: Any) -> S3Store:
    return S3Store(world.server.bucket, world.prefix, **{**world.server.login(), **quick(), **options})


def async_store_in(world: World, **options: Any) -> AsyncS3Store:
    return AsyncS3Store(world.server.bucket, world.prefix, **{**world.server.login(), **quick(), **options})


def published(store: S3Store, content: bytes) -> None:
    store.publish("a", content)


def written(store: S3Store, content: bytes) -> None:
    with store.writer("a") as file:
        file.write(content)


async def published_async(store: AsyncS3Store, content: bytes) -> None:
    await store.publish("a", content)


async def written_async(store: AsyncS3Store, content: bytes) -> None:
    async with store.writer("a") as file:
        await file.write(content)


def warm(world: World) -> None:
    """Find out beforehand what the server can do."""
    with store_in(world) as store:
        store.publish("warm", LARGE)
        store.delete("warm")


@pytest.mark.parametrize("content", [NEW, LARGE], ids=["small", "in parts"])
@pytest.mark.parametrize(("place", "run"), [("seaweedfs_server", published), ("ministack_server", written)])
def test_a_crash_at_any_step_shows_the_old_or_the_whole_new_and_the_janitor_ends_the_rest(
    world: World, content: bytes, run: Callable[[S3Store, bytes], None], tmp_path: Path
) -> None:
    warm(world)
    journal = tmp_path / "uploads"
    with store_in(world, uploads_journal=journal) as store:
        with FaultPlan() as counting:
            run(store, content)
        states = []
        for point in counting.points:
            world.set_up({"a": OLD})
            with FaultPlan.crash(*point[:1], when=point[1]), pytest.raises(SimulatedCrash):
                run(store, content)
            states.append(world.state())
            noted = len(list(journal.glob("*.upload")))
            left = world.uploads()
            assert len(left) <= 1
            swept = store.abort_stale_uploads()
            assert len(swept) == min(noted, len(left)), point
            assert not list(journal.glob("*.upload")), point
            store.abort_stale_uploads(older_than_s=0)  # one that crashed before it was noted is found by its age only
            assert world.uploads() == [], point
            run(store, content)
            assert world.state() == {"a": content}

    assert [state for state in states if state not in ({"a": OLD}, {"a": content})] == []
    assert states[0] == {"a": OLD}
    assert states[-1] == {"a": content}


def once(task: asyncio.Task[None]) -> None:
    task.cancel()


def again_and_again(task: asyncio.Task[None]) -> None:
    """While it drains, and while it puts in order."""
    loop = asyncio.get_running_loop()

    def later(turns: int) -> None:
        if not task.done() and turns:
            task.cancel()
            loop.call_soon(later, turns - 1)

    task.cancel()
    loop.call_soon(later, 30)


@pytest.mark.parametrize("content", [NEW, LARGE], ids=["small", "in parts"])
@pytest.mark.parametrize(
    ("place", "run", "cancel"),
    [
        ("seaweedfs_server", published_async, again_and_again),
        ("ministack_server", published_async, once),
        ("seaweedfs_server", written_async, once),
        ("ministack_server", written_async, again_and_again),
    ],
)
def test_a_cancellation_at_any_await_shows_the_old_or_the_whole_new_and_leaves_no_upload(
    world: World,
    content: bytes,
    run: Callable[[AsyncS3Store, bytes], Any],
    cancel: Callable[[asyncio.Task[None]], None],
) -> None:
    warm(world)

    async def sweep() -> list[bool]:
        async with async_store_in(world) as store:
            with FaultPlan() as counting:
                await run(store, content)
            outcomes = []
            for step, when in counting.points:
                world.set_up({"a": OLD})
                task: asyncio.Task[None] = asyncio.ensure_future(run(store, content))
                plan = FaultPlan.stall(step, lambda task=task: cancel(task), when=when)
                with plan, contextlib.suppress(asyncio.CancelledError):
                    await task
                outcomes.append(task.cancelled())
                assert world.state() in ({"a": OLD}, {"a": content}), (step, when)
                assert world.uploads() == [], (step, when)
                assert len(asyncio.all_tasks()) == 1, (step, when)
            return outcomes

    outcomes = asyncio.run(sweep())
    assert outcomes[0]


@pytest.mark.parametrize(("place", "run"), [("seaweedfs_server", published_async), ("ministack_server", written_async)])
def test_a_cancellation_at_any_turn_of_the_loop_leaves_no_upload(
    world: World, run: Callable[[AsyncS3Store, bytes], Any]
) -> None:
    """Not only at steps: while parts are under way, and between two of them."""
    warm(world)

    async def cancelled_after(store: AsyncS3Store, turns: int) -> bool:
        task = asyncio.ensure_future(run(store, LARGE))
        for _ in range(turns):
            if task.done():
                break
            await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        return task.cancelled()

    async def sweep() -> None:
        async with async_store_in(world) as store:
            await run(store, LARGE)
            turns = 1
            while await cancelled_after(store, turns):
                assert world.uploads() == [], turns
                turns += turns // 3 + 1
                assert turns < 1_000_000

    asyncio.run(sweep())


@pytest.mark.parametrize(("place", "run"), [("seaweedfs_server", published), ("ministack_server", written)])
@pytest.mark.parametrize("content", [NEW, LARGE], ids=["small", "in parts"])
def test_a_deadline_that_passes_at_any_step_is_told_truly_and_leaves_no_upload(
    world: World, content: bytes, run: Callable[[S3Store, bytes], None]
) -> None:
    def claim(step: int, when: When) -> BaseException | None:
        with ManualClock() as manual, FaultPlan.stall(step, lambda: manual.advance(60), when=when), deadline(30):
            try:
                run(store, content)
            except (DeadlineExceededError, StorageUnavailableError, PublicationInDoubtError) as error:
                return error
        return None

    warm(world)
    claims = []
    with store_in(world) as store:
        with FaultPlan() as counting:
            run(store, content)
        for point in counting.points:
            world.set_up({"a": OLD})
            claims.append(claim(*point))
            assert world.uploads() == [], point
            assert world.state() == ({"a": content} if claims[-1] is None else {"a": OLD}), (point, claims[-1])

    assert isinstance(claims[0], DeadlineExceededError)
    assert claims[-1] is None


@SERVERS
def test_a_writer_that_is_garbage_leaves_what_the_janitor_finds(world: World, tmp_path: Path) -> None:
    """A generator that is closed may await nothing: it lets go of its note, and the next sweep ends its upload."""
    journal = tmp_path / "uploads"

    async def forgotten() -> None:
        store = async_store_in(world, uploads_journal=journal)
        context = store.writer("a")
        file = await context.__aenter__()
        await file.write(LARGE + LARGE)
        await context.gen.aclose()  # type: ignore[attr-defined]  # as the event loop does with what is garbage
        await store.aclose()

    asyncio.run(forgotten())
    with store_in(world, uploads_journal=journal) as store:
        assert [stale.key for stale in store.abort_stale_uploads()] == ["a"]
    assert world.uploads() == []


@pytest.mark.parametrize(("place", "in_parts"), [("seaweedfs_server", False), ("ministack_server", True)])
def test_a_counter_that_loses_answers_counts_right_or_says_that_it_does_not_know(world: World, in_parts: bool) -> None:
    """Every increment is applied once, or is in doubt and then settled by its id; none is lost, none done twice."""
    padding = b" " * len(LARGE) if in_parts else b""
    world.set_up({})
    is_write = "POST" if in_parts else "PUT"

    with HttpProxy(world.server.endpoint_url) as proxy:
        store = store_in(world, endpoint_url=proxy.url)
        store.publish("n", b"000" + padding)
        store.publish("n", b"000" + padding, if_match=store.stat("n").etag)
        turns = threading.Semaphore(1)

        def lose_some() -> None:
            proxy.cut(
                "post", when=lambda seen: seen.method == is_write and "?uploads" not in seen.target, at=2, times=1
            )

        def attempt() -> bool:
            try:
                with turns:
                    etag, count = store.stat("n").etag, int(store.read_bytes("n")[:3])
                store.publish("n", b"%03d" % (count + 1) + padding, if_match=etag)
            except ObjectChangedError:  # while it was read, or before it was replaced
                return False
            except PublicationInDoubtError as doubt:
                return settled(str(doubt.write_id))
            return True

        def settled(write_id: str) -> bool:
            try:
                found = store.reconcile("n", write_id)
            except ObjectChangedError:  # it was there, and was replaced while it was read
                return True
            doubts.append(found)
            return found is not None

        doubts: list[Receipt | None] = []

        def increment(_: int) -> int:
            tries = 0
            while not attempt():
                tries += 1
            lose_some()
            return tries

        increments = 4 if in_parts else 12
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(increment, range(increments)))
        counted = int(store.read_bytes("n")[:3])
        store.close()

    # One that was in doubt and superseded before it could be asked for may have counted: it was said, and no more than that.
    superseded = sum(found is None for found in doubts)
    assert increments <= counted <= increments + superseded


@pytest.fixture
def worker(world: World, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    environment = {
        **os.environ,
        **{f"S3_{name}": value for name, value in world.server.login().items()},
        "S3_BUCKET": world.server.bucket,
        "S3_PREFIX": world.prefix,
    }
    process = subprocess.Popen(
        [sys.executable, str(WORKER), str(tmp_path / "uploads")], env=environment, stdout=subprocess.PIPE, text=True
    )
    yield process
    process.kill()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


@SERVERS
def test_the_upload_of_a_killed_process_is_swept_and_that_of_a_living_one_is_not(
    world: World, worker: subprocess.Popen[str], tmp_path: Path
) -> None:
    assert worker.stdout is not None
    assert worker.stdout.readline() == "a part is sent\n"

    with store_in(world, uploads_journal=tmp_path / "uploads") as store:
        assert store.abort_stale_uploads(older_than_s=0) == []
        assert world.uploads() == [f"{world.prefix}/a"]
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        assert [stale.key for stale in store.abort_stale_uploads(dry_run=True)] == ["a"]
        assert [stale.key for stale in store.abort_stale_uploads()] == ["a"]

    assert world.uploads() == []
    assert world.state() == {}
    assert list((tmp_path / "uploads").iterdir()) == []
