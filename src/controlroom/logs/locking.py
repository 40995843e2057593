"""A lock among the threads of this process and all other processes, on a file of its own.

POSIX record locks (fcntl(2)): a forked child does not inherit them, unlike those of flock(2), and the kernel frees them
with the process that held them. They do not tell threads apart, so a lock of the process stands before the file's.
"""

from __future__ import annotations

import errno
import fcntl
import os
import threading
from collections.abc import Callable
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["FileLock", "lock_on"]

T = TypeVar("T")

_FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
_MODE: Final = 0o666  # as open() does: the umask decides
_LINES: Final = 0  # the byte that whoever writes a line locks
_PACKING: Final = 1  # and the one of whoever packs rotated files, beside those that write
_LONGEST_NOTE: Final = 256


class FileLock:
    """Excludes everybody else who holds a lock on the same *path*, and keeps a note there for all of them.

    Made by `lock_on`: a process has one of each path, since closing the file a second time would free it (fcntl(2)).

    Guarantees:
        A signal handler may call `holding` while the code that it interrupted is inside: it is let in. A killed process
        holds nothing. When *path* is removed, the next one to look makes it again, and all meet there.
        Not promised: that a process which opens and closes *path* by other means keeps the lock.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = os.open(path, _FLAGS, _MODE)
        self.holders: int = 0
        self.renew()
        try:
            self._try_out()
        except OSError:
            os.close(self._fd)
            raise

    def renew(self) -> None:
        """Forget who is inside: in a forked child, nobody is."""
        self._threads = threading.RLock()
        self._is_inside = False
        self._packer = threading.Lock()

    def holding(self, do: Callable[[bool], T]) -> T:
        """Return ``do(is_nested)``, called while nobody else is inside; nested where it interrupts itself.

        Raises:
            OSError: The lock cannot be had.
        """
        with self._threads:
            # A handler that interrupts the lines below takes the lock again, which is harmless, and leaves it to us.
            is_nested = self._is_inside
            try:
                self._is_inside = True
                self._wait()
                return do(is_nested)
            finally:
                self._is_inside = is_nested
                if not is_nested:
                    fcntl.lockf(self._fd, fcntl.LOCK_UN, 1, _LINES)

    @contextmanager
    def packing(self) -> Iterator[bool]:
        """Tell whether this thread is the one that packs, while the block runs; it never waits."""
        packer = self._packer
        if not packer.acquire(blocking=False):
            yield False
            return
        try:
            fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _PACKING)
        except OSError:  # another process
            packer.release()
            yield False
            return
        try:
            yield True
        finally:
            fcntl.lockf(self._fd, fcntl.LOCK_UN, 1, _PACKING)
            packer.release()

    def note(self) -> bytes:
        """Return what `leave_note` left last, in whatever process; nothing where nobody did, or it cannot be read."""
        with suppress(OSError):
            return os.pread(self._fd, _LONGEST_NOTE, 0).partition(b"\n")[0]
        return b""

    def leave_note(self, text: bytes) -> None:
        """Keep *text*, one short line. On a full disk it may not be kept."""
        with suppress(OSError):
            os.pwrite(self._fd, text + b"\n", 0)

    def close(self) -> None:
        """Give it back; what was taken from `lock_on` more than once, as often."""
        with _registry.guard:
            self.holders -= 1
            if self.holders == 0:
                _registry.locks.pop(str(self._path), None)
                fd, self._fd = self._fd, -1
                os.close(fd)

    def _wait(self) -> None:
        fcntl.lockf(self._fd, fcntl.LOCK_EX, 1, _LINES)
        while os.fstat(self._fd).st_nlink == 0:  # somebody tidied up, and whoever comes next locks another file
            opened = os.open(self._path, _FLAGS, _MODE)
            former, self._fd = self._fd, opened  # in one step: a signal handler that logs may get here, too
            os.close(former)
            fcntl.lockf(self._fd, fcntl.LOCK_EX, 1, _LINES)

    def _try_out(self) -> None:
        try:
            fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _LINES)
            fcntl.lockf(self._fd, fcntl.LOCK_UN, 1, _LINES)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES):  # somebody holds it: then there are locks
                raise


class _Registry:
    def __init__(self) -> None:
        self.locks: dict[str, FileLock] = {}
        self.guard = threading.RLock()

    def renew(self) -> None:
        self.guard = threading.RLock()
        for lock in self.locks.values():
            lock.renew()


_registry: Final = _Registry()
os.register_at_fork(after_in_child=_registry.renew)


def lock_on(path: Path) -> FileLock:
    """Return the lock on *path*, a file that is nothing but this lock. It is made, and stays.

    Raises:
        OSError: It cannot be opened for writing, or its file system has no locks.
    """
    with _registry.guard:
        lock = _registry.locks.get(str(path))
        if lock is None:
            lock = _registry.locks[str(path)] = FileLock(path)
        lock.holders += 1
        return lock
