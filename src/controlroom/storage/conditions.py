"""What every store refuses in the same words, before anything is touched."""

from __future__ import annotations

import re
from typing import Any, Final

from controlroom import clock
from controlroom.errors import ConfigError, DataError, ObjectChangedError, ObjectExistsError, ObjectNotFoundError
from controlroom.storage.classify import NOTHING_CHANGED, TARGET_KEPT

__all__ = ["check_limit", "not_found", "require_match", "require_one_condition", "require_time", "taken"]


_ETAG: Final = re.compile(r"[!-~]+")


def require_time(what: str) -> None:
    """Refuse to begin *what* once the ambient deadline has passed.

    Raises:
        DeadlineExceededError: It has.
    """
    if (deadline := clock.current_deadline()) is not None:
        deadline.require(what)


def require_one_condition(*, if_absent: bool, if_match: str | None) -> None:
    """Refuse two conditions that exclude each other, and one that nothing can meet.

    Raises:
        ConfigError: Both are given, or *if_match* cannot be an etag.
    """
    if if_absent and if_match is not None:
        message = "if_absent and if_match exclude each other: an object is absent or has an etag. Nothing was touched."
        raise ConfigError(message)
    etag: Any = if_match
    if etag is not None and not (isinstance(etag, str) and _ETAG.fullmatch(etag)):
        message = f"if_match={etag!r} is no etag: give the one that stat() or a receipt told. Nothing was touched."
        raise ConfigError(message)


def require_match(present: str | None, if_match: str, ref: str) -> None:
    """Require that the present etag, None for no object, is *if_match*.

    Raises:
        ObjectChangedError: It is not.
    """
    if present != if_match:
        state = "gone" if present is None else f"now {present}"
        message = f"{ref}: expected etag {if_match}, but it is {state}. {TARGET_KEPT} Read it again and decide anew."
        raise ObjectChangedError(message, ref=ref)


def check_limit(ref: str, size_bytes: int, max_bytes: int | None) -> None:
    """Refuse to read more than *max_bytes*.

    Raises:
        ConfigError: *max_bytes* is negative.
        DataError: There is more.
    """
    if max_bytes is not None and max_bytes < 0:
        message = f"max_bytes={max_bytes} is not possible: give bytes, zero or more. Nothing was read."
        raise ConfigError(message)
    if max_bytes is not None and size_bytes > max_bytes:
        message = (
            f"{ref}: it has {size_bytes} bytes, over the limit max_bytes={max_bytes}. Nothing was returned. Raise the limit,"
            " or read it piece by piece with open()."
        )
        raise DataError(message)


def not_found(ref: str) -> ObjectNotFoundError:
    """Return the error for an object that is not there."""
    message = f"{ref}: there is no such object. {NOTHING_CHANGED} Publish it first, or correct the key."
    return ObjectNotFoundError(message, ref=ref)


def taken(ref: str) -> ObjectExistsError:
    """Return the error for a name that is taken."""
    message = f"{ref}: it exists already. {TARGET_KEPT} Allow overwriting, or choose another name."
    return ObjectExistsError(message, ref=ref)
