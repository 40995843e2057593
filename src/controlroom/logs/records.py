"""Between our events and the standard library's records: ours as a record for others, theirs as an event for us."""

from __future__ import annotations

import logging
from typing import Any

from controlroom.errors.text import text_of
from controlroom.logs.callsite import callsites_shown, with_place
from controlroom.logs.context import bound_facts
from controlroom.logs.failures import failure_facts
from controlroom.logs.presentable import presentable
from controlroom.logs.shape import headed, without_reserved
from controlroom.logs.shown import Shown

__all__ = ["carry", "shown_of"]

_SHOWN = "_controlroom_shown"
_OF_LAMBDA = ("aws_request_id", "tenant_id")  # what the runtime's own filter puts on every record, if only as None
_USUAL = frozenset(vars(logging.makeLogRecord({})))
_OF_EVERY_RECORD = _USUAL | {"message", "asctime", "taskName", *_OF_LAMBDA}


def shown_of(record: logging.LogRecord) -> Shown:
    """Return the event that *record* was made from; of another package's record, one in our shape.

    It is made once a record, however many handlers ask: one record is one ``seq``.
    """
    attributes = vars(record)
    shown: Shown | None = attributes.get(_SHOWN)
    if shown is None:
        shown = attributes[_SHOWN] = Shown(_foreign(record))
    if _OF_LAMBDA[0] not in attributes and _OF_LAMBDA[1] not in attributes:
        return shown
    of_lambda = {key: value for key in _OF_LAMBDA if (value := attributes.get(key))}
    return Shown.presented({**shown.facts(), **presentable(of_lambda)}) if of_lambda else shown


def carry(shown: Shown) -> dict[str, Any]:
    """Return the attributes of a record that carries *shown*: for our own handlers, and for those that show extras."""
    return {_SHOWN: shown, "controlroom": shown.facts()}


def _foreign(record: logging.LogRecord) -> dict[str, Any]:
    # Most log calls give nothing as ``extra``, and that shows in the number of attributes.
    attributes = vars(record)
    facts = _extra(attributes) if len(attributes) > len(_USUAL) else {}
    if record.exc_info and (error := _exception_of(record.exc_info)) is not None:
        facts |= failure_facts(error)
    if record.stack_info:
        facts["stack"] = record.stack_info
    named = without_reserved(facts) if facts else facts
    event = headed((record.levelname, _message(record), record.name), bound_facts(), named, {}, record.created)
    return with_place(event, record.pathname, record.lineno) if callsites_shown() else event


def _exception_of(exc_info: Any) -> BaseException | None:
    """Return the exception of a record; one that somebody made by hand may have it bare, or anything in its place."""
    error = exc_info[1] if isinstance(exc_info, tuple) and len(exc_info) > 1 else exc_info
    return error if isinstance(error, BaseException) else None


def _extra(attributes: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in attributes.items() if key not in _OF_EVERY_RECORD and key[:1] != "_"}


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception as error:  # noqa: BLE001 - arguments that do not fit the format, or have no text: say what came
        return f"{text_of(record.msg)} [its arguments could not be merged: {type(error).__name__}]"
