"""What every object store promises, in both colours: what pipelines are written against."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Protocol, Self

from controlroom.storage.files import ObjectReader, ObjectWriter
from controlroom.storage.files_async import AsyncObjectReader, AsyncObjectWriter
from controlroom.storage.objects import ObjectInfo, Receipt
from controlroom.storage.sources import AsyncSource, Source

__all__ = ["AsyncObjectStore", "ObjectStore"]


class ObjectStore(Protocol):
    """Objects under keys. Readers see an object whole: the old one or the new one, after a crash at any point too.

    A key is segments with ``/`` between them, none of them empty, ``.`` or ``..``; anything else raises `UnsafePathError`.
    """

    @property
    def url(self) -> str:
        """Where the store is, as a URL; the same in both colours."""

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
        """Make the bytes of *source* the object *key*, as one piece.

        Args:
            key: Its name.
            source: bytes, a Path, a binary file (read from where it stands), or an iterable of bytes.
            if_absent: Only if there is no such object yet; of many who try, exactly one succeeds.
            if_match: Only if the present object still has this etag.
            metadata: Texts kept with the content.
            content_type: Its media type.

        Raises:
            ObjectExistsError: *if_absent*, and the key is taken. Nothing changed.
            ObjectChangedError: *if_match*, and the present object is another or gone; or a source path changed while it
                was read. Nothing changed.
            PublicationInDoubtError: The object may be visible.
            ConfigError: *source* holds no bytes, *if_match* is no etag, or arguments exclude each other. Nothing changed.

        Guarantees:
            On any exception, also one of *source* itself, the key holds what it held before, and nothing is left behind.
        """

    def writer(
        self,
        key: str,
        *,
        if_absent: bool = False,
        if_match: str | None = None,
        metadata: Mapping[str, str] | None = None,
        content_type: str | None = None,
    ) -> AbstractContextManager[ObjectWriter]:
        """Write the object *key* piece by piece: published when the block ends, forgotten when it raises.

        Arguments, errors and guarantees are those of `publish`; ``.receipt`` of the file is its proof.
        """

    def open(self, key: str) -> ObjectReader:
        """Open the object *key* for reading, as a binary file that streams.

        Raises:
            ObjectNotFoundError: There is no such object.
            ObjectChangedError: While reading: the content changed or was cut short. (An object that another one replaces
                meanwhile is read on to its end.)
        """

    def read_bytes(self, key: str, max_bytes: int | None = None) -> bytes:
        """Return the content of the object *key*.

        Raises:
            ObjectNotFoundError: There is no such object.
            DataError: It is larger than *max_bytes*.
        """

    def stat(self, key: str) -> ObjectInfo:
        """Describe the object *key*.

        Raises:
            ObjectNotFoundError: There is no such object.
        """

    def exists(self, key: str) -> bool:
        """Tell whether there is an object *key*."""

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Yield every object whose key begins with *prefix*, which is a text and no folder.

        In the order of their UTF-8 bytes; in S3, in the order in which the server lists, which is that one on AWS. What
        appears or vanishes meanwhile may be yielded or not.
        """

    def copy(self, src: str, dst: str, *, if_absent: bool = False) -> Receipt:
        """Publish the content of *src* as *dst* too, with its metadata.

        Raises:
            ObjectNotFoundError: There is no *src*.
            ObjectExistsError: *if_absent*, and *dst* is taken. Nothing changed.
        """

    def move(self, src: str, dst: str, *, if_absent: bool = False) -> Receipt:
        """Publish the object *src* as *dst*; then remove *src*, if it is still the same.

        A crash leaves *src*, *dst* or both, each whole; moving again ends it.

        Raises:
            ObjectNotFoundError: There is no *src*.
            ObjectExistsError: *if_absent*, and *dst* is taken. Nothing changed.
            ObjectChangedError: *src* changed meanwhile. It was not removed.
        """

    def delete(self, key: str, if_match: str | None = None) -> None:
        """Remove the object *key*. Without *if_match*, that there is none is no error: deleting can be repeated.

        Raises:
            ObjectChangedError: *if_match*, and the present object is another or gone. Nothing changed.
        """

    def close(self) -> None:
        """Let go of connections. Also at the end of ``with store:``."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exception: object) -> None: ...


class AsyncObjectStore(Protocol):
    """`ObjectStore` for asyncio: the same methods, arguments and promises.

    A cancelled call has ended when it raises: the key holds the old object or the whole new one, and nothing is left.
    """

    @property
    def url(self) -> str:
        """Where the store is, as a URL; the same in both colours."""

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

    def writer(
        self,
        key: str,
        *,
        if_absent: bool = False,
        if_match: str | None = None,
        metadata: Mapping[str, str] | None = None,
        content_type: str | None = None,
    ) -> AbstractAsyncContextManager[AsyncObjectWriter]:
        """Write the object *key* piece by piece: published when the block ends, forgotten when it raises."""

    def open(self, key: str) -> AbstractAsyncContextManager[AsyncObjectReader]:
        """Open the object *key* for reading, as a binary file that streams."""

    async def read_bytes(self, key: str, max_bytes: int | None = None) -> bytes:
        """Return the content of the object *key*."""

    async def stat(self, key: str) -> ObjectInfo:
        """Describe the object *key*."""

    async def exists(self, key: str) -> bool:
        """Tell whether there is an object *key*."""

    def list(self, prefix: str = "") -> AsyncIterator[ObjectInfo]:
        """Yield every object whose key begins with *prefix*, which is a text and no folder."""

    async def copy(self, src: str, dst: str, *, if_absent: bool = False) -> Receipt:
        """Publish the content of *src* as *dst* too, with its metadata."""

    async def move(self, src: str, dst: str, *, if_absent: bool = False) -> Receipt:
        """Publish the object *src* as *dst*; then remove *src*, if it is still the same."""

    async def delete(self, key: str, if_match: str | None = None) -> None:
        """Remove the object *key*. Without *if_match*, that there is none is no error: deleting can be repeated."""

    async def aclose(self) -> None:
        """Let go of connections. Also at the end of ``with store:``."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *exception: object) -> None: ...
