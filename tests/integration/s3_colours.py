"""One way to perform calls of S3 for both colours: what came of each, in order."""

from __future__ import annotations

import asyncio
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from controlroom.clock import deadline
from controlroom.errors import ControlRoomError
from controlroom.policy.object_calls import Call, Calls
from controlroom.retrying import RetryPolicy
from controlroom.storage import AsyncS3Store, S3Store, S3Timeouts

COLOURS = ["sync", "async"]
LOGIN = {"region": "us-east-1", "access_key_id": "AKIDTESTS", "secret_access_key": "secret-of-these-tests"}
HASTY = S3Timeouts(connect_s=5, read_s=0.2, call_s=0.4)
ONCE = RetryPolicy(attempts=1)


def ask(
    colour: str,
    url: str | None,
    *steps: Call | Calls,
    within_s: float | None = None,
    read_within_s: float = 60,
    **options: Any,
) -> list[Any]:
    """What each of *steps* gave: the answer, with its body as bytes, or the error it ended with.

    The store is at work already when the deadline of *within_s* begins: making a client takes what time it takes.
    """
    set_up = {"endpoint_url": url, "retry": ONCE, **({} if options.get("anonymous") else LOGIN), **options}
    if colour == "async":
        return asyncio.run(_ask_async(set_up, steps, within_s, read_within_s))
    with S3Store("bucket", **set_up) as store:
        store._performer.server()
        with _deadline(within_s):
            return [_outcome(store, step, read_within_s) for step in steps]


def _deadline(within_s: float | None) -> AbstractContextManager[Any]:
    return nullcontext() if within_s is None else deadline(within_s)


def _outcome(store: S3Store, step: Call | Calls, read_within_s: float) -> Any:
    performer = store._performer
    try:
        answer = performer.perform(step)
        if isinstance(answer, dict) and "Body" in answer:
            pieces = []
            with deadline(read_within_s):
                while piece := performer.read(answer["Body"], 65536, "s3://bucket/key"):
                    pieces.append(piece)
            answer["Body"] = b"".join(pieces)
    except ControlRoomError as error:
        return error
    return answer


async def _ask_async(
    set_up: dict[str, Any], steps: tuple[Call | Calls, ...], within_s: float | None, read_within_s: float
) -> list[Any]:
    async with AsyncS3Store("bucket", **set_up) as store:
        await store._performer.server()
        with _deadline(within_s):
            return [await _outcome_async(store, step, read_within_s) for step in steps]


async def _outcome_async(store: AsyncS3Store, step: Call | Calls, read_within_s: float) -> Any:
    performer = store._performer
    try:
        answer = await performer.perform(step)
        if isinstance(answer, dict) and "Body" in answer:
            pieces = []
            with deadline(read_within_s):
                while piece := await performer.read(answer["Body"], 65536, "s3://bucket/key"):
                    pieces.append(piece)
            answer["Body"] = b"".join(pieces)
    except ControlRoomError as error:
        return error
    return answer
