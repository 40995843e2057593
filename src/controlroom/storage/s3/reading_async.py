"""`reading` for asyncio: objects of S3 are looked up and read."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import IO, Any, Final

from controlroom.errors import ObjectNotFoundError
from controlroom.policy.s3_reading import Pin, first, pinned, promised
from controlroom.storage.atomic import atomic_writer
from controlroom.storage.conditions import check_limit
from controlroom.storage.files_async import AsyncObjectReader
from controlroom.storage.objects import ObjectInfo, Receipt
from controlroom.storage.paths import StrPath
from controlroom.storage.s3.downloading import Arrival, Filling
from controlroom.storage.s3.listing_async import listed_async
from controlroom.storage.s3.metadata import described
from controlroom.storage.s3.performer_async import AsyncS3Performer
from controlroom.storage.s3.reading import Whole, head
from controlroom.storage.s3.streams_async import AsyncPinnedFile, AsyncStream
from controlroom.storage.s3.stretches_async import AsyncStretches
from controlroom.storage.s3.sums import Verification
from controlroom.storage.threads import in_thread

__all__ = ["AsyncS3Reading"]

_PIECE_BYTES: Final = 1024 * 1024  # each is a hop into a thread


class AsyncS3Reading:
    """Looks objects up and reads them; see `S3Reading`."""

    def __init__(self, performer: AsyncS3Performer) -> None:
        self._performer = performer

    async def stat(self, key: str) -> ObjectInfo:
        """Describe *key*."""
        full = self._performer.place.full_key(key)
        with self._performer.limited():
            return described(key, await self._performer.perform(head(full)))

    async def exists(self, key: str) -> bool:
        """Tell whether there is *key*."""
        try:
            await self.stat(key)
        except ObjectNotFoundError:
            return False
        return True

    @asynccontextmanager
    async def open(self, key: str) -> AsyncIterator[AsyncObjectReader]:
        """Open *key*: one answer, which is read as its reader asks for it."""
        answer, pin = await self.begun(key)
        file = AsyncPinnedFile(self._performer, pin, answer, described(key, answer))
        try:
            yield file
        finally:
            file.close()

    async def begun(self, key: str) -> tuple[Mapping[str, Any], Pin]:
        """Ask for all of *key*; answer what came back, its body unread, and which version that is."""
        place = self._performer.place
        full = place.full_key(key)
        with self._performer.limited():
            answer: Mapping[str, Any] = await self._performer.perform(first(full))
        try:
            return answer, pinned(answer, full, place.ref(key))
        except BaseException:
            answer["Body"].close()
            raise

    async def read_bytes(self, key: str, max_bytes: int | None) -> bytes:
        """Read *key* whole."""
        ref = self._performer.place.ref(key)
        check_limit(ref, 0, max_bytes)
        with self._performer.limited():
            answer, pin = await self.begun(key)
            try:
                check_limit(ref, pin.size_bytes, max_bytes)
                if pin.size_bytes > self._performer.options.part_size_bytes:
                    return await self._in_parallel(answer, pin)
                return await self._at_once(answer, pin)
            except BaseException:
                answer["Body"].close()
                raise

    async def _at_once(self, answer: Mapping[str, Any], pin: Pin) -> bytes:
        content = bytearray(pin.size_bytes)
        await AsyncStream(self._performer, pin, 0, pin.size_bytes, answer).read_into(memoryview(content))
        Verification(pin, promised(answer)).take(content, 0)
        return bytes(content)

    async def _in_parallel(self, answer: Mapping[str, Any], pin: Pin) -> bytes:
        with Whole(pin, promised(answer)) as whole:
            async with AsyncStretches(self._performer, pin, answer) as stretches:

                async def fill(start: int, end: int) -> int:
                    await stretches.read(start, whole.view[start:end])
                    return await in_thread(whole.sum_of, start, end)

                async for start, end, crc32 in stretches.in_order(fill):
                    await in_thread(whole.add, start, end, crc32)
            return await in_thread(whole.verified)

    async def download(self, key: str, to: StrPath, *, overwrite: bool, durable: bool) -> Receipt:
        """Write *key* to the file *to*."""
        with self._performer.limited():
            async with _writing(to, overwrite=overwrite, durable=durable) as file:
                answer, pin = await self.begun(key)
                return await self._written_down(answer, pin, file, to)

    async def _written_down(self, answer: Mapping[str, Any], pin: Pin, file: IO[bytes], to: StrPath) -> Receipt:
        filling = Filling(pin, promised(answer), file, to)
        rooms: list[memoryview] = []  # memory that is used again costs nothing

        async def fetch(start: int, end: int) -> Arrival:
            room = rooms.pop() if rooms else memoryview(bytearray(_PIECE_BYTES))
            arrival = Arrival(filling)
            await stretches.read_through(start, end, room, lambda at, piece: in_thread(arrival.write, at, piece))
            rooms.append(room)
            return arrival

        async with AsyncStretches(self._performer, pin, answer) as stretches:
            async for start, end, arrival in stretches.in_order(fetch):
                await in_thread(filling.add, start, end, arrival.crc32)
        return filling.receipt()

    def list(self, prefix: str, start_after: str | None) -> AsyncIterator[ObjectInfo]:
        """Yield what begins with *prefix*."""
        return listed_async(self._performer, prefix, start_after)


@asynccontextmanager
async def _writing(to: StrPath, *, overwrite: bool, durable: bool) -> AsyncIterator[IO[bytes]]:
    """`atomic_writer`, each end of which is one hop into a thread; a cancellation waits for it."""
    context = atomic_writer(to, "wb", overwrite, durable)
    opened: list[IO[bytes]] = []
    try:
        await in_thread(
            lambda: opened.append(context.__enter__())
        )  # a cancellation is delivered when that has been done
        yield opened[0]
    except BaseException as error:
        if not opened or not await in_thread(context.__exit__, type(error), error, error.__traceback__):
            raise
    else:
        await in_thread(context.__exit__, None, None, None)
