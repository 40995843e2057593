"""What `setup_logging` was asked for, checked: every wrong argument is named at once."""

from __future__ import annotations

import logging
import math
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from controlroom.errors import ConfigError
from controlroom.logs.appending import AppendedFile
from controlroom.logs.sinks import FileSink, losses

__all__ = ["Wanted", "checked"]

_FORMATS: Final = ("auto", "console", "json")


@dataclass(frozen=True, slots=True)
class Wanted:
    """The arguments of `setup_logging`, in a form that compares."""

    level: int
    format: str
    file: Path | None
    max_bytes: int | None
    keep: int
    max_age_s: float | None
    compress: bool
    callsite: bool
    sample: tuple[tuple[str, int], ...]
    summarise_after: int | None
    debug_buffer: int | None

    def opened(self) -> FileSink | None:
        """Open the file, where there is to be one.

        Raises:
            ConfigError: It cannot be written to, or not in that way. Nothing was changed.
        """
        if self.file is None:
            return None
        try:
            file = AppendedFile(
                self.file,
                max_bytes=self.max_bytes,
                max_age_s=self.max_age_s,
                keep=self.keep,
                compress=self.compress,
                lost=partial(losses.count, FileSink.kind),
            )
        except (OSError, ValueError) as error:  # ValueError: a name with a null byte
            problem = f"file={str(self.file)!r}: {_why(self.file, error)}"
            message = f"The log file cannot be opened for writing; nothing was changed. {problem}."
            raise ConfigError(message, problems=[problem]) from error
        return FileSink(file)

    def wants_a_gate(self) -> bool:
        """Tell whether anything is to be left out, or kept for later."""
        return bool(self.sample or self.summarise_after or self.debug_buffer)

    def rotation(self) -> str:
        """Return in words when the file rotates, and what becomes of it; nothing where it does not."""
        limits = [
            *([] if self.max_bytes is None else [f"{self.max_bytes} bytes"]),
            *([] if self.max_age_s is None else [f"{self.max_age_s:g} s"]),
        ]
        packed = ", packed with gzip" if self.compress else ""
        return f", rotated after {' or '.join(limits)}; {self.keep} older ones stay{packed}" if limits else ""


def checked(arguments: Mapping[str, Any]) -> Wanted:
    """Return the *arguments* of `setup_logging`.

    Raises:
        ConfigError: Some are wrong; its ``problems`` name each of them. Nothing was changed.
    """
    given = dict(arguments)
    level, file, sample = given["level"], given["file"], given["sample"]
    given["level"] = logging.getLevelNamesMapping().get(level.upper()) if isinstance(level, str) else level
    problems = [
        f"{name}={arguments[name]!r}: {advice}"
        for name, (is_right, advice) in _RULES.items()
        if not is_right(given[name])
    ]
    if given["compress"] is True and given["max_bytes"] is None and given["max_age_s"] is None:
        problems.append("compress=True: only rotated files are packed; give max_bytes or max_age_s, too")
    if problems:
        message = f"Logging cannot be set up like this; nothing was changed. {'; '.join(problems)}."
        raise ConfigError(message, problems=problems)
    given["file"] = None if file is None else Path(file).absolute()
    given["sample"] = tuple(sorted((sample or {}).items()))
    return Wanted(**given)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_count_or_none(value: object) -> bool:
    return value is None or _is_count(value)


def _is_age(value: object) -> bool:
    if value is None:
        return True
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value > 0


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


def _is_path(value: object) -> bool:
    return value is None or (isinstance(value, str | os.PathLike) and isinstance(os.fspath(value), str))


def _is_sample(value: object) -> bool:
    if value is None:
        return True
    return isinstance(value, Mapping) and all(isinstance(name, str) and _is_count(n) for name, n in value.items())


_RULES: Final = {
    "level": (_is_count, "give one of DEBUG, INFO, WARNING, ERROR, CRITICAL"),
    "format": (lambda value: value in _FORMATS, f"give one of {', '.join(_FORMATS)}"),
    "file": (_is_path, "give a path, or None"),
    "max_bytes": (_is_count_or_none, "give bytes, one or more, or None"),
    "keep": (_is_count, "give the number of rotated files, one or more"),
    "max_age_s": (_is_age, "give seconds, more than zero, or None"),
    "compress": (_is_flag, "give True or False"),
    "callsite": (_is_flag, "give True or False"),
    "sample": (_is_sample, 'give the name of an event and of how many one is kept: {"page_fetched": 100}'),
    "summarise_after": (_is_count_or_none, "give how many identical events a minute are shown, one or more, or None"),
    "debug_buffer": (_is_count_or_none, "give how many events a run are kept, one or more, or None"),
}


def _why(file: Path, error: OSError | ValueError) -> str:
    if "\0" in str(file):
        return "its name holds a null byte"
    reason = getattr(error, "strerror", None) or str(error)
    try:
        if not file.parent.is_dir():
            return f"{reason}: make the folder {str(file.parent)!r} first"
        if stat.S_ISFIFO(file.stat().st_mode):
            return f"{reason}: it is a pipe that nobody reads; give a regular file"
    except (OSError, ValueError):
        pass
    return reason
