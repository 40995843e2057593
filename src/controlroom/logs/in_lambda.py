"""Our lines on the handler of Lambda's runtime: one event a record, of the kind that the platform reads it as.

The runtime hands each record to the platform in a frame whose type says the level, and whether the text is JSON
(awslambdaric, ``FramedTelemetryLogSink``): a text frame of JSON would be stored as text within JSON. The runtime's own
formatter tells the type as an attribute of the record that it formats; it is asked once a level.
"""

from __future__ import annotations

import contextlib
import logging

from controlroom.logs.shown import Shown
from controlroom.logs.sinks import LineFormatter, Render

__all__ = ["formatter_for"]

_FRAME_TYPE = "_frame_type"
_NAMES = {"aws_request_id": "requestId", "tenant_id": "tenantId"}  # as in the JSON of the runtime, and of its reports


def formatter_for(handler: logging.Handler, render: Render, *, is_json: bool) -> logging.Formatter:
    """Return what writes our lines on *handler*, a handler of the runtime.

    Where the function's log format is JSON, and ours too, lines name the request as the platform does: ``requestId``.
    """
    if is_json and type(handler.formatter).__name__ == "JsonFormatter" and handler.formatter is not None:
        return _Framed(handler.formatter)
    return LineFormatter(render)


class _Framed(LineFormatter):
    def __init__(self, runtimes: logging.Formatter) -> None:
        super().__init__(_with_names_of_the_platform)
        self._runtimes = runtimes
        self._types: dict[int, object] = {}

    def format(self, record: logging.LogRecord) -> str:
        setattr(record, _FRAME_TYPE, self._type(record.levelno))
        return super().format(record)

    def _type(self, level: int) -> object:
        if level not in self._types:
            empty = logging.makeLogRecord({"levelno": level, "levelname": logging.getLevelName(level)})
            with contextlib.suppress(Exception):  # a runtime that wants more of a record: its handler knows a default
                self._runtimes.format(empty)
            self._types[level] = getattr(empty, _FRAME_TYPE, None)
        return self._types[level]


def _with_names_of_the_platform(shown: Shown) -> str:
    return Shown.presented({_NAMES.get(name, name): value for name, value in shown.facts().items()}).json()
