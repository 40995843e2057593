"""`moving` for asyncio: objects of S3 are copied, moved and removed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import closing, suppress
from typing import Any

from controlroom import clock
from controlroom.draining import drained
from controlroom.errors import ControlRoomError, ObjectNotFoundError
from controlroom.policy.flow import Flow, drive_async
from controlroom.policy.object_calls import Call, Calls
from controlroom.policy.s3_copying import Look, Step, copy, described
from controlroom.policy.s3_moving import delete, delete_many, move
from controlroom.policy.s3_pieces import AbortUpload, Ask, ForgetUpload, NoteUpload
from controlroom.storage.objects import Receipt
from controlroom.storage.s3.journal import UploadsJournal
from controlroom.storage.s3.moving import Requests
from controlroom.storage.s3.performer_async import AsyncS3Performer
from controlroom.storage.s3.publishing import ABORT_WITHIN_S, journal_of, noted
from controlroom.storage.threads import in_thread

__all__ = ["AsyncCopyPerformer", "AsyncS3Moving"]


class AsyncS3Moving:
    """Copies, moves and removes objects; see `S3Moving`."""

    def __init__(
        self, performer: AsyncS3Performer, *, single_bytes: int | None = None, part_bytes: int | None = None
    ) -> None:
        self._performer = performer
        self._requests = Requests(performer.place, performer.options, single_bytes=single_bytes, part_bytes=part_bytes)

    async def copy(self, src: str, dst: str, *, if_absent: bool) -> Receipt:
        """Copy *src* to *dst*."""
        work = self._requests.copying(src, dst, if_absent=if_absent)
        return self._requests.receipt(work, await self._driven(copy(work)))

    async def move(self, src: str, dst: str, *, if_absent: bool) -> Receipt:
        """Move *src* to *dst*."""
        work = self._requests.copying(src, dst, if_absent=if_absent)
        return self._requests.receipt(work, await self._driven(move(work)))

    async def delete(self, key: str, if_match: str | None) -> None:
        """Remove *key*."""
        await self._driven(delete(self._requests.located(key), if_match))

    async def delete_many(self, keys: Iterable[str]) -> None:
        """Remove *keys*."""
        await self._driven(delete_many(self._requests.all_located(keys)))

    async def _driven(self, flow: Flow[Step, Any]) -> Any:
        with self._performer.limited(), closing(AsyncCopyPerformer(self._performer)) as performer:
            return await drive_async(flow, performer.perform)


class AsyncCopyPerformer:
    """Performs the steps of one operation; see `CopyPerformer`."""

    def __init__(self, performer: AsyncS3Performer) -> None:
        self._performer = performer
        self._journal: UploadsJournal | None = journal_of(performer.options)

    async def perform(self, step: Step) -> Any:
        """Do what *step* says."""
        match step:
            case Call(operation="CreateMultipartUpload"):
                return await self._begun(step)
            case Call() | Calls():
                return await self._performer.perform(step)
            case Look():
                return await self._look(step.key)
            case Ask():
                return await self._performer.capabilities.has(step.capability)
            case AbortUpload():
                return await drained(self._aborted(step))  # a second cancellation waits, too
            case NoteUpload() if self._journal is not None:
                place, options = self._performer.place, self._performer.options
                await in_thread(self._journal.note, noted(place, options, step.key, step.upload_id))
            case ForgetUpload() if self._journal is not None:
                await in_thread(self._journal.forget, step.upload_id)
        return None  # or there is no journal to note it in

    async def _begun(self, call: Call) -> Any:
        """Begin an upload. One whose id nobody got to know, since whoever asked for it was cancelled, would be left behind."""
        beginning = asyncio.ensure_future(self._performer.perform(call))
        try:
            return await drained(beginning)
        except asyncio.CancelledError:
            if beginning.done() and not beginning.cancelled() and beginning.exception() is None:
                upload = {"Key": call.params["Key"], "UploadId": beginning.result()["UploadId"]}
                abort = AbortUpload(upload["UploadId"], Call("AbortMultipartUpload", upload))
                with suppress(ControlRoomError):
                    await drained(self._aborted(abort))
            raise

    async def _aborted(self, step: AbortUpload) -> Any:
        with clock.unhurried(), clock.deadline(ABORT_WITHIN_S):
            return await self._performer.perform(step.call)

    async def _look(self, key: str) -> Any:
        try:
            return await self._performer.perform(described(key))
        except ObjectNotFoundError:
            return None

    def close(self) -> None:
        """Let go of the journal."""
        if self._journal is not None:
            self._journal.close()
