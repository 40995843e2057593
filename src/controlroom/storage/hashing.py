"""SHA-256 of what is being written, behind the writer's back: the disk is waited for, and hashing costs no time of its own.

Small content is hashed as it comes. Of larger content a thread reads what has been written so far, from the page cache: no
chunk needs to be kept for it, and it goes on while fsync(2) waits. hashlib and pread(2) hold no interpreter lock.
"""

from __future__ import annotations

import errno
import hashlib
import os
from threading import Condition, Thread, current_thread
from typing import Final

from controlroom.storage.descriptors import let_go

__all__ = ["FileDigest"]

_AT_ONCE_BYTES: Final = 4 * 1024 * 1024
_CHUNK_BYTES: Final = 1024 * 1024


class FileDigest:
    """The SHA-256 of a file that only grows."""

    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()
        self._hashed_bytes = 0
        self._written_bytes = 0
        self._ended = False
        self._failed: BaseException | None = None
        self._thread: Thread | None = None
        self._fd = -1
        self._changed = Condition()

    def appended(self, octets: memoryview, fd: int) -> None:
        """Take note that *octets* were appended to the file open for reading as *fd*."""
        if self._thread is None and self._written_bytes + len(octets) <= _AT_ONCE_BYTES:
            self._sha256.update(octets)
            self._written_bytes += len(octets)
            self._hashed_bytes = self._written_bytes
            return
        with self._changed:
            self._written_bytes += len(octets)
            self._changed.notify()
        if self._thread is None:
            self._fd = os.dup(fd)
            self._thread = Thread(target=self._follow, name="controlroom-sha256", daemon=True)
            self._thread.start()

    def hexdigest(self) -> str:
        """Return it, of all that was appended, once it is known.

        Raises:
            OSError: What was written could not be read.
        """
        self._end()
        if self._failed is not None:
            raise self._failed
        return self._sha256.hexdigest()

    def close(self) -> None:
        """End the thread, whether it is done or not."""
        with self._changed:
            self._written_bytes = self._hashed_bytes
        self._end()

    def _end(self) -> None:
        if self._thread is not None:
            with self._changed:
                self._ended = True
                self._changed.notify()
            if self._thread is not current_thread():  # the collector may let go of a publisher anywhere
                self._thread.join()

    def _follow(self) -> None:
        try:
            while self._more():
                left_bytes = self._written_bytes - self._hashed_bytes
                chunk = _read(self._fd, min(_CHUNK_BYTES, left_bytes), self._hashed_bytes)
                self._sha256.update(chunk)
                self._hashed_bytes += len(chunk)
        except BaseException as error:  # noqa: BLE001 - it is raised where the digest is asked for
            self._failed = error
        finally:
            let_go(self._fd)

    def _more(self) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._ended or self._written_bytes > self._hashed_bytes)
            return self._written_bytes > self._hashed_bytes


def _read(fd: int, size_bytes: int, at: int) -> bytes:
    chunk = os.pread(fd, size_bytes, at)
    if not chunk:
        message = "what was written cannot be read again"
        raise OSError(errno.EIO, message)
    return chunk
