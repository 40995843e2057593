"""Object stores in memory, held to the same contract tests as the real ones.

Their operations are the flows of `controlroom.policy.publication`, so that a `FaultPlan` can strike at every step here too.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from itertools import count
from threading import Lock
from typing import Any, Self

from controlroom import clock
from controlroom.policy.flow import drive, drive_async
from controlroom.policy.publication import (
    CopyChunk,
    LinkAs,
    LinkSourceAs,
    ReadChunk,
    RemoveSource,
    RemoveStaged,
    RenameSourceTo,
    RenameTo,
    Step,
    discard,
    move,
    publish,
    put,
    stage,
)
from controlroom.storage.attributes import check_metadata
from controlroom.storage.conditions import check_limit, not_found, require_match, require_one_condition, taken
from controlroom.storage.files import ObjectReader, ObjectSink, ObjectWriter
from controlroom.storage.files_async import AsyncObjectReader, AsyncObjectWriter
from controlroom.storage.objects import ObjectInfo, Receipt
from controlroom.storage.paths import check_key, check_prefix
from controlroom.storage.sources import AsyncSource, Octets, Source, check_source, chunks_of, octets

__all__ = ["AsyncMemoryStore", "MemoryStore"]


class _Objects:
    """The objects of a store, and what is done to them in one step under a lock."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lock = Lock()
        self.held: dict[str, tuple[ObjectInfo, bytes]] = {}
        self._etags = count(1)

    def ref(self, key: str) -> str:
        return f"memory://{self.name}/{key}"

    def get(self, key: str) -> tuple[ObjectInfo, bytes]:
        found = self.held.get(check_key(key))
        if found is None:
            raise not_found(self.ref(key))
        return found

    def read(self, key: str, max_bytes: int | None) -> bytes:
        check_limit(self.ref(key), 0, max_bytes)
        info, content = self.get(key)
        check_limit(self.ref(key), info.size_bytes, max_bytes)
        return content

    def put(self, key: str, content: bytes, facts: ObjectInfo, *, if_absent: bool, if_match: str | None) -> str:
        with self.lock:
            present = self.held.get(key)
            if if_absent and present is not None:
                raise taken(self.ref(key))
            if if_match is not None:
                require_match(present and present[0].etag, if_match, self.ref(key))
            etag = f"{next(self._etags):08x}"
            info = replace(facts, key=key, size_bytes=len(content), modified_at=clock.utcnow(), etag=etag)
            self.held[key] = info, content
            return etag

    def remove(self, key: str, if_match: str | None) -> None:
        check_key(key)
        with self.lock:
            present = self.held.get(key)
            if if_match is not None:
                require_match(present and present[0].etag, if_match, self.ref(key))
            self.held.pop(key, None)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        check_prefix(prefix)
        for key in sorted((key for key in tuple(self.held) if key.startswith(prefix)), key=str.encode):
            if (found := self.held.get(key)) is not None:
                yield replace(found[0], content_type=None, metadata={})

    def publication(
        self,
        key: str,
        chunks: Iterator[Octets],
        *,
        if_absent: bool = False,
        if_match: str | None = None,
        metadata: Mapping[str, str] | None = None,
        content_type: str | None = None,
    ) -> _Publication:
        require_one_condition(if_absent=if_absent, if_match=if_match)
        check_metadata(metadata, content_type)
        facts = ObjectInfo(
            check_key(key), 0, clock.utcnow(), "", content_type=content_type, metadata=dict(metadata or {})
        )
        return _Publication(self, facts, chunks)

    def copy(self, src: str, dst: str, *, if_absent: bool) -> _Publication:
        info, content = self.get(src)
        return self.publication(
            dst, chunks_of(content), if_absent=if_absent, metadata=info.metadata, content_type=info.content_type
        )

    def receipt(self, key: str, content: bytes, etag: str) -> Receipt:
        return Receipt(self.ref(key), len(content), hashlib.sha256(content).hexdigest(), etag)


class _Publication:
    """Performs the steps of a publication: what is staged is a buffer that nobody else sees."""

    def __init__(self, objects: _Objects, facts: ObjectInfo, chunks: Iterator[Octets]) -> None:
        self._objects = objects
        self._facts = facts
        self._chunks = chunks
        self._staged = bytearray()
        self.content = b""
        self.target = objects.ref(facts.key)

    def append(self, chunk: Octets) -> int:
        self._staged += chunk
        return memoryview(chunk).nbytes

    def perform(self, step: Step) -> Any:
        match step:
            case CopyChunk():
                return next((size for chunk in self._chunks if (size := self.append(chunk))), 0)
            case RenameTo(if_match=if_match):
                return self._put(if_absent=False, if_match=if_match)
            case LinkAs():
                return self._put(if_absent=True, if_match=None)
            case RemoveStaged():
                self._staged = bytearray()
            case _:  # there is nothing to stage, to seal or to sync in memory
                pass
        return None

    def _put(self, *, if_absent: bool, if_match: str | None) -> str:
        self.content = bytes(self._staged)
        return self._objects.put(self._facts.key, self.content, self._facts, if_absent=if_absent, if_match=if_match)

    def receipt(self, etag: str) -> Receipt:
        return self._objects.receipt(self._facts.key, self.content, etag)


class _Move:
    """Performs the steps of a move."""

    def __init__(self, objects: _Objects, src: str, dst: str) -> None:
        self._objects = objects
        self._src, self._dst = check_key(src), check_key(dst)
        self._read = False
        self.target = objects.ref(dst)

    def perform(self, step: Step) -> Any:
        match step:
            case ReadChunk():
                return self._take()
            case RenameSourceTo():
                return self._rename(if_absent=False)
            case LinkSourceAs():
                return self._rename(if_absent=True)
            case RemoveSource():
                if self._src != self._dst:
                    self._objects.remove(self._src, self._etag)
            case _:  # there is nothing to sync in memory
                pass
        return None

    def _take(self) -> int:
        if self._read:
            return 0
        self._read = True
        info, self.content = self._objects.get(self._src)
        self._etag = info.etag
        return len(self.content)

    def _rename(self, *, if_absent: bool) -> str:
        objects = self._objects
        with objects.lock:
            found, present = objects.held.get(self._src), objects.held.get(self._dst)
            require_match(found and found[0].etag, self._etag, objects.ref(self._src))
            # The same object under both names is a move that was cut short: it is ended, not refused.
            cut_short = self._src != self._dst and present is not None and present[0].etag == self._etag
            if if_absent and present is not None and not cut_short:
                raise taken(objects.ref(self._dst))
            if found is not None:
                objects.held[self._dst] = replace(found[0], key=self._dst), found[1]
            if not if_absent and self._src != self._dst:
                del objects.held[self._src]
        return self._etag

    def receipt(self, etag: str) -> Receipt:
        return self._objects.receipt(self._dst, self.content, etag)


class MemoryStore:
    """An `ObjectStore` in memory, for tests.

    Args:
        name: Stands in its URLs, ``memory://name/key``.

    Guarantees:
        What `ObjectStore` promises, among the threads of one process. Each publication has an etag of its own. Not
        promised: that an object is kept for longer than the store. A source path is read while it is published only.
    """

    def __init__(self, name: str = "store") -> None:
        self._objects = _Objects(name)

    def publish(
        self,
        key: str,
        source: Source,
        *,
        if_absent: bool = False,
        if_match: str | None = None,
        metadata: Mapping[str, str] | None = None,
        content_type: str | None = None,
    ) -> Receipt:
        """Make the bytes of *source* the object *key*, as one piece."""
        check_source(source)
        performer = self._objects.publication(
            key,
            chunks_of(source),
            if_absent=if_absent,
            if_match=if_match,
            metadata=metadata,
            content_type=content_type,
        )
        flow = put(performer.target, if_absent=if_absent, durable=False, if_match=if_match)
        return performer.receipt(drive(flow, performer.perform))

    @contextmanager
    def writer(
        self,
        key: str,
        *,
        if_absent: bool = False,
        if_match: str | None = None,
        metadata: Mapping[str, str] | None = None,
        content_type: str | None = None,
    ) -> Iterator[ObjectWriter]:
        """Write the object *key* piece by piece: published when the block ends, forgotten when it raises."""
        performer = self._objects.publication(
            key, iter(()), if_absent=if_absent, if_match=if_match, metadata=metadata, content_type=content_type
        )
        drive(stage(), performer.perform)
        file = ObjectWriter(ObjectSink(performer.target, performer.append))
        try:
            yield file
            file.close()
        except BaseException:
            file.discard()
            drive(discard(), performer.perform)
            raise
        if not file.discarded:
            flow = publish(performer.target, if_absent=if_absent, durable=False, if_match=if_match)
            file.receipt = performer.receipt(drive(flow, performer.perform))

    def open(self, key: str) -> ObjectReader:
        """Open the object *key* for reading, as a binary file that streams."""
        info, content = self._objects.get(key)
        return ObjectReader(io.BytesIO(content), info)

    def read_bytes(self, key: str, max_bytes: int | None = None) -> bytes:
        """Return the content of the object *key*."""
        return self._objects.read(key, max_bytes)

    def stat(self, key: str) -> ObjectInfo:
        """Describe the object *key*."""
        return self._objects.get(key)[0]

    def exists(self, key: str) -> bool:
        """Tell whether there is an object *key*."""
        return check_key(key) in self._objects.held

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Yield every object whose key begins with *prefix*, which is a text and no folder."""
        return self._objects.list(prefix)

    def copy(self, src: str, dst: str, *, if_absent: bool = False) -> Receipt:
        """Publish the content of *src* as *dst* too, with its metadata."""
        performer = self._objects.copy(src, dst, if_absent=if_absent)
        return performer.receipt(drive(put(performer.target, if_absent=if_absent, durable=False), performer.perform))

    def move(self, src: str, dst: str, *, if_absent: bool = False) -> Receipt:
        """Publish the object *src* as *dst*; then remove *src*, if it is still the same."""
        performer = _Move(self._objects, src, dst)
        return performer.receipt(drive(move(performer.target, if_absent=if_absent, durable=False), performer.perform))

    def delete(self, key: str, if_match: str | None = None) -> None:
        """Remove the object *key*. Without *if_match*, that there is none is no error: deleting can be repeated."""
        self._objects.remove(key, if_match)

    def close(self) -> None:
        """Let go of connections. Also at the end of ``with store:``. A store in memory has none."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class AsyncMemoryStore:
    """An `AsyncObjectStore` in memory, for tests; see `MemoryStore`."""

    def __init__(self, name: str = "store") -> None:
        self._objects = _Objects(name)

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
        performer = _Move(self._objects, src, dst)
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
