"""The file objects that are handed out: they raise our errors, and what is discarded goes nowhere."""

from __future__ import annotations

import errno
import io
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Self

from controlroom.errors import ConfigError, ObjectChangedError
from controlroom.storage.classify import TARGET_KEPT, translating
from controlroom.storage.descriptors import let_go

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

    from controlroom.storage.objects import ObjectInfo, Receipt

__all__ = [
    "AtomicBinaryFile",
    "AtomicTextFile",
    "ObjectReader",
    "ObjectSink",
    "ObjectWriter",
    "StagedFile",
    "UnchangedFile",
]

_BUFFER_BYTES = 128 * 1024


class StagedFile(io.FileIO):
    """The unbuffered staged file: a failure names the target, and once abandoned it swallows what is still buffered."""

    def __init__(self, fd: int, ref: str) -> None:
        super().__init__(fd, "w")
        self.name = ref  # what a reader will open; gzip writes the base name of this into its header
        self.abandoned = False

    def write(self, data: ReadableBuffer, /) -> int:
        """Write to the staged file."""
        if self.abandoned:
            return memoryview(data).nbytes
        with translating(str(self.name), "writing", TARGET_KEPT):
            return super().write(data)

    def truncate(self, size: int | None = None, /) -> int:
        """Cut or extend the staged file."""
        with translating(str(self.name), "writing", TARGET_KEPT):
            return super().truncate(size)

    def close(self) -> None:
        """Close this descriptor; the publisher has its own."""
        with translating(str(self.name), "closing", TARGET_KEPT):
            super().close()


class AtomicBinaryFile(io.BufferedWriter):
    """What `atomic_writer` gives for ``mode="wb"``: a binary file, writable and seekable, that is not there yet.

    ``.name`` is the target, ``.fileno()`` the staged file. Closing it early is allowed and publishes nothing.
    """

    raw: StagedFile

    def __init__(self, raw: StagedFile) -> None:
        super().__init__(raw, _BUFFER_BYTES)

    def discard(self) -> None:
        """Leave the target as it was, when the block ends. What is written afterwards goes nowhere."""
        self.raw.abandoned = True


class AtomicTextFile(io.TextIOWrapper):
    r"""What `atomic_writer` gives for ``mode="w"``: a text file, writable and seekable, that is not there yet.

    Line ends are written as given (``newline=""``): ``"\n"`` stays, and so do the ``"\r\n"`` of `csv`. ``.name`` is the
    target, ``.fileno()`` the staged file. Closing it early is allowed and publishes nothing.
    """

    def __init__(self, raw: StagedFile, encoding: str) -> None:
        self._raw = raw
        binary = AtomicBinaryFile(raw)
        try:
            super().__init__(binary, encoding=encoding, newline="")
        except LookupError as error:
            binary.close()
            message = f"{encoding!r} is no encoding. {TARGET_KEPT} Name one that Python knows, such as 'utf-8'."
            raise ConfigError(message) from error

    def discard(self) -> None:
        """Leave the target as it was, when the block ends. What is written afterwards goes nowhere."""
        self._raw.abandoned = True


class ObjectSink(io.RawIOBase):
    """Passes what is written on to *append*. Not seekable: objects are written from front to back, on disk as on S3."""

    def __init__(self, ref: str, append: Callable[[memoryview], int]) -> None:
        self.name = ref
        self.abandoned = False
        self._append = append
        self._written_bytes = 0

    def writable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return how many bytes were passed on."""
        return self._written_bytes

    def write(self, data: ReadableBuffer, /) -> int:
        """Pass the beginning of *data* on, as much as is taken at once; the buffer above keeps the rest."""
        view = memoryview(data).cast("B")
        taken_bytes = view.nbytes if self.abandoned else self._append(view)
        self._written_bytes += taken_bytes
        return taken_bytes


class ObjectWriter(io.BufferedWriter):
    """What ``store.writer()`` gives: a binary file, written from front to back, published when the block ends.

    Attributes:
        receipt: Proof of the publication, once the block has ended; None before, and after `discard`.
    """

    raw: ObjectSink

    def __init__(self, raw: ObjectSink) -> None:
        super().__init__(raw, _BUFFER_BYTES)
        self.receipt: Receipt | None = None

    @property
    def discarded(self) -> bool:
        """Whether `discard` was called."""
        return self.raw.abandoned

    def discard(self) -> None:
        """Leave the object as it was, when the block ends. What is written afterwards goes nowhere."""
        self.raw.abandoned = True


class UnchangedFile(io.RawIOBase):
    """An open regular file that raises as soon as it is not the one that was opened any more."""

    def __init__(self, fd: int, ref: str, opened: os.stat_result) -> None:
        self._fd = fd
        self.name = ref
        self.opened: os.stat_result = opened

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def fileno(self) -> int:
        """Return the descriptor. What is read through it directly is not watched."""
        if self.closed:
            message = "I/O operation on closed file"
            raise ValueError(message)
        return self._fd

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Read once, and only hand out what was read before any change."""
        with translating(self.name, "reading"):
            size_bytes = os.readv(self._fd, [buffer])
            self._verify(at_end=not size_bytes and memoryview(buffer).nbytes > 0)
            return size_bytes

    def readall(self) -> bytes:
        """Read what is left."""
        chunks = []
        with translating(self.name, "reading"):
            while chunk := os.read(self._fd, max(_BUFFER_BYTES, self.opened.st_size - self.tell())):
                chunks.append(chunk)
            self._verify(at_end=True)
        return b"".join(chunks)

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Move to another position."""
        with translating(self.name, "seeking"):
            return os.lseek(self._fd, offset, whence)

    def tell(self) -> int:
        """Return the position."""
        return os.lseek(self._fd, 0, os.SEEK_CUR)

    def close(self) -> None:
        """Close the descriptor."""
        if not self.closed:
            super().close()
            let_go(self._fd)

    def _verify(self, *, at_end: bool) -> None:
        then, now = self.opened, os.fstat(self._fd)
        short = at_end and self.tell() < then.st_size
        if short or (now.st_size, now.st_mtime_ns) != (then.st_size, then.st_mtime_ns):
            message = (
                f"{self.name}: it changed while it was read: {then.st_size} bytes when opened, {now.st_size} now. What was"
                " read so far is of the old content or of both. Read it again once its writer is done."
            )
            raise ObjectChangedError(message, ref=self.name)


def open_regular(path: Path, ref: str) -> UnchangedFile:
    """Open a regular file for watched reading; what else has that name is as good as not there.

    Raises:
        OSError: It cannot be opened.
    """
    # O_NONBLOCK: opening a FIFO would otherwise wait for its writer.
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        opened = os.fstat(fd)
    except BaseException:
        let_go(fd)
        raise
    file = UnchangedFile(fd, ref, opened)
    if not stat.S_ISREG(file.opened.st_mode):
        file.close()
        raise FileNotFoundError(errno.ENOENT, "no regular file has this name", str(path))
    return file


class ObjectReader(io.BufferedReader):
    """What ``store.open()`` gives: a binary file that raises `ObjectChangedError` if it changes while it is read.

    Attributes:
        info: The object that is being read: exactly this content, whatever takes its name meanwhile.
    """

    def __init__(self, raw: io.RawIOBase | io.BytesIO, info: ObjectInfo) -> None:
        super().__init__(raw, _BUFFER_BYTES)
        self.info = info

    def __enter__(self) -> Self:
        """Return the reader itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Close it."""
        self.close()
