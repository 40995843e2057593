"""What a store says about an object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from controlroom.policy.durability import Durability

__all__ = ["ObjectInfo", "Receipt"]


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """One object as it was when the store was asked.

    Attributes:
        key: Its name in the store.
        size_bytes: Its length.
        modified_at: When its content was written, aware UTC.
        etag: Differs whenever the content does; the form is the store's own.
        version: The store's version id; None where there are no versions.
        content_type: As given when it was published; None unless asked by ``stat``.
        metadata: As given when it was published; empty unless asked by ``stat``.
    """

    key: str
    size_bytes: int
    modified_at: datetime
    etag: str
    version: str | None = None
    content_type: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class Receipt:
    """Proof of a publication.

    Attributes:
        ref: The URL of the object.
        size_bytes: Its length.
        sha256: Of the bytes that were published, 64 hexadecimal digits. Empty where a server copied an object by itself
            whose SHA-256 nobody had recorded.
        etag: As `ObjectInfo.etag`, of exactly this content.
        version: As `ObjectInfo.version`.
        durability: What was waited for on a local disk; None where the store decides.
    """

    ref: str
    size_bytes: int
    sha256: str
    etag: str
    version: str | None = None
    durability: Durability | None = None
