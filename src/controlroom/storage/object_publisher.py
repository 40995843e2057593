"""Publishes objects of a local store: a file, and what a store adds to it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from controlroom.storage.attributes import write_metadata
from controlroom.storage.classify import translating
from controlroom.storage.conditions import require_match
from controlroom.storage.hashing import FileDigest
from controlroom.storage.publisher import FilePublisher, etag_of
from controlroom.storage.sources import Octets
from controlroom.storage.staging import Folder

__all__ = ["ObjectPublisher"]


class ObjectPublisher(FilePublisher):
    """A `FilePublisher` for stores: content comes in chunks and is hashed, folders are made, etags are compared.

    Args:
        ref: What errors call the object.
        locate: Returns its real path, without symbolic links.
        open_folder: Opens its folder, making it if need be.
        chunks: The content; None if somebody calls `append`.
        overwrite: Whether there may be an object already.
        held: Extended attributes to keep with the content.
    """

    def __init__(
        self,
        ref: str,
        locate: Callable[[], Path],
        open_folder: Callable[[Path], Folder],
        *,
        chunks: Iterator[Octets] | None = None,
        overwrite: bool = True,
        held: Mapping[str, bytes] | None = None,
    ) -> None:
        super().__init__(ref, locate, chunks=chunks, overwrite=overwrite)
        self._make_folder = open_folder
        self._held = held or {}
        self._digest = FileDigest()

    @property
    def sha256(self) -> str:
        """Of all that was appended, in hexadecimal.

        Raises:
            FileOperationError: It cannot be read again.
        """
        with translating(self.ref, "hashing what was written", "The new content may be visible."):
            return self._digest.hexdigest()

    def close(self) -> None:
        """Let go of descriptors, locks, the source and the thread that hashes."""
        self._digest.close()
        super().close()

    def _appended(self, octets: memoryview) -> None:
        self._digest.appended(octets, self._fd)

    def _open_folder(self, path: Path) -> Folder:
        return self._make_folder(path)

    def _seal(self) -> None:
        super()._seal()
        write_metadata(self._fd, self._held, self.folder.path / self._name)

    def _rename(self, if_match: str | None) -> str:
        with self.folder.locked(required=if_match is not None):
            present = self.folder.look(self._name)
            if if_match is not None:
                require_match(None if present is None else etag_of(present), if_match, self.ref)
            if present is not None:
                self._be_later_than(present)
            return super()._rename(None)

    def _be_later_than(self, present: os.stat_result) -> None:
        """Two replacements within one tick of the filesystem's clock, with a reused inode, would look the same."""
        mine = os.fstat(self._fd)
        if mine.st_mtime_ns <= present.st_mtime_ns:
            os.utime(self._fd, ns=(mine.st_atime_ns, present.st_mtime_ns + 1))
