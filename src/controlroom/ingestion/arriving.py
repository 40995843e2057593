"""Which files notifications speak of. Pure: events in, keys of the store out.

A notification is a hint where to look, never the truth: it comes late, twice, or in any order. What counts is the object that
is there when somebody looks; so of all events of one key only the latest is followed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote, urlsplit

from controlroom.errors import ConfigError, UnsafePathError
from controlroom.ingestion import outcomes
from controlroom.storage import ObjectEvent
from controlroom.storage.paths import check_key

__all__ = ["Arrival", "arrivals"]

_LANDS: Final = ("created", "restored")
_FOLLOWED: Final = (*_LANDS, "deleted")
_BUCKET: Final = re.compile(r"(?!.*-s3alias$)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


@dataclass(frozen=True, slots=True)
class Arrival:
    """The latest that is told of one key; *key* is its name in the store."""

    key: str
    event: ObjectEvent

    @property
    def is_deletion(self) -> bool:
        """Whether the object went instead of coming."""
        return self.event.kind not in _LANDS


def arrivals(events: Iterable[ObjectEvent], store_url: str, landing: str) -> list[Arrival]:
    """Return the latest of what *events* tell of each file in *landing*, oldest first.

    Args:
        events: In any order.
        store_url: Where the files land: below an ``s3://`` URL keys of its bucket lose its prefix, elsewhere they are keys.
        landing: What else they tell of is passed over.

    Raises:
        ConfigError: An event is of another bucket than the store, or is none. Nothing was done.
    """
    latest: dict[str, Arrival] = {}
    for event in events:
        _require_event(event)
        key = _key_in(store_url, event)
        if key is None or not key.startswith(landing) or key == landing:
            outcomes.passed_over(event.key, event.kind, "it is not in landing")
        elif event.kind not in _FOLLOWED:
            outcomes.passed_over(event.key, event.kind, "it changed no content")
        elif not _is_possible(key):
            outcomes.passed_over(event.key, event.kind, "it names no file")
        elif key not in latest or not latest[key].event.later_than(event):
            latest[key] = Arrival(key, event)
    # Those without a time last; a stable sort keeps the order in which they came.
    return sorted(latest.values(), key=lambda one: (one.event.at is None, one.event.at and one.event.at.timestamp()))


def _require_event(event: object) -> None:
    if not isinstance(event, ObjectEvent):
        message = (
            f"A {type(event).__name__} is no event: accept() does not unwrap notifications. Nothing was done. Give"
            " parse_s3_events(message)."
        )
        raise ConfigError(message)


def _key_in(store_url: str, event: ObjectEvent) -> str | None:
    parts = urlsplit(store_url)
    if parts.scheme != "s3":
        return event.key
    # An access point or an alias goes by another name than the bucket that its events are of.
    if _BUCKET.fullmatch(parts.netloc) and parts.netloc != event.bucket:
        message = (
            f"An event is of the bucket {event.bucket}, the inbox of {parts.netloc}. Nothing was done, and nothing is to be"
            " acknowledged. Point the notification, or the inbox, at the other one."
        )
        raise ConfigError(message)
    path = parts.path.lstrip("/")
    if parts.netloc.startswith("arn:"):  # arn:aws:s3:eu-central-1:123456789012:accesspoint/NAME: the name is no prefix
        path = path.partition("/")[2]
    prefix = unquote(path)
    prefix = f"{prefix.rstrip('/')}/" if prefix else ""
    return event.key.removeprefix(prefix) if event.key.startswith(prefix) else None


def _is_possible(key: str) -> bool:
    """Tell whether a file can have *key*: the folders that the S3 console makes, say, are objects without a name."""
    try:
        check_key(key)
    except UnsafePathError:
        return False
    return True
