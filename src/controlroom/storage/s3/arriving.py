"""Sources that arrive in the event loop, and content as aiohttp sends it without being held up."""

from __future__ import annotations

import os
from collections.abc import AsyncIterable
from typing import Any, Final, Self

from controlroom.policy.s3_pieces import Piece, Sums
from controlroom.storage.s3.checksums import Summing
from controlroom.storage.sources import octets
from controlroom.storage.threads import in_thread

__all__ = ["AT_ONCE_BYTES", "ArrivingReader", "StreamedContent", "streamed"]

AT_ONCE_BYTES: Final = 64 * 1024
"""So much is summed in less time than it takes to ask a thread."""

_IN_ONE_PIECE_BYTES: Final = 512 * 1024  # above 1 MiB aiohttp warns, since a body in one piece would hold up the loop
_CHUNK_BYTES: Final = 256 * 1024


def streamed(content: bytes | bytearray) -> Any:
    """Return what is sent for *content*: itself, or something that is read bit by bit."""
    return content if len(content) <= _IN_ONE_PIECE_BYTES else StreamedContent(content)


class StreamedContent:
    """Content in memory that is sent bit by bit, and as often as it takes: botocore reads it, aiohttp iterates over it.

    Args:
        content: The bytes.
    """

    def __init__(self, content: bytes | bytearray) -> None:
        self._content = content
        self._at = 0

    def __len__(self) -> int:
        return len(self._content)

    def read(self, size: int = -1, /) -> bytes:
        """Read as a file; botocore does, to sign."""
        end = len(self) if size < 0 else self._at + size
        chunk = bytes(memoryview(self._content)[self._at : end])
        self._at += len(chunk)
        return chunk

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Move as in a file."""
        self._at = (0, self._at, len(self))[whence] + offset
        return self._at

    def tell(self) -> int:
        """Return the position, as of a file."""
        return self._at

    def __aiter__(self) -> _Chunks:
        return _Chunks(memoryview(self._content))


class _Chunks:
    """All of it, from the beginning. Not a generator: nobody has to close it when a request is cancelled."""

    def __init__(self, view: memoryview) -> None:
        self._view = view

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> memoryview:
        if not self._view:
            raise StopAsyncIteration
        chunk, self._view = self._view[:_CHUNK_BYTES], self._view[_CHUNK_BYTES:]
        return chunk


class ArrivingReader:
    """Reads an async iterable in pieces; see `PieceReader`.

    Args:
        source: Of bytes.
        sums: What the server checks pieces by.
    """

    length_bytes: int | None = None

    def __init__(self, source: AsyncIterable[bytes], sums: Sums) -> None:
        self._chunks = aiter(source)
        self._summing = Summing(sums)
        self._ahead = memoryview(b"")

    async def read(self, size_bytes: int) -> Piece:
        """Return the next *size_bytes*, or what is left."""
        content = bytearray()
        while len(content) < size_bytes and await self._look_ahead():
            taken_bytes = min(size_bytes - len(content), self._ahead.nbytes)
            content += self._ahead[:taken_bytes]
            self._ahead = self._ahead[taken_bytes:]
        is_last, body = not await self._look_ahead(), streamed(content)
        if len(content) <= AT_ONCE_BYTES:
            return self._summing.piece(content, body, is_last=is_last)
        return await in_thread(self._summing.piece, content, body, is_last=is_last)

    def close(self) -> None:
        """Leave the source to whoever gave it."""

    async def _look_ahead(self) -> bool:
        """Tell whether anything is left, and have some of it."""
        while not self._ahead.nbytes:
            chunk = await anext(self._chunks, None)
            if chunk is None:
                return False
            self._ahead = memoryview(octets(chunk)).cast("B")
        return True
