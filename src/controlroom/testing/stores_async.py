"""`MemoryStore` for asyncio."""

from __future__ import annotations

import io
import os
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Self

from controlroom.policy.flow import drive_async
from controlroom.policy.publication import CopyChunk, Step, move, publish, put, stage
from controlroom.storage.files import ObjectSink, ObjectWriter
from controlroom.storage.files_async import AsyncObjectReader, AsyncObjectWriter
from controlroom.storage.objects import ObjectInfo, Receipt
from controlroom.storage.paths import check_key
from controlroom.storage.sources import AsyncSource, Octets, check_source, chunks_of, octets
from controlroom.testing.memory import MemoryMove, MemoryObjects

__all__ = ["AsyncMemoryStore"]


class AsyncMemoryStore:
    """An `AsyncObjectStore` in memory, for tests; see `MemoryStore`."""

    def __init__(self, name: str = "store") -> None:
        self._objects = MemoryObjects(name)

    @property
    def url(self) -> str:
        """Where the store is, as a URL; the same in both colours."""
        return self._objects.url

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
        """Make the bytes of *source* the object *key*, as one piece."""
        check_source(source)
        arriving = aiter(source) if isinstance(source, AsyncIterable) else None
        performer = self._objects.publication(
            key,
            iter(()) if isinstance(source, AsyncIterable) else chunks_of(source),
            if_absent=if_absent,
            if_match=if_match,
            metadata=metadata,
            content_type=content_type,
        )

        async def perform(step: Step) -> Any:
            if arriving is None or not isinstance(step, CopyChunk):
                return performer.perform(step)
            async for chunk in arriving:
                if size_bytes := performer.append(octets(chunk)):
                    return size_bytes
            return 0

        flow = put(performer.target, if_absent=if_absent, durable=False, if_match=if_match)
        return performer.receipt(await drive_async(flow, perform))

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
        """Write the object *key* piece by piece: published when the block ends, forgotten when it raises."""
        performer = self._objects.publication(
            key, iter(()), if_absent=if_absent, if_match=if_match, metadata=metadata, content_type=content_type
        )
        perform = _without_waiting(performer.perform)
        await drive_async(stage(), perform)
        file = _MemoryWriter(ObjectWriter(ObjectSink(performer.target, performer.append)))
        yield file
        file.file.close()
        if not file.file.discarded:
            flow = publish(performer.target, if_absent=if_absent, durable=False, if_match=if_match)
            file.file.receipt = performer.receipt(await drive_async(flow, perform))

    @asynccontextmanager
    async def open(self, key: str) -> AsyncIterator[AsyncObjectReader]:
        """Open the object *key* for reading, as a binary file that streams."""
        info, content = self._objects.get(key)
        yield _MemoryReader(info, content)

    async def read_bytes(self, key: str, max_bytes: int | None = None) -> bytes:
        """Return the content of the object *key*."""
        return self._objects.read(key, max_bytes)

    async def stat(self, key: str) -> ObjectInfo:
        """Describe the object *key*."""
        return self._objects.get(key)[0]

    async def exists(self, key: str) -> bool:
        """Tell whether there is an object *key*."""
        return check_key(key) in self._objects.held

    async def list(self, prefix: str = "") -> AsyncIterator[ObjectInfo]:
        """Yield every object whose key begins with *prefix*, which is a text and no folder."""
        for info in self._objects.list(prefix):
            yield info

    async def copy(self, src: str, dst: str, *, if_absent: bool = False) -> Receipt:
        """Publish the content of *src* as *dst* too, with its metadata."""
        performer = self._objects.copy(src, dst, if_absent=if_absent)
        flow = put(performer.target, if_absent=if_absent, durable=False)
        return performer.receipt(await drive_async(flow, _without_waiting(performer.perform)))

    async def move(self, src: str, dst: str, *, if_absent: bool = False) -> Receipt:
        """Publish the object *src* as *dst*; then remove *src*, if it is still the same."""
        performer = MemoryMove(self._objects, src, dst)
        flow = move(performer.target, if_absent=if_absent, durable=False)
        return performer.receipt(await drive_async(flow, _without_waiting(performer.perform)))

    async def delete(self, key: str, if_match: str | None = None) -> None:
        """Remove the object *key*. Without *if_match*, that there is none is no error: deleting can be repeated."""
        self._objects.remove(key, if_match)

    async def aclose(self) -> None:
        """Let go of connections. Also at the end of ``with store:``. A store in memory has none."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.aclose()


class _MemoryWriter:
    def __init__(self, file: ObjectWriter) -> None:
        self.file = file

    @property
    def receipt(self) -> Receipt | None:
        return self.file.receipt

    async def write(self, data: Octets, /) -> int:
        return self.file.write(data)

    def discard(self) -> None:
        self.file.discard()


class _MemoryReader:
    def __init__(self, info: ObjectInfo, content: bytes) -> None:
        self.info = info
        self._content = io.BytesIO(content)

    async def read(self, size: int = -1, /) -> bytes:
        return self._content.read(size)

    async def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        return self._content.seek(offset, whence)


def _without_waiting(perform: Callable[[Step], Any]) -> Callable[[Step], Awaitable[Any]]:
    async def performed(step: Step) -> Any:
        return perform(step)

    return performed
