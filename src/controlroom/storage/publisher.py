"""Performs the steps of `controlroom.policy.publication` on one file: with open(2), fsync(2), rename(2) and link(2)."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from threading import RLock
from typing import Any, Self

from controlroom.errors import (
    ConfigError,
    FileOperationError,
    StorageAccessError,
    UnsafePathError,
)
from controlroom.policy.publication import (
    CopyChunk,
    LinkAs,
    RemoveStaged,
    RenameTo,
    Seal,
    Stage,
    Step,
    SyncFile,
    SyncFolder,
)
from controlroom.storage.attributes import keep_attributes
from controlroom.storage.classify import TARGET_KEPT, translating
from controlroom.storage.conditions import require_time, taken
from controlroom.storage.descriptors import flush, let_go
from controlroom.storage.files import StagedFile
from controlroom.storage.sharing import patiently
from controlroom.storage.sources import Octets
from controlroom.storage.staging import Folder, full_sync, new_staged_name

__all__ = ["FilePublisher", "check_permissions", "etag_of"]

_DOING: dict[type[object], str] = {
    Stage: "staging",
    Seal: "finishing the staged file",
    SyncFile: "syncing the staged file",
    RenameTo: "renaming the staged file to its name",
    LinkAs: "linking the staged file to its name",
    RemoveStaged: "removing the staged file",
    SyncFolder: "syncing the folder",
}
_PRIVATE = 0o600  # until the bits are known: what replaces a secret must not be readable meanwhile
_AS_UMASK_SAYS = 0o666
_ALL_BITS = 0o7777


def check_permissions(permissions: int | None) -> int | None:
    """Return *permissions* if they are mode bits.

    Raises:
        ConfigError: They are not.
    """
    if permissions is not None and not 0 <= permissions <= _ALL_BITS:
        message = (
            f"permissions={permissions!r} are no mode bits. Nothing was written. Give an octal number such as 0o640."
        )
        raise ConfigError(message)
    return permissions


def etag_of(found: os.stat_result) -> str:
    """Return the validator of a file's content: when it was written, its size and its inode.

    Every publication is a new inode, and among stores its time is later than that of what it replaces. Not told apart:
    a change in place that keeps the size within one tick of the filesystem's clock (some milliseconds), and a file that
    was removed and made again within one such tick, with the same size on the same inode.
    """
    return f"{found.st_mtime_ns:x}-{found.st_size:x}-{found.st_ino:x}"


class FilePublisher:
    """Stages one file beside its target and gives it the target's name.

    Args:
        ref: What errors call the target.
        locate: Returns its real path, without symbolic links.
        chunks: The content, for flows that copy it; the others use `file` or `append`.
        overwrite: Whether there may be a target already.
        permissions: Exact mode bits; None keeps those of what is replaced, or obeys the umask.

    A context manager, whose exit lets go of descriptors and locks but undoes nothing: that is the flow's decision.

    Attributes:
        size_bytes: Of the content, once sealed.
    """

    size_bytes: int = 0
    _name = ""
    _staged = ""
    _fd = -1
    _file: StagedFile | None = None
    _folder: Folder | None = None
    _replaced: os.stat_result | None = None

    def __init__(
        self,
        ref: str,
        locate: Callable[[], Path],
        *,
        chunks: Iterator[Octets] | None = None,
        overwrite: bool = True,
        permissions: int | None = None,
    ) -> None:
        self._performing = RLock()  # a thread may still perform a step when a closed coroutine lets go
        self.ref = ref
        self._locate = locate
        self._chunks = chunks
        self._overwrite = overwrite
        self._permissions = check_permissions(permissions)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of descriptors and locks, as the kernel does when a process dies; and of the source."""
        with self._performing:
            if self._file is not None:
                self._file.abandoned = True
                with suppress(FileOperationError):  # what was sealed is closed already, and the rest is not wanted
                    self._file.close()
            self._close_staged()
            self._close_folder()
        close_source = getattr(self._chunks, "close", None)
        if close_source is not None:
            close_source()

    def _close_staged(self) -> None:
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            let_go(fd)

    def _close_folder(self) -> None:
        if self._folder is not None:
            self._folder.close()

    def __del__(self) -> None:
        """Let go; whoever crashed did not close."""
        if hasattr(self, "_performing"):
            self.close()

    @property
    def file(self) -> StagedFile:
        """The staged file, unbuffered; on a descriptor of its own, so that closing it early costs no lock."""
        if self._file is None:
            with translating(self.ref, "staging", TARGET_KEPT):
                self._file = StagedFile(os.dup(self._fd), self.ref)
        return self._file

    @property
    def folder(self) -> Folder:
        """The target's folder, once staged."""
        if self._folder is None:
            message = f"{self.ref} is not staged"
            raise RuntimeError(message)
        return self._folder

    def append(self, chunk: Octets) -> int:
        """Append *chunk* to the staged file, whole, and return its length in bytes."""
        with memoryview(chunk) as view, view.cast("B") as octets:
            written = 0
            while written < len(octets):
                written += self.append_some(octets[written:])
            return written

    def append_some(self, octets: memoryview) -> int:
        """Append the beginning of *octets*, as write(2) does, and return the length in bytes of what was."""
        require_time(f"writing on at byte {self.size_bytes} of {self.ref}")
        with self._performing, translating(self.ref, "writing", TARGET_KEPT):
            written = os.write(self._fd, octets)
            self._appended(octets[:written])
            self.size_bytes += written
            return written

    def _appended(self, octets: memoryview) -> None:
        """Take note of what was appended."""

    def perform(self, step: Step) -> Any:
        """Perform *step*.

        Raises:
            FileOperationError: The operating system refused. What the caller's own source raises goes up as it is.
        """
        with self._performing:
            if isinstance(step, CopyChunk):
                return next((size for chunk in self._chunks or () if (size := self.append(chunk))), 0)
            with translating(self.ref, _DOING.get(type(step), "publishing"), TARGET_KEPT):
                return self._perform(step)

    def _perform(self, step: Step) -> Any:
        match step:
            case Stage():
                self._stage()
            case Seal():
                self._seal()
            case SyncFile():
                full_sync(self._fd)
            case RenameTo(if_match=if_match):
                return self._rename(if_match)
            case LinkAs():
                return self._link()
            case RemoveStaged():
                self._remove_staged()
            case SyncFolder():
                self.folder.sync()
            case _:
                message = f"{step!r} is not a step of one file"
                raise TypeError(message)
        return None

    def _stage(self) -> None:
        require_time(f"writing {self.ref}")
        target = self._locate()
        self._name = target.name
        self._folder = self._open_folder(target.parent)
        self._replaced = self._folder.look(self._name)
        if self._replaced is not None:
            self._require_replaceable(self._replaced)
        self._folder.sweep()
        private = self._replaced is not None or self._permissions is not None
        self._create(_PRIVATE if private else _AS_UMASK_SAYS)

    def _open_folder(self, path: Path) -> Folder:
        return Folder(path)

    def _create(self, mode: int) -> None:
        if not self._overwrite:
            self._fd = self.folder.open_nameless(mode)
        while self._fd < 0:
            self._staged = new_staged_name()  # known before it is there: undoing needs nothing else
            self._fd = self.folder.open_locked(self._staged, mode)

    def _require_replaceable(self, present: os.stat_result) -> None:
        if not stat.S_ISREG(present.st_mode):
            kind = "a folder" if stat.S_ISDIR(present.st_mode) else "no regular file"
            message = f"{self.ref}: {kind} has this name. {TARGET_KEPT} Choose another name."
            raise UnsafePathError(message, ref=self.ref)
        if not self._overwrite:
            raise taken(self.ref)
        # rename(2) asks nobody about the file that it replaces; open(2) for writing would have.
        effective = os.access in os.supports_effective_ids
        if not os.access(self._name, os.W_OK, dir_fd=self.folder.fd, effective_ids=effective):
            message = f"{self.ref}: it is read-only for this user. {TARGET_KEPT} Change its mode, or remove it first."
            raise StorageAccessError(message, ref=self.ref)

    def _seal(self) -> None:
        if self._file is not None:
            self._file.close()
        replaced = self.folder.look(self._name) or self._replaced
        if replaced is not None and stat.S_ISREG(replaced.st_mode):
            keep_attributes(self._fd, replaced, os.path.join(self.folder.path, self._name))  # noqa: PTH118 - a Path costs ten times that
        if self._permissions is not None:
            os.fchmod(self._fd, self._permissions)
        flush(self._fd)
        self.size_bytes = os.fstat(self._fd).st_size

    def _rename(self, if_match: str | None) -> str:
        if if_match is not None:
            message = "only stores compare before they rename"
            raise TypeError(message)
        fd = self.folder.fd
        patiently(partial(os.rename, self._staged, self._name, src_dir_fd=fd, dst_dir_fd=fd))
        return self._etag()

    def _etag(self) -> str:
        return etag_of(os.fstat(self._fd)) if self._fd >= 0 else ""

    def _link(self) -> str:
        try:
            self.folder.link(self._staged, self._name, self._fd)
        except FileExistsError:
            # link(2): on NFS the reply may be lost though the link was made; then there are two names of our file.
            staged = self.folder.look(self._staged) if self._staged else os.fstat(self._fd)
            present = self.folder.look(self._name)
            if staged is None or present is None or not os.path.samestat(staged, present):
                raise taken(self.ref) from None
        return self._etag()

    def _remove_staged(self) -> None:
        if self._file is not None:
            self._file.abandoned = True
        if self._folder is not None and self._staged:
            self._folder.remove(self._staged)
