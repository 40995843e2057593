"""Publishes objects in S3 for asyncio; see `controlroom.storage.s3.writing`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack

from controlroom import clock
from controlroom.draining import drained
from controlroom.errors import ObjectNotFoundError
from controlroom.policy.flow import Flow, drive_async
from controlroom.policy.object_calls import Call
from controlroom.policy.s3_pieces import (
    AbortUpload,
    Ask,
    Begin,
    BeginUpload,
    CheckSource,
    ForgetUpload,
    Gather,
    NoteUpload,
    Piece,
    Publication,
    ReadPiece,
    Rewind,
    Step,
    StopParts,
    Sums,
)
from controlroom.policy.s3_publication import abort_upload, finish, publish, push
from controlroom.storage.files_async import AsyncObjectWriter
from controlroom.storage.objects import Receipt
from controlroom.storage.s3.arriving import AT_ONCE_BYTES, ArrivingReader, streamed
from controlroom.storage.s3.publishing import (
    ABORT_WITHIN_S,
    Asked,
    body_bytes,
    has_room,
    journal_of,
    noted,
    receipt,
    requested,
    sums_of,
    told_of_orphan,
)
from controlroom.storage.s3.uploading import PartBuffer, PieceReader
from controlroom.storage.sources import AsyncSource, Octets, check_source, octets
from controlroom.storage.threads import in_thread

if TYPE_CHECKING:
    from controlroom.storage.s3.performer_async import AsyncS3Performer

__all__ = ["AsyncUploader", "publish_object_async", "writing_object_async"]

T = TypeVar("T")


async def publish_object_async(
    performer: AsyncS3Performer,
    key: str,
    source: AsyncSource,
    **asked: Unpack[Asked],
) -> Receipt:
    """Make the bytes of *source* the object *key*, as one piece; see `S3Store.publish`."""
    check_source(source)
    with performer.limited(), closing(await _opened(source, sums_of(performer.options))) as reader:
        publication = requested(performer, key, length_bytes=reader.length_bytes, **asked)
        async with AsyncUploader(performer, publication, reader) as uploader:
            return receipt(publication, await drive_async(publish(publication), uploader.perform))


async def _opened(source: AsyncSource, sums: Sums) -> PieceReader | ArrivingReader:
    if isinstance(source, bytes | bytearray | memoryview):
        return PieceReader(source, sums, streamed)
    if isinstance(source, AsyncIterable):
        return ArrivingReader(source, sums)
    return await in_thread(PieceReader, source, sums, streamed)


@asynccontextmanager
async def writing_object_async(
    performer: AsyncS3Performer,
    key: str,
    **asked: Unpack[Asked],
) -> AsyncIterator[AsyncObjectWriter]:
    """Write the object *key* piece by piece; see `S3Store.writer`."""
    publication = requested(performer, key, **asked)
    async with AsyncUploader(performer, publication) as uploader:
        file = AsyncS3Writer(performer, publication, uploader)
        try:
            yield file
            await file.end()
        except GeneratorExit:  # nobody may await any more: whoever sweeps uploads finds this one
            raise
        except BaseException:
            await file.forget()
            raise


class AsyncS3Writer:
    """An `AsyncObjectWriter` of an object in S3: sends what is written part by part, as it comes."""

    def __init__(self, performer: AsyncS3Performer, publication: Publication, uploader: AsyncUploader) -> None:
        self._performer = performer
        self._publication = publication
        self._uploader = uploader
        self._buffer = PartBuffer(publication, streamed)
        self._is_discarded = False
        self.receipt: Receipt | None = None

    async def write(self, data: Octets, /) -> int:
        """Write *data*, whole, and return its length in bytes."""
        left = memoryview(octets(data)).cast("B")
        size_bytes = len(left)
        while left and not self._is_discarded:
            self._buffer.require_sound()
            if self._buffer.is_full:
                await self._send()
            left = left[self._buffer.take(left) :]
        return size_bytes

    def discard(self) -> None:
        """Leave the object as it was, when the block ends. What is written afterwards goes nowhere."""
        self._is_discarded = True

    async def _send(self) -> None:
        try:
            piece = await in_thread(self._buffer.piece, is_last=False)
            self._buffer.upload = await self._drive(push(self._publication, self._buffer.upload, piece))
        except BaseException as error:
            self._buffer.failure = error
            raise

    async def end(self) -> None:
        """Make what was written the object, unless it was discarded."""
        if self._is_discarded:
            await self.forget()
            return
        self._buffer.require_sound()
        if self._buffer.held_bytes <= AT_ONCE_BYTES:
            piece = self._buffer.piece(is_last=True)
        else:
            piece = await in_thread(self._buffer.piece, is_last=True)
        published = await self._drive(finish(self._publication, self._buffer.upload, piece))
        self.receipt = receipt(self._publication, published)

    async def forget(self) -> None:
        """Forget what was written."""
        if self._buffer.upload is not None:
            await self._drive(abort_upload(self._publication, self._buffer.upload))

    async def _drive(self, flow: Flow[Step, T]) -> T:
        with self._performer.limited():
            return await drive_async(flow, self._uploader.perform)


class AsyncUploader:
    """Performs the steps of one publication; see `Uploader`.

    Args:
        performer: Of calls.
        publication: What shall be published.
        reader: Of the source; None where pieces are pushed.
    """

    def __init__(
        self,
        performer: AsyncS3Performer,
        publication: Publication,
        reader: PieceReader | ArrivingReader | None = None,
    ) -> None:
        self._performer = performer
        self._publication = publication
        self._reader = reader
        self._journal = journal_of(performer.options)
        self._begun: list[asyncio.Task[Any]] = []
        self._under_way: dict[asyncio.Task[Any], int] = {}
        self._held_back: asyncio.CancelledError | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        for task in self._begun:
            task.cancel()
        if self._begun and kind is not GeneratorExit:
            await drained(self._ended())
        if self._journal is not None:
            self._journal.close()

    async def perform(self, step: Step) -> Any:
        """Do what *step* says."""
        self._deliver()
        match step:
            case Call():
                return await self._performer.perform(step)
            case BeginUpload():
                return await self._begin_upload(step.call)
            case ReadPiece():
                return await self._read(step.size_bytes)
            case Gather():
                return [await task for task in self._begun]
            case Begin():
                await self._begin(step.call)
            case StopParts():
                await drained(self._stop())
            case AbortUpload():
                await drained(self._abort(step))
            case _:
                return await self._attend_to(step)
        return None

    async def _attend_to(self, step: NoteUpload | ForgetUpload | Ask | Rewind | CheckSource) -> Any:
        match step:
            case NoteUpload() if self._journal is not None:
                place, options = self._performer.place, self._performer.options
                await in_thread(self._journal.note, noted(place, options, step.key, step.upload_id))
            case ForgetUpload() if self._journal is not None:
                await in_thread(self._journal.forget, step.upload_id)
            case Ask():
                return await self._performer.capabilities.has(step.capability)
            case Rewind():
                return isinstance(self._reader, PieceReader) and await in_thread(self._reader.rewind)
            case CheckSource() if isinstance(self._reader, PieceReader):
                self._reader.check()
        return None

    async def _read(self, size_bytes: int) -> Piece:
        assert self._reader is not None, "pieces are pushed"  # noqa: S101 - what pushes pieces reads none
        if isinstance(self._reader, ArrivingReader):
            return await self._reader.read(size_bytes)
        if self._reader.is_at_hand and (self._reader.length_bytes or 0) <= AT_ONCE_BYTES:
            return self._reader.read(size_bytes)
        return await in_thread(self._reader.read, size_bytes)

    async def _begin(self, call: Call) -> None:
        """Begin *call* as soon as there is room for it; see `has_room`."""
        options, size_bytes = self._performer.options, body_bytes(call)
        while not has_room(self._under_way, size_bytes, options):
            done, _ = await asyncio.wait(self._under_way, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                del self._under_way[task]
                task.result()
        task = asyncio.create_task(self._performer.perform(call))
        self._under_way[task] = size_bytes
        self._begun.append(task)

    async def _begin_upload(self, call: Call) -> Any:
        """Wait for the name of the upload although cancelled: nobody could abort what has no name."""
        task = asyncio.create_task(self._performer.perform(call))
        while not task.done():
            try:
                done, _ = await asyncio.wait([task], timeout=None if self._held_back is None else ABORT_WITHIN_S)
                if not done:
                    task.cancel()
            except asyncio.CancelledError as cancelled:
                self._held_back = self._held_back or cancelled
        if task.cancelled() or task.exception() is not None:
            self._deliver()
        return task.result()

    def _deliver(self) -> None:
        """Raise the cancellation that was held back, if any was."""
        held_back, self._held_back = self._held_back, None
        if held_back is not None:
            raise held_back

    async def _stop(self) -> None:
        for task in self._begun:
            task.cancel()
        await self._ended()

    async def _ended(self) -> None:
        begun, self._begun = self._begun, []
        self._under_way.clear()
        if begun:
            await asyncio.gather(*begun, return_exceptions=True)

    async def _abort(self, step: AbortUpload) -> None:
        try:
            with clock.unhurried(), clock.deadline(ABORT_WITHIN_S):
                await self._performer.perform(step.call)
        except ObjectNotFoundError:
            raise
        except BaseException as error:
            told_of_orphan(self._publication.ref, step, error)
            raise
