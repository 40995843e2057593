"""Windows lets nobody rename a file that a virus scanner or an indexer is just looking at: for a moment it says no.

POSIX has no such answer. Those who looked are gone within milliseconds; whoever stays has the file open in earnest.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from controlroom import clock

__all__ = ["patiently"]

T = TypeVar("T")

# System Error Codes: ERROR_ACCESS_DENIED, ERROR_SHARING_VIOLATION, ERROR_LOCK_VIOLATION.
_IN_USE: Final = {5, 32, 33}
_FIRST_WAIT_S: Final = 0.005
_LONGEST_WAIT_S: Final = 0.2
_PATIENCE_S: Final = 2.0


def patiently(change: Callable[[], T]) -> T:
    """Return what *change* returns, which is tried again for two seconds while Windows says that the file is in use.

    Raises:
        OSError: Anything else, at once; the same, when the time or the ambient deadline is over.
    """
    until_s, wait_s = None, _FIRST_WAIT_S
    while True:
        try:
            return change()
        except OSError as error:
            if getattr(error, "winerror", None) not in _IN_USE:
                raise
            until_s = until_s or _end_of_patience_s()
            if clock.monotonic_s() + wait_s > until_s:
                raise
        clock.sleep(wait_s)
        wait_s = min(wait_s * 2, _LONGEST_WAIT_S)


def _end_of_patience_s() -> float:
    deadline = clock.current_deadline()
    patience_s = _PATIENCE_S if deadline is None else min(_PATIENCE_S, deadline.remaining_s())
    return clock.monotonic_s() + patience_s
