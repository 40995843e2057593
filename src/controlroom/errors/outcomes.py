"""Settings, data, and how a run can end besides failing: deadline, lease, shutdown, nothing to do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

from controlroom.errors.root import ControlRoomError, ErrorContext
from controlroom.errors.text import kept
from controlroom.errors.values import EX_CONFIG, EX_DATAERR, EX_UNAVAILABLE, Disposition

_SIGNALLED = 128  # a shell reports death by signal n as 128 + n


class ConfigError(ControlRoomError):
    """Settings or arguments are wrong or missing. ``.problems`` has one line each."""

    final_exit_code = EX_CONFIG

    def __init__(self, message: str, *, problems: Sequence[str] = (), **context: Unpack[ErrorContext]) -> None:
        super().__init__(message, **context)
        self.problems: tuple[str, ...] = tuple(kept(problem) for problem in problems)


class DataError(ControlRoomError):
    """The content is wrong; repeating cannot help."""

    default_disposition = Disposition.QUARANTINE
    final_exit_code = EX_DATAERR


class InvalidRecordError(DataError):
    """One record is wrong: ``.line`` is its 1-based line or position, where known."""

    def __init__(self, message: str, *, line: int | None = None, **context: Unpack[ErrorContext]) -> None:
        super().__init__(message, **context)
        self.line: int | None = kept(line)


class QuarantineThresholdError(DataError):
    """Too many rejected records: something upstream broke. ``.rejected`` of ``.total``; ``.limit`` were allowed."""

    default_disposition = Disposition.STOP

    def __init__(
        self, message: str, *, rejected: int = 0, total: int = 0, limit: float = 0, **context: Unpack[ErrorContext]
    ) -> None:
        super().__init__(message, **context)
        self.rejected: int = kept(rejected)
        self.total: int = kept(total)
        self.limit: float = kept(limit)


class DeadlineExceededError(ControlRoomError):
    """The time left does not suffice: ``.needed_s`` (None: unknown) against ``.left_s``. It was not begun.

    Amid a walk over an API's pages, ``.checkpoint`` resumes it.
    """

    default_disposition = Disposition.RETRY

    def __init__(
        self, message: str, *, needed_s: float | None = None, left_s: float = 0.0, **context: Unpack[ErrorContext]
    ) -> None:
        super().__init__(message, **context)
        self.needed_s: float | None = kept(needed_s)
        self.left_s: float = kept(left_s)
        self.checkpoint: dict[str, Any] | None = None


class LeaseLostError(ControlRoomError):
    """Another worker owns it now (``.lease``); nothing was written."""

    final_exit_code = EX_UNAVAILABLE

    def __init__(self, message: str, *, lease: str = "", **context: Unpack[ErrorContext]) -> None:
        super().__init__(message, **context)
        self.lease: str = kept(lease)


class NothingToDo(ControlRoomError):  # noqa: N818 - an outcome, not an error; the name is frozen in the contract
    """There was nothing to do. Exit code 99."""

    default_disposition = Disposition.SKIP


class ShutdownRequested(ControlRoomError):  # noqa: N818 - an outcome, not an error; the name is frozen in the contract
    """SIGTERM or SIGINT was received and the work in hand was finished or released; ``.signal`` is its number."""

    default_disposition = Disposition.RETRY

    def __init__(self, message: str, *, signal: int = 15, **context: Unpack[ErrorContext]) -> None:
        super().__init__(message, **context)
        self.signal: int = kept(signal)

    @property
    def exit_code(self) -> int:
        """128 + the signal's number, as a shell reports it: 143 for SIGTERM, 130 for SIGINT."""
        return _SIGNALLED + self.signal
