"""The end of the chain: from an event to every handler that a standard-library record would reach."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from types import CodeType
from typing import Any

import structlog

from controlroom.logs.console import message_of, traceback_text
from controlroom.logs.records import carry
from controlroom.logs.shown import Shown
from controlroom.logs.sinks import Sink

__all__ = ["Route"]

_NOT_THE_CALLER = (str(Path(__file__).parent), str(Path(structlog.__file__).parent))


class Route:
    """Leads the events of one logger to its handlers, and to those of its parents.

    Where all of them are ours, the event goes there as it is. Otherwise it travels as a record, so that a host's
    handlers, filters, caplog and error trackers see what they always see, with the event in ``record.controlroom``.
    """

    def __init__(self, standard: logging.Logger) -> None:
        self.name: str = standard.name
        self._standard = standard

    def debug(self, event: Mapping[str, Any]) -> None:
        """Lead *event* on."""
        self._lead(logging.DEBUG, event)

    def info(self, event: Mapping[str, Any]) -> None:
        """Lead *event* on."""
        self._lead(logging.INFO, event)

    def warning(self, event: Mapping[str, Any]) -> None:
        """Lead *event* on."""
        self._lead(logging.WARNING, event)

    def error(self, event: Mapping[str, Any]) -> None:
        """Lead *event* on."""
        self._lead(logging.ERROR, event)

    def _lead(self, level: int, event: Mapping[str, Any]) -> None:
        shown = Shown(event)
        sinks = self._sinks_if_only_ours()
        if not sinks:
            self._standard.handle(self._record(level, shown))
            return
        for sink in sinks:
            if level >= sink.level:
                sink.take(shown)

    def _sinks_if_only_ours(self) -> list[Sink]:
        """Return the handlers that `logging` would call, or none where one of them needs a record, or filters."""
        found: list[Sink] = []
        if (
            self._standard.filters
            or self._standard.disabled
            or logging.Logger.callHandlers.__module__ != logging.__name__
        ):
            return []  # the last: an error tracker listens by wrapping it
        logger: logging.Logger | None = self._standard
        while logger is not None:
            for handler in logger.handlers:
                if not isinstance(handler, Sink) or handler.filters:
                    return []
                found.append(handler)
            logger = logger.parent if logger.propagate else None
        return found

    def _record(self, level: int, shown: Shown) -> logging.LogRecord:
        code, line = _caller()
        message = message_of(shown.facts())
        record = self._standard.makeRecord(
            self.name, level, code.co_filename, line, message, (), None, code.co_name, carry(shown)
        )
        # Not exc_info: a foreign formatter would print the exception unmasked. It prints this text in its place.
        record.exc_text = traceback_text(shown.facts()) or None
        return record


def _caller() -> tuple[CodeType, int]:
    """Return where the log call stands: the first frame that is neither ours nor structlog's."""
    frame = sys._getframe(1)  # noqa: SLF001 - as logging itself does
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_NOT_THE_CALLER):
        frame = frame.f_back
    return frame.f_code, frame.f_lineno
