"""What a series makes of an error that it was given: its text, and its traceback."""

from __future__ import annotations

from types import TracebackType
from typing import Final, NoReturn

from controlroom.errors import ControlRoomError

__all__ = ["raise_again", "text_of", "without_the_loop"]

_THE_LOOP: Final = ("tenacity", "controlroom.retrying")


def text_of(error: ControlRoomError) -> str:
    """Return what failed, and of how many tries it was made where a policy further in had retried already."""
    text = f"{type(error).__name__}: {error.message}"
    tries = len(error.attempts)
    return text if tries < 2 else f"{text} (after {tries} attempts of its own)"  # noqa: PLR2004 - one try is no series


def raise_again(error: BaseException) -> NoReturn:
    """Raise *error* with the context that it has: to raise it anew puts there what our caller is dealing with, if anything."""
    context = error.__context__
    try:
        raise error
    finally:
        error.__context__ = context
        del error, context  # they would close a cycle: error, traceback, this frame, error


def without_the_loop(traceback: TracebackType | None) -> TracebackType | None:
    """Return *traceback* from the caller's own function on: the loop's frames say nothing, and hold the error in a cycle."""
    while traceback is not None and traceback.tb_frame.f_globals.get("__name__", "").startswith(_THE_LOOP):
        traceback = traceback.tb_next
    return traceback
