"""`LocalStore` for asyncio: the same flows and performers, one thread hop a step, drained on cancellation."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from itertools import islice
from typing import Any, Self

from controlroom.policy.durability import Durability
from controlroom.policy.flow import drive, drive_async
from controlroom.policy.publication import CopyChunk, Step, discard, move, publish, put, stage
from controlroom.storage.files import ObjectSink, ObjectWriter
from controlroom.storage.files_async import (
    AsyncObjectReader,
    AsyncObjectWriter,
    AsyncThreadedReader,
    AsyncThreadedWriter,
)
from controlroom.storage.local_objects import LocalObjects
from controlroom.storage.object_publisher import ObjectPublisher
from controlroom.storage.objects import ObjectInfo, Receipt
from controlroom.storage.paths import StrPath
from controlroom.storage.sources import AsyncSource, check_source, chunks_of, octets
from controlroom.storage.threads import in_thread

__all__ = ["AsyncLocalStore"]

_LISTED_PER_HOP = 256


class AsyncLocalStore:
    """An `AsyncObjectStore` in a folder; see `LocalStore`.

    Args:
        root: The folder.
        durable: Whether what a call did is on the disk when it returns; as in `atomic_writer`.
        create: Whether to make *root*, if there is none; if not, that is an error.

    Guarantees:
        Those of `LocalStore`. A cancelled call waits until the step in hand has ended, undoes what is not published, and
        raises then: the key holds the old object or the whole new one, and no staged file is left.
    """

    def __init__(self, root: StrPath, *, durable: bool | Durability = True, create: bool = True) -> None:
        self._objects = LocalObjects(root, durable=durable, create=create)

    @property
    def url(self) -> str:
        """Where the store is, as a URL; the same in both colours."""
        return self._objects.root.path.as_uri()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self._objects.root.path)!r})"

    async def publish(
        self,
        key: str,
        source: AsyncSource,
        *,
        if_absent: bool = False,
        if_match: str | None = None,
        metadata: Mapping[str, str] | None = None,
        content_type: str | None = None,
    ) -> Receipt:
        """Make the bytes of *source* the object *key*, as one piece.

        See `ObjectStore.publish`. *source* may also be an async iterable; a sync one is read in a thread.
        """
        check_source(source)
        arriving = aiter(source) if isinstance(source, AsyncIterable) else None
        with _held(
            self._objects.publisher(
                key,
                None if isinstance(source, AsyncIterable) else chunks_of(source),
                if_absent=if_absent,
                if_match=if_match,
                metadata=metadata,
                content_type=content_type,
            )
        ) as publisher:
            flow = put(publisher.ref, if_absent=if_absent, durable=self._objects.durable, if_match=if_match)
            etag = await drive_async(flow, partial(_perform, publisher, arriving))
            return self._objects.receipt(key, publisher, etag)

    @asynccontextmanager
    async def writer(
        self,
        key: str,
        *,
        if_absent: bool = False,
        if_match: str | None = None,
        metadata: Mapping[str, str] | None = None,
        content_type: str | None = None,
    ) -> AsyncIterator[AsyncObjectWriter]:
        """Write the object *key* piece by piece: published when the block ends, forgotten when it raises.

        See `LocalStore.writer`; ``await file.write(data)``.
        """
        with _held(
            self._objects.publisher(
                key, if_absent=if_absent, if_match=if_match, metadata=metadata, content_type=content_type
            )
        ) as publisher:
            perform = _in_thread(publisher.perform)
            await drive_async(stage(), perform)
            file = ObjectWriter(ObjectSink(publisher.ref, publisher.append_some))
            try:
                yield AsyncThreadedWriter(file)
                await in_thread(file.close)
            except BaseException as error:
                file.discard()
                if not isinstance(error, GeneratorExit):
                    await drive_async(discard(), perform)
                raise
            if file.discarded:
                await drive_async(discard(), perform)
                return
            flow = publish(publisher.ref, if_absent=if_absent, durable=self._objects.durable, if_match=if_match)
            file.receipt = self._objects.receipt(key, publisher, await drive_async(flow, perform))

    @asynccontextmanager
    async def open(self, key: str) -> AsyncIterator[AsyncObjectReader]:
        """Open the object *key* for reading, as a binary file that streams.

        See `LocalStore.open`; ``async with store.open(key) as file: await file.read(65536)``.
        """
        with await in_thread(self._objects.open, key) as file:
            yield AsyncThreadedReader(file)

    async def read_bytes(self, key: str, max_bytes: int | None = None) -> bytes:
        """Return the content of the object *key*."""
        return await in_thread(self._objects.read_bytes, key, max_bytes)

    async def stat(self, key: str) -> ObjectInfo:
        """Describe the object *key*."""
        return await in_thread(self._objects.stat, key)

    async def exists(self, key: str) -> bool:
        """Tell whether there is an object *key*."""
        return await in_thread(self._objects.exists, key)

    async def is_settled(self, key: str, quiet_s: float = 2.0) -> bool:
        """Tell whether nobody is writing the file of *key* any more, or there is none. An inbox takes no file before.

        See `LocalStore.is_settled`.
        """
        return await in_thread(self._objects.is_settled, key, quiet_s)

    async def list(self, prefix: str = "") -> AsyncIterator[ObjectInfo]:
        """Yield every object whose key begins with *prefix*, which is a text and no folder.

        See `LocalStore.list`.
        """
        found = self._objects.list(prefix)
        while some := await in_thread(lambda: [*islice(found, _LISTED_PER_HOP)]):
            for info in some:
                yield info

    async def copy(self, src: str, dst: str, *, if_absent: bool = False) -> Receipt:
        """Publish the content of *src* as *dst* too, with its metadata.

        See `LocalStore.copy`.
        """
        with _held(await in_thread(self._objects.copier, src, dst, if_absent=if_absent)) as publisher:
            flow = put(publisher.ref, if_absent=if_absent, durable=self._objects.durable)
            return self._objects.receipt(dst, publisher, await drive_async(flow, _in_thread(publisher.perform)))

    async def move(self, src: str, dst: str, *, if_absent: bool = False) -> Receipt:
        """Publish the object *src* as *dst*; then remove *src*, if it is still the same.

        See `LocalStore.move`.
        """
        with self._objects.mover(src, dst, if_absent=if_absent) as mover:
            flow = move(self._objects.ref(dst), if_absent=if_absent, durable=self._objects.durable)
            return self._objects.receipt(dst, mover, await drive_async(flow, _in_thread(mover.perform)))

    async def delete(self, key: str, if_match: str | None = None) -> None:
        """Remove the object *key*. Without *if_match*, that there is none is no error: deleting can be repeated.

        See `LocalStore.delete`.
        """
        await in_thread(self._objects.delete, key, if_match)

    async def aclose(self) -> None:
        """Let go of connections. Also at the end of ``with store:``. A local store has none."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.aclose()


@contextmanager
def _held(publisher: ObjectPublisher) -> Iterator[ObjectPublisher]:
    """Let go of *publisher* at the end. A coroutine that is being closed can await no undo: it is done here, at once."""
    with publisher:
        try:
            yield publisher
        except GeneratorExit:
            drive(discard(), publisher.perform)
            raise


def _in_thread(perform: Callable[[Step], Any]) -> Callable[[Step], Awaitable[Any]]:
    return lambda step: in_thread(perform, step)


async def _perform(publisher: ObjectPublisher, arriving: AsyncIterator[bytes] | None, step: Step) -> Any:
    """Perform *step* in a thread; an async source is asked for its chunks on the loop."""
    if arriving is not None and isinstance(step, CopyChunk):
        async for chunk in arriving:
            if size_bytes := await in_thread(publisher.append, octets(chunk)):
                return size_bytes
        return 0
    return await in_thread(publisher.perform, step)
