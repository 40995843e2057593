"""Rotated files are packed beside the work: by a thread of one process at a time, while every line goes on."""

from __future__ import annotations

import _thread
import os
import threading
import weakref
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Final

from controlroom.logs.locking import FileLock
from controlroom.logs.rotation import RotatedFiles

__all__ = ["Packer"]

_AT_ONCE_BYTES: Final = 1 << 20
_LEVEL: Final = 6  # gzip's own; the levels above cost twice the time for a hundredth of the size
_GZIP: Final = 31  # zlib's way to ask for gzip's frame (RFC 1952) with the largest window


class Packer:
    """Packs *rotated* files with gzip. What it cannot pack (a full disk) stays as it is until the next rotation.

    Guarantees:
        Killed at any moment, each line stands in the plain file or in the packed one, or in both, of which the packed
        one counts; see `controlroom.logs.rotation`. Not promised: that the file rotated last is packed when the process
        is killed, or ends without `close`.
    """

    def __init__(self, rotated: RotatedFiles, lock: FileLock) -> None:
        self._rotated = rotated
        self._lock = lock
        self.renew()
        _packers.add(self)

    def renew(self) -> None:
        """Forget the thread: a forked child has none."""
        self._state = threading.RLock()  # a signal handler may log, and so rotate, in the middle of it
        self._is_asked = False
        self._idle: threading.Event | None = None

    def start(self) -> None:
        """Pack what there is, in a thread; returns at once."""
        with self._state:
            self._is_asked = True
            if self._idle is not None:
                return
            self._idle = threading.Event()
            try:
                # Not threading.Thread: its start() takes a lock that the code under a signal handler may hold.
                _thread.start_new_thread(self._run, (self._idle,))
            except RuntimeError:  # no more threads, or the interpreter ends: the next rotation packs it
                self._idle = None

    def wait(self) -> None:
        """Wait until nothing is being packed."""
        if (idle := self._idle) is not None:
            idle.wait()

    def _run(self, idle: threading.Event) -> None:
        try:
            while self._is_still_asked():
                with suppress(Exception):  # a full disk, a folder that went: nothing is lost
                    self._pack_all()
        finally:
            idle.set()

    def _is_still_asked(self) -> bool:
        with self._state:
            asked, self._is_asked = self._is_asked, False
            if not asked:
                self._idle = None
            return asked

    def _pack_all(self) -> None:
        # Asked anew after each turn: another process may have rotated, and gone away because we were at it.
        while self._rotated.unpacked() is not None:
            with self._lock.packing() as is_ours:
                if not is_ours:
                    return
                while (file := self._rotated.unpacked()) is not None:
                    self._pack(file)

    def _pack(self, file: Path) -> None:
        source = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
        try:
            found = os.fstat(source)
            part = _opened(self._rotated.part, found)
            try:
                _copy(source, part)
                os.fsync(part)
                self._lock.holding(lambda _is_nested: self._finish(source, part, (found.st_dev, found.st_ino)))
            finally:
                os.close(part)
                self._rotated.part.unlink(missing_ok=True)
        finally:
            os.close(source)

    def _finish(self, source: int, part: int, inode: tuple[int, int]) -> None:
        # A process that could not open the new file still writes to its own, the one that is being packed.
        if _copy(source, part):
            os.fsync(part)
        if os.path.samestat(os.fstat(part), self._rotated.part.stat()):  # not another's, if the lock was removed
            self._rotated.put(self._rotated.part, inode)


def _opened(path: Path, like: os.stat_result) -> int:
    """Open *path* empty, for those who may read *like* and nobody else."""
    path.unlink(missing_ok=True)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with suppress(OSError):  # not ours to give away
        os.fchown(fd, like.st_uid, like.st_gid)
    os.fchmod(fd, like.st_mode & 0o777)
    return fd


def _copy(source: int, part: int) -> bool:
    """Pack what *source* still has into *part*, as one member of a gzip file; False where it has nothing left."""
    packing = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
    is_empty = True
    while block := os.read(source, _AT_ONCE_BYTES):
        is_empty = False
        _write(part, packing.compress(block))
    if not is_empty:
        _write(part, packing.flush())
    return not is_empty


def _write(fd: int, block: bytes) -> None:
    left = memoryview(block)
    while left:
        left = left[os.write(fd, left) :]


_packers: weakref.WeakSet[Packer] = weakref.WeakSet()


def _renew_all() -> None:
    for packer in list(_packers):
        packer.renew()


os.register_at_fork(after_in_child=_renew_all)
