"""The objects of a store in memory, and what performs the flows of `controlroom.policy.publication` on them.

Because they are those flows, a `FaultPlan` can strike at every step here too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import count
from threading import Lock
from typing import Any

from controlroom import clock
from controlroom.policy.publication import (
    CopyChunk,
    LinkAs,
    LinkSourceAs,
    ReadChunk,
    RemoveStaged,
    RenameTo,
    Step,
)
from controlroom.storage.attributes import check_metadata
from controlroom.storage.conditions import (
    check_limit,
    not_found,
    require_match,
    require_one_condition,
    require_time,
    taken,
)
from controlroom.storage.objects import ObjectInfo, Receipt
from controlroom.storage.paths import check_key, check_prefix
from controlroom.storage.sources import Octets, chunks_of

__all__ = ["MemoryMove", "MemoryObjects", "MemoryPublication"]


class MemoryObjects:
    """The objects of a store, and what is done to them in one step under a lock."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lock: Lock = Lock()
        self.held: dict[str, tuple[ObjectInfo, bytes]] = {}
        self._etags = count(1)

    @property
    def url(self) -> str:
        """Where the store is."""
        return f"memory://{self.name}"

    def ref(self, key: str) -> str:
        """Return the URL of *key*."""
        return f"{self.url}/{key}"

    def get(self, key: str) -> tuple[ObjectInfo, bytes]:
        """Return what is under *key*, or raise that there is nothing."""
        found = self.held.get(check_key(key))
        if found is None:
            raise not_found(self.ref(key))
        return found

    def read(self, key: str, max_bytes: int | None) -> bytes:
        """Return the content under *key*, if it is within its limit."""
        check_limit(self.ref(key), 0, max_bytes)
        info, content = self.get(key)
        check_limit(self.ref(key), info.size_bytes, max_bytes)
        return content

    def put(self, key: str, content: bytes, facts: ObjectInfo, *, if_absent: bool, if_match: str | None) -> str:
        """Put *content* under *key*, if the conditions hold, and return its etag."""
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
        """Remove what is under *key*, if the condition holds."""
        require_time(f"deleting {self.ref(key)}")
        check_key(key)
        with self.lock:
            present = self.held.get(key)
            if if_match is not None:
                require_match(present and present[0].etag, if_match, self.ref(key))
            self.held.pop(key, None)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Yield what begins with *prefix*, in the order of UTF-8."""
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
    ) -> MemoryPublication:
        """Make what performs the publication of *key*."""
        require_one_condition(if_absent=if_absent, if_match=if_match)
        check_metadata(metadata, content_type)
        facts = ObjectInfo(
            check_key(key), 0, clock.utcnow(), "", content_type=content_type or None, metadata=dict(metadata or {})
        )
        return MemoryPublication(self, facts, chunks)

    def copy(self, src: str, dst: str, *, if_absent: bool) -> MemoryPublication:
        """Make what performs the publication of *src* as *dst*."""
        info, content = self.get(src)
        return self.publication(
            dst, chunks_of(content), if_absent=if_absent, metadata=info.metadata, content_type=info.content_type
        )

    def receipt(self, key: str, content: bytes, etag: str) -> Receipt:
        """Prove that *content* is under *key*."""
        return Receipt(self.ref(key), len(content), hashlib.sha256(content).hexdigest(), etag)


class MemoryPublication:
    """Performs the steps of a publication: what is staged is a buffer that nobody else sees."""

    def __init__(self, objects: MemoryObjects, facts: ObjectInfo, chunks: Iterator[Octets]) -> None:
        self._objects = objects
        self._facts = facts
        self._chunks = chunks
        self._staged = bytearray()
        self.content: bytes = b""
        self.target: str = objects.ref(facts.key)

    def append(self, chunk: Octets) -> int:
        """Add *chunk* to what is staged and return its length in bytes."""
        require_time(f"writing {self.target}")
        self._staged += chunk
        return memoryview(chunk).nbytes

    def perform(self, step: Step) -> Any:
        """Perform *step*."""
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
        """Prove what was done."""
        return self._objects.receipt(self._facts.key, self.content, etag)


class MemoryMove:
    """Performs the steps of a move."""

    def __init__(self, objects: MemoryObjects, src: str, dst: str) -> None:
        self._objects = objects
        self._src, self._dst = check_key(src), check_key(dst)
        self._read = False
        self.target: str = objects.ref(dst)

    def perform(self, step: Step) -> Any:
        """Perform *step*."""
        if isinstance(step, ReadChunk):
            return self._take()
        return self._rename(if_absent=isinstance(step, LinkSourceAs))

    def _take(self) -> int:
        require_time(f"reading {self._objects.ref(self._src)} before it is moved")
        if self._read:
            return 0
        self._read = True
        info, content = self._objects.get(self._src)
        self.content: bytes = content
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
            if self._src != self._dst:
                del objects.held[self._src]
        return self._etag

    def receipt(self, etag: str) -> Receipt:
        """Prove what was done."""
        return self._objects.receipt(self._dst, self.content, etag)
