"""The source of an object, in pieces: cut to size, summed, and with the last one known for the last."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from controlroom.policy.s3_pieces import Piece, Publication, Sums
from controlroom.policy.s3_requests import Upload, part_length
from controlroom.storage.classify import translating
from controlroom.storage.files import UnchangedFile, open_regular
from controlroom.storage.s3.checksums import Summing
from controlroom.storage.sources import Octets, Source, chunks_of, octets

__all__ = ["PartBuffer", "PieceReader", "plain"]


def plain(content: bytes | bytearray) -> Any:
    """Return what is sent for *content*: itself."""
    return content


class PieceReader:
    """Reads a source in pieces. Close it.

    Args:
        source: What `check_source` lets pass.
        sums: What the server checks pieces by.
        body: Returns what is sent for the bytes of a piece.

    Attributes:
        length_bytes: Of the source; None where nobody knows.

    Raises:
        ObjectNotFoundError: The source is a path, and no regular file is there.
    """

    def __init__(self, source: Source, sums: Sums, body: Callable[[bytes | bytearray], Any] = plain) -> None:
        self._source: Any = source
        self._sums = sums
        self._body = body
        self._file: UnchangedFile | None = None
        self._start = _position(source)
        self.length_bytes: int | None = None
        if isinstance(source, bytes | bytearray | memoryview):
            self.length_bytes = memoryview(source).nbytes
        elif isinstance(source, os.PathLike):
            path = Path(source)
            with translating(str(path), "opening the source"):
                self._file = open_regular(path, str(path))
            self._source, self.length_bytes = self._file, self._file.opened.st_size
        self._begin()

    def _begin(self) -> None:
        self._summing = Summing(self._sums)
        self._chunks: Iterator[Octets] = chunks_of(self._source)
        self._ahead = memoryview(b"")

    @property
    def is_at_hand(self) -> bool:
        """Whether nothing has to be waited for."""
        return self.length_bytes is not None and self._file is None

    def read(self, size_bytes: int) -> Piece:
        """Return the next *size_bytes*, or what is left."""
        if isinstance(self._source, bytes) and len(self._source) <= size_bytes:
            return self._summing.piece(self._source, self._body(self._source), is_last=True)
        content = bytearray()
        while len(content) < size_bytes and self._look_ahead():
            taken_bytes = min(size_bytes - len(content), self._ahead.nbytes)
            content += self._ahead[:taken_bytes]
            self._ahead = self._ahead[taken_bytes:]
        return self._summing.piece(content, self._body(content), is_last=not self._look_ahead())

    def _look_ahead(self) -> bool:
        """Tell whether anything is left, and have some of it."""
        while not self._ahead.nbytes:
            chunk = next(self._chunks, None)
            if chunk is None:
                return False
            self._ahead = memoryview(octets(chunk)).cast("B")
        return True

    def rewind(self) -> bool:
        """Go back to the beginning, if that is possible."""
        if self._file is not None:
            self._file.seek(0)
        elif self._start is not None:
            self._source.seek(self._start)
        elif isinstance(self._source, Iterator) or hasattr(self._source, "read"):
            return False
        self._begin()
        return True

    def check(self) -> None:
        """Require that a file given by its path is what it was when it was opened.

        Raises:
            ObjectChangedError: It is not.
        """
        if self._file is not None:
            self._file.read(0)  # looks at the file, and takes nothing

    def close(self) -> None:
        """Close the file, if it was given by its path."""
        if self._file is not None:
            self._file.close()


def _position(source: Any) -> int | None:
    """Return where an open file stands, if one can go back there."""
    if not hasattr(source, "read") or isinstance(source, os.PathLike):
        return None
    try:
        return int(source.tell()) if source.seekable() else None
    except (AttributeError, OSError, ValueError):
        return None


class PartBuffer:
    """Gathers what is written until it makes a part: at most one is held, and sent once more is written.

    Args:
        publication: What shall be published.
        body: As of a `PieceReader`.

    Attributes:
        upload: Under way, once there was more than one part.
        failure: What kept a part from being sent: nothing of this is published any more.
    """

    def __init__(self, publication: Publication, body: Callable[[bytes | bytearray], Any] = plain) -> None:
        self._publication = publication
        self._body = body
        self._summing = Summing(publication.sums)
        self._content = bytearray()
        self.upload: Upload | None = None
        self.failure: BaseException | None = None

    @property
    def _room_bytes(self) -> int:
        number = 1 if self.upload is None else len(self.upload.parts) + 1
        return part_length(self._publication, number) - len(self._content)

    @property
    def is_full(self) -> bool:
        """Whether what is held must be sent before more is taken."""
        return self._room_bytes <= 0

    @property
    def held_bytes(self) -> int:
        """How much is held."""
        return len(self._content)

    def require_sound(self) -> None:
        """Raise what kept a part from being sent, if anything did."""
        if self.failure is not None:
            raise self.failure

    def take(self, data: memoryview) -> int:
        """Hold the beginning of *data*, as much as there is room for, and return its length."""
        taken_bytes = min(self._room_bytes, data.nbytes)
        self._content += data[:taken_bytes]
        return taken_bytes

    def piece(self, *, is_last: bool) -> Piece:
        """Hand out what is held."""
        content, self._content = self._content, bytearray()
        return self._summing.piece(content, self._body(content), is_last=is_last)
