"""Copies and moves that are cancelled at every step: whole or not there, and no upload is left."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from controlroom.errors import ControlRoomError
from controlroom.policy.backoff import Backoff
from controlroom.retrying import RetryPolicy
from controlroom.storage import AsyncS3Store, S3Store
from controlroom.storage.s3.moving_async import AsyncS3Moving
from controlroom.testing import FaultPlan
from tests.servers.s3 import S3Server

PART = 5 * 1024**2
LARGE = b"l" * PART + b"and a part more"
SMALL = b"small"


@pytest.fixture
def prefix(ministack_server: S3Server) -> Iterator[str]:
    prefix = ministack_server.new_prefix()
    yield prefix
    assert ministack_server.uploads(ministack_server.bucket, prefix) == []


def options(server: S3Server) -> dict[str, Any]:
    quick = RetryPolicy(attempts=3, backoff=Backoff(initial_s=0.001, jitter="none"))
    return {**server.login(), "retry": quick, "part_size_bytes": PART}


@pytest.mark.parametrize(
    ("times", "content", "operation"),
    [(1, SMALL, "copy"), (1, SMALL, "move"), (2, SMALL, "move"), (1, LARGE, "move"), (2, LARGE, "copy")],
    ids=["once-small-copy", "once-small-move", "twice-small-move", "once-large-move", "twice-large-copy"],
)
def test_what_is_cancelled_at_any_step_is_whole_or_not_there(
    ministack_server: S3Server, prefix: str, operation: str, content: bytes, times: int
) -> None:
    server = ministack_server
    looking = S3Store(server.bucket, prefix, **options(server))

    async def cancelled_at(store: AsyncS3Store, step: int) -> bool:
        looking.publish("a", content)
        looking.delete("b")
        task = asyncio.ensure_future(getattr(store, operation)("a", "b", if_absent=True))

        def cancel() -> None:
            task.cancel()
            for _ in range(times - 1):
                asyncio.get_running_loop().call_soon(task.cancel)

        with FaultPlan.stall(step, cancel):
            outcome = (await asyncio.gather(task, return_exceptions=True))[0]
        found = {info.key: info.size_bytes for info in looking.list()}
        assert found
        assert set(found.values()) == {len(content)}
        assert server.uploads(server.bucket, prefix) == []
        assert asyncio.all_tasks() == {asyncio.current_task()}
        if isinstance(outcome, asyncio.CancelledError):
            return True
        assert not isinstance(outcome, BaseException), outcome
        return False

    async def run() -> int:
        async with AsyncS3Store(server.bucket, prefix, **options(server)) as store:
            store._moving = AsyncS3Moving(store._performer, single_bytes=PART, part_bytes=PART)
            looking.publish("warm", LARGE)  # what the server can do is found out
            await store.move("warm", "warmer", if_absent=True)
            looking.delete("warmer")
            step = 1
            while await cancelled_at(store, step):
                step += 1
            return step

    with looking:
        assert asyncio.run(run()) > 3


@pytest.mark.parametrize("if_absent", [False, True])
def test_a_failure_in_the_middle_leaves_no_upload(ministack_server: S3Server, prefix: str, if_absent: bool) -> None:
    server = ministack_server

    def fail(store: Any, work: Callable[[], Any]) -> bool:
        step = 1
        while True:
            store.publish("a", LARGE)
            store.delete("b")
            try:
                with FaultPlan.fail(step, ControlRoomError("on purpose")):
                    work()
            except ControlRoomError:
                assert server.uploads(server.bucket, prefix) == [] or step > 1
                store.abort_stale_uploads(older_than_s=0)  # where it was the abort itself that failed
                assert store.exists("a")
                step += 1
            else:
                return step > 3

    with S3Store(server.bucket, prefix, **options(server)) as store:
        from controlroom.storage.s3.moving import S3Moving

        moving = S3Moving(store._performer, single_bytes=PART, part_bytes=PART)
        assert fail(store, lambda: moving.move("a", "b", if_absent=if_absent))
