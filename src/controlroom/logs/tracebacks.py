"""A failure's data as lines: what happened, where in the reader's own code, and what led to it."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, Final

from controlroom.logs.readable import abridged, escaped

__all__ = ["called_from", "folded_lines", "full_lines"]

Exception_ = Mapping[str, Any]

_OURS: Final = f"{Path(__file__).parents[1]}{os.sep}"
_INSTALLED: Final = re.compile(r"[/\\](?:site|dist)-packages[/\\]([^/\\]+)")
_STANDARD: Final = re.compile(r"[/\\]lib(?:64)?[/\\]python3\.\d+[/\\]([^/\\]+)")
_FROZEN: Final = re.compile(r"<frozen ([^.>]+)")
# Packages that only carry a job's calls. Where a job is itself installed, the frames of all other packages are shown.
_CARRIERS: Final = frozenset(
    {"_pytest", "airflow", "awslambdaric", "controlroom", "pluggy", "pytest"}  # what runs a job
    | {"aiohttp", "anyio", "h11", "h2", "httpcore", "httpx", "requests", "sniffio", "urllib3", "yarl"}
    | {"aiobotocore", "boto3", "botocore", "s3transfer"}
    | {"aiosqlite", "asyncpg", "greenlet", "psycopg", "psycopg_pool", "sqlalchemy"}
    | {"pydantic", "pydantic_core", "pydantic_settings", "rich", "structlog", "tenacity"}
)
_LONGEST_LINE: Final = 1_000
_MOST_LINES: Final = 40
_MOST_NAMES: Final = 4
_MISTAKE: Final = "config"  # the code of what an operator has to correct: where we found it, helps nobody


def full_lines(exception: Exception_) -> Iterator[str]:
    """Yield all of *exception*: every frame, note, member and cause."""
    return _lines(exception, "  ", _every_frame)


def folded_lines(exception: Exception_, folder: str = "") -> Iterator[str]:
    """Yield *exception* for a person: frames outside of the reader's own code are folded into how many, and in what.

    Args:
        exception: The failure's data.
        folder: Paths below it are shown relative to it; it ends in a separator.

    Guarantees:
        Where no frame at all is the reader's own (the job is an installed package, too), those of packages stay that
        do not merely carry calls. Where an unforeseen exception was raised, is always shown.
    """
    return _lines(exception, "  ", _Folding(exception, folder))


def _lines(exception: Exception_, indent: str, frames_of: Any) -> Iterator[str]:
    # Each line of a message stays a line, indented: none of them can pass for the head of another event.
    first, *more = str(exception.get("message")).split("\n")
    yield f"{indent}{escaped(str(exception.get('type')))}: {_line(first)}"
    yield from (f"{indent}  {_line(line)}" for line in more[:_MOST_LINES])
    if len(more) > _MOST_LINES:
        yield f"{indent}  …(+{len(more) - _MOST_LINES} lines)"
    yield from (f"{indent}  {line}" for line in frames_of(exception))
    for problem in _untold(exception):
        yield f"{indent}  - {_line(problem)}"
    for note in _texts(exception, "notes"):
        yield from (f"{indent}  {'note: ' if at == 0 else ''}{_line(line)}" for at, line in enumerate(note.split("\n")))
    for member in _items(exception, "members"):
        yield from _lines(member, f"{indent}  | ", frames_of)
    for cause in _items(exception, "causes"):
        yield f"{indent}caused by"
        yield from _lines(cause, indent, frames_of)


def _line(text: str) -> str:
    return escaped(abridged(text, _LONGEST_LINE))


def _untold(exception: Exception_) -> Iterator[str]:
    """Yield the problems of a ConfigError that its message does not list already."""
    message = str(exception.get("message"))
    return (problem for problem in _texts(exception, "problems") if problem not in message)


def _every_frame(exception: Exception_) -> Iterator[str]:
    for frame in _items(exception, "frames"):
        yield f"… {frame['omitted']} frames …" if "omitted" in frame else _placed(frame)


class _Folding:
    """Decides which frames of one failure are shown."""

    def __init__(self, failure: Exception_, folder: str) -> None:
        self._failure = failure
        self._folder = folder
        self._folds_all = any(_package(frame) is None for one in _all_of(failure) for frame in _frames(one))

    def __call__(self, exception: Exception_) -> Iterator[str]:
        frames = _items(exception, "frames")
        folded: list[Mapping[str, Any]] = []
        for number, frame in enumerate(frames):
            raised_here = exception is self._failure and "code" not in exception and number == len(frames) - 1
            if raised_here or self._is_shown(frame):
                yield from self._fold(exception, folded)
                folded = []
                yield _placed(frame, self._folder)
                if _package(frame) is None and (source := str(frame.get("source") or "").strip()):
                    yield f"  {_line(source)}"
            else:
                folded.append(frame)
        yield from self._fold(exception, folded)

    def _is_shown(self, frame: Mapping[str, Any]) -> bool:
        if "omitted" in frame:
            return False
        package = _package(frame)
        return package is None or not (self._folds_all or package in _CARRIERS or _is_standard(frame))

    def _fold(self, exception: Exception_, frames: Sequence[Mapping[str, Any]]) -> Iterator[str]:
        number = sum(int(frame.get("omitted", 1)) for frame in frames)
        if number == 0 or exception.get("code") == _MISTAKE:
            return
        names = list(dict.fromkeys(name for frame in frames if "omitted" not in frame and (name := _package(frame))))
        shown = ", ".join(escaped(name) for name in names[:_MOST_NAMES]) + (", …" if len(names) > _MOST_NAMES else "")
        yield f"… {number} frame{'s' if number > 1 else ''}{f' in {shown}' if shown else ''} …"


def _placed(frame: Mapping[str, Any], folder: str = "") -> str:
    file = str(frame.get("file"))
    shown = file.removeprefix(folder) if folder else file
    return f"{escaped(shown)}:{frame.get('line')} in {escaped(str(frame.get('function')))}"


def called_from() -> str | None:
    """Return where, nearest to the caller, somebody's own code stands: "/srv/jobs/ingest.py:17 in prices"; None: nowhere.

    A call that is repeated ends inside the library: its frames alone would not say who asked.
    """
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - as logging itself does
    while frame is not None:
        if _package({"file": frame.f_code.co_filename}) is None:
            return f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}"
        frame = frame.f_back
    return None


def _package(frame: Mapping[str, Any]) -> str | None:
    """Return the installed package or the module of the standard library that *frame* is in; None: somebody's own code."""
    file = str(frame.get("file"))
    if file.startswith(_OURS):
        return "controlroom"
    if found := _INSTALLED.search(file) or _STANDARD.search(file) or _FROZEN.match(file):
        return found[1].removesuffix(".py")
    return None


def _is_standard(frame: Mapping[str, Any]) -> bool:
    file = str(frame.get("file"))
    return not (file.startswith(_OURS) or _INSTALLED.search(file))


def _all_of(exception: Exception_) -> Iterator[Exception_]:
    yield exception
    for key in ("members", "causes"):
        for one in _items(exception, key):
            yield from _all_of(one)


def _frames(exception: Exception_) -> Iterator[Mapping[str, Any]]:
    return (frame for frame in _items(exception, "frames") if "omitted" not in frame)


def _items(exception: Exception_, key: str) -> list[Mapping[str, Any]]:
    found = exception.get(key)
    return [item for item in found if isinstance(item, Mapping)] if isinstance(found, list) else []


def _texts(exception: Exception_, key: str) -> list[str]:
    found = exception.get(key)
    return [str(item) for item in found] if isinstance(found, list | tuple) else []
