"""What a publication in S3 is, and the steps that it takes: values. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from controlroom.policy.object_calls import Call
from controlroom.policy.s3_probing import Capability

__all__ = [
    "AbortUpload",
    "Ask",
    "Begin",
    "BeginUpload",
    "CheckSource",
    "ForgetUpload",
    "Gather",
    "NoteUpload",
    "Piece",
    "Publication",
    "Published",
    "ReadPiece",
    "Rewind",
    "Step",
    "StopParts",
    "Sums",
]

Sums = Literal["crc32", "md5"]
"""What the server is sent to check each piece by. CRC-32s of parts make that of the whole, too; MD5 is what every server knows."""


@dataclass(frozen=True, slots=True)
class Publication:
    """What shall be published, and how.

    Attributes:
        key: Its name in the bucket.
        ref: Its URL, for errors.
        write_id: What tells this write from every other one.
        kept: Parameters that say what is kept with the content: "Metadata" (with the write id), "ContentType", "Tagging" and
            those of encryption.
        part_size_bytes: What is longer goes in parts.
        length_bytes: Of the source; None where nobody knows.
        sums: How the server checks what it gets.
        if_absent: Only if there is no such object yet.
        if_match: Only if the present object still has this etag.
    """

    key: str
    ref: str
    write_id: str
    kept: Mapping[str, Any] = field(hash=False)
    part_size_bytes: int
    length_bytes: int | None = None
    sums: Sums = "crc32"
    if_absent: bool = False
    if_match: str | None = None


@dataclass(frozen=True, slots=True)
class Published:
    """What a publication came to; the fields of a receipt."""

    size_bytes: int
    sha256: str
    etag: str
    version: str | None


@dataclass(frozen=True, slots=True, repr=False)
class Piece:
    """A piece of the source, in memory.

    Attributes:
        body: Its bytes, as the library that sends them takes them.
        size_bytes: Its length.
        crc32: Of it.
        sha256: Of the source up to its end, in hexadecimal, where this is the last piece.
        md5: Of it, in base64, where it was asked for.
        is_last: Whether nothing follows.
    """

    body: Any
    size_bytes: int
    crc32: int
    sha256: str = ""
    md5: str = ""
    is_last: bool = True


@dataclass(frozen=True, slots=True)
class Ask:
    """Find out whether the server does what *capability* says. Answers True or False."""

    capability: Capability


@dataclass(frozen=True, slots=True)
class ReadPiece:
    """Read the next *size_bytes* of the source, or what is left of it. Answers a `Piece`."""

    size_bytes: int


@dataclass(frozen=True, slots=True)
class Rewind:
    """Go back to the beginning of the source. Answers whether that is possible; if not, nothing is done."""


@dataclass(frozen=True, slots=True)
class CheckSource:
    """Require that the source is still what it was when it was opened."""


@dataclass(frozen=True, slots=True)
class Begin:
    """Begin a call, and do not wait for its end; wait until there is room for it. What failed meanwhile goes up here."""

    call: Call


@dataclass(frozen=True, slots=True)
class Gather:
    """Wait for every call that was begun. Answers their answers, in order."""


@dataclass(frozen=True, slots=True)
class StopParts:
    """Stop every call that was begun, and wait until none is under way. Performing it again does nothing."""


@dataclass(frozen=True, slots=True)
class BeginUpload:
    """Perform *call*, which begins an upload that only its answer names. A cancellation is held back until the next step."""

    call: Call


@dataclass(frozen=True, slots=True)
class NoteUpload:
    """Note, durably, that this upload is under way and whose it is."""

    key: str
    upload_id: str


@dataclass(frozen=True, slots=True)
class ForgetUpload:
    """The upload is over: strike it off. Performing it again does nothing."""

    upload_id: str


@dataclass(frozen=True, slots=True)
class AbortUpload:
    """Perform *call*, which puts things in order: also after the deadline, and to its end although cancelled."""

    upload_id: str
    call: Call


Step = (
    Call
    | Ask
    | ReadPiece
    | Rewind
    | CheckSource
    | Begin
    | Gather
    | StopParts
    | BeginUpload
    | NoteUpload
    | ForgetUpload
    | AbortUpload
)
