"""What happened to an object of S3: identity, kind and order as data. Pure: documents in, values out.

* A notification's key is form-encoded, EventBridge's is not; each is decoded exactly once, or ``a+b`` becomes ``a b``.
* Sequencers are hexadecimal texts of different lengths, comparable for one key only: "first right pad the shorter value
  with zeros and then do lexicographical comparison" (S3 User Guide, *Event message structure*). Case means nothing.
* Tagging, ACL and lifecycle events have no sequencer: their order is not known.
* Versions with the same major number only ever add fields (same page), so that 2.1 to 2.6, and later ones, read alike.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal, TypeVar
from urllib.parse import unquote_plus

from controlroom.errors import InvalidRecordError

__all__ = ["EventKind", "ObjectEvent", "bridged_event", "notified_event"]

EventKind = Literal["created", "deleted", "restored", "tagged", "acl", "other"]
"""What happened; "restored" is an archived object that can be read now, "other" what changes no content."""

T = TypeVar("T")

_MAJOR_VERSION: Final = "2"
_KINDS: Final[tuple[tuple[str, EventKind], ...]] = (
    ("ObjectCreated:", "created"),
    ("ObjectRemoved:", "deleted"),
    ("LifecycleExpiration:", "deleted"),
    ("ObjectRestore:Completed", "restored"),
    ("ObjectTagging:", "tagged"),
    ("ObjectAcl:", "acl"),
)
_BRIDGED_KINDS: Final[dict[str, EventKind]] = {
    "Object Created": "created",
    "Object Deleted": "deleted",
    "Object Restore Completed": "restored",
    "Object Tags Added": "tagged",
    "Object Tags Deleted": "tagged",
    "Object ACL Updated": "acl",
}
_HEXADECIMAL: Final = re.compile(r"[0-9a-fA-F]+")


@dataclass(frozen=True, slots=True)
class ObjectEvent:
    """One thing that happened to one object, as a notification told it: some time ago, perhaps twice, in any order.

    Attributes:
        kind: What happened, in one word.
        event_name: The same in the words of the sender: "ObjectCreated:Put", or "Object Created" of EventBridge.
        bucket: Its bucket.
        key: Its key, decoded.
        version: Its version id; None where the bucket keeps no versions.
        sequencer: Orders the events of this key; None where the sender gives none.
        size_bytes: Its length; None where it is not told, as of deletions.
        etag: Its etag, without quotes; None where it is not told.
        at: When it happened, aware UTC; None where it is not told.
        region: Where the bucket is; None where it is not told.
    """

    kind: EventKind
    event_name: str
    bucket: str
    key: str
    version: str | None = None
    sequencer: str | None = None
    size_bytes: int | None = None
    etag: str | None = None
    at: datetime | None = None
    region: str | None = None

    @property
    def order(self) -> str | None:
        """The sequencer in a form that sorts as text: later is greater. Only for events of one key; None: not known."""
        # Padding the shorter one with zeros and comparing is comparing without the zeros at the end.
        return None if self.sequencer is None else self.sequencer.upper().rstrip("0")

    @property
    def dedupe_key(self) -> str:
        """A name of this event, 64 hexadecimal digits: the same of every copy of it, in any envelope."""
        identity: list[str | None] = [self.bucket, self.key, self.version, self.order]
        if self.order is None:
            identity += [self.event_name, None if self.at is None else self.at.isoformat()]
        return hashlib.sha256(json.dumps(identity).encode()).hexdigest()

    def later_than(self, other: ObjectEvent) -> bool:
        """Tell whether this event of a key came after *other*, of the same key; False where that is not known."""
        same_object = (self.bucket, self.key) == (other.bucket, other.key)
        mine, others = self.order, other.order
        return same_object and mine is not None and others is not None and mine > others


def notified_event(record: Mapping[str, Any], where: str) -> ObjectEvent:
    """Read one record of a notification, as S3 sends it to SQS, SNS and Lambda.

    Args:
        record: With "eventName" and "s3".
        where: What errors call it.

    Raises:
        InvalidRecordError: Something is missing or of another type; its value is not told.
    """
    version = _field(record, "eventVersion", str, where, optional=True)
    if version is not None and version.partition(".")[0] != _MAJOR_VERSION:
        message = f"{where}.eventVersion: {_shown(version)} is not known, only {_MAJOR_VERSION}.x is. Nothing was done."
        raise InvalidRecordError(message)
    told = _needed(record, "s3", dict, where)
    described = _needed(told, "object", dict, f"{where}.s3")
    at_object = f"{where}.s3.object"
    name = _needed(record, "eventName", str, where).removeprefix("s3:")
    return ObjectEvent(
        kind=next((kind for beginning, kind in _KINDS if name.startswith(beginning)), "other"),
        event_name=name,
        bucket=_needed(_needed(told, "bucket", dict, f"{where}.s3"), "name", str, f"{where}.s3.bucket"),
        key=_decoded(_needed(described, "key", str, at_object), f"{at_object}.key"),
        version=_field(described, "versionId", str, at_object, optional=True) or None,
        sequencer=_sequencer(described, at_object),
        size_bytes=_size(described, at_object),
        etag=_field(described, "eTag", str, at_object, optional=True) or None,
        at=_instant(record, "eventTime", where),
        region=_field(record, "awsRegion", str, where, optional=True) or None,
    )


def bridged_event(document: Mapping[str, Any], where: str) -> ObjectEvent:
    """Read one event of EventBridge, whose key is as it is; arguments and errors are those of `notified_event`."""
    detail = _needed(document, "detail", dict, where)
    described = _needed(detail, "object", dict, f"{where}.detail")
    at_object = f"{where}.detail.object"
    name = _needed(document, "detail-type", str, where)
    return ObjectEvent(
        kind=_BRIDGED_KINDS.get(name, "other"),
        event_name=name,
        bucket=_needed(_needed(detail, "bucket", dict, f"{where}.detail"), "name", str, f"{where}.detail.bucket"),
        key=_encodable(_needed(described, "key", str, at_object), f"{at_object}.key"),
        version=_field(described, "version-id", str, at_object, optional=True) or None,
        sequencer=_sequencer(described, at_object),
        size_bytes=_size(described, at_object),
        etag=_field(described, "etag", str, at_object, optional=True) or None,
        at=_instant(document, "time", where),
        region=_field(document, "region", str, where, optional=True) or None,
    )


def _needed(document: Mapping[str, Any], name: str, kind: type[T], where: str) -> T:
    value = _field(document, name, kind, where)
    if value is None or value == "":
        message = f"{where}.{name} is {'missing' if value is None else 'empty'}. Nothing was done."
        raise InvalidRecordError(message)
    return value


def _field(document: Mapping[str, Any], name: str, kind: type[T], where: str, *, optional: bool = False) -> T | None:
    value = document.get(name)
    if value is None and (optional or name not in document):
        return None
    if not isinstance(value, kind) or isinstance(value, bool):
        message = f"{where}.{name} is of type {type(value).__name__}, not {kind.__name__}. Nothing was done."
        raise InvalidRecordError(message)
    return value


def _decoded(encoded: str, where: str) -> str:
    try:
        return _encodable(unquote_plus(encoded, errors="strict"), where)
    except UnicodeDecodeError as error:
        message = f"{where} is not the form of a UTF-8 text ({error.reason}). Nothing was done."
        raise InvalidRecordError(message) from None


def _encodable(key: str, where: str) -> str:
    try:
        key.encode()
    except UnicodeEncodeError:
        message = f"{where} holds half a surrogate pair: no key has that. Nothing was done."
        raise InvalidRecordError(message) from None
    return key


def _sequencer(described: Mapping[str, Any], where: str) -> str | None:
    text = _field(described, "sequencer", str, where, optional=True)
    if text and not _HEXADECIMAL.fullmatch(text):
        message = f"{where}.sequencer is not hexadecimal, so that it orders nothing. Nothing was done."
        raise InvalidRecordError(message)
    return text or None


def _size(described: Mapping[str, Any], where: str) -> int | None:
    size_bytes = _field(described, "size", int, where, optional=True)
    if size_bytes is not None and size_bytes < 0:
        message = f"{where}.size is less than zero. Nothing was done."
        raise InvalidRecordError(message)
    return size_bytes


def _instant(document: Mapping[str, Any], name: str, where: str) -> datetime | None:
    text = _field(document, name, str, where, optional=True)
    if not text:
        return None
    try:
        instant = datetime.fromisoformat(text)
        return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    except (ValueError, OverflowError):
        message = f"{where}.{name} is no instant in the form of ISO 8601. Nothing was done."
        raise InvalidRecordError(message) from None


def _shown(version: str) -> str:
    return version if re.fullmatch(r"[0-9.]{1,16}", version) else "that"
