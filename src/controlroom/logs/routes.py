"""The end of the chain: from an event to every handler that a standard-library record would reach."""

from __future__ import annotations

import logging
from functools import cache
from typing import Any

from controlroom.logs.callsite import callsite, callsites_shown, with_place
from controlroom.logs.console import message_of, traceback_text
from controlroom.logs.records import carry
from controlroom.logs.shown import Shown
from controlroom.logs.sinks import Sink

__all__ = ["Route"]

# An error tracker listens by wrapping this; then it needs its records.
_call_handlers = logging.Logger.callHandlers
_UNWRAPPED = _call_handlers if _call_handlers.__module__ == logging.__name__ else None


@cache
def _is_ours(kind: type[logging.Handler]) -> bool:
    """As isinstance, whose answer for an abstract class costs as much as the rest of the way to the handlers."""
    return issubclass(kind, Sink)


class Route:
    """Leads the events of one logger to its handlers, and to those of its parents.

    Where all of them are ours, the event goes there as it is. Otherwise it travels as a record, so that a host's
    handlers, filters, caplog and error trackers see what they always see, with the event in ``record.controlroom``.
    """

    def __init__(self, standard: logging.Logger) -> None:
        self.name: str = standard.name
        self._standard = standard

    def lead(self, level: int, event: dict[str, Any]) -> None:
        """Lead *event*, a stamped one, on to every handler that listens."""
        if callsites_shown():
            place = callsite()
            event = with_place(event, place.file, place.line)
        shown = Shown(event)
        sinks = self._sinks_if_only_ours()
        if not sinks:
            self._standard.handle(self._record(level, shown))
            return
        for sink in sinks:
            if level >= sink.level:
                sink.take(shown)

    def _sinks_if_only_ours(self) -> list[Sink]:
        """Return the handlers that `logging` would call, or none where one of them needs a record, or filters.

        Looked up for each event: `logging` tells nobody when a handler, a filter or a parent changes.
        """
        found: list[Sink] = []
        logger: logging.Logger | None = self._standard
        if self._standard.filters or logging.Logger.callHandlers is not _UNWRAPPED:
            return found
        while logger is not None:
            for handler in logger.handlers:
                if not _is_ours(type(handler)) or handler.filters:  # type: ignore[arg-type]  # a class has a hash
                    return []
                found.append(handler)  # type: ignore[arg-type]  # as was just asked, but of its class
            logger = logger.parent if logger.propagate else None
        return found

    def _record(self, level: int, shown: Shown) -> logging.LogRecord:
        place = callsite()
        message = message_of(shown.facts())
        record = self._standard.makeRecord(
            self.name, level, place.file, place.line, message, (), None, place.function, carry(shown)
        )
        # Not exc_info: a foreign formatter would print the exception unmasked. It prints this text in its place.
        record.exc_text = traceback_text(shown.facts()) or None
        return record
