"""Between our events and the standard library's records: ours as a record for others, theirs as an event for us."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any

from controlroom.errors.text import text_of
from controlroom.logs.context import bound_facts
from controlroom.logs.failures import failure_facts
from controlroom.logs.presentable import presentable
from controlroom.logs.shape import stamped, without_reserved
from controlroom.logs.shown import Shown

__all__ = ["carry", "shown_of"]

_SHOWN = "_controlroom_shown"
_OF_LAMBDA = ("aws_request_id", "tenant_id")  # what the runtime's own filter puts on every record, if only as None
_OF_EVERY_RECORD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def shown_of(record: logging.LogRecord) -> Shown:
    """Return the event that *record* was made from; of another package's record, one in our shape.

    It is made once a record, however many handlers ask: one record is one ``seq``.
    """
    shown: Shown | None = getattr(record, _SHOWN, None)
    if shown is None:
        shown = Shown(_foreign(record))
        setattr(record, _SHOWN, shown)
    of_lambda = {key: value for key in _OF_LAMBDA if (value := getattr(record, key, None))}
    return Shown.presented({**shown.facts(), **presentable(of_lambda)}) if of_lambda else shown


def carry(shown: Shown) -> dict[str, Any]:
    """Return the attributes of a record that carries *shown*: for our own handlers, and for those that show extras."""
    return {_SHOWN: shown, "controlroom": shown.facts()}


def _foreign(record: logging.LogRecord) -> dict[str, Any]:
    extra = {key: value for key, value in vars(record).items() if key not in _OF_EVERY_RECORD and key[:1] != "_"}
    extra = {key: value for key, value in extra.items() if key not in _OF_LAMBDA}
    if record.exc_info and (error := record.exc_info[1]) is not None:
        extra |= failure_facts(error)
    if record.stack_info:
        extra["stack"] = record.stack_info
    return stamped(
        {**without_reserved(bound_facts()), **without_reserved(extra), "event": _message(record)},
        level=record.levelname,
        logger=record.name,
        at=datetime.fromtimestamp(record.created, UTC),
    )


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception as error:  # noqa: BLE001 - arguments that do not fit the format, or have no text: say what came
        return f"{text_of(record.msg)} [its arguments could not be merged: {type(error).__name__}]"
