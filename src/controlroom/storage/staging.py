"""Files out of sight: staged beside their target under a recognisable name, held under flock while their writer lives.

Whoever can take the lock knows that the writer is dead and removes the file: no guessing by age. The lock of a batch is
that of an empty file of its own, so that a thousand members do not take a thousand descriptors.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from controlroom import clock
from controlroom.errors import FileOperationError, StorageUnavailableError
from controlroom.storage.classify import translating
from controlroom.storage.descriptors import let_go
from controlroom.storage.paths import is_staged_name, staged_name

__all__ = ["Folder", "full_sync", "make_folders", "new_staged_name"]

_NO_LOCKS = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.EBADF}  # EBADF: NFS, for a folder
# Filesystems without nameless files (NFS, overlay before 6.3), and kernels that take O_TMPFILE for O_DIRECTORY.
_NO_NAMELESS = {errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT, errno.ENOSYS}
_NAMELESS = "/proc/self/fd/{}"
_FREE_TO_SWEEP = 256  # a folder with no more entries than this is swept at every write
_LONGEST_LOCK_WAIT_S = 30.0  # locks are held while one name changes: whoever holds one so long is stopped or dead
_FIRST_LOOK_AGAIN_S = 0.0005
_LAST_LOOK_AGAIN_S = 0.02

_writes_until_sweep: dict[tuple[int, int], int] = {}
_sweeping = threading.Lock()


def full_sync(fd: int) -> None:
    """Bring a file or folder to the disk itself; on macOS fsync(2) stops at the drive's cache."""
    full = getattr(fcntl, "F_FULLFSYNC", None)
    if full is None:
        os.fsync(fd)
    else:
        fcntl.fcntl(fd, full)


def new_staged_name() -> str:
    """Return a name that nobody has."""
    return staged_name(secrets.token_hex(8))


def _try_lock(fd: int) -> bool:
    """Take the lock of *fd* unless somebody has it. Where there are no locks, nobody has them."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
    return True


class Folder:
    """An open folder: files staged in it are published in it even if it is renamed meanwhile.

    Args:
        path: The folder.

    Raises:
        OSError: It cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.fd: int = -1
        self.fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._identity: tuple[int, int] | None = None

    @property
    def identity(self) -> tuple[int, int]:
        """Device and inode."""
        if self._identity is None:
            found = os.fstat(self.fd)
            self._identity = found.st_dev, found.st_ino
        return self._identity

    def close(self) -> None:
        """Let go of the folder, and of its lock."""
        if self.fd >= 0:
            fd, self.fd = self.fd, -1
            let_go(fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __del__(self) -> None:
        """Let go, as the kernel does when a process dies: whoever crashed did not close."""
        self.close()

    def look(self, name: str) -> os.stat_result | None:
        """Return what has *name* here, a symbolic link itself included; None if nothing has."""
        try:
            return os.stat(name, dir_fd=self.fd, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def open_locked(self, name: str, mode: int) -> int:
        """Create the staged file *name* and lock it; return a descriptor, or -1 if a sweeper took it away at once.

        Args:
            name: From `new_staged_name`.
            mode: As for open(2); the umask and the folder's default ACL apply.
        """
        fd = self.open_new(name, mode)
        try:
            # A sweeper may have seen it before it was locked: then it is locked or gone, and another must be made.
            if _try_lock(fd) and os.fstat(fd).st_nlink:
                return fd
        except BaseException:
            let_go(fd)
            with suppress(OSError):  # or the next writer here sweeps it
                self.remove(name)
            raise
        let_go(fd)
        self.remove(name)
        return -1

    def open_nameless(self, mode: int) -> int:
        """Create a file without a name, which the kernel forgets with its last descriptor; -1 where there is no such thing.

        For `link`: a name that is taken cannot be replaced by a link, so that it is of use for new files only.
        """
        if not hasattr(os, "O_TMPFILE"):
            return -1
        try:
            fd = os.open(".", os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, mode, dir_fd=self.fd)
        except OSError as error:
            if error.errno in _NO_NAMELESS:
                return -1
            raise
        if Path(_NAMELESS.format(fd)).exists():
            return fd
        let_go(fd)  # without /proc only root could name it
        return -1

    def link(self, staged: str, name: str, fd: int) -> None:
        """Give the file *staged*, or the nameless one open as *fd*, the name *name*.

        Raises:
            FileExistsError: It is taken.
        """
        if staged:
            os.link(staged, name, src_dir_fd=self.fd, dst_dir_fd=self.fd, follow_symlinks=False)
        else:
            # open(2), O_TMPFILE. With a src_dir_fd, or Python would call link(2), which does not follow the symbolic link.
            os.link(_NAMELESS.format(fd), name, src_dir_fd=self.fd, dst_dir_fd=self.fd, follow_symlinks=True)

    def open_new(self, name: str, mode: int) -> int:
        """Create *name*, which must be free, for reading and writing."""
        return os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode, dir_fd=self.fd)

    def remove(self, name: str) -> None:
        """Remove *name* if it is there."""
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self.fd)

    def sweep(self) -> None:
        """Remove what dead writers left here.

        In a folder of many entries a process does so at its first write, and then once in as many writes as there are
        entries: looking costs in proportion to them.
        """
        with _sweeping:
            left = _writes_until_sweep.get(self.identity, 0)
            if left > 0:
                _writes_until_sweep[self.identity] = left - 1
                return
        seen = 0
        orphans: dict[str, list[str]] = {}
        with os.scandir(self.fd) as entries:
            for entry in entries:
                seen += 1
                if match := is_staged_name(entry.name):
                    orphans.setdefault(match["token"], []).append(entry.name)
        for token, names in orphans.items():
            with suppress(OSError):  # not ours, or on its way already: the next sweep looks again
                self._sweep_owner(staged_name(token), names)
        with _sweeping:
            _writes_until_sweep.pop(self.identity, None)
            if seen > _FREE_TO_SWEEP:
                _writes_until_sweep[self.identity] = seen

    def _sweep_owner(self, owner: str, names: list[str]) -> None:
        """Remove *names* if their *owner* is dead. It is made before its members and outlives them."""
        fd = None
        with suppress(FileNotFoundError):
            fd = os.open(owner, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=self.fd)
        try:
            if fd is None or self._is_orphan(fd):
                for name in names:
                    self.remove(name)
        finally:
            if fd is not None:
                let_go(fd)

    def _is_orphan(self, fd: int) -> bool:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False  # a live writer has it; or there are no locks here, and nobody can tell
        return True

    @contextmanager
    def locked(self, *, required: bool) -> Iterator[None]:
        """Keep every other store from changing names here while the block runs.

        Args:
            required: Whether a filesystem without locks is an error, or nobody's loss.

        Raises:
            StorageUnavailableError: Somebody held the lock for 30 s, or until the deadline.
            FileOperationError: There are no locks here, and one is *required*.
        """
        try:
            self._wait_for_lock()
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            if required:
                message = (
                    f"{self.path}: this filesystem has no locks on folders, so that nothing can be compared and changed in"
                    " one step. Nothing was changed. Leave out if_match, or use another filesystem."
                )
                raise FileOperationError(message, ref=str(self.path)) from error
            yield
            return
        try:
            yield
        finally:
            fcntl.flock(self.fd, fcntl.LOCK_UN)

    def _wait_for_lock(self) -> None:
        wait_s = _FIRST_LOOK_AGAIN_S
        until_s = clock.monotonic_s() + _LONGEST_LOCK_WAIT_S
        while True:
            try:
                fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                deadline = clock.current_deadline()
                if clock.monotonic_s() >= until_s or (deadline is not None and deadline.is_over):
                    message = (
                        f"{self.path}: another writer has held the lock of this folder for too long. Nothing was changed."
                        " Look for a stopped process; running it again later can help."
                    )
                    raise StorageUnavailableError(message, ref=str(self.path)) from None
                clock.sleep(wait_s)
                wait_s = min(wait_s * 1.5, _LAST_LOOK_AGAIN_S)
            else:
                return

    def sync(self) -> None:
        """Make the names in this folder durable."""
        full_sync(self.fd)


def make_folders(root: Path, folder: Path, *, durable: bool) -> None:
    """Create *folder* below *root*, whose own absence is an error, and make each new name durable."""
    with translating(str(folder), "creating the folder"):
        missing = []
        while folder != root and not folder.is_dir():
            missing.append(folder)
            folder = folder.parent
        for new in reversed(missing):
            try:
                new.mkdir()
            except FileExistsError:
                if not new.is_dir():  # else somebody was faster; whether that is synced is not known
                    raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(new)) from None
            if durable:
                with Folder(new.parent) as parent:
                    parent.sync()
