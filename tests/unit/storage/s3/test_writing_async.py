from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest

from controlroom.errors import FileOperationError
from controlroom.policy.object_calls import Call
from controlroom.policy.s3_pieces import (
    AbortUpload,
    Begin,
    BeginUpload,
    CheckSource,
    Gather,
    Publication,
    StopParts,
)
from controlroom.storage.s3.options import S3Options
from controlroom.storage.s3.writing_async import AsyncUploader
from controlroom.storage.s3_keys import S3Place

PART_BYTES = 5 * 1024 * 1024
A_FEW_TURNS = 20


def uploader(perform: Callable[[Call], Awaitable[Any]], parallel: int = 2) -> AsyncUploader:
    options = S3Options(parallel=parallel, part_size_bytes=PART_BYTES)
    performer: Any = SimpleNamespace(place=S3Place("b"), options=options, perform=perform)
    return AsyncUploader(performer, Publication("k", "s3://b/k", "w", {"Metadata": {}}, PART_BYTES))


def part(number: int, size_bytes: int = PART_BYTES) -> Begin:
    return Begin(Call("UploadPart", {"PartNumber": number, "Body": bytes(size_bytes)}))


async def some_turns() -> None:
    for _ in range(A_FEW_TURNS):
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("parallel", "size_bytes", "room"), [(2, PART_BYTES, 2), (4, PART_BYTES, 4), (4, 3 * PART_BYTES, 1), (2, 1, 2)]
)
def test_no_part_is_begun_before_there_is_room_for_it(parallel: int, size_bytes: int, room: int) -> None:
    async def main() -> None:
        release = asyncio.Event()
        begun: list[int] = []

        async def perform(call: Call) -> int:
            await release.wait()
            return int(call.params["PartNumber"])

        async def begin(working: AsyncUploader) -> None:
            for number in range(1, room + 3):
                await working.perform(part(number, size_bytes))
                begun.append(number)

        async with uploader(perform, parallel) as working:
            beginning = asyncio.create_task(begin(working))
            await some_turns()
            assert len(begun) == room
            release.set()
            await beginning
            assert await working.perform(Gather()) == list(range(1, room + 3))

    asyncio.run(main())


def test_a_part_that_failed_is_known_when_the_next_one_is_begun() -> None:
    async def perform(_: Call) -> None:
        message = "no"
        raise FileOperationError(message)

    async def main() -> None:
        async with uploader(perform, parallel=1) as working:
            await working.perform(part(1))
            with pytest.raises(FileOperationError):
                await working.perform(part(2))

    asyncio.run(main())


def test_what_is_stopped_has_ended_before_the_upload_is_aborted() -> None:
    """A part that arrives after the upload was aborted may be stored all the same."""
    events: list[str] = []

    async def perform(call: Call) -> None:
        if call.operation == "AbortMultipartUpload":
            events.append("aborted")
            return
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            events.append("ended")

    async def main() -> None:
        async with uploader(perform) as working:
            await working.perform(part(1))
            await working.perform(part(2))
            await some_turns()
            await working.perform(StopParts())
            await working.perform(AbortUpload("u", Call("AbortMultipartUpload")))
            assert events == ["ended", "ended", "aborted"]

    asyncio.run(main())


def test_the_name_of_an_upload_is_waited_for_although_cancelled_and_the_cancellation_comes_with_the_next_step() -> None:
    async def main() -> None:
        answer = asyncio.Event()

        async def perform(_: Call) -> dict[str, str]:
            await answer.wait()
            return {"UploadId": "u"}

        steps: list[Any] = []

        async def begin(working: AsyncUploader) -> None:
            steps.append(await working.perform(BeginUpload(Call("CreateMultipartUpload"))))
            steps.append(await working.perform(CheckSource()))

        async with uploader(perform) as working:
            task = asyncio.create_task(begin(working))
            await some_turns()
            for _ in range(3):
                task.cancel()
                await some_turns()
            assert not task.done()
            answer.set()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert steps == [{"UploadId": "u"}]
            assert await working.perform(CheckSource()) is None

    asyncio.run(main())


@pytest.mark.parametrize("cancelled", [False, True])
def test_an_upload_that_does_not_begin_raises_what_ended_it(cancelled: bool) -> None:
    async def main() -> None:
        answer = asyncio.Event()

        async def perform(_: Call) -> None:
            await answer.wait()
            message = "no"
            raise FileOperationError(message)

        async with uploader(perform) as working:
            task = asyncio.create_task(working.perform(BeginUpload(Call("CreateMultipartUpload"))))
            await some_turns()
            if cancelled:
                task.cancel()
            answer.set()
            with pytest.raises(asyncio.CancelledError if cancelled else FileOperationError):
                await task

    asyncio.run(main())
