"""A rate limit that processes share: its one number in a file, or in a row of a database."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Final, TypeVar

from controlroom.clock import current_deadline, monotonic_s, utcnow
from controlroom.errors import ConfigError, ControlRoomError, DeadlineExceededError
from controlroom.http.coordination import FileWork, RowWork, Work, is_path
from controlroom.http.locked_files import LockedFile
from controlroom.http.steps import Coordinate, Pause, Send
from controlroom.logs import get_logger
from controlroom.policy.deadlines import Deadline
from controlroom.policy.flow import Flow, StepFailed
from controlroom.policy.rate_limit import RateLimit
from controlroom.policy.shared_pace import hold, take

__all__ = ["hold_shared", "require_time_for", "take_shared"]

T = TypeVar("T")
# What becomes of a text at an instant of a clock: the new one (None: leave it), and what is to be known beside.
Change = Callable[[str | None, float, str], tuple[str | None, T]]

_LOOK_AGAIN_S: Final = 0.002  # long against the lock of a file, which is held for a read and a write
_RECORD_BYTES: Final = 256  # one block of any disk: whoever dies has written all of it, or nothing
_LONGEST_BYTES: Final = 4096
_AS_UMASK_SAYS: Final = 0o666
_WALL_CLOCK: Final = "wall"
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")  # random(4)

_log = get_logger(__name__)


def take_shared(limit: RateLimit, what: str) -> Flow[Pause | Send | Coordinate, float]:
    """Take the next free place for *what* and return its instant, of the monotonic clock.

    Raises:
        DeadlineExceededError: It comes too late, and was not taken.
        FileOperationError, DatabaseError, ConfigError: The place where the count is kept cannot be used.
    """
    deadline = current_deadline()

    def taken(text: str | None, now_s: float, epoch: str) -> tuple[str | None, tuple[float, float]]:
        longest_wait_s = math.inf if deadline is None else deadline.remaining_s()
        after, wait_s = take(limit, text, now_s, epoch, longest_wait_s)
        return after, (wait_s, monotonic_s() + wait_s)  # of now: a thread's answer may be long on its way

    if deadline is not None:
        deadline.require(what)
    while (found := (yield Coordinate(_work(limit, taken)))) is None:
        if deadline is not None:
            deadline.require(f"{what} (waiting for the lock of {limit.shared})", _LOOK_AGAIN_S)
        yield Pause(_LOOK_AGAIN_S)
    wait_s, due_s = found
    if deadline is not None:
        require_time_for(deadline, what, wait_s)
    return float(due_s)


def require_time_for(deadline: Deadline, what: str, wait_s: float) -> None:
    """Refuse to wait *wait_s* seconds for a place under a rate limit where that is longer than *deadline* allows.

    Raises:
        DeadlineExceededError: It is; its ``retry_after_s`` says when there will be a place.
    """
    try:
        deadline.require(f"{what} (waiting for the rate limit)", wait_s)
    except DeadlineExceededError as error:
        error.retry_after_s = wait_s
        raise


def hold_shared(limit: RateLimit, for_s: float) -> Flow[Pause | Send | Coordinate, None]:
    """Let nobody's request leave for *for_s* seconds. Where that cannot be told to others, the answer still counts."""

    def held(text: str | None, now_s: float, epoch: str) -> tuple[str | None, bool]:
        return hold(limit, text, now_s, epoch, for_s), True

    deadline = current_deadline()
    try:
        while not (yield Coordinate(_work(limit, held))):
            if deadline is not None:
                deadline.require(f"Holding {limit.shared}", _LOOK_AGAIN_S)
            yield Pause(_LOOK_AGAIN_S)
    except StepFailed as failed:
        if not isinstance(failed.error, ControlRoomError):
            raise
        _log_untold(limit, for_s, failed.error)
    except ControlRoomError as error:
        _log_untold(limit, for_s, error)


def _log_untold(limit: RateLimit, for_s: float, error: ControlRoomError) -> None:
    _log.warning("hold_not_shared", limit=str(limit.shared), for_s=round(for_s, 3), reason=str(error))


def _work(limit: RateLimit, change: Change[T]) -> Work:
    if is_path(limit.shared):
        return FileWork(partial(_in_file, Path(os.fsdecode(limit.shared)).absolute(), change))
    return RowWork(limit.shared, "limits", limit.name, lambda text: change(text, utcnow().timestamp(), _WALL_CLOCK))


def _in_file(path: Path, change: Change[T]) -> T | None:
    """Change what stands in the file at *path*; None where somebody else is doing so."""
    from controlroom.storage.classify import translating  # noqa: PLC0415 - only those who share pay for files

    file = LockedFile(path, _AS_UMASK_SAYS)
    with translating(str(path), "counting requests"):
        try:
            if not file.acquire():
                return None
            found = os.pread(file.fd, _LONGEST_BYTES, 0)
            if len(found) == _LONGEST_BYTES:
                message = f"{path} holds something else than a rate limit. It was left alone, and nothing was sent."
                raise ConfigError(message)
            first_line = found.partition(b"\n")[0].decode("ascii", "replace")
            after, outcome = change(first_line, monotonic_s(), _boot())
            if after is not None:
                _write(file.fd, after, len(found))
            return outcome
        finally:
            file.close()


def _write(fd: int, text: str, before_bytes: int) -> None:
    os.pwrite(fd, text.encode().ljust(_RECORD_BYTES - 1) + b"\n", 0)
    if before_bytes > _RECORD_BYTES:
        os.truncate(fd, _RECORD_BYTES)


@cache
def _boot() -> str:
    """Return what the monotonic clock's instants belong to: this run of the machine, where that has a name."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return ""
