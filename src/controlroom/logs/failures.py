"""An exception as data: what it is, what led to it, where it was; told once."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import Any, Final

from controlroom.errors import ControlRoomError, Disposition
from controlroom.errors.text import text_of
from controlroom.logs.source import source_line

__all__ = ["UNFORESEEN", "failure_facts", "is_reported", "mark_reported"]

UNFORESEEN: Final = "unforeseen"
"""The code of an exception that is not ours: nobody classified it, so it is a bug until somebody does."""

_MARK = "_controlroom_reported"
_BROUGHT = "_causes"  # where our errors keep, on their way through a pickle, what cannot travel with them
_LONGEST_CHAIN = 20  # causes after the twentieth are a loop or a bug; the first ones matter
_MOST_MEMBERS = 20
_MOST_DESCRIBED = 100  # groups inside groups multiply: no line grows beyond this many exceptions
_OUTERMOST_FRAMES = 10
_INNERMOST_FRAMES = 40


def mark_reported(error: BaseException) -> bool:
    """Mark *error* as told; False when it was already. The mark travels with the error, also through ``pickle``."""
    token = object()
    try:
        attributes = error.__dict__  # not setattr: an exception may be a frozen dataclass
        if attributes.setdefault(_MARK, token) is not token:  # atomic: two threads may hold the same error
            return False
        attributes[_MARK] = True
    except Exception:  # noqa: BLE001 - no exception at all, but its class, say: nothing can be marked, and it is told each time
        return True
    return True


def is_reported(error: BaseException) -> bool:
    """Tell whether *error* was told before: whoever holds it next has nothing to say of it."""
    return _MARK in getattr(error, "__dict__", {})


def failure_facts(error: BaseException) -> dict[str, Any]:
    """Return *error* as the facts of a line: ``error`` (text), ``code``, ``disposition``, ``exception`` (all of it).

    Never raises: of an exception whose own attributes raise, its class is told.
    """
    message, code, disposition = text_of(error), UNFORESEEN, Disposition.STOP
    try:
        if isinstance(error, ControlRoomError):
            message, code, disposition = error.message, error.code, error.disposition
        exception = _Description(error).of_chain(error)
    except Exception as unreadable:  # noqa: BLE001 - a foreign class may override anything
        exception = {"type": type(error).__name__, "message": f"could not be read: {type(unreadable).__name__}"}
    return {
        "error": f"{type(error).__name__}: {message}",
        "code": code,
        "disposition": str(disposition),
        "exception": exception,
    }


class _Description:
    """Describes each exception once, and no more than fit on a line."""

    def __init__(self, reported: BaseException) -> None:
        self._reported = reported
        self._seen: set[int] = set()

    def of_chain(self, error: BaseException) -> dict[str, Any]:
        described = self._of_one(error)
        chain = list(_live_causes(error))
        live = [cause for cause in chain[:_LONGEST_CHAIN] if self._is_new(cause)]
        causes = [self._of_one(cause) for cause in live]
        causes += _causes_brought([error, *live], causes)
        if causes:
            described["causes"] = causes
        if len(chain) > _LONGEST_CHAIN:
            described["causes_omitted"] = True
        return described

    def _is_new(self, error: BaseException) -> bool:
        is_new = id(error) not in self._seen and len(self._seen) < _MOST_DESCRIBED
        self._seen.add(id(error))
        return is_new

    def _of_one(self, error: BaseException) -> dict[str, Any]:
        self._seen.add(id(error))
        described = _facts_of(error)
        if isinstance(error, BaseExceptionGroup):
            members = [self.of_chain(member) for member in error.exceptions[:_MOST_MEMBERS] if self._is_new(member)]
            described |= {"members": members, "members_total": len(error.exceptions)}
        if error is not self._reported and _MARK in error.__dict__:
            described["reported"] = True  # its traceback stands on an earlier line
        elif frames := _frames(error.__traceback__):
            described["frames"] = frames
        return described


def _facts_of(error: BaseException) -> dict[str, Any]:
    if isinstance(error, ControlRoomError):
        facts = error.to_dict()
        return {key: value for key, value in facts.items() if value not in (None, [], "") and key != "causes"}
    kind = type(error)
    name = kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    notes = getattr(error, "__notes__", None)
    texts = [text_of(note) for note in notes] if isinstance(notes, list | tuple) else []
    return {"type": name, "message": text_of(error), **({"notes": texts} if texts else {})}


def _live_causes(error: BaseException) -> Iterator[BaseException]:
    """Yield what a traceback would print as causes, nearest first: explicit, or implicit unless ``from None``.

    One more than are told, if there are so many, so that the rest can be.
    """
    passed = {id(error)}
    for _ in range(_LONGEST_CHAIN + 1):
        cause = error.__cause__
        if cause is None and not error.__suppress_context__:
            cause = error.__context__
        # A process pool puts the text of a traceback there; our errors bring their causes along instead.
        if cause is None or (isinstance(error, ControlRoomError) and type(cause).__name__ == "_RemoteTraceback"):
            return
        if id(cause) in passed:  # a loop
            return
        passed.add(id(cause))
        yield cause
        error = cause


def _causes_brought(errors: list[BaseException], told: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the causes that *errors* of ours had when they crossed a process, as data, unless they are *told* already."""
    known = {_identity(cause) for cause in told}
    brought: list[dict[str, Any]] = []
    for error in errors:
        if isinstance(error, ControlRoomError) and _BROUGHT in vars(error):
            brought += [cause for cause in error.causes if _identity(cause) not in known]
    return brought[:_LONGEST_CHAIN]


def _identity(cause: dict[str, Any]) -> tuple[str, str]:
    return str(cause.get("type")).rpartition(".")[2], str(cause.get("message"))


def _frames(traceback: TracebackType | None) -> list[dict[str, Any]]:
    """Return file, line, function and source of each frame, outermost first; never its locals.

    Cheaper than ``traceback``, which parses the source again to place its carets.
    """
    frames: list[TracebackType] = []
    while traceback is not None:
        frames.append(traceback)
        traceback = traceback.tb_next
    if (omitted := len(frames) - _OUTERMOST_FRAMES - _INNERMOST_FRAMES) > 0:
        outermost, innermost = frames[:_OUTERMOST_FRAMES], frames[-_INNERMOST_FRAMES:]
        return [*map(_frame, outermost), {"omitted": omitted}, *map(_frame, innermost)]
    return [*map(_frame, frames)]


def _frame(traceback: TracebackType) -> dict[str, Any]:
    frame, line = traceback.tb_frame, traceback.tb_lineno
    code = frame.f_code
    shown: dict[str, Any] = {"file": code.co_filename, "line": line, "function": code.co_qualname}
    if source := source_line(code.co_filename, line, frame.f_globals):
        shown["source"] = source
    return shown
