"""What is kept with an object besides its content, and an object as a store describes it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from controlroom.policy.s3_metadata import (
    CONTENT_TYPE_UNKNOWN,
    SHA256,
    WRITE_ID,
    content_type_of,
    decoded,
    encoded,
    etag_of,
    version_of,
)
from controlroom.storage.attributes import check_metadata
from controlroom.storage.objects import ObjectInfo

__all__ = ["described", "kept_with", "utc"]


def kept_with(
    metadata: Mapping[str, str] | None,
    content_type: str | None,
    *,
    write_id: str,
    sha256: str | None = None,
) -> dict[str, Any]:
    """Return the parameters of PutObject or CreateMultipartUpload that keep these with the content.

    Args:
        metadata: The texts that the caller gave.
        content_type: The media type that the caller gave.
        write_id: What tells this write from every other one.
        sha256: Of the content, in hexadecimal, where it is known before it is sent.

    Raises:
        ConfigError: They are no texts, or longer than 2 KiB together.
    """
    check_metadata(metadata, content_type)
    held = encoded(metadata or {}) | {WRITE_ID: write_id} | ({} if sha256 is None else {SHA256: sha256})
    return {"Metadata": held, "ContentType": content_type or CONTENT_TYPE_UNKNOWN}


def described(key: str, answer: Mapping[str, Any]) -> ObjectInfo:
    """Return the object *key* as HeadObject or GetObject describe it.

    The length is that of the whole object, also where *answer* is about a range of it.
    """
    total = str(answer.get("ContentRange") or "").rpartition("/")[2]
    size_bytes = int(total) if total.isdecimal() else int(answer.get("ContentLength") or 0)
    return ObjectInfo(
        key,
        size_bytes,
        utc(answer.get("LastModified")),
        etag_of(answer),
        version_of(answer),
        content_type_of(answer),
        decoded(answer.get("Metadata") or {}),
    )


def utc(stated: datetime | None) -> datetime:
    """Return when the content was written, aware UTC; the epoch where a server does not say."""
    return datetime.fromtimestamp(0, UTC) if stated is None else stated.astimezone(UTC)
