"""Which paths and keys may be used, and where they really lie."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from controlroom.errors import ConfigError, UnsafePathError
from controlroom.storage.classify import translating

__all__ = ["KeyRoot", "StrPath", "check_key", "check_prefix", "is_staged_name", "real_target", "staged_name"]

StrPath = str | os.PathLike[str]
"""A path, as text or as an object such as `pathlib.Path`."""

# Short enough for every name beside it: NAME_MAX counts the staged name alone.
_STAGED = re.compile(r"\.controlroom-(?P<token>[0-9a-f]{16})(?:\.\d+)?\.staged")


def staged_name(token: str, member: int | None = None) -> str:
    """Return the name of a staged file: of one writer, or of one *member* of its batch."""
    return f".controlroom-{token}.staged" if member is None else f".controlroom-{token}.{member}.staged"


def is_staged_name(name: str) -> re.Match[str] | None:
    """Tell whether *name* is that of a staged file; its ``token`` names the owner."""
    return _STAGED.fullmatch(name)


def check_key(key: str) -> str:
    """Return *key* if every store can hold an object under it.

    A key is segments with ``/`` between them. No segment is empty, ``.``, ``..`` or the name of a staged file, and none
    holds a NUL or what UTF-8 cannot encode.

    Raises:
        UnsafePathError: It cannot be a key.
    """
    if not isinstance(key, str):
        message = f"A key is a str, not {type(key).__name__}."
        raise ConfigError(message)
    if flaw := _flaw(key):
        raise UnsafePathError(_refusal(key, flaw), ref=key)
    return key


def check_prefix(prefix: str) -> str:
    """Return *prefix* if a key can begin with it; it ends anywhere, also inside a segment.

    Raises:
        UnsafePathError: No key can begin with it.
    """
    if not isinstance(prefix, str):
        message = f"A prefix is a str, not {type(prefix).__name__}."
        raise ConfigError(message)
    folder, slash, _ = prefix.rpartition("/")
    if flaw := _unrepresentable(prefix) or (_flaw(folder) if slash else None):
        raise UnsafePathError(_refusal(prefix, flaw), ref=prefix)
    return prefix


def _refusal(key: str, flaw: str) -> str:
    return f"{key!r} cannot be a key: {flaw}. Nothing was touched. Give segments with '/' between them."


def _flaw(key: str) -> str | None:
    if key.startswith("/"):
        return "it begins with '/', which would leave the root"
    segments = key.split("/")
    if "" in segments:
        return "it has an empty segment"
    if ".." in segments or "." in segments:
        return "'.' and '..' are no names"
    if any(is_staged_name(segment) for segment in segments):
        return "names of staged files are reserved"
    return _unrepresentable(key)


def _unrepresentable(text: str) -> str | None:
    if "\0" in text:
        return "it contains a NUL"
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return "UTF-8 cannot encode it"
    return None


def check_path(text: str) -> str:
    """Return *text* if the operating system can be asked for it.

    Raises:
        UnsafePathError: It holds a NUL, or what no file name does.
    """
    try:
        if b"\0" not in os.fsencode(text):
            return text
        flaw = "it contains a NUL"
    except UnicodeEncodeError:
        flaw = "no file name holds such characters"
    message = f"{text!r} cannot be a path: {flaw}. Nothing was touched."
    raise UnsafePathError(message, ref=text)


def real_target(path: StrPath) -> Path:
    """Return where writing to *path* would end up: absolute, its symbolic links followed, dangling ones too.

    Raises:
        UnsafePathError: It is no usable file name.
    """
    text = os.fspath(path)
    if not isinstance(text, str):
        message = f"A path is a str or a PathLike of str, not {type(text).__name__}."
        raise ConfigError(message)
    check_path(text)
    if text.endswith(("/", "/.", "/..")) or text in ("", ".", ".."):
        message = f"{text!r} names a folder, not a file. Nothing was touched. Give the name of a file."
        raise UnsafePathError(message, ref=text)
    with translating(text, "looking where it is"):
        target = Path(os.path.realpath(text) if _leads_elsewhere(text) else os.path.abspath(text))  # noqa: PTH100 - resolve() follows links
    if is_staged_name(target.name):
        message = f"{target}: names of staged files are reserved. Nothing was touched. Choose another name."
        raise UnsafePathError(message, ref=text)
    return target


def _leads_elsewhere(text: str) -> bool:
    """Tell whether the path must be followed by hand: it ends in a symbolic link, or goes back up from what may be one.

    Links on the way to a folder are followed by the kernel; looking at each costs as much as writing.
    """
    try:
        return stat.S_ISLNK(os.lstat(text).st_mode) or ".." in text
    except OSError:
        return True


class KeyRoot:
    """A folder that keys cannot leave.

    Args:
        root: The folder. Symbolic links on the way to it are followed once, now.

    Not promised: protection from a process that swaps a folder inside for a symbolic link at the very moment it is used.
    """

    def __init__(self, root: StrPath) -> None:
        text = check_path(os.fspath(root))
        with translating(text, "opening the store"):
            self.path: Path = Path(os.path.realpath(text))
        self._inside = os.path.join(self.path, "")  # noqa: PTH118 - with its final separator, which Path drops

    def name(self, key: str) -> Path:
        """Return the path of *key* itself; the folders on the way are followed, a symbolic link at the end is not.

        Raises:
            UnsafePathError: Its folder lies outside the root.
        """
        plain = self.path / check_key(key)
        return self._contained(key, os.path.realpath(plain.parent)) / plain.name

    def content(self, key: str) -> Path:
        """Return the path of what *key* holds, every symbolic link followed.

        Raises:
            UnsafePathError: It lies outside the root.
        """
        return self._contained(key, os.path.realpath(self.path / check_key(key)))

    def contains(self, real: str) -> bool:
        """Tell whether *real*, a path without symbolic links, lies inside."""
        return real == str(self.path) or real.startswith(self._inside)

    def _contained(self, key: str, real: str) -> Path:
        if not self.contains(real):
            message = f"{key!r} leads out of {self.path} through a symbolic link. Nothing was touched. Remove the link."
            raise UnsafePathError(message, ref=key)
        return Path(real)
