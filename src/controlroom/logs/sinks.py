"""Handlers of our own: where finished lines go. What they cannot write is counted, never raised and never printed."""

from __future__ import annotations

import logging
import os
import sys
import threading
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable
from typing import ClassVar, Final, TextIO

from controlroom.errors.text import text_of
from controlroom.logs.appending import AppendedFile
from controlroom.logs.records import shown_of
from controlroom.logs.shape import stamped
from controlroom.logs.shown import Shown

__all__ = ["FileSink", "LineFormatter", "Losses", "Sink", "StderrSink", "losses"]

Render = Callable[[Shown], str]


class Losses:
    """How many lines this process could not write, and where to."""

    def __init__(self) -> None:
        self.renew()
        self.total: int = 0
        self._of: Counter[str] = Counter()

    def renew(self) -> None:
        """Take a new lock."""
        self._lock = threading.RLock()  # a signal handler may lose a line in the middle of another loss

    def count(self, sink: str = "unknown", lines: int = 1) -> None:
        """Count *lines* more that *sink* did not get."""
        with self._lock:
            self.total += lines
            self._of[sink] += lines

    def of_sinks(self) -> Counter[str]:
        """Return how many lines each sink did not get."""
        with self._lock:
            return Counter(self._of)


losses: Final = Losses()
os.register_at_fork(after_in_child=losses.renew)  # the lock may be held by a thread that the child does not have


class Sink(logging.Handler, ABC):
    """A handler that takes finished events too, without a record around them."""

    kind: ClassVar[str] = "unknown"

    def handle(self, record: logging.LogRecord) -> bool:
        """As of every handler. Without filters, which is the rule, without the calls that would ask none of them."""
        if self.filters:
            return super().handle(record)
        with self.lock:  # type: ignore[union-attr]  # as in take
            self.emit(record)
        return True

    def emit(self, record: logging.LogRecord) -> None:
        """Write the event of *record*, which may come from any package."""
        try:
            self._write(shown_of(record))
        except Exception:  # noqa: BLE001 - a full disk, a closed stream: the job goes on
            losses.count(self.kind)

    def take(self, shown: Shown) -> None:
        """Write *shown*."""
        with self.lock:  # type: ignore[union-attr]  # typeshed: None for handlers that override createLock; not here
            try:
                self._write(shown)
            except Exception:  # noqa: BLE001 - as in emit
                losses.count(self.kind)

    @abstractmethod
    def _write(self, shown: Shown) -> None:
        """Put *shown* where this sink leads; whatever it raises is counted."""


class StderrSink(Sink):
    """Writes to whatever ``sys.stderr`` is at that moment, as one text per event."""

    kind = "stderr"

    def __init__(self, render: Render, *, is_json: bool) -> None:
        super().__init__()
        self._render = render
        self._is_json = is_json
        self._writing = False

    def _write(self, shown: Shown) -> None:
        # A stderr that leads back into logging would lead here again, without end.
        stream, outer = (sys.__stderr__, True) if self._writing else (sys.stderr, False)
        if stream is None:
            losses.count(self.kind)
            return
        self._writing = True
        try:
            self._print(self._render(shown) + "\n", stream)
        finally:
            self._writing = outer

    def _print(self, line: str, stream: TextIO) -> None:
        try:
            stream.write(line)
        except UnicodeEncodeError:  # a strict ASCII stream
            stream.write(_ascii(line, is_json=self._is_json))
        stream.flush()


def _ascii(line: str, *, is_json: bool) -> str:
    if not is_json:
        return line.encode("ascii", "backslashreplace").decode()
    units = line.encode("utf-16-be")  # JSON escapes count in UTF-16 units: two of them beyond the first plane
    pairs = (int.from_bytes(units[at : at + 2]) for at in range(0, len(units), 2))
    return "".join(chr(unit) if unit < 0x80 else f"\\u{unit:04x}" for unit in pairs)  # noqa: PLR2004 - the end of ASCII


class FileSink(Sink):
    """Writes JSON lines to a file that many processes may share."""

    kind = "file"

    def __init__(self, file: AppendedFile) -> None:
        super().__init__()
        self._file = file

    def _write(self, shown: Shown) -> None:
        self._file.append(shown.line())
        if (refusal := self._file.refusal) is not None:
            self._file.refusal = None
            event = {"event": "log_rotation_refused", "reason": text_of(refusal)}
            self._file.append(Shown(stamped(event, level="WARNING", logger="controlroom.logs")).line())

    def close(self) -> None:
        """Close the file."""
        with self.lock:  # type: ignore[union-attr]  # as in take
            self._file.close()
        super().close()


class LineFormatter(logging.Formatter):
    """Gives a host's own handler our lines. They end in a newline, since Lambda's handler adds none."""

    def __init__(self, render: Render) -> None:
        super().__init__()
        self._render = render

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of *record*."""
        try:
            return self._render(shown_of(record)) + "\n"
        except Exception:  # noqa: BLE001 - the host's handler would print a traceback, locals and all
            losses.count("host")
            return f"{record.levelname} {record.name}: this line could not be rendered\n"
