"""`S3Objects` for asyncio."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

from controlroom.storage.files_async import AsyncObjectReader
from controlroom.storage.objects import ObjectInfo, Receipt
from controlroom.storage.paths import StrPath

if TYPE_CHECKING:
    from controlroom.storage.s3.performer_async import AsyncS3Performer

__all__ = ["AsyncS3Objects"]


class AsyncS3Objects:
    """The half of `AsyncS3Store` that is about objects that are there.

    Args:
        performer: Performs the calls.
    """

    def __init__(self, performer: AsyncS3Performer) -> None:
        from controlroom.storage.s3.moving_async import AsyncS3Moving  # noqa: PLC0415 - botocore is loaded by whoever opens a store
        from controlroom.storage.s3.reading_async import AsyncS3Reading  # noqa: PLC0415 - as above

        self._performer = performer
        self._reading = AsyncS3Reading(performer)
        self._moving = AsyncS3Moving(performer)

    def open(self, key: str) -> AbstractAsyncContextManager[AsyncObjectReader]:
        """Open the object *key* for reading, as a binary file that streams.

        See `S3Store.open`.
        """
        return self._reading.open(key)

    async def read_bytes(self, key: str, max_bytes: int | None = None) -> bytes:
        """Return the content of the object *key*.

        See `S3Store.read_bytes`.
        """
        return await self._reading.read_bytes(key, max_bytes)

    async def download(self, key: str, to: StrPath, *, overwrite: bool = True, durable: bool = True) -> Receipt:
        """Write the object *key* to the local file *to*, as one piece.

        See `S3Store.download`.
        """
        return await self._reading.download(key, to, overwrite=overwrite, durable=durable)

    async def stat(self, key: str) -> ObjectInfo:
        """Describe the object *key*.

        See `S3Store.stat`.
        """
        return await self._reading.stat(key)

    async def exists(self, key: str) -> bool:
        """Tell whether there is an object *key*.

        See `S3Store.exists`.
        """
        return await self._reading.exists(key)

    def list(self, prefix: str = "", *, start_after: str | None = None) -> AsyncIterator[ObjectInfo]:
        """Yield every object whose key begins with *prefix*, which is a text and no folder.

        See `S3Store.list`.
        """
        return self._reading.list(prefix, start_after)

    async def copy(self, src: str, dst: str, *, if_absent: bool = False) -> Receipt:
        """Publish the content of *src* as *dst* too, with its metadata.

        See `S3Store.copy`.
        """
        return await self._moving.copy(src, dst, if_absent=if_absent)

    async def move(self, src: str, dst: str, *, if_absent: bool = False) -> Receipt:
        """Publish the object *src* as *dst*; then remove *src*, if it is still the same.

        See `S3Store.move`.
        """
        return await self._moving.move(src, dst, if_absent=if_absent)

    async def delete(self, key: str, if_match: str | None = None) -> None:
        """Remove the object *key*. Without *if_match*, that there is none is no error: deleting can be repeated.

        See `S3Store.delete`.
        """
        await self._moving.delete(key, if_match)

    async def delete_many(self, keys: Iterable[str]) -> None:
        """Remove the objects *keys*, up to 1,000 a request. That there is none is no error: deleting can be repeated.

        See `S3Store.delete_many`.
        """
        await self._moving.delete_many(keys)
