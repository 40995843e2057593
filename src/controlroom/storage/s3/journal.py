"""Which uploads are under way, noted beside the job: one file each, locked while its writer lives.

Whoever can take the lock knows that the writer is dead, and that nobody will complete the upload: no guessing by age.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from controlroom.storage.classify import translating
from controlroom.storage.paths import StrPath
from controlroom.storage.staging import Folder

__all__ = ["JournalView", "NotedUpload", "UploadsJournal"]

_SUFFIX: Final = ".upload"


@dataclass(frozen=True, slots=True)
class NotedUpload:
    """What the journal says of an upload.

    Attributes:
        bucket: Where.
        endpoint_url: On which server; None for AWS.
        key: In the bucket.
        upload_id: Of it.
    """

    bucket: str
    endpoint_url: str | None
    key: str
    upload_id: str


class UploadsJournal:
    """The uploads that one publication has under way, in a folder that others note theirs in, too.

    Args:
        path: The folder; made if there is none.
    """

    def __init__(self, path: StrPath) -> None:
        self._path = Path(path)
        self._held: dict[str, tuple[str, int]] = {}

    def note(self, upload: NotedUpload) -> None:
        """Note *upload*, durably.

        Raises:
            FileOperationError: What keeps files from being written; see `atomic_writer`.
        """
        with translating(str(self._path), "noting an upload"):
            self._path.mkdir(parents=True, exist_ok=True)
            with Folder(self._path) as folder:
                name, fd = self._new_file(folder)
                self._held[upload.upload_id] = name, fd
                os.write(fd, json.dumps(asdict(upload)).encode())
                os.fsync(fd)
                folder.sync()

    def _new_file(self, folder: Folder) -> tuple[str, int]:
        while True:
            name = f"{secrets.token_hex(8)}{_SUFFIX}"
            fd = folder.open_locked(name, 0o600)
            if fd >= 0:  # else somebody looked at it between its making and its locking
                return name, fd

    def forget(self, upload_id: str) -> None:
        """Strike *upload_id* off, if it is noted."""
        name, fd = self._held.pop(upload_id, ("", -1))
        if fd < 0:
            return
        try:
            with translating(str(self._path), "striking an upload off"):
                (self._path / name).unlink(missing_ok=True)
        finally:
            os.close(fd)  # not before: whoever found it unlocked would end what is over already

    def close(self) -> None:
        """Let go of what is still noted: its owner is as good as dead, and a sweep may have it."""
        while self._held:
            os.close(self._held.popitem()[1][1])


class JournalView:
    """What a journal says at one moment: uploads of the living, and of the dead. Those of the dead stay locked until `close`.

    Args:
        path: The folder; None for no journal.

    Attributes:
        living: Uploads whose writer lives.
        dead: Uploads whose writer is gone.
    """

    def __init__(self, path: StrPath | None) -> None:
        self._path = None if path is None else Path(path)
        self.living: set[NotedUpload] = set()
        self.dead: dict[NotedUpload, Path] = {}
        self._locks = ExitStack()
        if self._path is not None:
            with translating(str(self._path), "reading the journal of uploads"):
                for file in self._files(self._path):
                    self._look_at(file)

    @staticmethod
    def _files(path: Path) -> Iterator[Path]:
        return path.glob(f"*{_SUFFIX}")

    def _look_at(self, file: Path) -> None:
        try:
            fd = os.open(file, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        is_dead = _is_orphan(fd)
        noted = _parsed(os.read(fd, 1 << 16))
        if not is_dead:
            os.close(fd)
            self.living |= set() if noted is None else {noted}
            return
        self._locks.callback(os.close, fd)
        if noted is None:  # its writer died while it noted it
            file.unlink(missing_ok=True)
        else:
            self.dead[noted] = file

    def forget(self, upload: NotedUpload) -> None:
        """Strike an upload of the dead off: it is over."""
        with translating(str(self._path), "striking an upload off"):
            self.dead[upload].unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of the locks."""
        self._locks.close()


def _is_orphan(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        # A live writer has it; or there are no locks here, and nobody can tell.
        if error.errno not in {errno.EWOULDBLOCK, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}:
            raise
        return False
    return True


def _parsed(raw: bytes) -> NotedUpload | None:
    try:
        return NotedUpload(**json.loads(raw))
    except (ValueError, TypeError):
        return None
