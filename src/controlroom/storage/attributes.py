"""What a file has besides its content: mode, owner, extended attributes. Kept when the content is replaced."""

from __future__ import annotations

import errno
import json
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from controlroom.errors import ConfigError, StorageAccessError

__all__ = ["check_metadata", "keep_attributes", "read_metadata", "write_metadata"]

_OURS = "user.controlroom."  # about the content, so that it goes with the content
_METADATA = f"{_OURS}metadata"
_CONTENT_TYPE = f"{_OURS}content-type"
_LIMIT_BYTES = 2048  # what S3 admits; and ext4 keeps all attributes of a file in one block
_UNSUPPORTED = {errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}
_HEADER = re.compile(r"[!-~](?:[ -~]*[!-~])?")  # else S3 refuses the signature, or the request is another one
# A security label comes from policy, and file capabilities are void once the content changes (capabilities(7)).
_NOT_KEPT = (_OURS, "security.", "trusted.")


def keep_attributes(fd: int, replaced: os.stat_result, path: str | Path) -> None:
    """Give *fd* the owner, mode and extended attributes (POSIX ACLs are among them) of what it will replace.

    Args:
        fd: The staged file.
        replaced: What is there now, as stat(2) sees it.
        path: Where that is.

    Raises:
        StorageAccessError: This user cannot keep the owner.
    """
    mine = os.fstat(fd)
    if (mine.st_uid, mine.st_gid) != (replaced.st_uid, replaced.st_gid):
        try:
            os.fchown(fd, replaced.st_uid, replaced.st_gid)
        except PermissionError as error:
            message = (
                f"{path}: it belongs to uid {replaced.st_uid}, gid {replaced.st_gid}, and this user cannot keep that. The"
                " target is as it was, and nothing is left behind. Write as its owner, or remove it first."
            )
            raise StorageAccessError(message, ref=str(path)) from error
        mine = os.fstat(fd)  # chown(2) clears set-user-ID
    if stat.S_IMODE(mine.st_mode) != stat.S_IMODE(replaced.st_mode):
        os.fchmod(fd, stat.S_IMODE(replaced.st_mode))
    for name in _names(path):
        if not name.startswith(_NOT_KEPT):
            os.setxattr(fd, name, os.getxattr(path, name, follow_symlinks=False))


def _names(path: str | Path) -> list[str]:
    if not hasattr(os, "listxattr"):  # Python has it on Linux only
        return []
    try:
        return os.listxattr(path, follow_symlinks=False)
    except FileNotFoundError:  # removed meanwhile: there is nothing to keep
        return []
    except OSError as error:
        if error.errno in _UNSUPPORTED:
            return []
        raise


def check_metadata(metadata: Mapping[str, str] | None, content_type: str | None) -> dict[str, bytes]:
    """Return the extended attributes that hold *metadata* and *content_type*.

    Raises:
        ConfigError: They are no texts, longer than 2 KiB together, or *content_type* is nothing that a header can carry.
    """
    if not _is_texts(metadata) or not isinstance(content_type, str | None):
        message = f"metadata and content_type are texts: {metadata!r}, {content_type!r}. Nothing was written."
        raise ConfigError(message)
    held = {_METADATA: json.dumps(dict(metadata)).encode()} if metadata else {}
    if content_type:
        if not _HEADER.fullmatch(content_type):
            message = (
                f"content_type={content_type!r} is not possible: give one like 'text/csv; charset=utf-8', in printable ASCII"
                " without blanks round it. Nothing was written."
            )
            raise ConfigError(message)
        held[_CONTENT_TYPE] = content_type.encode()
    if (size_bytes := sum(map(len, held.values()))) > _LIMIT_BYTES:
        message = (
            f"metadata and content_type take {size_bytes} bytes, over the limit of {_LIMIT_BYTES}. Nothing was written."
        )
        raise ConfigError(message)
    return held


def _is_texts(metadata: Any) -> bool:
    if not metadata:
        return True
    return isinstance(metadata, Mapping) and all(isinstance(text, str) for pair in metadata.items() for text in pair)


def write_metadata(fd: int, held: Mapping[str, bytes], path: Path) -> None:
    """Keep *held*, from `check_metadata`, with the content.

    Raises:
        ConfigError: This filesystem cannot.
    """
    try:
        for name, value in held.items():
            _set(fd, name, value)
    except OSError as error:
        if error.errno not in {*_UNSUPPORTED, errno.ENOSPC, errno.E2BIG}:
            raise
        message = (
            f"{path}: this filesystem cannot keep metadata or a content type ({os.strerror(error.errno or 0)}). The target"
            " is as it was, and nothing is left behind. Leave them out, or use another filesystem."
        )
        raise ConfigError(message) from error


def _set(fd: int, name: str, value: bytes) -> None:
    if not hasattr(os, "setxattr"):
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))
    os.setxattr(fd, name, value)


def read_metadata(target: Path | int) -> tuple[dict[str, str], str | None]:
    """Return the metadata and the content type kept with an open file or a path."""
    raw = _value(target, _METADATA)
    content_type = _value(target, _CONTENT_TYPE)
    return _decoded(raw or b"{}"), None if content_type is None else content_type.decode("utf-8", "replace")


def _decoded(raw: bytes) -> dict[str, str]:
    try:
        held = json.loads(raw)
    except ValueError:  # written by somebody else: no metadata of ours
        return {}
    return {str(key): str(value) for key, value in held.items()} if isinstance(held, dict) else {}


def _value(target: Path | int, name: str) -> bytes | None:
    if not hasattr(os, "getxattr"):
        return None
    try:
        return os.getxattr(target, name)
    except OSError as error:
        if error.errno in {*_UNSUPPORTED, errno.ENODATA}:
            return None
        raise
