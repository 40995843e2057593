"""From one store to another: streaming, verified on both sides, atomic at the target."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING

from controlroom.errors import ChecksumMismatchError, ObjectChangedError
from controlroom.storage.objects import ObjectInfo, Receipt
from controlroom.storage.protocols import AsyncObjectStore, ObjectStore

if TYPE_CHECKING:
    from controlroom.storage.files import ObjectReader
    from controlroom.storage.files_async import AsyncObjectReader

__all__ = ["transfer", "transfer_async"]

_CHUNK_BYTES = 1024 * 1024


def transfer(
    from_store: ObjectStore, key: str, to_store: ObjectStore, key2: str | None = None, *, if_absent: bool = False
) -> Receipt:
    """Publish the object *key* of one store in another, as *key2* or under the same key, with its metadata.

    Args:
        from_store: Where it is.
        key: Its name there.
        to_store: Where it shall be; may be the same store.
        key2: Its name there; None for the same.
        if_absent: Only if there is no such object there yet.

    Raises:
        ObjectNotFoundError: There is no such object.
        ObjectExistsError: *if_absent*, and the key is taken. Nothing changed.
        ObjectChangedError: The source changed while it was read. Nothing changed at the target.
        ChecksumMismatchError: The target says that it holds other bytes than were read. They are visible there.

    Guarantees:
        One chunk in memory. The target has the old object or the whole new one. The SHA-256 of what was read is that of
        what was published, and its length is what the source stated. Not promised: that the source stays.
    """
    with from_store.open(key) as file:
        check = _Check(file.info)
        receipt = to_store.publish(
            key2 or key,
            _watched(file, check),
            if_absent=if_absent,
            metadata=file.info.metadata,
            content_type=file.info.content_type,
        )
    return check.agreed(receipt)


async def transfer_async(
    from_store: AsyncObjectStore,
    key: str,
    to_store: AsyncObjectStore,
    key2: str | None = None,
    *,
    if_absent: bool = False,
) -> Receipt:
    """Publish the object *key* of one store in another, as *key2* or under the same key; see `transfer`."""
    async with from_store.open(key) as file:
        check = _Check(file.info)
        receipt = await to_store.publish(
            key2 or key,
            _watched_async(file, check),
            if_absent=if_absent,
            metadata=file.info.metadata,
            content_type=file.info.content_type,
        )
    return check.agreed(receipt)


class _Check:
    """What was read, to be held against what was stated before and published after."""

    def __init__(self, info: ObjectInfo) -> None:
        self._info = info
        self._digest = hashlib.sha256()
        self._size_bytes = 0

    def take(self, chunk: bytes) -> bytes:
        """Count and hash *chunk* on its way."""
        self._digest.update(chunk)
        self._size_bytes += len(chunk)
        return chunk

    def whole(self) -> None:
        """Require, before anything is published, that all of the object has passed."""
        if self._size_bytes != self._info.size_bytes:
            message = (
                f"{self._info.key}: {self._size_bytes} bytes were read of an object of {self._info.size_bytes}. The target is"
                " as it was. Transfer it again."
            )
            raise ObjectChangedError(message, ref=self._info.key)

    def agreed(self, receipt: Receipt) -> Receipt:
        """Return *receipt* if it is about what has passed."""
        if receipt.sha256 != self._digest.hexdigest():
            message = (
                f"{receipt.ref}: SHA-256 {self._digest.hexdigest()} was read, {receipt.sha256} was published. The wrong bytes"
                " are visible there. Remove them, and find out who changed them on the way."
            )
            raise ChecksumMismatchError(
                message, expected=self._digest.hexdigest(), actual=receipt.sha256, ref=receipt.ref
            )
        return receipt


def _watched(file: ObjectReader, check: _Check) -> Iterator[bytes]:
    while chunk := file.read(_CHUNK_BYTES):
        yield check.take(chunk)
    check.whole()


async def _watched_async(file: AsyncObjectReader, check: _Check) -> AsyncIterator[bytes]:
    while chunk := await file.read(_CHUNK_BYTES):
        yield check.take(chunk)
    check.whole()
