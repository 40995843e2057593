"""What a copy in S3 is made of: the parameters that keep everything, and the facts that are compared. Pure.

What CopyObject does not keep by itself is stated: metadata, headers, storage class, encryption. Above 5 GB it takes parts,
and for those everything is stated anyway.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, Final, Literal

from controlroom.errors import ChecksumMismatchError, ObjectChangedError, ObjectExistsError, PublicationInDoubtError
from controlroom.policy.s3_metadata import (
    CONTENT_TYPE_UNKNOWN,
    COPIED_FROM,
    PAIRS,
    PREFIX,
    SHA256,
    WRITE_ID,
    etag_of,
    sha256_of,
    version_of,
    write_id_of,
)

__all__ = [
    "Answer",
    "Copied",
    "Copying",
    "Located",
    "condition",
    "copied_of",
    "copy_source",
    "identity",
    "in_doubt",
    "kept",
    "part",
    "part_ends",
    "require_same",
    "source_changed",
    "sums_of",
    "taken",
]

Answer = Mapping[str, Any]

_LONGEST_METADATA_BYTES: Final = 2048  # "Working with object metadata"
_LARGEST_SINGLE_BYTES: Final = 5 * 1024**3  # CopyObject: "up to 5 GB in size in a single atomic action"
_MOST_PARTS: Final = 10_000
_HEADERS: Final = (
    "CacheControl",
    "ContentDisposition",
    "ContentEncoding",
    "ContentLanguage",
    "Expires",
    "StorageClass",
    "WebsiteRedirectLocation",
)
_ENCRYPTION: Final = ("ServerSideEncryption", "SSEKMSKeyId", "BucketKeyEnabled")
_SUMS: Final = ("CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256")


@dataclass(frozen=True, slots=True)
class Located:
    """A key as the bucket has it, and what errors call it."""

    key: str
    ref: str


@dataclass(frozen=True, slots=True)
class Copying:
    """What is copied where.

    Attributes:
        bucket: Where both are.
        source: What.
        target: Where.
        write_id: What tells this call from every other one.
        if_absent: Only if there is no such object yet.
        tags: What becomes of tags.
        encryption: Parameters for what is written; empty to keep what the source has.
        single_bytes: What is longer is copied in parts.
        part_bytes: So long, where the source has no parts whose lengths could be kept.
    """

    bucket: str
    source: Located
    target: Located
    write_id: str
    if_absent: bool = False
    tags: Literal["copy", "drop", "fail"] = "copy"
    encryption: Mapping[str, Any] = field(default_factory=dict, hash=False)
    single_bytes: int = _LARGEST_SINGLE_BYTES
    part_bytes: int = 256 * 1024**2


@dataclass(frozen=True, slots=True)
class Copied:
    """What became of it.

    Attributes:
        etag: Of the copy.
        version: Of the copy; None where the bucket has no versions.
        size_bytes: Of both.
        sha256: Of the content, in hexadecimal; empty where nobody recorded it.
        is_own: Whether this call made it; else an earlier one did, whose work is taken over.
    """

    etag: str
    version: str | None
    size_bytes: int
    sha256: str
    is_own: bool = True


def copied_of(answer: Answer, *, sha256: str | None = None, is_own: bool = True) -> Copied:
    """Return what is known of the object that *answer* describes."""
    sha256 = sha256 or sha256_of(answer) or ""
    return Copied(etag_of(answer), version_of(answer), int(answer.get("ContentLength") or 0), sha256, is_own)


def kept(work: Copying, source: Answer) -> dict[str, Any]:
    """Return the parameters that give the copy what the source has besides its content, and our marks.

    Where the source's own metadata leaves no room for a mark, it goes without: then an outcome that the store did not
    answer stays in doubt.
    """
    found = {name: source[name] for name in _HEADERS if source.get(name)}
    found |= work.encryption or {name: source[name] for name in _ENCRYPTION if source.get(name)}
    metadata = {name: value for name, value in (source.get("Metadata") or {}).items() if not _is_about_the_write(name)}
    for name, value in ((WRITE_ID, work.write_id), (COPIED_FROM, identity(work, source))):
        marked = metadata | {name: value}
        if sum(len(text) for pair in marked.items() for text in pair) <= _LONGEST_METADATA_BYTES:
            metadata = marked
    return found | {"Metadata": metadata, "ContentType": source.get("ContentType") or CONTENT_TYPE_UNKNOWN}


def _is_about_the_write(name: str) -> bool:
    return name.lower().startswith(PREFIX) and name.lower() not in {SHA256, PAIRS}


def identity(work: Copying, source: Answer) -> str:
    """Return what tells this version of the source from every other object, 32 hexadecimal digits."""
    modified = source.get("LastModified")
    when = None if modified is None else modified.isoformat()
    known = (work.source.key, etag_of(source), version_of(source), write_id_of(source), when)
    return hashlib.sha256(repr(known).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def condition(work: Copying) -> dict[str, Any]:
    """Return the parameter of the request that makes the target visible."""
    return {"IfNoneMatch": "*"} if work.if_absent else {}


def copy_source(work: Copying, source: Answer) -> dict[str, Any]:
    """Return the parameter CopySource; as a dict, botocore percent-encodes it whatever the key."""
    version = version_of(source)
    return {"Bucket": work.bucket, "Key": work.source.key} | ({} if version is None else {"VersionId": version})


def part(number: int, answer: Answer) -> dict[str, Any]:
    """Return the entry of CompleteMultipartUpload for what UploadPartCopy answered."""
    result: Answer = answer["CopyPartResult"]
    sums = {name: result[name] for name in map("Checksum{}".format, _SUMS) if result.get(name)}
    return {"PartNumber": number, "ETag": result["ETag"]} | sums


def part_ends(size_bytes: int, lengths: Sequence[int], part_bytes: int) -> list[tuple[int, int]]:
    """Return where the parts of a copy begin and end.

    Args:
        size_bytes: Of the whole, more than zero.
        lengths: Of the source's parts; ignored where they do not add up.
        part_bytes: Of each part but the last, otherwise; longer where that would give more parts than S3 takes.
    """
    if sum(lengths) != size_bytes or 0 in lengths:
        length = max(part_bytes, math.ceil(size_bytes / _MOST_PARTS))
        lengths = [min(length, size_bytes - at) for at in range(0, size_bytes, length)]
    ends = list(accumulate(lengths))
    return list(zip([0, *ends], ends, strict=False))


def sums_of(source: Answer) -> tuple[str | None, str | None]:
    """Return the algorithm of the checksum that the server keeps of the source, and of which type it is."""
    for name in _SUMS:
        if stated := source.get(f"Checksum{name}"):
            return name, source.get("ChecksumType") or ("COMPOSITE" if "-" in stated else "FULL_OBJECT")
    return None, None


def require_same(work: Copying, source: Answer, target: Answer) -> None:
    """Require that the copy is as long as its source, and that checksums of one kind agree.

    Raises:
        ChecksumMismatchError: They do not.
    """
    names = ["ContentLength"]
    if source.get("ChecksumType") == target.get("ChecksumType"):
        names += map("Checksum{}".format, _SUMS)
    for name in names:
        expected, actual = source.get(name), target.get(name)
        if expected != actual and None not in {expected, actual}:
            message = (
                f"{work.target.ref}: the copy has {name} {actual}, its source {work.source.ref} {expected}. The copy is"
                " visible; the source was not touched. Remove the copy, and copy again."
            )
            raise ChecksumMismatchError(message, expected=str(expected), actual=str(actual), ref=work.target.ref)


def taken(what: Located) -> ObjectExistsError:
    """Return the error for a name that is taken."""
    message = f"{what.ref}: it exists already. Nothing was changed. Allow overwriting, or choose another name."
    return ObjectExistsError(message, ref=what.ref)


def source_changed(work: Copying) -> ObjectChangedError:
    """Return the error for a source that was replaced or removed before it was copied."""
    message = (
        f"{work.source.ref}: it was replaced or removed before it was copied to {work.target.ref}. Nothing was changed. Look"
        " at it again."
    )
    return ObjectChangedError(message, ref=work.source.ref)


def in_doubt(work: Copying) -> PublicationInDoubtError:
    """Return the error for a copy of which nobody knows whether it happened."""
    message = (
        f"{work.target.ref}: the store did not answer whether {work.source.ref} was copied there, and it is not there so far."
        " The source was not touched; the copy may still appear. Look whether the object has this write id; then copy again."
    )
    return PublicationInDoubtError(message, write_id=work.write_id, ref=work.target.ref)
