"""OSError → taxonomy: one table for every local file operation."""

from __future__ import annotations

import errno
import os

from controlroom.errors import (
    FileOperationError,
    ObjectExistsError,
    ObjectNotFoundError,
    StorageAccessError,
    StorageFullError,
    StorageUnavailableError,
    UnsafePathError,
)

__all__ = ["NOTHING_CHANGED", "TARGET_KEPT", "classified", "translating"]

NOTHING_CHANGED = "Nothing was changed."
TARGET_KEPT = "The target is as it was, and nothing is left behind."

_ACCESS = (StorageAccessError, "Give this user the right to it, or choose another place.")
_FULL = (StorageFullError, "Make room, then run it again.")
_UNUSABLE = (UnsafePathError, "Choose another name.")
_UNAVAILABLE = (StorageUnavailableError, "Running it again later can help.")
_BROKEN = (FileOperationError, "Check the disk and the kernel log before running it again.")

# Meanings as in errno(3) and in the ERRORS of open(2), rename(2), link(2), fsync(2).
_TABLE: dict[int, tuple[type[FileOperationError], str]] = {
    errno.ENOENT: (ObjectNotFoundError, "Create it first, or correct the path."),
    errno.EEXIST: (ObjectExistsError, "Remove it first, or allow overwriting."),
    errno.EACCES: _ACCESS,
    errno.EPERM: _ACCESS,
    errno.EROFS: (StorageAccessError, "This place is mounted read-only: remount it, or choose another."),
    errno.ENOSPC: _FULL,
    errno.EDQUOT: (StorageFullError, "The quota of this user is used up: raise it or make room, then run it again."),
    errno.EFBIG: (StorageFullError, "A file that large is not allowed here: raise the limit, or write less."),
    errno.EISDIR: (UnsafePathError, "A folder has this name: choose another name, or remove the folder."),
    errno.ENOTDIR: (UnsafePathError, "A part of the path that must be a folder is a file: choose another name."),
    errno.ELOOP: (UnsafePathError, "Its symbolic links lead nowhere: mend them."),
    errno.ENAMETOOLONG: _UNUSABLE,
    errno.EILSEQ: _UNUSABLE,
    errno.EXDEV: (
        FileOperationError,
        "The two names are on different filesystems; a copy would not be atomic and was refused.",
    ),
    errno.EBUSY: (FileOperationError, "A mount point or a device in use has this name: write beside it instead."),
    errno.EMFILE: (FileOperationError, "This process has too many files open: close some, or raise its limit."),
    errno.EAGAIN: _UNAVAILABLE,
    errno.ETIMEDOUT: _UNAVAILABLE,
    errno.ESTALE: _UNAVAILABLE,
    errno.EHOSTDOWN: _UNAVAILABLE,
    errno.EHOSTUNREACH: _UNAVAILABLE,
    errno.ENETUNREACH: _UNAVAILABLE,
}


def classified(error: OSError, *, ref: str, doing: str, left: str = NOTHING_CHANGED) -> FileOperationError:
    """Return *error* as one of ours.

    Args:
        error: What the operating system said.
        ref: The path it is about.
        doing: What was being done, as in "writing".
        left: The state left behind, a sentence.
    """
    number = error.errno or 0
    kind, advice = _TABLE.get(number, _BROKEN)
    fact = f"{os.strerror(number)} ({errno.errorcode.get(number, number)})" if number else str(error)
    return kind(f"{ref}: {doing}: {fact}. {left} {advice}", ref=ref)


def translating(ref: str, doing: str, left: str = NOTHING_CHANGED) -> _Translating:
    """Raise every OSError of the block as one of ours, with the original as its cause; see `classified`."""
    return _Translating(ref, doing, left)


class _Translating:
    """A dozen of these stand in one small write: a generator each would cost a tenth of it."""

    __slots__ = ("_doing", "_left", "_ref")

    def __init__(self, ref: str, doing: str, left: str) -> None:
        self._ref, self._doing, self._left = ref, doing, left

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, OSError):
            raise classified(error, ref=self._ref, doing=self._doing, left=self._left) from error
