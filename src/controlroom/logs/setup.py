"""Logging, set up once for the process: joined where a host has it, owned where nobody has, and undone on request."""

from __future__ import annotations

import logging
import os
import sys
import threading
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Final, Literal

from controlroom.errors import ConfigError
from controlroom.logs.appending import AppendedFile
from controlroom.logs.changes import Changes
from controlroom.logs.console import console_text
from controlroom.logs.shown import Shown
from controlroom.logs.sinks import FileSink, LineFormatter, Render, StderrSink, losses
from controlroom.logs.surroundings import Host, Surroundings, look_around
from controlroom.logs.warned import log_warning

__all__ = ["LoggingReport", "setup_logging"]

Format = Literal["auto", "console", "json"]

_FORMATS: Final = ("auto", "console", "json")
# They log every URL at INFO, query string and all.
_TALKATIVE: Final = ("httpx", "httpcore", "botocore", "aiobotocore", "urllib3")

_HOSTS_OWN: Final = "host"

_lock = threading.RLock()


@dataclass(frozen=True, slots=True)
class _Wanted:
    level: int
    format: str
    file: Path | None
    max_bytes: int | None
    keep: int


@dataclass(frozen=True, slots=True)
class LoggingReport:
    """What `setup_logging` found and did.

    Attributes:
        host: ``"lambda"``, ``"airflow"``, ``"pytest"`` or ``"process"``.
        level: The root logger's level now, by name.
        format: ``"console"`` or ``"json"``; ``"host"`` where the host's own format stays.
        file: The file that JSON lines go to, if any.
        handlers_found: Classes of the handlers that the root logger had.
        done: What was done, in words, in order.
    """

    host: str
    level: str
    format: str
    file: Path | None
    handlers_found: tuple[str, ...]
    done: tuple[str, ...]
    _changes: Changes = field(repr=False, compare=False)
    _wanted: _Wanted = field(repr=False, compare=False)
    _lost_before: int = field(repr=False, compare=False)

    @property
    def dropped(self) -> int:
        """How many lines could not be written since: a full disk, a closed stream."""
        return losses.total - self._lost_before

    def undo(self) -> None:
        """Restore handlers, levels, formatters and warnings as they were; what others changed since stays theirs.

        A second call, or one after a later `setup_logging` replaced this one, does nothing.
        """
        global _current  # noqa: PLW0603 - the process has one logging
        with _lock:
            self._changes.take_back()
            if _current is self:
                _current = None

    def _stands_for(self, wanted: _Wanted) -> bool:
        return self._wanted == wanted and self._changes.stand()


_current: LoggingReport | None = None


def setup_logging(
    level: int | str = "INFO",
    format: Format = "auto",  # noqa: A002 - the name is fixed in the contract
    file: str | os.PathLike[str] | None = None,
    max_bytes: int | None = None,
    keep: int = 5,
) -> LoggingReport:
    """Set logging up for this process: our events and every other package's records, in one shape.

    On AWS Lambda the runtime's own handler gets our format and the root logger *level*; in an Airflow task nothing is
    touched, since records reach the task's log through the root logger; anywhere else the root logger gets *level* and
    one handler that writes to stderr, and other handlers that print to the console are set aside. Everywhere
    HTTP libraries that print URLs are kept to warnings, and Python's warnings become lines.

    Args:
        level: ``"DEBUG"``, ``"INFO"``, ``"WARNING"``, ``"ERROR"``, ``"CRITICAL"``, or a number of `logging`.
        format: Of the console: ``"console"`` for people, ``"json"`` for machines, ``"auto"`` for the first on a
            terminal and the second elsewhere.
        file: Also append JSON lines to this file; its folder must exist. Processes may share it.
        max_bytes: Rotate *file* before it grows beyond this; None: never. Processes that share it agree on it.
        keep: How many rotated files stay, ``file.1`` being the youngest.

    Raises:
        ConfigError: An argument is wrong, or *file* cannot be opened for writing. Nothing was changed.

    Guarantees:
        Thread-safe and idempotent: the same arguments again change nothing, other ones replace the former setup.
        structlog's global configuration is never touched, nor is ``basicConfig(force=True)`` called.
    """
    global _current  # noqa: PLW0603 - the process has one logging
    wanted = _checked(level, format, file, max_bytes, keep)
    with _lock:
        if _current is not None and _current._stands_for(wanted):  # noqa: SLF001 - one concept, two objects
            return _current
        sink = _opened(wanted)
        if _current is not None:
            _current.undo()
        import_module("controlroom.logs.engine")  # structlog now, while a host still grants start-up time
        _current = _installed(wanted, sink)
        return _current


def _checked(
    level: int | str, format_: str, file: str | os.PathLike[str] | None, max_bytes: int | None, keep: int
) -> _Wanted:
    number = logging.getLevelNamesMapping().get(level.upper()) if isinstance(level, str) else level
    problems = [
        text
        for wrong, text in (
            (not _is_count(number), f"level={level!r}: give one of DEBUG, INFO, WARNING, ERROR, CRITICAL"),
            (format_ not in _FORMATS, f"format={format_!r}: give one of {', '.join(_FORMATS)}"),
            (
                max_bytes is not None and not _is_count(max_bytes),
                f"max_bytes={max_bytes!r}: give bytes, one or more, or None",
            ),
            (not _is_count(keep), f"keep={keep!r}: give the number of rotated files, one or more"),
        )
        if wrong
    ]
    if problems:
        message = f"Logging cannot be set up like this; nothing was changed. {'; '.join(problems)}."
        raise ConfigError(message, problems=problems)
    return _Wanted(int(number or 0), format_, None if file is None else Path(file).absolute(), max_bytes, keep)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _opened(wanted: _Wanted) -> FileSink | None:
    if wanted.file is None:
        return None
    try:
        return FileSink(AppendedFile(wanted.file, max_bytes=wanted.max_bytes, keep=wanted.keep))
    except (OSError, ValueError) as error:  # ValueError: a name with a null byte
        problem = f"file={str(wanted.file)!r}: {getattr(error, 'strerror', None) or error}"
        message = f"The log file cannot be opened for writing; nothing was changed. {problem}."
        raise ConfigError(message, problems=[problem]) from error


def _installed(wanted: _Wanted, sink: FileSink | None) -> LoggingReport:
    found, changes, lost_before = look_around(), Changes(), losses.total
    try:
        used = _lines_led(found, wanted, changes, sink)
    except BaseException:
        changes.take_back()
        raise
    return LoggingReport(
        host=found.host.value,
        level=logging.getLevelName(logging.getLogger().level),
        format=used,
        file=wanted.file,
        handlers_found=tuple(type(handler).__name__ for handler in found.handlers),
        done=changes.made,
        _changes=changes,
        _wanted=wanted,
        _lost_before=lost_before,
    )


def _lines_led(found: Surroundings, wanted: _Wanted, changes: Changes, sink: FileSink | None) -> str:
    """Make all the changes. Returns the console's format."""
    used = _console(found, wanted, changes)
    if sink is not None:
        changes.add_handler(sink, f"added a file of JSON lines: {wanted.file}")
    if used != _HOSTS_OWN:  # Airflow logs warnings itself
        changes.show_warnings(log_warning, "let warnings be logged")
    for name in _TALKATIVE:
        if (talkative := logging.getLogger(name)).level < (quiet := max(logging.WARNING, wanted.level)):
            changes.set_level(talkative, quiet, f"kept {name} to {logging.getLevelName(quiet)}")
    return used


def _console(found: Surroundings, wanted: _Wanted, changes: Changes) -> str:
    """Lead events to where this host shows them. Returns the format used."""
    if found.host is Host.AIRFLOW and found.to_join:
        return _HOSTS_OWN
    used, render = _chosen(wanted.format, on_terminal=_on_terminal() and not found.to_join)
    for handler in found.to_join:
        changes.set_formatter(handler, LineFormatter(render), f"gave {type(handler).__name__} the {used} format")
    if not found.to_join:
        for handler in found.consoles:
            changes.remove_handler(handler, f"set {type(handler).__name__} on the console aside")
        changes.add_handler(StderrSink(render, is_json=used == "json"), f"added stderr in the {used} format")
    changes.set_level(logging.getLogger(), wanted.level, f"set the level {logging.getLevelName(wanted.level)}")
    return used


def _chosen(format_: str, *, on_terminal: bool) -> tuple[str, Render]:
    if format_ == "json" or (format_ == "auto" and not on_terminal):
        return "json", Shown.json
    return "console", partial(_for_people, colours=on_terminal and not os.environ.get("NO_COLOR"))


def _for_people(shown: Shown, *, colours: bool) -> str:
    return console_text(shown.facts(), colours=colours)


def _on_terminal() -> bool:
    try:
        return sys.stderr.isatty()
    except (AttributeError, ValueError):  # no stderr at all, or a closed one
        return False
