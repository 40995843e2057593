"""Logs as lines: files, compressed ones, standard input; never more in memory than one line."""

from __future__ import annotations

import gzip
import os
import sys
import zlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import BinaryIO, Final, TypeAlias, cast

from controlroom.errors import ConfigError
from controlroom.explain.story import Story, story

__all__ = ["StrPath", "read_logs"]

StrPath: TypeAlias = str | os.PathLike[str]

_LONGEST_LINE_BYTES: Final = 2**20  # four times what our logs write; a longer one is no line of theirs
_GZIP: Final = b"\x1f\x8b"  # RFC 1952, section 2.3.1
_STDIN: Final = "-"
_BESIDE: Final = ("lock", "part")  # what stands beside a log that is rotated, and holds no line of its own


def read_logs(paths: Sequence[StrPath], run_id: str | None) -> Story:
    """Return the story of the files at *paths*, read one after the other.

    Raises:
        ConfigError: One cannot be read.
    """
    lines = _Lines(paths)
    told = story(lines, run_id=run_id)
    told.bytes_read = lines.bytes_read
    told.truncated_lines += lines.broken_files
    return told


class _Lines:
    """The lines of several files, each cut where none of ours could be longer."""

    def __init__(self, paths: Sequence[StrPath]) -> None:
        self._paths = list(_each_content_once(paths))
        self.bytes_read = 0
        self.broken_files = 0

    def __iter__(self) -> Iterator[str]:
        for path in self._paths:
            try:
                with _opened(path) as file:
                    yield from self._of(file)
            except (EOFError, zlib.error, gzip.BadGzipFile):  # its end is missing: whoever compressed it was killed
                self.broken_files += 1
            except (OSError, ValueError) as error:
                message = f"The log {os.fspath(path)!r} cannot be read: {getattr(error, 'strerror', None) or error}."
                raise ConfigError(message) from error

    def _of(self, file: BinaryIO) -> Iterator[str]:
        while line := file.readline(_LONGEST_LINE_BYTES):
            self.bytes_read += len(line)
            yield line.decode("utf-8", "replace")
            while not line.endswith(b"\n") and (line := file.readline(_LONGEST_LINE_BYTES)):
                self.bytes_read += len(line)


def _each_content_once(paths: Sequence[StrPath]) -> Iterator[StrPath]:
    """Leave out what ``run.jsonl*`` brings along: a plain file beside its packed one, a lock; and what is given twice."""
    given = {os.path.abspath(path) for path in paths}  # noqa: PTH100 - Path.absolute keeps a/../b
    seen: set[str] = set()
    for path in paths:
        file = os.path.abspath(path)  # noqa: PTH100 - as above
        stem, _, kind = file.rpartition(".")
        is_beside = kind in _BESIDE and stem in given
        is_leftover = kind.isdecimal() and f"{file}.gz" in given
        if file not in seen and not is_beside and not is_leftover:
            yield path
        seen.add(file)


def _opened(path: StrPath) -> AbstractContextManager[BinaryIO]:
    if os.fspath(path) == _STDIN:
        if sys.stdin is None:  # the process was started without one
            message = "there is no standard input"
            raise ValueError(message)
        return nullcontext(sys.stdin.buffer)
    file = open(path, "rb")  # noqa: PTH123, SIM115 - also what only os.PathLike names; whoever iterates closes it
    try:
        # By its first bytes, not by its name: it may be called run.jsonl.3.gz, or anything.
        is_compressed = file.peek(len(_GZIP))[: len(_GZIP)] == _GZIP
    except BaseException:
        file.close()
        raise
    return _Compressed(file) if is_compressed else file


class _Compressed(AbstractContextManager[BinaryIO]):
    """A compressed file that closes what it reads from."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._plain = gzip.GzipFile(fileobj=file, mode="rb")

    def __enter__(self) -> BinaryIO:
        return cast("BinaryIO", self._plain)

    def __exit__(self, *_: object) -> None:
        self._plain.close()
        self._file.close()
