"""Local files that appear whole or not at all.

Readers see the old file or the whole new one, after a crash at any instruction too. What is written lies under a hidden
name beside the target (same filesystem, so that the rename is atomic) until the block ends.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Literal, overload

from controlroom.errors import ConfigError, DataError
from controlroom.logs import get_logger
from controlroom.policy.durability import Durability, durability
from controlroom.policy.flow import drive
from controlroom.policy.publication import discard, publish, put, stage
from controlroom.storage.files import AtomicBinaryFile, AtomicTextFile
from controlroom.storage.paths import StrPath, real_target
from controlroom.storage.publisher import FilePublisher
from controlroom.storage.sources import Octets, chunks_of

__all__ = ["atomic_writer", "encoded", "encoded_json", "write_bytes", "write_json", "write_text"]

_log = get_logger(__name__)

_MODES = ("w", "wt", "wb")


@overload
def atomic_writer(
    path: StrPath,
    mode: Literal["w", "wt"] = "w",
    overwrite: bool = True,  # noqa: FBT001, FBT002 - the position is part of the contract
    durable: bool | Durability = True,  # noqa: FBT001, FBT002 - as above
    encoding: str = "utf-8",
    permissions: int | None = None,
) -> AbstractContextManager[AtomicTextFile]: ...


@overload
def atomic_writer(
    path: StrPath,
    mode: Literal["wb"],
    overwrite: bool = True,  # noqa: FBT001, FBT002 - as above
    durable: bool | Durability = True,  # noqa: FBT001, FBT002 - as above
    encoding: str = "utf-8",
    permissions: int | None = None,
) -> AbstractContextManager[AtomicBinaryFile]: ...


@overload
def atomic_writer(
    path: StrPath,
    mode: str,
    overwrite: bool = True,  # noqa: FBT001, FBT002 - as above
    durable: bool | Durability = True,  # noqa: FBT001, FBT002 - as above
    encoding: str = "utf-8",
    permissions: int | None = None,
) -> AbstractContextManager[AtomicTextFile | AtomicBinaryFile]: ...


def atomic_writer(  # noqa: PLR0917 - as above
    path: StrPath,
    mode: str = "w",
    overwrite: bool = True,  # noqa: FBT001, FBT002 - as above
    durable: bool | Durability = True,  # noqa: FBT001, FBT002 - as above
    encoding: str = "utf-8",
    permissions: int | None = None,
) -> AbstractContextManager[AtomicTextFile | AtomicBinaryFile]:
    """Write *path* as one piece: published when the block ends, forgotten when it raises.

    Args:
        path: The target. Its folder must exist. A symbolic link is written through: what it points to is replaced, or
            created where it dangles.
        mode: ``"w"`` for text, ``"wb"`` for bytes. Text is written with its line ends as given (``newline=""``).
        overwrite: Whether an existing target is replaced. If not, being first is decided by link(2), without a race.
        durable: Whether data and name are on the disk when the block has ended. Without, a power cut may take the
            write back, or on some filesystems leave an empty file; a killed process still leaves nothing half done.
            "file" waits for the data but not for the name: a power cut leaves the old content or the whole new one. True
            is "file_and_folder", False is "none"; see `Durability`.
        encoding: Of text.
        permissions: Exact mode bits. None keeps those of a replaced file and obeys the umask for a new one.

    Yields:
        An open file, writable and seekable, as `csv`, `json`, `zipfile` and pyarrow take it. ``f.discard()`` leaves the
        target as it was.

    Raises:
        ObjectNotFoundError: There is no such folder.
        ObjectExistsError: The target exists, and *overwrite* is False.
        UnsafePathError: The target is a folder, a FIFO or a device, or the name is not possible.
        StorageFullError: No space or quota left.
        StorageAccessError: The folder or the target is read-only for this user, or the owner could not be kept.
        FileOperationError: Anything else that the operating system says. After each of these the target is as it was,
            and no staged file is left.
        PublicationInDoubtError: The new content is visible, but syncing its folder failed: a power cut may undo it.
        ConfigError: *mode*, *durable*, *encoding* or *permissions* are not possible.

    Guarantees:
        Whatever leaves the block as an exception (KeyboardInterrupt, cancellation and GeneratorExit too) leaves the
        target as it was and no staged file. A staged file left by a kill is swept by the next writer in that folder.
        Owner, mode and extended attributes (ACLs among them) of a replaced file are kept.

        Not promised: an order among writers of one target: the last one to end wins. Hard links: a replaced file is a
        new inode, and its other names keep the old content. Security labels and file capabilities: those come from
        policy and are void for new content. An owner or attribute that changes in the very moment of the rename.
    """
    if mode not in _MODES:
        message = f"mode={mode!r} is not possible: whole files are written, with 'w' or 'wb'. Nothing was touched."
        raise ConfigError(message)
    level = durability(durable)
    publisher = FilePublisher(
        os.fsdecode(path), lambda: real_target(path), overwrite=overwrite, permissions=permissions
    )
    return _writing(publisher, None if mode == "wb" else encoding, overwrite=overwrite, durable=level)


@contextmanager
def _writing(
    publisher: FilePublisher, encoding: str | None, *, overwrite: bool, durable: Durability
) -> Iterator[AtomicTextFile | AtomicBinaryFile]:
    with publisher:
        drive(stage(), publisher.perform)
        try:
            raw = publisher.file
            file = AtomicBinaryFile(raw) if encoding is None else AtomicTextFile(raw, encoding)
            yield file
            if not file.closed:
                file.close()
        except BaseException:
            drive(discard(), publisher.perform)
            raise
        if raw.abandoned:
            drive(discard(), publisher.perform)
            return
        drive(publish(publisher.ref, if_absent=not overwrite, durable=durable), publisher.perform)
    _log.debug("file_published", ref=publisher.ref, size_bytes=publisher.size_bytes, durability=durable)


def write_bytes(
    path: StrPath,
    data: Octets,
    *,
    overwrite: bool = True,
    durable: bool | Durability = True,
    permissions: int | None = None,
) -> None:
    """Write *data* to *path* as one piece; arguments, errors and guarantees are those of `atomic_writer`."""
    level = durability(durable)
    chunks = chunks_of(memoryview(data))
    with FilePublisher(
        os.fsdecode(path), lambda: real_target(path), chunks=chunks, overwrite=overwrite, permissions=permissions
    ) as publisher:
        drive(put(publisher.ref, if_absent=not overwrite, durable=level), publisher.perform)
        _log.debug("file_published", ref=publisher.ref, size_bytes=publisher.size_bytes, durability=level)


def write_text(
    path: StrPath,
    text: str,
    *,
    overwrite: bool = True,
    durable: bool | Durability = True,
    encoding: str = "utf-8",
    permissions: int | None = None,
) -> None:
    """Write *text* to *path* as one piece; arguments, errors and guarantees are those of `atomic_writer`.

    Raises:
        DataError: *encoding* has no form for a character of *text*. Nothing was touched.
    """
    write_bytes(path, encoded(text, encoding), overwrite=overwrite, durable=durable, permissions=permissions)


def write_json(
    path: StrPath,
    value: Any,
    *,
    overwrite: bool = True,
    durable: bool | Durability = True,
    permissions: int | None = None,
    indent: int | None = None,
) -> None:
    """Write *value* to *path* as JSON (RFC 8259, UTF-8, a line end at the end) as one piece; else as `atomic_writer`.

    Raises:
        DataError: JSON has no form for *value*: NaN, infinity, a type it does not know, itself inside itself. Nothing was
            touched.
    """
    write_bytes(path, encoded_json(value, indent), overwrite=overwrite, durable=durable, permissions=permissions)


def encoded(text: str, encoding: str) -> bytes:
    """Return *text* in *encoding*; refuse what it has no form for as `DataError`."""
    try:
        return text.encode(encoding)
    except UnicodeEncodeError as error:
        message = (
            f"The text cannot be written as {encoding}: {error}. Nothing was touched. Mend the text, or use utf-8."
        )
        raise DataError(message) from error
    except LookupError as error:
        message = f"{encoding!r} is no encoding. Nothing was touched. Name one that Python knows, such as 'utf-8'."
        raise ConfigError(message) from error


def encoded_json(value: Any, indent: int | None = None) -> bytes:
    """Return *value* as JSON text, strictly; refuse what JSON has no form for as `DataError`."""
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False, indent=indent)
    except (TypeError, ValueError, RecursionError) as error:
        message = f"The value has no form in JSON: {error}. Nothing was touched. Convert it before writing."
        raise DataError(message) from error
    return encoded(f"{text}\n", "utf-8")
