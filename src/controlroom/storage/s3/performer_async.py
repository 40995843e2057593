"""Performs calls with aiobotocore, for asyncio."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from botocore import xform_name

from controlroom import clock
from controlroom.clock import current_deadline
from controlroom.errors import ControlRoomError
from controlroom.policy.object_calls import Call, Calls
from controlroom.storage.s3.capabilities import AsyncCapabilities
from controlroom.storage.s3.classify import READS, classified
from controlroom.storage.s3.clients_async import AsyncS3Client
from controlroom.storage.s3.grace import settled
from controlroom.storage.s3.options import S3Options
from controlroom.storage.s3.reach import Reach
from controlroom.storage.s3.silence import unlogged
from controlroom.storage.s3.tries import Tries, understood
from controlroom.storage.s3_keys import S3Place

__all__ = ["AsyncS3Performer"]

_GRACE_S: Final = 5.0


class AsyncS3Performer(Reach):
    """Performs the calls of a store, each tried again as its policy allows; see `S3Performer`.

    Args:
        place: Bucket and prefix.
        options: How to reach them.

    Attributes:
        capabilities: What the server does, found out when it is asked for.
    """

    def __init__(self, place: S3Place, options: S3Options) -> None:
        super().__init__(place, options)
        self.capabilities: AsyncCapabilities = AsyncCapabilities(self)
        self._client = AsyncS3Client(options)

    async def perform(self, step: Call | Calls) -> Any:
        """Return what the store answered to *step*.

        Raises:
            DeadlineExceededError: The deadline had passed already. Nothing was sent.
            ControlRoomError: What ended the tries; see `classify`.
        """
        return await (self._together(step.calls) if isinstance(step, Calls) else self._one(step))

    async def _one(self, call: Call) -> Any:
        began_at_s = clock.monotonic_s()
        if (limit := current_deadline()) is not None and limit.is_over:
            limit.require(f"{call.operation} {self.ref(call.params)}")
        try:
            return await self._ask(call)
        except Exception as error:  # noqa: BLE001 - whatever the libraries raise is translated
            return await self._again(call, began_at_s, error)

    async def _ask(self, call: Call) -> Any:
        quiet = unlogged.set(True)
        try:
            if call.operation.startswith(READS):
                return await self._request(call)
            return await self._seen_through(call)
        finally:
            unlogged.reset(quiet)

    async def _request(self, call: Call) -> Any:
        async with asyncio.timeout(self._left_s(self.options.timeouts.call_s)):
            client = self._client.at_hand() or await self._client.get()
            answer = await getattr(client, xform_name(call.operation))(**self.carried, **call.params)
            return understood(call.operation, answer)

    async def _seen_through(self, call: Call) -> Any:
        """Perform *call*, which changes something; a cancellation waits a moment for what has left already.

        Else it would take effect after everybody was told that it had ended, or leave an upload that nobody knows.
        """
        request = asyncio.ensure_future(self._request(call))
        try:
            return await asyncio.shield(request)
        except asyncio.CancelledError:
            await settled(request, min(_GRACE_S, self.options.timeouts.read_s, self.options.timeouts.call_s))
            if call.operation == "CreateMultipartUpload" and not request.cancelled() and request.exception() is None:
                upload = {"Key": call.params["Key"], "UploadId": request.result()["UploadId"]}
                abort = asyncio.ensure_future(self._request(Call("AbortMultipartUpload", upload)))
                await settled(abort, _GRACE_S)
            raise

    async def _again(self, call: Call, began_at_s: float, first: Exception) -> Any:
        """Go on from the *first* failure: a call that succeeds at once needs none of this."""
        tries = Tries(call, self.ref(call.params))

        async def attempt() -> Any:
            try:
                return await self._ask(call)
            except Exception as error:  # noqa: BLE001 - as above
                return await self._mended(tries, error)

        try:
            return await self._mended(tries, first)
        except ControlRoomError as ours:
            failed = ours
        policy = tries.policy(self.options.retry)
        try:
            return await policy.aresumed(attempt, failed=failed, began_at_s=began_at_s)
        finally:
            del failed  # it would close a cycle: error, traceback, this frame, error

    async def _mended(self, tries: Tries, error: Exception) -> Any:
        """Return what a repetition at once gave, where one can mend *error*; raise it as one of ours otherwise."""
        if not tries.goes_again_at_once(error):
            ours = tries.failed(error)
            raise ours from ours.__cause__
        try:
            if tries.needs_credentials(error):
                await self._renewed()
            return await self._ask(tries.call)
        except Exception as again:  # noqa: BLE001 - as above
            ours = tries.failed(again)
            raise ours from ours.__cause__

    async def _renewed(self) -> None:
        async with asyncio.timeout(self._left_s(self.options.timeouts.call_s)):
            await self._client.renew()

    async def _together(self, calls: tuple[Call, ...]) -> list[Any]:
        if len(calls) <= 1:
            return [await self._one(call) for call in calls]
        room = asyncio.Semaphore(self.options.parallel)

        async def one(call: Call) -> Any:
            async with room:
                return await self._one(call)

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(one(call)) for call in calls]
        except BaseExceptionGroup as several:
            first = several.exceptions[0]
        else:
            return [task.result() for task in tasks]
        try:
            raise first
        finally:
            del first, tasks  # they would close a cycle: error, traceback, this frame, error

    async def read(self, body: Any, size_bytes: int, ref: str) -> bytes:
        """Return at most *size_bytes* of *body*, the streaming body of an answer; none at its end.

        Raises:
            StorageUnavailableError: It broke off, or came too slowly.
        """
        try:
            if current_deadline() is None:  # silence is limited by the library
                chunk: bytes = await body.read(size_bytes)
            else:
                async with asyncio.timeout(self._left_s(self.options.timeouts.total_s)):
                    chunk = await body.read(size_bytes)
        except BaseException as error:
            body.close()  # what is left of it is nobody's: the connection is not used again
            if not isinstance(error, Exception):
                raise
            ours = classified(error, ref=ref, operation="GetObject")
            raise ours from error
        return chunk

    def _left_s(self, limit_s: float) -> float:
        limit = current_deadline()
        return limit_s if limit is None else limit.fit(limit_s)

    async def server(self) -> str:
        """Return the URL of the endpoint, wherever that is configured."""
        try:
            client = self._client.at_hand() or await self._client.get()
        except Exception as error:
            ours = classified(error, ref=self.place.url, operation="GetBucketLocation")
            raise ours from error
        return str(client.meta.endpoint_url)

    async def aclose(self) -> None:
        """Close the connections of this loop. The next call opens new ones."""
        await self._client.aclose()
