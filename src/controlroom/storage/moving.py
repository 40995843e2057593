"""Moves one object within a local store: by rename(2) or link(2) where it can, else by a copy."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import RLock
from typing import Any, Self

from controlroom.errors import ObjectChangedError
from controlroom.policy.publication import (
    LinkSourceAs,
    ReadChunk,
    RemoveSource,
    RenameSourceTo,
    Stage,
    Step,
    SyncFolder,
    SyncSourceFolder,
)
from controlroom.storage.classify import translating
from controlroom.storage.conditions import require_match, require_time, taken
from controlroom.storage.files import UnchangedFile, open_regular
from controlroom.storage.object_publisher import ObjectPublisher
from controlroom.storage.publisher import etag_of
from controlroom.storage.sharing import patiently
from controlroom.storage.staging import Folder

__all__ = ["MovePlan", "ObjectMover"]

_CHUNK_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class MovePlan:
    """What moves where; each path is found when it is needed.

    Attributes:
        ref: What errors call the object under its old name.
        target_ref: And under its new one.
        name: Finds the old name, a symbolic link at the end not followed.
        content: Finds what the old name leads to.
        target: Finds what the new name leads to.
        open_folder: Opens the target's folder, making it if need be.
        copying: Makes the publisher for where a rename cannot reach.
    """

    ref: str
    target_ref: str
    name: Callable[[], Path]
    content: Callable[[], Path]
    target: Callable[[], Path]
    open_folder: Callable[[Path], Folder]
    copying: Callable[[], ObjectPublisher]


class ObjectMover:
    """Performs the steps of `controlroom.policy.publication.move` on the names that *plan* finds."""

    def __init__(self, plan: MovePlan) -> None:
        self._performing = RLock()  # a thread may still perform a step when a closed coroutine lets go
        self._plan = plan
        self._open = ExitStack()
        self._digest = hashlib.sha256()
        self._file: UnchangedFile | None = None
        self._publisher: ObjectPublisher | None = None
        self.size_bytes: int = 0

    @property
    def sha256(self) -> str:
        """Of what was read, in hexadecimal."""
        return self._digest.hexdigest()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        with self._performing:
            self._open.close()

    def perform(self, step: Step) -> Any:
        """Perform *step*.

        Raises:
            FileOperationError: The operating system refused.
        """
        with self._performing:
            if isinstance(step, Stage):
                self._publisher = self._open.enter_context(self._plan.copying())
            if self._publisher is not None and not isinstance(step, RemoveSource | SyncSourceFolder):
                return self._publisher.perform(step)
            with translating(self._plan.ref, "moving", "The object is whole, under one of its names or under both."):
                return self._perform(step)

    def _perform(self, step: Step) -> Any:
        match step:
            case ReadChunk():
                return self._read()
            case RenameSourceTo():
                return self._change_names(self._rename)
            case LinkSourceAs():
                return self._change_names(self._link)
            case RemoveSource():
                return self._remove_source()
            case SyncFolder() | SyncSourceFolder():
                return (self._to if isinstance(step, SyncFolder) else self._from).sync()
            case _:
                message = f"{step!r} is not a step of a move"
                raise TypeError(message)

    def _read(self) -> int:
        require_time(f"reading {self._plan.ref} before it is moved")
        file = self._file or self._begin()
        chunk = file.read(_CHUNK_BYTES) or b""
        self._digest.update(chunk)
        self.size_bytes += len(chunk)
        return len(chunk)

    def _begin(self) -> UnchangedFile:
        with translating(self._plan.ref, "opening"):
            self._name, self._content = self._plan.name(), self._plan.content()
            self._file = self._open.enter_context(open_regular(self._content, self._plan.ref))
            self._from = Folder(self._name.parent)
            self._open.callback(self._from.close)
        self._etag = etag_of(self._file.opened)
        return self._file

    def _change_names(self, change: Callable[[Path], None]) -> str | None:
        """Change the names under the locks of both folders, if the source is still what was read."""
        if self._name != self._content:
            return None  # a symbolic link is not moved: what it leads to is copied, and the link goes
        target = self._plan.target()
        self._to = self._plan.open_folder(target.parent)
        self._open.callback(self._to.close)
        with ExitStack() as locks:
            folders = {folder.identity: folder for folder in (self._from, self._to)}
            for identity in sorted(folders):  # one order for all, or two moves could wait for each other
                locks.enter_context(folders[identity].locked(required=False))
            require_match(self._present(), self._etag, self._plan.ref)
            try:
                change(target)
            except OSError as error:
                if error.errno == errno.EXDEV:
                    return None
                raise
        return self._etag

    def _rename(self, target: Path) -> None:
        present = self._to.look(target.name)
        if target != self._name and self._is_second_link(present):
            os.unlink(self._name.name, dir_fd=self._from.fd)  # rename(2) does nothing between two links of one file
            return
        try:
            patiently(
                partial(os.rename, self._name.name, target.name, src_dir_fd=self._from.fd, dst_dir_fd=self._to.fd)
            )
        except FileNotFoundError:
            # On NFS a reply may be lost and the request sent again: it finds nothing to rename, since that is done.
            if not self._is_ours(self._to.look(target.name)):
                raise

    def _link(self, target: Path) -> None:
        try:
            os.link(
                self._name.name, target.name, src_dir_fd=self._from.fd, dst_dir_fd=self._to.fd, follow_symlinks=False
            )
        except FileExistsError:
            # Two links of one file are a move that was cut short: it is ended, not refused.
            if target == self._name or not self._is_second_link(self._to.look(target.name)):
                raise taken(self._plan.target_ref) from None
        try:
            os.unlink(self._name.name, dir_fd=self._from.fd)
        except FileNotFoundError:
            # Folders cannot be locked on NFS. Whoever removes the old name has moved the object; whoever finds it gone was
            # slower, or has removed it himself and did not hear so: then the new name is the only one left.
            present = self._to.look(target.name)
            if self._is_ours(present) and present is not None and present.st_nlink == 1:
                return
            self._to.remove(target.name)
            raise

    def _is_ours(self, present: os.stat_result | None) -> bool:
        return present is not None and self._file is not None and os.path.samestat(present, self._file.opened)

    def _is_second_link(self, present: os.stat_result | None) -> bool:
        source = self._from.look(self._name.name)
        return present is not None and source is not None and os.path.samestat(present, source) and source.st_nlink > 1

    def _remove_source(self) -> None:
        with self._from.locked(required=False):
            if self._present() != self._etag:
                message = (
                    f"{self._plan.ref}: it changed, or was removed, while it was copied to {self._plan.target_ref}. The copy is"
                    " whole and stays; what is there now was not removed. Look at both."
                )
                raise ObjectChangedError(message, ref=self._plan.ref)
            os.unlink(self._name.name, dir_fd=self._from.fd)

    def _present(self) -> str | None:
        """The etag of what the old name leads to now."""
        try:
            return etag_of(os.stat(self._name.name, dir_fd=self._from.fd))
        except FileNotFoundError:
            return None
