"""Files that processes of one machine lock against each other: a try, never a wait.

flock(2): the kernel frees a lock when its holder dies, and two threads of one process exclude each other too. A forked child
would keep the lock alive, so it closes what it inherited.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from pathlib import Path
from typing import Final

from controlroom.errors import ConfigError

__all__ = ["LockedFile"]

_held: set[int] = set()
_BUSY: Final = {errno.EAGAIN, errno.EACCES}


class LockedFile:
    """A file, created where it is missing, that one at a time may hold.

    Args:
        path: In a folder that exists. Removing or replacing the file is noticed.
        mode: Of a new file, less what the umask says.
    """

    def __init__(self, path: Path, mode: int) -> None:
        self.path = path
        self._mode = mode
        self.fd: int = -1

    def acquire(self) -> bool:
        """Try to lock it; False where somebody else holds it.

        Raises:
            OSError: It cannot be opened.
            ConfigError: It is no regular file.
        """
        self.fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, self._mode)
        _held.add(self.fd)
        try:
            if self._is_ours():
                return True
        except BaseException:
            self.close()
            raise
        self.close()
        return False

    def _is_ours(self) -> bool:
        opened = os.fstat(self.fd)
        if not stat.S_ISREG(opened.st_mode):
            message = f"{self.path} is no regular file. Nothing was sent. Give the path of one, or of none yet."
            raise ConfigError(message)
        try:
            fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in _BUSY:
                raise
            return False
        try:  # a lock on a file that has lost its name keeps nobody out
            return os.path.samestat(opened, self.path.stat())
        except FileNotFoundError:
            return False

    def close(self) -> None:
        """Let go of it; a second call does nothing."""
        fd, self.fd = self.fd, -1
        if fd < 0:
            return
        _held.discard(fd)
        try:
            fcntl.flock(fd, fcntl.LOCK_UN)  # by name: a child that was forked meanwhile has a share in the descriptor
        finally:
            os.close(fd)


def _forget_inherited() -> None:
    for fd in list(_held):
        os.close(fd)
    _held.clear()


os.register_at_fork(after_in_child=_forget_inherited)
