"""A file that many processes append lines to, each line in one write, with rotation by size and age that loses none.

``O_APPEND`` makes the kernel place every write at the end of the file, whoever else writes (open(2)). Rotation renames
files; a lock on a file beside them, taken for every line while rotation is on, keeps a line from landing in a file that
is being renamed away.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable
from pathlib import Path

from controlroom.logs.age import Births
from controlroom.logs.locking import FileLock, lock_on
from controlroom.logs.packing import Packer
from controlroom.logs.rotation import RotatedFiles

__all__ = ["AppendedFile"]

_FLAGS = os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK  # the last: a FIFO without a reader
_MODE = 0o666  # as open() does: the umask decides
_LOOK_EVERY = 64  # lines; a look costs a tenth of a line


class AppendedFile:
    """Appends whole lines to *path*; calls are serialised by the caller.

    Args:
        path: The file; its folder must exist.
        max_bytes: Rotate before the file grows beyond this; None: never.
        max_age_s: Rotate, with the next line, a file whose first line is older than this; None: never.
        keep: How many rotated files stay: ``path.1`` is the youngest, ``path.<keep>`` the oldest.
        compress: Pack rotated files: ``path.1.gz``.
        lost: Told how many lines that were written before are lost since: the file was removed.

    Attributes:
        refusal: Why a rotation was refused, the first time since one was not. For whoever tells it to take away.

    Raises:
        OSError: The file, or the lock beside it, cannot be opened for writing.

    Guarantees:
        Any number of processes and forks, all with the same arguments, killed at any moment: every line that was appended
        arrives whole, once. A signal handler may append in the middle of an append.
        Not promised: file systems without POSIX locks or ``O_APPEND`` (some network mounts); a line that the disk had
        no room for. Without rotation, that a file which others rename is left for a new one of its name, that a removed
        one is missed at once (it is within 64 lines, which count as lost), or that the line after one of more than
        4 KiB, in whose write a process was killed, begins on a line of its own.
        A process stopped inside a write (SIGSTOP) holds up the others while rotation is on.
    """

    def __init__(
        self,
        path: Path,
        *,
        max_bytes: int | None = None,
        max_age_s: float | None = None,
        keep: int = 5,
        compress: bool = False,
        lost: Callable[[int], object] = lambda _lines: None,
    ) -> None:
        if path.is_dir():  # before anything is made beside it
            raise IsADirectoryError(None, "Is a directory", str(path))
        is_rotating = max_bytes is not None or max_age_s is not None
        # Of a link, what it leads to rotates, whoever calls it by what name.
        self._path = Path(os.path.realpath(path)) if is_rotating else path
        self._name = str(self._path)
        self._max_bytes = max_bytes
        self.refusal: OSError | None = None
        self._is_refused = False
        self._lost = lost
        self._unseen = 0
        self._is_gone = False
        self._torn = False
        self._fd = -1
        self._rotated = RotatedFiles(self._path, keep)
        self._lock: FileLock | None = None
        self._births: Births | None = None
        self._packer: Packer | None = None
        try:
            if is_rotating:
                _refuse_what_cannot_rotate(self._path)
                self._lock = lock_on(Path(f"{self._path}.lock"))
                self._births = None if max_age_s is None else Births(self._path, self._lock, max_age_s)
                self._packer = Packer(self._rotated, self._lock) if compress else None
            self._fd = self._opened()
        except OSError:
            self.close()
            raise

    def append(self, line: bytes) -> None:
        """Append *line*, which ends in a newline.

        Raises:
            OSError: It was not written, or not wholly: the file's next line begins on a line of its own.
        """
        if self._lock is None:
            if self._is_gone or self._unseen >= _LOOK_EVERY:
                self._look()
            self._write(b"\n" + line if self._torn else line)
            self._unseen += 1
        else:
            self._lock.holding(lambda is_nested: (self._write_between if is_nested else self._write_in_turn)(line))

    def close(self) -> None:
        """Finish packing, and close what is open. A second call does nothing."""
        if self._packer is not None:
            self._packer.wait()
        if self._fd >= 0:
            if self._unseen and os.fstat(self._fd).st_nlink == 0:
                self._lost(self._unseen)
            fd, self._fd = self._fd, -1
            os.close(fd)
        if self._lock is not None:
            lock, self._lock = self._lock, None
            lock.close()

    def _look(self) -> None:
        """See whether the file is still in its folder; where it is not, make it again."""
        found, unseen, self._unseen = os.fstat(self._fd), self._unseen, 0
        self._is_gone = found.st_nlink == 0
        if self._is_gone:
            self._lost(unseen)
            self._reopen(found)
            self._is_gone = False

    def _write_in_turn(self, line: bytes) -> None:
        size_bytes = self._follow()
        if size_bytes > 0 and self._is_due(size_bytes + len(line)):
            self._rotate()
            size_bytes = os.fstat(self._fd).st_size
        if size_bytes == 0 and self._births is not None:
            self._births.note(self._fd)
        self._write(b"\n" + line if self._is_mid_line(size_bytes) else line)

    def _write_between(self, line: bytes) -> None:
        """Append *line* to the file as it is: a signal handler logs, in the middle of a rotation perhaps."""
        if os.fstat(self._fd).st_nlink == 0:
            message = f"{self._path} was removed"
            raise FileNotFoundError(message)
        self._write(line)

    def _is_due(self, bytes_after: int) -> bool:
        if self._max_bytes is not None and bytes_after > self._max_bytes:
            return True
        return self._births is not None and self._births.is_over(self._fd)

    def _is_mid_line(self, size_bytes: int) -> bool:
        """Tell whether the file ends in a piece of a line: its disk was full, or its writer was killed in the write."""
        try:
            return size_bytes > 0 and os.pread(self._fd, 1, size_bytes - 1) != b"\n"
        except OSError:  # we may not read it
            return self._torn

    def _write(self, whole: bytes) -> None:
        written = os.write(self._fd, whole)
        if written < len(whole):
            self._torn = not _ended(self._path, self._fd, whole[:written])
            message = f"{written} of {len(whole)} bytes were written to {self._path}"
            raise OSError(message)
        self._torn = False

    def _follow(self) -> int:
        """Open the file anew when the name means another one by now: somebody rotated, or removed it. Returns its size."""
        ours = os.fstat(self._fd)
        try:
            if os.path.samestat(ours, os.stat(self._name)):  # noqa: PTH116 - for each line: Path.stat costs three times as much
                return ours.st_size
        except FileNotFoundError:
            pass
        try:
            self._reopen(ours)
        except OSError:  # ours was renamed: it still is among the kept files. Removed, it is nowhere.
            if ours.st_nlink == 0:
                raise
        return os.fstat(self._fd).st_size

    def _reopen(self, like: os.stat_result) -> None:
        is_new = not self._path.exists()
        opened = self._opened(stat.S_IMODE(like.st_mode))
        former, self._fd = self._fd, opened  # in one step: a signal handler that logs may open it anew in between
        os.close(former)
        self._torn = False
        if is_new:
            with contextlib.suppress(OSError):
                os.fchmod(self._fd, stat.S_IMODE(like.st_mode))

    def _rotate(self) -> None:
        """Give every file the next number. Where that is refused, the file grows: no line is lost for order's sake."""
        try:
            self._rotated.take_in()
            self._reopen(os.fstat(self._fd))
        except OSError as error:
            self.refusal = self.refusal or (None if self._is_refused else error)
            self._is_refused = True
        else:
            self._is_refused = False
        if self._packer is not None:
            self._packer.start()

    def _opened(self, mode: int = _MODE) -> int:
        try:
            fd = os.open(self._path, _FLAGS | (os.O_WRONLY if self._lock is None else os.O_RDWR), mode)
        except PermissionError:  # to write may be allowed, and to read not
            fd = os.open(self._path, _FLAGS | os.O_WRONLY, mode)
        os.set_blocking(fd, True)
        return fd


def _refuse_what_cannot_rotate(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISREG(path.stat().st_mode):
            raise OSError(None, "It is no regular file, so it cannot be rotated", str(path))


def _ended(path: Path, fd: int, torn: bytes) -> bool:
    """End the *torn* piece of a line with a newline, in the place of its last byte: that takes no room on a full disk.

    Whoever writes next, in whatever process, then begins on a line of their own. False where that cannot be done.
    """
    try:
        place = os.lseek(fd, 0, os.SEEK_CUR) - len(torn)
        other = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        # The place is shared with forked children: look whether it is ours. And the name may mean another file by now.
        if not os.path.sameopenfile(fd, other) or os.pread(other, len(torn), place) != torn:
            return False
        return os.pwrite(other, b"\n", place + len(torn) - 1) == 1
    except OSError:
        return False
    finally:
        os.close(other)
