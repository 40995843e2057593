"""How old a log file is: its first line's age, known to every process that shares it and kept through restarts.

File systems do not say reliably when a file was made, so whoever writes the first line into a file notes the time in the
lock's file, with the number of the file it is about. A note that is missing (an older file, a full disk) is made good
from the first line itself.
"""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Final

from controlroom import clock
from controlroom.logs.locking import FileLock

__all__ = ["Births"]

_FIRST_LINE: Final = b'{"timestamp":"'
_INSTANT: Final = len("2026-11-21T23:17:59.165233Z")


class Births:
    """Tells whether the file at *path* is older than *max_age_s*; called under *lock*.

    Guarantees:
        A clock that was put back does not make a file eternal: one whose birth lies in the future counts as born now.
    """

    def __init__(self, path: Path, lock: FileLock, max_age_s: float) -> None:
        self._path = path
        self._lock = lock
        self._max_age_s = max_age_s
        self._known: tuple[bytes, int, float] = (b"", 0, 0.0)  # a note, and what it says: parsed once

    def note(self, fd: int) -> None:
        """Note that the file open as *fd* gets its first line now."""
        self._set(os.fstat(fd).st_ino, clock.utcnow().timestamp())

    def is_over(self, fd: int) -> bool:
        """Tell whether the first line of the file open as *fd* is older than allowed."""
        inode, now_s = os.fstat(fd).st_ino, clock.utcnow().timestamp()
        about, born_s = self._read()
        if about != inode:
            born_s = _instant_of_first_line(self._path, now_s)
            self._set(inode, min(born_s, now_s))
        elif born_s > now_s:
            self._set(inode, now_s)
        return now_s - born_s > self._max_age_s

    def _read(self) -> tuple[int, float]:
        note = self._lock.note()
        if note != self._known[0]:
            try:
                about, born_s = note.split()
                self._known = (note, int(about), float(born_s))
            except ValueError:
                self._known = (note, 0, 0.0)
        return self._known[1:]

    def _set(self, inode: int, born_s: float) -> None:
        self._lock.leave_note(b"%d %.6f" % (inode, born_s))


def _instant_of_first_line(path: Path, otherwise_s: float) -> float:
    with suppress(OSError, ValueError):
        with path.open("rb") as file:
            head = file.read(len(_FIRST_LINE) + _INSTANT)
        if head.startswith(_FIRST_LINE):
            return datetime.fromisoformat(head[len(_FIRST_LINE) :].decode()).timestamp()
    return otherwise_s
