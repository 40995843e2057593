"""What a flow asks of an object store: calls as data, and what a failed one may have done. Pure: no library of any store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from controlroom.errors import ControlRoomError, DeadlineExceededError, StorageUnavailableError
from controlroom.errors.api import Sent

__all__ = ["Call", "Calls", "code_of", "is_conflict", "may_have_happened", "note_code", "note_earlier", "worse"]

_CODE: Final = "_store_code"  # private names travel with an error, and are shown to nobody
_DOUBTFUL: Final = "_store_doubtful"
_CONFLICTS: Final = frozenset({"409", "ConditionalRequestConflict"})
_RANK: Final[dict[Sent, int]] = {"no": 0, "yes": 1, "unknown": 2}


@dataclass(frozen=True, slots=True)
class Call:
    """A step: perform one operation of the store, tried again as its policy allows. Its result: what the store answered.

    Attributes:
        operation: As the store's API names it, "PutObject".
        params: Its parameters, without the bucket and what every call of the store carries: whoever performs it adds those.
    """

    operation: str
    params: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Calls:
    """A step: perform calls that do not depend on each other, several at a time. Its result: their answers, in order.

    The first that fails stops the others, and goes up once those have ended.
    """

    calls: tuple[Call, ...]


def note_code(error: ControlRoomError, code: str) -> None:
    """Keep with *error* the *code* that the store gave it; see `code_of`."""
    error.__dict__[_CODE] = code


def code_of(error: BaseException) -> str:
    """Return the code that the store gave *error*, "NoSuchUpload"; for want of one the HTTP status; empty if neither."""
    return str(error.__dict__.get(_CODE, ""))


def is_conflict(error: BaseException) -> bool:
    """Tell whether the store refused because another write of the same object was under way (409): nothing happened."""
    return code_of(error) in _CONFLICTS


def worse(one: Sent, other: Sent) -> Sent:
    """Return what is known of two attempts together: whether the store can have done what was asked."""
    return max(one, other, key=_RANK.__getitem__)


def note_earlier(error: ControlRoomError, earlier: Sent) -> None:
    """Let *error*, which ended a call, tell what is known of all its attempts; *earlier* is about those before the last."""
    if isinstance(error, StorageUnavailableError):
        error.sent = worse(error.sent, earlier)
    elif earlier == "unknown":
        error.__dict__[_DOUBTFUL] = True


def may_have_happened(error: BaseException) -> bool:
    """Tell whether a call that ended with *error* may have taken effect at the store, in any of its attempts.

    What interrupted a call (a cancellation, KeyboardInterrupt) leaves it open, too.
    """
    if isinstance(error, StorageUnavailableError):
        return error.sent == "unknown"
    if isinstance(error, DeadlineExceededError):
        return False  # not begun; a call that was cut is a StorageUnavailableError
    return not isinstance(error, ControlRoomError) or _DOUBTFUL in error.__dict__
