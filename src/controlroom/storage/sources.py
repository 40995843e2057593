"""What can be published: bytes, a path, an open binary file, an iterable of bytes; each comes in chunks."""

from __future__ import annotations

import os
from collections.abc import AsyncIterable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from controlroom.errors import ConfigError
from controlroom.storage.classify import translating
from controlroom.storage.files import open_regular

__all__ = ["AsyncSource", "Octets", "Source", "check_source", "chunks_of", "octets"]

Octets = bytes | bytearray | memoryview
"""Bytes in memory."""

Source = Octets | os.PathLike[str] | IO[bytes] | Iterable[bytes]
"""What a store publishes."""

AsyncSource = Source | AsyncIterable[bytes]
"""What an async store publishes."""

_CHUNK_BYTES = 1024 * 1024


def check_source(source: AsyncSource) -> None:
    """Refuse what cannot be published, before anything is touched.

    Raises:
        ConfigError: It is a str, a text file, or nothing that holds bytes.
    """
    kind = type(source).__name__
    if isinstance(source, str):
        message = "A str is no source: encode a text, or wrap a path as Path(...). Nothing was touched."
    elif isinstance(source, bytes | bytearray | memoryview | os.PathLike | Iterable | AsyncIterable) or _reads(source):
        return
    else:
        message = (
            f"{kind} is no source: give bytes, a Path, a binary file or an iterable of bytes. Nothing was touched."
        )
    raise ConfigError(message)


def chunks_of(source: Source) -> Iterator[Octets]:
    """Yield the bytes of *source* in order. A path is opened at the first step, and must not change while it is read."""
    match source:
        case bytes() | bytearray() | memoryview():
            with memoryview(source) as given, given.cast("B") as view:
                for start in range(0, len(view), _CHUNK_BYTES):
                    yield view[start : start + _CHUNK_BYTES]
        case os.PathLike():
            path = Path(source)
            with translating(str(path), "opening the source"):
                file = open_regular(path, str(path))
            with file:
                yield from _read_on(file)
        case _ if _reads(source):
            yield from _read_on(source)
        case _:
            yield from map(octets, source)


def _reads(source: object) -> bool:
    return callable(getattr(source, "read", None))


def _read_on(file: Any) -> Iterator[Octets]:
    while True:
        with translating(str(getattr(file, "name", "the source")), "reading the source"):
            chunk = file.read(_CHUNK_BYTES)
        if not len(octets(chunk)):
            return
        yield chunk


def octets(chunk: Any) -> Octets:
    """Return *chunk* if it is bytes.

    Raises:
        ConfigError: It is not.
    """
    if isinstance(chunk, bytes | bytearray | memoryview):
        return chunk
    message = f"The source gave {type(chunk).__name__}, not bytes. The target is as it was. Open files in binary mode."
    raise ConfigError(message)
