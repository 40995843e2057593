"""Many files made durable together: one wait for the disk instead of two a file."""

from __future__ import annotations

import ctypes
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, Self

from controlroom.errors import ConfigError
from controlroom.logs import get_logger
from controlroom.policy.durability import Durability, durability
from controlroom.policy.flow import drive
from controlroom.policy.publication import (
    OfMember,
    RemoveLocks,
    Step,
    SyncFiles,
    SyncFolders,
    add_to_batch,
    discard_batch,
    publish_batch,
)
from controlroom.storage.atomic import encoded, encoded_json
from controlroom.storage.classify import TARGET_KEPT, translating
from controlroom.storage.descriptors import let_go
from controlroom.storage.paths import StrPath, is_staged_name, real_target, staged_name
from controlroom.storage.publisher import FilePublisher
from controlroom.storage.sources import Octets, chunks_of
from controlroom.storage.staging import Folder, full_sync, new_staged_name

__all__ = ["AtomicBatch", "atomic_batch"]

_log = get_logger(__name__)

_WORTH_SYNCING_ALL = 8  # fewer files are synced one by one: syncfs(2) waits for everybody's data on that filesystem
_SYNCFS_REPORTS_ERRORS = (5, 8)  # Linux; syncfs(2), VERSIONS
_PRIVATE = 0o600


@contextmanager
def atomic_batch(*, durable: bool | Durability = True) -> Iterator[AtomicBatch]:
    """Write many files and wait for the disk once: all of them visible and durable when the block ends.

    Args:
        durable: As in `atomic_writer`; True is "batch".

    Yields:
        A batch, whose ``write_bytes``, ``write_text`` and ``write_json`` stage files.

    Raises:
        FileOperationError: As `atomic_writer` does. An error while names appear leaves those that did: a note of the
            error says which.
        PublicationInDoubtError: All are visible, but syncing a folder failed: a power cut may undo some.
        ConfigError: *durable* is no level.

    Guarantees:
        An exception in the block leaves every target as it was and no staged file. Each file is whole at every moment. No
        name appears before the data of all files is on the disk, and the block does not end before all names are.

        Not promised: that all names appear at one moment. A crash while they do leaves some targets new and some old,
        each whole.
    """
    level = durability(durable, of_many=True)
    with AtomicBatch() as batch:
        try:
            yield batch
        except BaseException:
            drive(discard_batch(len(batch)), batch.perform)
            raise
        drive(publish_batch(batch.targets, durable=level), batch.perform)
    for member in batch.members:
        _log.debug("file_published", ref=member.ref, size_bytes=member.size_bytes, durability=level)


class AtomicBatch:
    """Files that will appear together; made by `atomic_batch`."""

    def __init__(self) -> None:
        self.members: list[_Member] = []
        self._folders: dict[Path, _SharedFolder] = {}
        self._ended = False

    def write_bytes(
        self, path: StrPath, data: Octets, *, overwrite: bool = True, permissions: int | None = None
    ) -> None:
        """Stage *data* for *path*; arguments are those of `atomic_writer`.

        Raises:
            FileOperationError: As `atomic_writer` does; the rest of the batch is not affected.
        """
        if self._ended:
            message = f"{path}: the batch has ended. Nothing was touched. Write inside its block."
            raise ConfigError(message)
        member = _Member(self, path, data, overwrite=overwrite, permissions=permissions)
        with member:
            drive(add_to_batch(), member.perform)
        self.members.append(member)

    def write_text(
        self,
        path: StrPath,
        text: str,
        *,
        overwrite: bool = True,
        encoding: str = "utf-8",
        permissions: int | None = None,
    ) -> None:
        """Stage *text* for *path*; see `write_bytes`."""
        self.write_bytes(path, encoded(text, encoding), overwrite=overwrite, permissions=permissions)

    def write_json(
        self,
        path: StrPath,
        value: Any,
        *,
        overwrite: bool = True,
        permissions: int | None = None,
        indent: int | None = None,
    ) -> None:
        """Stage *value* as JSON for *path*; see `write_bytes`, and `controlroom.storage.write_json` for what is refused."""
        self.write_bytes(path, encoded_json(value, indent), overwrite=overwrite, permissions=permissions)

    @property
    def targets(self) -> list[tuple[str, bool]]:
        """Name and if_absent of each member, in the order of writing."""
        return [(member.ref, member.if_absent) for member in self.members]

    def __len__(self) -> int:
        return len(self.members)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._ended = True
        for shared in self._folders.values():
            shared.close()

    def perform(self, step: Step) -> Any:
        """Perform *step* of `controlroom.policy.publication`."""
        match step:
            case OfMember(index, of_member):
                return self.members[index].perform(of_member)
            case SyncFiles():
                self._sync_files()
            case SyncFolders():
                for shared in self._folders.values():
                    with translating(
                        str(shared.folder.path), "syncing the folder", "The files of the batch are visible."
                    ):
                        shared.folder.sync()
            case RemoveLocks():
                for shared in self._folders.values():
                    with translating(str(shared.folder.path), "removing the lock of the batch"):
                        shared.unlock()
            case _:
                message = f"{step!r} is not a step of a batch"
                raise TypeError(message)
        return None

    def shared(self, path: Path) -> _SharedFolder:
        """Return the open folder at *path*, the same for every member in it."""
        if path not in self._folders:
            self._folders[path] = _SharedFolder(path)
        return self._folders[path]

    def _sync_files(self) -> None:
        by_device = {shared.folder.identity[0]: shared.folder for shared in self._folders.values()}
        if len(self.members) >= _WORTH_SYNCING_ALL * len(by_device) and (sync_all := _syncfs()) is not None:
            for folder in by_device.values():
                with translating(str(folder.path), "syncing the filesystem", TARGET_KEPT):
                    sync_all(folder.fd)
            return
        for member in self.members:
            member.sync()


class _SharedFolder:
    """A folder with one lock for all members of a batch in it: the lock of an empty staged file."""

    def __init__(self, path: Path) -> None:
        self.folder: Folder = Folder(path)
        self._lock_fd = -1
        try:
            self.folder.sweep()
            while self._lock_fd < 0:
                self._owner = new_staged_name()
                self._lock_fd = self.folder.open_locked(self._owner, _PRIVATE)
        except BaseException:
            self.folder.close()
            raise
        match = is_staged_name(self._owner)
        self._token = match["token"] if match else ""
        self._members = count(1)

    def new_name(self) -> str:
        """Return the name for one more member."""
        return staged_name(self._token, next(self._members))

    def unlock(self) -> None:
        """Remove the lock's file."""
        self.folder.remove(self._owner)

    def close(self) -> None:
        """Let go of the folder and of the lock."""
        if self._lock_fd >= 0:
            fd, self._lock_fd = self._lock_fd, -1
            let_go(fd)
        self.folder.close()


class _Member(FilePublisher):
    """One file of a batch. Its descriptor is closed once it is written: a thousand members may wait."""

    def __init__(
        self, batch: AtomicBatch, path: StrPath, data: Octets, *, overwrite: bool, permissions: int | None
    ) -> None:
        chunks = chunks_of(memoryview(data))
        super().__init__(
            os.fsdecode(path), lambda: real_target(path), chunks=chunks, overwrite=overwrite, permissions=permissions
        )
        self._batch = batch
        self.if_absent = not overwrite

    def sync(self) -> None:
        """Make the staged data durable; a new descriptor reports what was written through the closed one as well."""
        with translating(self.ref, "syncing the staged file", TARGET_KEPT):
            fd = os.open(self._staged, os.O_RDWR | os.O_CLOEXEC, dir_fd=self.folder.fd)
            try:
                full_sync(fd)
            finally:
                let_go(fd)

    def _open_folder(self, path: Path) -> Folder:
        self._shared = self._batch.shared(path)
        return self._shared.folder

    def _close_folder(self) -> None:
        """The batch closes it."""

    def _create(self, mode: int) -> None:
        self._staged = self._shared.new_name()
        self._fd = self.folder.open_new(self._staged, mode)


def _syncfs() -> Callable[[int], None] | None:
    """Return syncfs(2), where it is and says what failed."""
    found = re.match(r"(\d+)\.(\d+)", os.uname().release)
    if sys.platform != "linux" or found is None or (int(found[1]), int(found[2])) < _SYNCFS_REPORTS_ERRORS:
        return None
    libc = ctypes.CDLL(None, use_errno=True)

    def syncfs(fd: int) -> None:
        if libc.syncfs(fd) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))

    return syncfs
