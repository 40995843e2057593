"""Our facts in an Airflow task's log: keys of the line, as Airflow's own are, and not words of its text.

Airflow 3 gives the root logger a handler whose formatter runs each record through a chain of structlog processors. They
add time, place and the task's ids, and mask what Airflow knows to be secret. That chain stays as it is; one processor of
ours goes before it, on a copy of the formatter.
"""

from __future__ import annotations

import copy
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import structlog

from controlroom.errors.text import text_of
from controlroom.logs.console import traceback_text
from controlroom.logs.records import shown_of
from controlroom.logs.shape import HEAD
from controlroom.logs.sinks import losses
from controlroom.redaction import redact_text

__all__ = ["formatter_for", "passing_masked"]

# What the task's own lines carry; ours of the same name must not stand in their place.
_OF_THE_TASK: Final = frozenset({"dag_id", "map_index", "run_id", "task_id", "ti_id", "try_number"})
_OF_THE_CHAIN: Final = frozenset(
    {"_from_structlog", "_record", "exc_info", "exception", "positional_args", "stack", "stack_info"}  # structlog's
    | {"filename", "lineno", "loc", "logger_name", "name"}  # of the place that the chain adds
)
_TOLD_ELSEWHERE: Final = frozenset(
    {
        "causes",
        "causes_omitted",
        "code",
        "disposition",
        "exit_code",
        "frames",
        "members",
        "members_total",
        "message",
        "notes",
        "type",
    }
)


def formatter_for(handler: logging.Handler) -> logging.Formatter | None:
    """Return what writes our facts as keys on *handler*, or None where it is no handler of Airflow 3's."""
    found = handler.formatter
    if not isinstance(found, structlog.stdlib.ProcessorFormatter):
        return None
    is_text = isinstance(found.processors[-1], structlog.dev.ConsoleRenderer)
    chain = copy.copy(found)
    chain.foreign_pre_chain = [_as_text if is_text else _as_data, *(found.foreign_pre_chain or ())]
    return _Joined(chain)


class _Joined(logging.Formatter):
    """Makes the event of a record before the chain takes a copy, without the arguments of its message."""

    def __init__(self, chain: logging.Formatter) -> None:
        super().__init__()
        self._chain = chain

    def format(self, record: logging.LogRecord) -> str:
        try:
            shown_of(record)
            return self._chain.format(record)
        except Exception:  # noqa: BLE001 - logging would print a traceback with the message's arguments, unmasked
            losses.count("host")
            return json.dumps({"level": record.levelname.lower(), "event": "a line could not be rendered"})


def passing_masked(show: Callable[..., Any]) -> Callable[..., None]:
    """Return a ``warnings.showwarning`` that hands each warning on to *show*, Airflow's, without its secrets.

    Airflow's own way with warnings passes by the root logger, and so by us.
    """

    def show_masked(message: Warning | str, *where: Any, **further: Any) -> None:
        show(redact_text(text_of(message)), *where, **further)

    return show_masked


def _as_data(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    facts = _take_over(event)
    if isinstance(exception := facts.get("exception"), Mapping):
        event["exception"] = list(_described(exception))
        if further := {name: value for name, value in exception.items() if name not in _TOLD_ELSEWHERE}:
            event["failure"] = further
    return event


def _as_text(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    if below := traceback_text(_take_over(event)):
        event["exception"] = below
    return event


def _take_over(event: structlog.typing.EventDict) -> Mapping[str, Any]:
    """Put the facts of the record behind *event* into it, in place of what the record's text says. Returns the facts."""
    facts = shown_of(event["_record"]).facts()
    for text in ("exc_info", "stack_info"):  # shown of the facts, masked
        event.pop(text, None)
    event["event"], event["positional_args"] = facts["event"], ()
    for name, value in facts.items():
        if name not in HEAD and not (name == "exception" and isinstance(value, Mapping)):  # shown as a traceback
            event[_renamed(name)] = value
    return facts


def _renamed(name: str) -> str:
    if name in _OF_THE_TASK:
        return f"controlroom_{name}"
    return f"{name}_" if name in _OF_THE_CHAIN else name


def _described(exception: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the exception and its causes in the form that Airflow's pages show as a traceback (structlog.tracebacks)."""
    causes = exception.get("causes") or []
    for number, one in enumerate((exception, *causes)):
        yield {
            "exc_type": one.get("type"),
            "exc_value": one.get("message"),
            "exc_notes": one.get("notes") or [],
            "syntax_error": None,
            "is_cause": number > 0,
            "frames": [_placed(frame) for frame in one.get("frames") or []],
            "is_group": "members" in one,
            "exceptions": [list(_described(member)) for member in one.get("members") or []],
        }


def _placed(frame: Mapping[str, Any]) -> dict[str, Any]:
    if "omitted" in frame:
        return {"filename": "", "lineno": -1, "name": f"Skipped frames: {frame['omitted']}"}
    return {"filename": frame["file"], "lineno": frame["line"], "name": frame["function"]}
