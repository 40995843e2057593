"""An object store in memory, held to the same contract tests as the real ones."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Self

from controlroom.policy.flow import drive
from controlroom.policy.publication import discard, move, publish, put, stage
from controlroom.storage.files import ObjectReader, ObjectSink, ObjectWriter
from controlroom.storage.objects import ObjectInfo, Receipt
from controlroom.storage.paths import check_key
from controlroom.storage.sources import Source, check_source, chunks_of
from controlroom.testing.memory import MemoryMove, MemoryObjects

__all__ = ["MemoryStore"]


class MemoryStore:
    """An `ObjectStore` in memory, for tests.

    Args:
        name: Stands in its URLs, ``memory://name/key``.

    Guarantees:
        What `ObjectStore` promises, among the threads of one process. Each publication has an etag of its own. Not
        promised: that an object is kept for longer than the store. A source path is read while it is published only.
    """

    def __init__(self, name: str = "store") -> None:
        self._objects = MemoryObjects(name)

    @property
    def url(self) -> str:
        """Where the store is, as a URL; the same in both colours."""
        return self._objects.url

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
        performer = MemoryMove(self._objects, src, dst)
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
