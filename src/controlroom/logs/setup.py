"""Logging, set up once for the process: joined where a host has it, owned where nobody has, and undone on request."""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from controlroom.logs import in_lambda
from controlroom.logs.changes import Changes
from controlroom.logs.console import Console
from controlroom.logs.logger import disabled_loggers
from controlroom.logs.lost import Tally
from controlroom.logs.shown import Shown
from controlroom.logs.sinks import FileSink, Render, Sink, StderrSink
from controlroom.logs.surroundings import Host, Surroundings, look_around
from controlroom.logs.uncaught import log_uncaught
from controlroom.logs.wanted import Wanted, checked
from controlroom.logs.warned import log_warning

if TYPE_CHECKING:
    from controlroom.logs.gate import Gate

__all__ = ["LoggingReport", "setup_logging"]

Format = Literal["auto", "console", "json"]

# They log every URL at INFO, query string and all, or (aiosqlite) the parameters of every statement at DEBUG.
_TALKATIVE: Final = ("httpx", "httpx2", "httpcore", "httpcore2", "botocore", "aiobotocore", "urllib3", "aiosqlite")

_HOSTS_OWN: Final = "host"

_lock = threading.RLock()


@dataclass(frozen=True, slots=True)
class LoggingReport:
    """What `setup_logging` found and did.

    Attributes:
        host: ``"lambda"``, ``"airflow"``, ``"pytest"``, ``"ci"``, ``"cron"`` (also a systemd timer) or ``"process"``.
        level: The level that lines are shown from, by name.
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
    _wanted: Wanted = field(repr=False, compare=False)
    _tally: Tally = field(repr=False, compare=False)
    _gate: Gate | None = field(repr=False, compare=False)

    @property
    def dropped(self) -> int:
        """How many lines could not be written while this setup stood: a full disk, a closed stream."""
        return self._tally.dropped

    def __str__(self) -> str:
        handlers = ", ".join(self.handlers_found) or "no handlers"
        found = f"Found the host {self.host}, and on the root logger {handlers}."
        lost = f" {self.dropped} lines could not be written." if self.dropped else ""
        return f"{found} Done: {'; '.join(self.done) or 'nothing'}. Lines are shown from {self.level}.{lost}"

    def undo(self) -> None:
        """Restore handlers, levels, formatters and warnings as they were; what others changed since stays theirs.

        Before, what is still to be said is logged: how many events were left out (``events_suppressed``), and how many
        lines could not be written (``log_lines_lost``). The same happens when the interpreter ends.

        A second call, or one after a later `setup_logging` replaced this one, does nothing.
        """
        global _current  # noqa: PLW0603 - the process has one logging
        with _lock:
            if _current is self:
                self._tell_the_rest()
                _current = None
            self._changes.take_back()

    def _tell_the_rest(self) -> None:
        if self._gate is not None:
            self._gate.finish()
        self._tally.tell()

    def _stands_for(self, wanted: Wanted) -> bool:
        return self._wanted == wanted and self._changes.stand()


_current: LoggingReport | None = None


def _at_exit() -> None:
    with _lock:
        if _current is not None:
            _current._tell_the_rest()  # noqa: SLF001 - one concept, two objects


def _forked() -> None:
    global _lock  # noqa: PLW0603 - a thread that the child does not have may hold it
    _lock = threading.RLock()
    if _current is not None:
        _current._tally.renew()  # noqa: SLF001 - one concept, two objects
    if (util := sys.modules.get("multiprocessing.util")) is not None:
        util.register_after_fork(_at_exit, lambda _: _tell_before_os_exit())


def _tell_before_os_exit() -> None:
    """Children of `multiprocessing` end by ``os._exit``, without atexit, but call their own finalizers before."""
    process, util = sys.modules.get("multiprocessing.process"), sys.modules.get("multiprocessing.util")
    if process is not None and util is not None and process.parent_process() is not None:
        util.Finalize(None, _at_exit, exitpriority=0)


atexit.register(_at_exit)  # after logging's own, so it is called before
os.register_at_fork(after_in_child=_forked)


def setup_logging(
    level: int | str = "INFO",
    format: Format = "auto",  # noqa: A002 - the name is fixed in the contract
    file: str | os.PathLike[str] | None = None,
    max_bytes: int | None = None,
    keep: int = 5,
    *,
    max_age_s: float | None = None,
    compress: bool = False,
    callsite: bool = False,
    sample: Mapping[str, int] | None = None,
    summarise_after: int | None = None,
    debug_buffer: int | None = None,
) -> LoggingReport:
    """Set logging up for this process: our events and every other package's records, in one shape.

    On AWS Lambda the runtime's own handler gets our format and the root logger *level*, unless the function's
    configuration names one (``AWS_LAMBDA_LOG_LEVEL``), which goes first; in an Airflow task handlers and level stay, and
    the task's own format shows our facts as keys beside its own; anywhere else the root logger gets *level* and
    one handler that writes to stderr, and other handlers that print to the console are set aside. Everywhere
    HTTP libraries that print URLs are kept to warnings, Python's warnings become lines, and loggers of `get_logger` that a
    configuration disabled because they were there before it (``disable_existing_loggers``) log again.

    Args:
        level: ``"DEBUG"``, ``"INFO"``, ``"WARNING"``, ``"ERROR"``, ``"CRITICAL"``, or a number of `logging`.
        format: Of the console: ``"console"`` for people, ``"json"`` for machines, ``"auto"`` for the first on a
            terminal and the second elsewhere.
        file: Also append JSON lines to this file; its folder must exist. Processes may share it.
        max_bytes: Rotate *file* before it grows beyond this; None: never. Processes that share it agree on it.
        keep: How many rotated files stay, ``file.1`` being the youngest.
        max_age_s: Rotate *file* with the first line that comes when its first one is older than this, in seconds.
        compress: Pack rotated files with gzip, beside the work: ``file.1.gz``.
        callsite: Let each line say where it was logged: ``at``, as in ``"ingest_flights:42"``.
        sample: Event name → keep one of so many, of each logger, at INFO and below; the kept line says ``sampled``.
        summarise_after: Of identical events (logger, name, level, run; not of errors) write so many a minute, and of the
            others one line ``events_suppressed`` with their ``count``, when the minute is over and something is logged,
            at the end of the run, or at the end of this setup.
        debug_buffer: Keep so many events a run below *level* in memory, and write them, marked ``buffered``, before an
            ERROR of the same run; without a run, of the same context. 4 MiB are kept at most.

    Raises:
        ConfigError: An argument is wrong, or *file* cannot be opened for writing. Its ``problems`` name each of them.
            Nothing was changed.

    Guarantees:
        Thread-safe and idempotent: the same arguments again change nothing, other ones replace the former setup.
        structlog's global configuration is never touched, nor is ``basicConfig(force=True)`` called. Events that are left
        out are counted, and the counts are written: lines and counts add up to what was logged.
        Not promised: the counts of a process that is killed or ends by ``os._exit``; the lines of other threads at the
        moment in which one setup replaces another; with *debug_buffer*, that handlers which others add later see
        nothing below *level*.
    """
    global _current  # noqa: PLW0603 - the process has one logging
    wanted = checked(locals())
    with _lock:
        if _current is not None and _current._stands_for(wanted):  # noqa: SLF001 - one concept, two objects
            return _current
        sink = wanted.opened()
        if _current is not None:
            _current.undo()
        import_module("controlroom.logs.engine")  # structlog now, while a host still grants start-up time
        _current = _installed(wanted, sink)
        _tell_before_os_exit()
        return _current


def _installed(wanted: Wanted, sink: FileSink | None) -> LoggingReport:
    found, changes = look_around(), Changes()
    try:
        led = _lines_led(found, wanted, changes, sink)
    except BaseException:
        changes.take_back()
        if sink is not None:
            sink.close()
        raise
    return LoggingReport(
        host=found.host.value,
        level=logging.getLevelName(led.level),
        format=led.format,
        file=wanted.file,
        handlers_found=tuple(type(handler).__name__ for handler in found.handlers),
        done=changes.made,
        _changes=changes,
        _wanted=wanted,
        _tally=Tally(led.outlets),
        _gate=led.gate,
    )


@dataclass(frozen=True, slots=True)
class _Led:
    """Where lines go now, from which level on, and in which format on the console."""

    format: str
    level: int
    outlets: tuple[logging.Handler, ...]
    gate: Gate | None


def _lines_led(found: Surroundings, wanted: Wanted, changes: Changes, sink: FileSink | None) -> _Led:
    """Make all the changes."""
    used, sinks = _console(found, wanted, changes)
    level = logging.getLogger().level if used == _HOSTS_OWN else found.level or wanted.level
    if sink is not None:
        sinks[sink] = f"added a file of JSON lines: {wanted.file}{wanted.rotation()}"
    gate = _sinks_added(sinks, found, wanted, changes, level)
    if used != _HOSTS_OWN:
        changes.show_warnings(log_warning, "let warnings be logged")
    if found.host not in {Host.LAMBDA, Host.AIRFLOW, Host.PYTEST}:  # which have hooks of their own
        log_uncaught(changes)
    for name in _TALKATIVE:
        if (talkative := logging.getLogger(name)).level < (quiet := max(logging.WARNING, wanted.level)):
            changes.set_level(talkative, quiet, f"kept {name} to {logging.getLevelName(quiet)}")
    for disabled in disabled_loggers():
        changes.enable(disabled, f"enabled {disabled.name}, which a configuration had disabled")
    if wanted.callsite:
        from controlroom.logs.callsite import callsites_shown, show_callsites  # noqa: PLC0415 - it loads structlog

        changes.switch(show_callsites, callsites_shown, "let lines say where they were logged")
    return _Led(used, level, (*sinks, *found.to_join), gate)


def _sinks_added(
    sinks: dict[Sink, str], found: Surroundings, wanted: Wanted, changes: Changes, level: int
) -> Gate | None:
    """Add *sinks*, or the gate before them where something is to be left out. Sets the root logger's level, too."""
    gate: Gate | None = None
    if wanted.wants_a_gate():
        from controlroom.logs.gating import gate_added  # noqa: PLC0415 - for those who want it only

        gate = gate_added(sinks, found, wanted, changes, level)
    else:
        for sink, what in sinks.items():
            changes.add_handler(sink, what)
    lowest = min(level, logging.DEBUG) if wanted.debug_buffer else level
    if logging.getLogger().level != lowest or not _is_hosts_own(found):
        changes.set_level(logging.getLogger(), lowest, f"set the level {logging.getLevelName(level)}")
    return gate


def _console(found: Surroundings, wanted: Wanted, changes: Changes) -> tuple[str, dict[Sink, str]]:
    """Lead events to where this host shows them. Returns the format used, and the sinks to add, each in words."""
    if _is_hosts_own(found):
        _join_airflow(found, changes)
        return _HOSTS_OWN, {}
    used, render = _chosen(wanted.format, on_terminal=_on_terminal() and not found.to_join)
    for handler in found.to_join:
        formatter = in_lambda.formatter_for(handler, render, is_json=used == "json")
        changes.set_formatter(handler, formatter, f"gave {type(handler).__name__} the {used} format")
    if found.to_join:
        return used, {}
    for handler in found.consoles:
        changes.remove_handler(handler, f"set {type(handler).__name__} on the console aside")
    return used, {StderrSink(render, is_json=used == "json"): f"added stderr in the {used} format"}


def _is_hosts_own(found: Surroundings) -> bool:
    """Tell whether the console, its level and its format are the host's affair: in an Airflow task."""
    return found.host is Host.AIRFLOW and bool(found.to_join)


def _join_airflow(found: Surroundings, changes: Changes) -> None:
    """Let the task's log show our facts as keys; its level, its handlers and its way of writing stay."""
    from controlroom.logs import in_airflow  # noqa: PLC0415 - for tasks only

    for handler in found.to_join:
        if (formatter := in_airflow.formatter_for(handler)) is not None:
            changes.set_formatter(handler, formatter, f"gave {type(handler).__name__} our facts as keys")
    changes.show_warnings(in_airflow.passing_masked(warnings.showwarning), "let warnings pass without secrets")


def _chosen(format_: str, *, on_terminal: bool) -> tuple[str, Render]:
    if format_ == "json" or (format_ == "auto" and not on_terminal):
        return "json", Shown.json
    console = Console(colours=on_terminal and not os.environ.get("NO_COLOR"))
    return "console", lambda shown: console.text(shown.facts())


def _on_terminal() -> bool:
    try:
        return sys.stderr.isatty()
    except (AttributeError, ValueError):  # no stderr at all, or a closed one
        return False
