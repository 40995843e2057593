"""Notifications of S3, out of whatever they come wrapped in."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Final

from controlroom.errors import InvalidRecordError
from controlroom.policy.s3_events import ObjectEvent, bridged_event, notified_event

__all__ = ["parse_s3_events"]

OnInvalid = Callable[[InvalidRecordError], None]

_DEEPEST: Final = 12  # EventBridge in SNS in SQS in a batch is six steps
_LISTS: Final = ("Records", "Messages")  # a notification or what Lambda is given; what ReceiveMessage answers
_BODIES: Final = ("body", "Body")  # of a message: as Lambda is given it, and as ReceiveMessage answers it


def parse_s3_events(payload: Any, *, on_invalid: OnInvalid | None = None) -> list[ObjectEvent]:
    """Return what a notification of S3 says, whatever it came through.

    Args:
        payload: The notification itself; a record or a list of records of it; an event of EventBridge; a message of SNS,
            posted or given to Lambda; messages of SQS, one, a list, what Lambda is given or what ReceiveMessage answers,
            each holding any of these. As a document, or as JSON in a text or in bytes.
        on_invalid: Called with the error of each outermost record that is not understood, which is left out whole: a queue
            takes back messages, not halves of them. None raises the first.

    Returns:
        The events in the order given, their keys decoded once. None for ``s3:TestEvent``, which S3 sends when a
        notification is configured.

    Raises:
        InvalidRecordError: Something is no notification, or lacks what one has. It says where, as in
            ``payload.Records[3].body``, and never what stands there; ``.line`` is the position of the outermost record in
            its list, counted from 1.

    Guarantees:
        No event is left out silently: every record is an event, a test event, or an error.

        Not promised: that an event is new, in order, or still true. Deliver them to `Inbox.accept`, or compare
        ``.dedupe_key`` and ``.order`` yourself.
    """
    events: list[ObjectEvent] = []
    for line, where, record in _outermost(payload):
        try:
            events += list(_unwrapped(record, where, 0))  # first all of it: of a message with one bad record, nothing
        except InvalidRecordError as error:
            error.line = line
            if on_invalid is None:
                raise
            on_invalid(error)
    return events


def _outermost(payload: Any) -> Iterator[tuple[int | None, str, Any]]:
    """Yield what is judged on its own: each record of the outermost list with its position, or all there is."""
    document, where = payload, "payload"
    with suppress(InvalidRecordError):  # raised again where it is read
        document = _document(payload, where)
    if isinstance(document, Mapping):
        name = next((name for name in _LISTS if isinstance(document.get(name), list)), None)
        if name is None:
            yield None, where, document
            return
        document, where = document[name], f"payload.{name}"
    if isinstance(document, list):
        for index, record in enumerate(document):
            yield index + 1, f"{where}[{index}]", record
    else:
        yield None, where, document


def _unwrapped(payload: Any, where: str, depth: int) -> Iterator[ObjectEvent]:
    document = _document(payload, where)
    if depth > _DEEPEST:
        raise _unknown(where, "it is wrapped more often than any notification")
    if isinstance(document, list):
        for index, record in enumerate(document):
            yield from _unwrapped(record, f"{where}[{index}]", depth + 1)
        return
    if not isinstance(document, Mapping):
        raise _unknown(where, f"it is of type {type(document).__name__}")
    yield from _read(document, where, depth)


def _read(document: Mapping[str, Any], where: str, depth: int) -> Iterator[ObjectEvent]:
    if "s3" in document:
        yield notified_event(document, where)
    elif "detail-type" in document:
        if document.get("source") != "aws.s3":
            raise _unknown(where, "its source is not aws.s3")
        yield bridged_event(document, where)
    elif document.get("Event") == "s3:TestEvent":
        return
    else:
        inner, name = _inner(document, where)
        yield from _unwrapped(inner, f"{where}.{name}", depth + 1)


def _inner(document: Mapping[str, Any], where: str) -> tuple[Any, str]:
    """Return what an envelope holds, and the name under which."""
    if isinstance(document.get("Sns"), Mapping) and "Message" in document["Sns"]:
        return document["Sns"]["Message"], "Sns.Message"
    if "Message" in document and document.get("Type", "Notification") == "Notification":
        return document["Message"], "Message"
    for name in (*_LISTS, *_BODIES):
        if name in document:
            return document[name], name
    if "Type" in document and "Message" in document:
        raise _unknown(where, "it is a message of SNS about itself: confirm the subscription")
    raise _unknown(where, "it has none of s3, detail-type, Records, Messages, Sns, Message, body")


def _document(payload: Any, where: str) -> Any:
    if not isinstance(payload, str | bytes | bytearray):
        return payload
    try:
        return json.loads(payload)
    except (ValueError, RecursionError):  # its text goes no further: whose it is, is not known
        message = f"{where} is not JSON. Nothing was done. Look at what was put there, and by whom."
        raise InvalidRecordError(message) from None


def _unknown(where: str, why: str) -> InvalidRecordError:
    return InvalidRecordError(f"{where} is no notification of S3: {why}. Nothing was done.")
