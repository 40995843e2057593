"""How far a loop is: a bar for a person at a terminal, a line in a while for everybody else."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Protocol

from controlroom import clock
from controlroom.logs import Logger

if TYPE_CHECKING:
    from rich.progress import Progress

__all__ = ["Reporter", "reporter"]

_BETWEEN_LINES_S = 60.0
_BETWEEN_FRAMES_S = 0.1


class Reporter(Protocol):
    """Told after each item."""

    def advanced(self, done: int) -> None:
        """Take note that *done* items are done."""

    def close(self) -> None:
        """Leave the terminal as it was."""


def reporter(log: Logger, name: str, total: int | None, unit: str | None) -> Reporter:
    """Return a bar where there is a terminal and rich to draw on it with, else one that logs."""
    return _bar(unit or name, total) or _Lines(log, total, unit)


class _Lines:
    """Logs ``run_progressed``, at most once a minute."""

    def __init__(self, log: Logger, total: int | None, unit: str | None) -> None:
        self._log = log
        self._total = total
        self._counted = unit
        self._began_s = self._told_s = clock.monotonic_s()

    def advanced(self, done: int) -> None:
        now_s = clock.monotonic_s()
        if now_s - self._told_s >= _BETWEEN_LINES_S:
            self._told_s = now_s
            elapsed_s = round(now_s - self._began_s, 3)
            self._log.info("run_progressed", done=done, total=self._total, counted=self._counted, elapsed_s=elapsed_s)

    def close(self) -> None:
        pass


class _Bar:
    """Draws on stderr, between the log's lines. Not by a thread: a job that forks should find itself alone."""

    def __init__(self, progress: Progress, title: str, total: int | None) -> None:
        self._progress = progress
        self._task = progress.add_task(title, total=total)
        self._drawn_s = clock.monotonic_s()

    def advanced(self, done: int) -> None:
        now_s = clock.monotonic_s()
        due = now_s - self._drawn_s >= _BETWEEN_FRAMES_S
        self._progress.update(self._task, completed=done, refresh=due)
        self._drawn_s = now_s if due else self._drawn_s

    def close(self) -> None:
        self._progress.stop()


def _bar(title: str, total: int | None) -> _Bar | None:
    if sys.stderr is None or not sys.stderr.isatty():
        return None
    try:
        from rich.console import Console  # noqa: PLC0415 - the extra `demo`, and only for a terminal
        from rich.errors import LiveError  # noqa: PLC0415 - as above
        from rich.progress import Progress  # noqa: PLC0415 - as above
    except ImportError:
        return None
    progress = Progress(console=Console(stderr=True), auto_refresh=False)
    try:
        progress.start()
    except LiveError:  # a bar inside a bar: rich draws one at a time
        return None
    return _Bar(progress, title, total)
