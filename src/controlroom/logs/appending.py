"""A file that many processes append lines to, each line in one write, with rotation by size that loses none.

``O_APPEND`` makes the kernel place every write at the end of the file, whoever else writes (open(2)). Rotation renames
files; a lock on a file beside them, taken for every line while rotation is on, keeps a line from landing in a file that
is being renamed away. The lock is a POSIX record lock (fcntl(2)): a forked child does not inherit it, unlike flock(2)'s.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["AppendedFile"]

_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK  # the last: a FIFO without a reader
_MODE = 0o666  # as open() does: the umask decides


class AppendedFile:
    """Appends whole lines to *path*; calls are serialised by the caller.

    Args:
        path: The file; its folder must exist.
        max_bytes: Rotate before the file grows beyond this; None: never.
        keep: How many rotated files stay: ``path.1`` is the youngest, ``path.<keep>`` the oldest.

    Raises:
        OSError: The file, or the lock beside it, cannot be opened for writing.

    Guarantees:
        Any number of processes and forks, all with the same *max_bytes* and *keep*: every line arrives whole, once.
        Not promised: file systems without POSIX locks or ``O_APPEND`` (some network mounts); a line that the disk had
        no room for; without *max_bytes*, that a file which others rename or remove is followed by a new one of its
        name. A process stopped inside a write (SIGSTOP) holds up the others while rotation is on.
    """

    def __init__(self, path: Path, *, max_bytes: int | None = None, keep: int = 5) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._keep = keep
        self._torn = False
        self._holds_lock = False
        self._lock_fd = -1
        self._fd = _opened(path)
        try:
            if max_bytes is not None:
                self._lock_fd = _opened(Path(f"{path}.lock"))
        except OSError:
            os.close(self._fd)
            raise

    def append(self, line: bytes) -> None:
        """Append *line*, which ends in a newline.

        Raises:
            OSError: It was not written, or not wholly: the file's next line begins on a line of its own.
        """
        if self._max_bytes is None:
            self._write(line)
            return
        with self._locked():
            self._follow()
            if self._is_full(len(line), self._max_bytes):
                self._rotate()
            self._write(line)

    def close(self) -> None:
        """Close what is open. A second call does nothing."""
        for fd in (self._fd, self._lock_fd):
            if fd >= 0:
                os.close(fd)
        self._fd = self._lock_fd = -1

    def _write(self, line: bytes) -> None:
        whole = b"\n" + line if self._torn else line
        written = os.write(self._fd, whole)
        self._torn = written < len(whole)
        if self._torn:
            message = f"{written} of {len(whole)} bytes were written to {self._path}"
            raise OSError(message)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        if self._holds_lock:  # a signal handler that logs, in the middle of a line
            yield
            return
        fcntl.lockf(self._lock_fd, fcntl.LOCK_EX)
        self._holds_lock = True
        try:
            yield
        finally:
            self._holds_lock = False
            fcntl.lockf(self._lock_fd, fcntl.LOCK_UN)

    def _follow(self) -> None:
        """Open the file anew when the name means another one by now: somebody rotated, or removed it."""
        ours = os.fstat(self._fd)
        with contextlib.suppress(FileNotFoundError):
            theirs = self._path.stat()
            if (theirs.st_dev, theirs.st_ino) == (ours.st_dev, ours.st_ino):
                return
        try:
            self._reopen()
        except OSError:  # ours was renamed: it still is among the kept files. Removed, it is nowhere.
            if ours.st_nlink == 0:
                raise

    def _reopen(self) -> None:
        former, self._fd = self._fd, _opened(self._path)
        os.close(former)

    def _is_full(self, more_bytes: int, max_bytes: int) -> bool:
        size_bytes = os.fstat(self._fd).st_size
        return size_bytes > 0 and size_bytes + more_bytes > max_bytes

    def _rotate(self) -> None:
        """Rename every file to the next number. Where that is refused, the file grows: no line is lost for order's sake."""
        with contextlib.suppress(OSError):
            for number in range(self._keep - 1, 0, -1):
                with contextlib.suppress(FileNotFoundError):
                    self._numbered(number).replace(self._numbered(number + 1))
            self._path.replace(self._numbered(1))
            self._reopen()

    def _numbered(self, number: int) -> Path:
        return Path(f"{self._path}.{number}")


def _opened(path: Path) -> int:
    fd = os.open(path, _FLAGS, _MODE)
    os.set_blocking(fd, True)
    return fd
