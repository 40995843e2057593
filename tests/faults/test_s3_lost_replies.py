"""Requests and answers that are lost on the way, at every request of every operation: what is claimed is what happened."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from queue import Queue
from typing import Any

import pytest

from controlroom.errors import (
    ControlRoomError,
    ObjectChangedError,
    ObjectExistsError,
)
from controlroom.storage import AsyncS3Store, S3Store, S3Timeouts
from controlroom.storage.s3 import capabilities
from controlroom.storage.s3.capabilities import Capability
from controlroom.testing import HttpProxy
from tests.contract.stores import AllInOneLoop, Blocking
from tests.faults.s3_worlds import LARGE, NEW, OLD, OPERATIONS, Operation, World, quick
from tests.servers.s3 import S3Server

# Each colour on the other server than in its neighbour's half: both servers are met, and each colour is met once.
PAIRS = {"S3Store": "seaweedfs_server", "AsyncS3Store": "ministack_server"}
FAULTS: dict[str, dict[str, Any]] = {
    "never arrives": {"how": "pre"},
    "arrives in part": {"how": "mid_request", "after_bytes": 10},
    "answer lost": {"how": "post"},
    "answer reset": {"how": "post", "reset": True},
    "answer cut": {"how": "mid_reply", "after_bytes": 10},
}
BY_NAME = {operation.name: operation for operation in OPERATIONS}
FEWER = ("never arrives", "answer lost", "answer cut")  # for what is large, and takes its time
# What is asked for, and what follows, is decided once for both colours; writers and readers are a colour's own.
SWEPT = {
    "S3Store": {
        "publish",
        "publish if match",
        "publish large if absent",
        "write",
        "copy if absent",
        "move",
        "delete if match",
        "read",
        "stat",
    },
    "AsyncS3Store": {
        "publish if absent",
        "publish large",
        "write",
        "copy",
        "move if absent",
        "delete",
        "read",
        "list",
    },
}


@pytest.fixture(params=PAIRS)
def colour(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def world(colour: str, request: pytest.FixtureRequest) -> World:
    # SeaweedFS does not complete uploads on a condition in one step: that is refused there.
    completes = "large if absent" in request.node.name or "rival" in request.node.name
    return World(request.getfixturevalue("ministack_server" if completes else PAIRS[colour]))


@pytest.fixture(scope="module")
def loop() -> Iterator[AllInOneLoop]:
    loop = AllInOneLoop()
    yield loop
    loop.close()


@pytest.fixture
def proxy(world: World) -> Iterator[HttpProxy]:
    bucket, given = world.server.bucket, world.server.login()
    with S3Store(bucket, world.prefix, **given) as direct:
        for capability in Capability:
            direct._performer.capabilities.has(capability)
    with HttpProxy(world.server.endpoint_url) as proxy:
        capabilities._found[proxy.url, bucket] = capabilities._found[world.server.endpoint_url, bucket]
        yield proxy


def swept(*names: str) -> pytest.MarkDecorator:
    """Parametrize with operations, each in its colours."""
    pairs = [(BY_NAME[name], colour) for name in names or BY_NAME for colour in PAIRS if name in SWEPT[colour]]
    ids = [f"{operation.name}-{colour}" for operation, colour in pairs]
    return pytest.mark.parametrize(("operation", "colour"), pairs, ids=ids)


def test_no_operation_is_left_out() -> None:
    assert set.union(*SWEPT.values()) == BY_NAME.keys()


@pytest.fixture
def store(colour: str, world: World, proxy: HttpProxy, loop: AllInOneLoop) -> Iterator[Any]:
    store = opened(colour, world, proxy, loop)
    yield store
    store.close()


def opened(colour: str, world: World, proxy: HttpProxy, loop: AllInOneLoop, **options: Any) -> Any:
    given = {**world.server.login(proxy.url), **quick(), **options}
    if colour == "AsyncS3Store":
        return Blocking(AsyncS3Store(world.server.bucket, world.prefix, **given), loop)
    return S3Store(world.server.bucket, world.prefix, **given)


def sweep(store: Any) -> None:
    """What the janitor does."""
    if isinstance(store, Blocking):
        store.run(store.store.abort_stale_uploads(older_than_s=0))
    else:
        store.abort_stale_uploads(older_than_s=0)


def claim_of(operation: Operation, store: Any) -> Any:
    try:
        return operation.run(store)
    except Exception as error:
        return error


def requests_of(operation: Operation, store: Any, world: World, proxy: HttpProxy) -> int:
    """How many requests it takes."""
    world.set_up(operation.before)
    begun = len(proxy.seen)
    world.judge(operation, claim_of(operation, store))
    return len(proxy.seen) - begun


@swept()
def test_one_exchange_that_is_lost_is_made_good(
    operation: Operation, store: Any, world: World, proxy: HttpProxy
) -> None:
    for number in range(1, requests_of(operation, store, world, proxy) + 1):
        for name, fault in FAULTS.items():
            if name not in FEWER and LARGE in operation.after.values():
                continue
            world.set_up(operation.before)
            proxy.cut(**fault, at=number)
            claim = claim_of(operation, store)
            proxy.forget()
            where = f"{name}: request {number}, {proxy.seen[-1]}"
            assert not isinstance(claim, BaseException), (where, claim)
            world.judge(operation, claim)
            struck = next(exchange for exchange in reversed(proxy.seen) if exchange.cut)
            # The server has begun an upload that nobody here knows the id of: only the janitor can find it.
            unknown = struck.target.endswith("?uploads") and struck.status is not None
            assert len(world.uploads()) == unknown, where
            sweep(store)


@swept()
def test_a_network_that_fails_for_good_leaves_claims_that_are_true(
    operation: Operation, store: Any, world: World, proxy: HttpProxy
) -> None:
    for number in range(1, requests_of(operation, store, world, proxy) + 1):
        for fault in ("never arrives", "answer lost"):
            world.set_up(operation.before)
            proxy.cut(**FAULTS[fault], at=number, times=1_000)
            claim = claim_of(operation, store)
            proxy.forget()
            assert isinstance(claim, ControlRoomError), (fault, number)
            world.judge(operation, claim)
            sweep(store)  # nothing could be taken back either
            assert world.uploads() == []
            world.judge(operation, claim)


@swept()
def test_a_server_that_is_busy_or_broken_is_asked_again(
    operation: Operation, store: Any, world: World, proxy: HttpProxy
) -> None:
    for number in range(1, requests_of(operation, store, world, proxy) + 1):
        status, code = ((503, b"SlowDown"), (500, b"InternalError"))[number % 2]
        world.set_up(operation.before)
        body = b"<?xml version='1.0'?><Error><Code>%s</Code><Message>m</Message></Error>" % code
        proxy.answer(status, body, {"Content-Type": "application/xml"}, at=number)
        claim = claim_of(operation, store)
        proxy.forget()
        assert not isinstance(claim, BaseException), (status, number, proxy.seen[-1], claim)
        world.judge(operation, claim)
        assert world.uploads() == []


@pytest.mark.parametrize("name", ["publish large", "copy"])
def test_an_error_in_a_200_is_an_error(name: str, store: Any, world: World, proxy: HttpProxy) -> None:
    """CompleteMultipartUpload and CopyObject answer 200 before they know how it ends."""
    operation = BY_NAME[name]
    requests_of(operation, store, world, proxy)
    for forwards in (False, True):
        world.set_up(operation.before)
        body = b"<?xml version='1.0'?><Error><Code>InternalError</Code><Message>m</Message></Error>"
        proxy.answer(
            200,
            body,
            when=lambda exchange: (
                ("uploadId" in exchange.target and exchange.method == "POST") or "x-amz-copy-source" in exchange.headers
            ),
            forwards=forwards,
        )
        claim = claim_of(operation, store)
        proxy.forget()
        assert not isinstance(claim, BaseException), claim
        world.judge(operation, claim)
        assert world.uploads() == []


@pytest.mark.parametrize("large", [False, True])
def test_a_rival_who_wins_while_our_answer_is_lost_is_told_from_us(
    store: Any, world: World, proxy: HttpProxy, large: bool
) -> None:
    """The request never arrives; the rival does; then we ask again."""
    content = LARGE if large else NEW
    world.set_up({})
    store.publish("warm", content, if_absent=True)
    rival = world.server.s3

    def win() -> None:
        rival.put_object(Bucket=world.server.bucket, Key=f"{world.prefix}/a", Body=OLD)

    proxy.cut("pre", when=lambda exchange: "if-none-match" in exchange.headers)
    proxy.before(win, when=lambda exchange: "if-none-match" in exchange.headers, at=2)
    with pytest.raises(ObjectExistsError):
        store.publish("a", content, if_absent=True)

    assert world.state()["a"] == OLD
    assert world.uploads() == []


@pytest.mark.parametrize("if_absent", [False, True])
def test_what_changes_on_its_way_is_not_moved_away(store: Any, world: World, proxy: HttpProxy, if_absent: bool) -> None:
    operation = BY_NAME["move if absent" if if_absent else "move"]
    for number in range(2, requests_of(operation, store, world, proxy) + 1):
        world.set_up(operation.before)
        proxy.before(
            lambda: world.server.s3.put_object(Bucket=world.server.bucket, Key=f"{world.prefix}/a", Body=LARGE),
            at=number,
        )
        claim = claim_of(operation, store)
        proxy.forget()
        assert world.state().get("a") == LARGE, (number, proxy.seen[-1])
        assert isinstance(claim, ObjectChangedError), number


def test_a_conditional_write_that_arrives_late_is_one_write(store: Any, world: World, proxy: HttpProxy) -> None:
    """Our connection ends, we ask again, and the first request arrives after all."""
    world.set_up({})
    store.publish("warm", NEW, if_absent=True)
    proxy.cut("late", when=lambda exchange: exchange.method == "PUT")
    receipt = store.publish("a", NEW, if_absent=True)
    store.publish("a", OLD, if_match=receipt.etag)
    proxy.release()

    assert world.state()["a"] == OLD


@pytest.mark.parametrize("name", ["publish", "publish if absent", "publish large", "move", "delete", "read", "list"])
def test_silence_ends(name: str, colour: str, world: World, proxy: HttpProxy, loop: AllInOneLoop) -> None:
    operation = BY_NAME[name]
    store = opened(colour, world, proxy, loop, timeouts=S3Timeouts(connect_s=5, read_s=0.3, call_s=5, total_s=30))
    try:
        count = requests_of(operation, store, world, proxy)
        for number in {1, count}:
            world.set_up(operation.before)
            proxy.cut("blackhole", at=number)
            claim = claim_of(operation, store)
            proxy.forget()
            assert not isinstance(claim, BaseException), (number, proxy.seen[-1], claim)
            world.judge(operation, claim)
    finally:
        store.close()


@swept("publish if absent", "copy if absent", "move", "delete if match")
def test_what_the_server_can_do_is_found_out_on_a_bad_network_too(
    operation: Operation, colour: str, world: World, loop: AllInOneLoop
) -> None:
    """Each proxy is an endpoint that nothing is known of; its first requests are the probes'."""

    def first_time(fault: dict[str, Any] | None, number: int) -> int:
        world.set_up(operation.before)
        with HttpProxy(world.server.endpoint_url) as proxy:
            if fault:
                proxy.cut(**fault, at=number)
            store = opened(colour, world, proxy, loop)
            try:
                claim = claim_of(operation, store)
            finally:
                store.close()
            assert not isinstance(claim, BaseException), (fault, number, claim)
            world.judge(operation, claim)  # no probe is left either: it would be an object of no known state
            return len(proxy.seen)

    for number in range(1, first_time(None, 0) + 1):
        first_time(FAULTS["answer reset" if number % 2 else "never arrives"], number)


# A process that is killed


@pytest.fixture
def worker(ministack_server: S3Server) -> Iterator[tuple[World, HttpProxy, subprocess.Popen[str]]]:
    world, program = World(ministack_server), str(Path(__file__).with_name("s3_worker.py"))
    login = {f"S3_{name.upper()}": value for name, value in ministack_server.login().items()}
    with (
        HttpProxy(ministack_server.endpoint_url) as proxy,
        subprocess.Popen(
            [sys.executable, program, proxy.url, world.prefix],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **login},
        ) as process,
    ):
        yield world, proxy, process
        assert process.stdin
        process.stdin.close()


def test_a_kill_at_any_request_leaves_the_old_or_the_whole_new_and_the_janitor_the_rest(
    worker: tuple[World, HttpProxy, subprocess.Popen[str]],
) -> None:
    world, proxy, process = worker
    operation = BY_NAME["publish large"]
    assert process.stdin
    assert process.stdout
    for number in range(1, 100):
        world.set_up(operation.before, sweeps=False)
        children: Queue[int] = Queue()
        proxy.before(lambda children=children: os.kill(children.get(timeout=60), signal.SIGKILL), at=number)
        process.stdin.write("publish\n")
        process.stdin.flush()
        children.put(int(process.stdout.readline()))
        status = int(process.stdout.readline())
        proxy.forget()
        proxy.settle()
        found = {key: content for key, content in world.state().items() if not key.startswith(".controlroom-probe/")}
        assert found in (operation.before, operation.after), number
        if status == 0:
            break
        assert os.WTERMSIG(status) == signal.SIGKILL
    with S3Store(world.server.bucket, world.prefix, **world.server.login()) as store:
        assert [info.key for info in store.list()] == ["a"]  # what was left of a probe is not shown
        left = world.uploads()
        assert len(left) >= 3  # one for each kill after the upload had begun
        assert len(store.abort_stale_uploads(older_than_s=0, dry_run=True)) == len(left)
        assert world.uploads() == left
        assert len(store.abort_stale_uploads(older_than_s=0)) == len(left)
        assert world.uploads() == []


# A task that is cancelled


@pytest.mark.parametrize(
    "name", ["publish", "publish if absent", "publish large", "write", "copy", "move", "delete", "read", "list"]
)
def test_a_cancellation_at_any_request_leaves_old_or_new_and_nothing_unfinished(
    name: str, ministack_server: S3Server
) -> None:
    world, operation = World(ministack_server), BY_NAME[name]
    with HttpProxy(ministack_server.endpoint_url) as proxy:
        limits = quick(timeouts=S3Timeouts(connect_s=5, read_s=1, call_s=5, total_s=60))
        store = AsyncS3Store(ministack_server.bucket, world.prefix, **ministack_server.login(proxy.url), **limits)

        async def cancelled_at(number: int, how: str) -> bool:
            task = asyncio.ensure_future(ASYNC[name](store))
            loop = asyncio.get_running_loop()
            if how == "answer never comes":
                proxy.cut("blackhole", at=number)
            proxy.before(lambda: loop.call_soon_threadsafe(task.cancel), at=number)
            try:
                await task
            except asyncio.CancelledError:
                return True
            finally:
                proxy.forget()
            return False

        async def all_of_it() -> None:
            for _ in range(2):
                world.set_up(operation.before)
                begun = len(proxy.seen)
                await ASYNC[name](store)
            count = len(proxy.seen) - begun
            outcomes = []
            for number in range(1, count + 1):
                for how in ("answer comes", "answer never comes"):
                    world.set_up(operation.before)
                    outcomes.append(await cancelled_at(number, how))
                    at_once = world.state(), world.uploads()
                    proxy.settle()
                    if how == "answer comes":
                        assert (world.state(), world.uploads()) == at_once, (number, "it went on after it had raised")
                    assert at_once[0] in (operation.before, *operation.between, operation.after), (number, how)
                    unknown = number == 1 and how == "answer never comes" and operation.after.get("a") == LARGE
                    assert len(at_once[1]) <= unknown, (number, how)
            assert any(outcomes)
            await store.aclose()
            assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []

        asyncio.run(all_of_it())


async def _written(store: AsyncS3Store) -> None:
    async with store.writer("a") as file:
        await file.write(LARGE[:100])
        await file.write(LARGE[100:])


async def _listed(store: AsyncS3Store) -> None:
    assert [info.key async for info in store.list()]


ASYNC = {
    "publish": lambda store: store.publish("a", NEW),
    "publish if absent": lambda store: store.publish("a", NEW, if_absent=True),
    "publish large": lambda store: store.publish("a", LARGE),
    "write": _written,
    "copy": lambda store: store.copy("a", "b"),
    "move": lambda store: store.move("a", "b"),
    "delete": lambda store: store.delete("a"),
    "read": lambda store: store.read_bytes("a"),
    "list": _listed,
}
