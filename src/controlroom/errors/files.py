"""What files and object stores can do to us."""

from __future__ import annotations

from typing import Unpack

from controlroom.errors.api import Sent
from controlroom.errors.root import ControlRoomError, ErrorContext, common_context
from controlroom.errors.text import kept
from controlroom.errors.values import EX_IOERR, EX_NOPERM, Disposition


class FileErrorContext(ErrorContext, total=False):
    """Keyword arguments that every `FileOperationError` takes."""

    ref: str | None


class FileOperationError(ControlRoomError):
    """A file or object operation failed, locally or in an object store; ``.ref`` is its path or URL."""

    final_exit_code = EX_IOERR

    def __init__(self, message: str, **context: Unpack[FileErrorContext]) -> None:
        ref = context.pop("ref", None)
        super().__init__(message, **common_context(context))
        self.ref: str | None = kept(ref)


class ObjectNotFoundError(FileOperationError):
    """There is no such file or object."""


class ObjectExistsError(FileOperationError):
    """The name is taken and overwriting was not asked for. Nothing changed."""


class ObjectChangedError(FileOperationError):
    """The object is not the one that was expected (a precondition failed, or it changed while it was read)."""


class ChecksumMismatchError(FileOperationError):
    """The bytes are not those that were promised: ``.expected``, ``.actual``."""

    def __init__(
        self, message: str, *, expected: str = "", actual: str = "", **context: Unpack[FileErrorContext]
    ) -> None:
        super().__init__(message, **context)
        self.expected: str = kept(expected)
        self.actual: str = kept(actual)


class StorageFullError(FileOperationError):
    """No space or quota left."""


class StorageAccessError(FileOperationError):
    """Permission denied, or a read-only place."""

    final_exit_code = EX_NOPERM


class UnsafePathError(FileOperationError):
    """A key or path would leave its root, or cannot be represented there."""


class StorageUnavailableError(FileOperationError):
    """The store did not answer, or is overloaded. ``.sent``: can it have done what was asked?

    ``"no"``: no attempt reached it. ``"yes"``: it answered, and refused: nothing happened. ``"unknown"``: it may have.
    """

    default_disposition = Disposition.RETRY

    def __init__(self, message: str, *, sent: Sent = "unknown", **context: Unpack[FileErrorContext]) -> None:
        super().__init__(message, **context)
        self.sent: Sent = kept(sent)


class PublicationInDoubtError(FileOperationError):
    """The store did not answer; the object may be visible. ``.write_id`` tells our own write from a rival's."""

    default_disposition = Disposition.RECONCILE

    def __init__(self, message: str, *, write_id: str | None = None, **context: Unpack[FileErrorContext]) -> None:
        super().__init__(message, **context)
        self.write_id: str | None = kept(write_id)
