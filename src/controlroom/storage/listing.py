"""A folder tree as a flat listing of keys, in the order of S3: by the bytes of their UTF-8 form."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from controlroom.logs import get_logger
from controlroom.storage.classify import translating
from controlroom.storage.objects import ObjectInfo
from controlroom.storage.paths import KeyRoot, is_staged_name
from controlroom.storage.publisher import etag_of

__all__ = ["info_of", "listed"]

_log = get_logger(__name__)


def info_of(key: str, found: os.stat_result) -> ObjectInfo:
    """Describe the file that *found* is about."""
    modified_at = datetime.fromtimestamp(found.st_mtime_ns // 1_000_000_000, UTC)
    modified_at = modified_at.replace(microsecond=found.st_mtime_ns // 1000 % 1_000_000)
    return ObjectInfo(key, found.st_size, modified_at, etag_of(found))


@dataclass(frozen=True, slots=True)
class _Entry:
    """A name in a folder; *order* puts ``a!`` before ``a/``, as their keys compare."""

    order: bytes
    key: str
    path: str
    is_folder: bool


def listed(root: KeyRoot, prefix: str) -> Iterator[ObjectInfo]:
    """Yield every object whose key begins with *prefix*, in order; one folder's names are in memory at a time a level.

    What vanishes meanwhile is left out, and so are staged files, what is no regular file, and symbolic links that dangle,
    lead out of the root or back to a folder above. A name that is not UTF-8 cannot be a key: it is skipped with a warning.
    """
    start, slash, _ = prefix.rpartition("/")
    folder = root.path / start
    real = os.path.realpath(folder)
    if root.contains(real):
        yield from _walk(root, Path(real), start + slash, prefix, (real,))


def _walk(root: KeyRoot, folder: Path, at: str, prefix: str, above: tuple[str, ...]) -> Iterator[ObjectInfo]:
    for entry in _entries(root, folder, at, prefix):
        if not entry.is_folder:
            if (found := _regular(root, entry.path)) is not None:
                yield info_of(entry.key, found)
        elif (real := os.path.realpath(entry.path)) not in above and root.contains(real):
            yield from _walk(root, Path(real), f"{entry.key}/", prefix, (*above, real))


def _entries(root: KeyRoot, folder: Path, at: str, prefix: str) -> list[_Entry]:
    found = []
    with translating(str(folder), "listing"):
        try:
            with os.scandir(folder) as entries:
                found = [
                    entry
                    for raw in entries
                    if (entry := _entry(root, raw, at)) is not None and _leads_to(entry, prefix)
                ]
        except (FileNotFoundError, NotADirectoryError):
            if folder == root.path:
                raise
    return sorted(found, key=lambda entry: entry.order)


def _entry(root: KeyRoot, raw: os.DirEntry[str], at: str) -> _Entry | None:
    if is_staged_name(raw.name):
        return None
    try:
        name = raw.name.encode("utf-8")
    except UnicodeEncodeError:
        _log.warning("entry_skipped", key=ascii(at + raw.name), reason="its name is not UTF-8 and cannot be a key")
        return None
    is_folder = _is_folder(root, raw)
    return _Entry(name + b"/" if is_folder else name, at + raw.name, raw.path, is_folder)


def _is_folder(root: KeyRoot, raw: os.DirEntry[str]) -> bool:
    if not raw.is_symlink():
        return raw.is_dir(follow_symlinks=False)
    real = os.path.realpath(raw.path)
    return root.contains(real) and Path(real).is_dir()


def _leads_to(entry: _Entry, prefix: str) -> bool:
    if entry.is_folder:
        inside = f"{entry.key}/"
        return inside.startswith(prefix) or prefix.startswith(inside)
    return entry.key.startswith(prefix)


def _regular(root: KeyRoot, path: str) -> os.stat_result | None:
    """Return what stat(2) says of a regular file or of a symbolic link to one inside the root."""
    with translating(path, "listing"):
        try:
            found = os.lstat(path)
            if stat.S_ISLNK(found.st_mode):
                real = os.path.realpath(path)
                found = os.lstat(real) if root.contains(real) else found
        except (FileNotFoundError, NotADirectoryError):
            return None
    return found if stat.S_ISREG(found.st_mode) else None
