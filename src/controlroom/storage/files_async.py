"""The file objects of `controlroom.storage.files` for asyncio: one thread hop a call."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Protocol

from controlroom.storage.threads import in_thread

if TYPE_CHECKING:
    from controlroom.storage.files import ObjectReader, ObjectWriter
    from controlroom.storage.objects import ObjectInfo, Receipt
    from controlroom.storage.sources import Octets

__all__ = ["AsyncObjectReader", "AsyncObjectWriter", "AsyncThreadedReader", "AsyncThreadedWriter"]


class AsyncObjectWriter(Protocol):
    """What ``store.writer()`` of an async store gives: written from front to back, published when the block ends.

    Attributes:
        receipt: Proof of the publication, once the block has ended; None before, and after `discard`.
    """

    @property
    def receipt(self) -> Receipt | None:
        """Proof of the publication, once the block has ended."""

    async def write(self, data: Octets, /) -> int:
        """Write *data*, whole, and return its length in bytes."""

    def discard(self) -> None:
        """Leave the object as it was, when the block ends. What is written afterwards goes nowhere."""


class AsyncObjectReader(Protocol):
    """What ``store.open()`` of an async store gives: raises `ObjectChangedError` if it changes while it is read.

    Attributes:
        info: The object that is being read: exactly this content, whatever takes its name meanwhile.
    """

    @property
    def info(self) -> ObjectInfo:
        """The object that is being read."""

    async def read(self, size: int = -1, /) -> bytes:
        """Read up to *size* bytes, or all that is left."""

    async def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Move to another position."""


class AsyncThreadedWriter:
    """An `AsyncObjectWriter` over an `ObjectWriter`."""

    def __init__(self, file: ObjectWriter) -> None:
        self._file = file

    @property
    def receipt(self) -> Receipt | None:
        """Proof of the publication, once the block has ended."""
        return self._file.receipt

    async def write(self, data: Octets, /) -> int:
        """Write *data*, whole, and return its length in bytes."""
        return await in_thread(self._file.write, data)

    def discard(self) -> None:
        """Leave the object as it was, when the block ends. What is written afterwards goes nowhere."""
        self._file.discard()


class AsyncThreadedReader:
    """An `AsyncObjectReader` over an `ObjectReader`."""

    def __init__(self, file: ObjectReader) -> None:
        self._file = file

    @property
    def info(self) -> ObjectInfo:
        """The object that is being read."""
        return self._file.info

    async def read(self, size: int = -1, /) -> bytes:
        """Read up to *size* bytes, or all that is left."""
        return await in_thread(self._file.read, size)

    async def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Move to another position."""
        return await in_thread(self._file.seek, offset, whence)
