"""What an error means for the run that it ended: pure, so that every host tells the same."""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Iterator
from enum import StrEnum

from controlroom.errors import ControlRoomError, Disposition, ShutdownRequested
from controlroom.errors.values import EX_SOFTWARE, EX_TEMPFAIL

__all__ = ["Outcome", "exit_code_of", "outcome_of"]

_INTERRUPTED = 130  # 128 + SIGINT, as a shell reports it
_LARGEST = 255  # a process can return no more: sys.exit(256) would arrive as 0, a success


class Outcome(StrEnum):
    """How a run ended."""

    SUCCEEDED = "succeeded"
    SKIPPED = "skipped"
    """There was nothing to do."""
    STOPPED = "stopped"
    """It was asked to stop, and did."""
    FAILED = "failed"


def outcome_of(error: BaseException | None) -> Outcome:
    """Return what *error*, or None, says about the run that it ended."""
    match _decisive(error):
        case None:
            return Outcome.SUCCEEDED
        case SystemExit() as left if _status(left) == 0:
            return Outcome.SUCCEEDED
        case ControlRoomError(disposition=Disposition.SKIP):
            return Outcome.SKIPPED
        case ShutdownRequested() | KeyboardInterrupt() | CancelledError():
            return Outcome.STOPPED
        case _:
            return Outcome.FAILED


def exit_code_of(error: BaseException | None) -> int:
    """Return what a process that *error*, or None, ended returns.

    0 done; an error of ours its own ``exit_code`` (75 try again, 78 configuration, 99 nothing to do, 143 SIGTERM …);
    130 KeyboardInterrupt; the status of a SystemExit, where it is a number that a process can return; 75 cancelled from
    outside; 70 anything unforeseen. Of an exception group the member decides that a person must look at, if there is one.
    """
    match _decisive(error):
        case None:
            return 0
        case ControlRoomError() as ours:
            return ours.exit_code
        case KeyboardInterrupt():
            return _INTERRUPTED
        case SystemExit() as left:
            return _status(left)
        case CancelledError():
            return EX_TEMPFAIL
        case _:
            return EX_SOFTWARE


def _status(left: SystemExit) -> int:
    if left.code is None:
        return 0
    fits = isinstance(left.code, int) and 0 <= left.code <= _LARGEST
    return int(left.code) if fits else EX_SOFTWARE  # sys.exit("text") would be a bare 1, which says nothing


def _decisive(error: BaseException | None) -> BaseException | None:
    """Return *error*, or the member of an exception group that decides: retrying helps only if it helps all of them."""
    return None if error is None else min(_members(error), key=_rank)


def _members(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for member in error.exceptions:
            yield from _members(member)
    else:
        yield error


def _rank(error: BaseException) -> int:
    if isinstance(error, ShutdownRequested | KeyboardInterrupt | CancelledError):
        return 2
    disposition = error.disposition if isinstance(error, ControlRoomError) else Disposition.STOP
    return {Disposition.RETRY: 1, Disposition.SKIP: 3}.get(disposition, 0)
