"""How an object of S3 is read as one version, however many requests that takes. Pure.

The first answer says which version it is. Everything asked for afterwards is a range of exactly that one: by ``If-Match``,
and by its id where the bucket has versions (there it can be read on although it was replaced). What comes back is believed
only where it says what was asked for.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from controlroom.errors import ChecksumMismatchError, FileOperationError, ObjectChangedError, StorageUnavailableError
from controlroom.policy.object_calls import Call
from controlroom.policy.s3_metadata import etag_of, quoted, sha256_of, version_of

__all__ = [
    "SLOWEST_BYTES_PER_S",
    "Pin",
    "Promise",
    "changed",
    "cut_short",
    "first",
    "mismatched",
    "pinned",
    "promised",
    "require_stretch",
    "stretch",
    "stretches",
    "too_slow",
]

SLOWEST_BYTES_PER_S: Final = 1024
"""A connection that gives less than this for as long as the read timeout is as good as dead."""

# What can be computed with the standard library, the cheapest first.
_SUMS: Final = (("ChecksumCRC32", "crc32"), ("ChecksumSHA256", "sha256"), ("ChecksumSHA1", "sha1"))


@dataclass(frozen=True, slots=True)
class Pin:
    """One version of one object.

    Attributes:
        key: Its name in the bucket.
        ref: What errors call it.
        etag: Without the quotes.
        size_bytes: Its length.
        version: Its id; None where the bucket has no versions.
    """

    key: str
    ref: str
    etag: str
    size_bytes: int
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Promise:
    """What the whole content has to add up to: *algorithm* ("crc32", "sha256", "sha1") gives *digest*."""

    algorithm: str
    digest: bytes


def first(key: str) -> Call:
    """Return the call for the present version of *key*, all of it: an object that is small takes one request."""
    return Call("GetObject", {"Key": key, "ChecksumMode": "ENABLED"})


def pinned(answer: Mapping[str, Any], key: str, ref: str) -> Pin:
    """Return which version *answer*, to `first`, is about.

    Raises:
        FileOperationError: It does not say how long that is, or is about a part of it.
    """
    size_bytes = answer.get("ContentLength")
    if not isinstance(size_bytes, int) or size_bytes < 0 or answer.get("ContentRange"):
        raise _nonsense(ref, f"{size_bytes!r} bytes, range {answer.get('ContentRange')!r}", "a whole object")
    return Pin(key, ref, etag_of(answer), size_bytes, version_of(answer))


def stretch(pin: Pin, start: int, end: int) -> Call:
    """Return the call for the bytes from *start* up to *end*, which is not among them.

    Raises:
        FileOperationError: The server gave no etag: nothing says that it would be the same object.
    """
    if not pin.etag:
        message = f"{pin.ref}: the server gave no etag, so its {pin.size_bytes} bytes cannot be asked for in parts. Nothing was changed."
        raise FileOperationError(message, ref=pin.ref)
    version = {} if pin.version is None else {"VersionId": pin.version}
    return Call(
        "GetObject",
        {"Key": pin.key, "Range": f"bytes={start}-{end - 1}", "IfMatch": quoted(pin.etag)} | version,
    )


def require_stretch(answer: Mapping[str, Any], pin: Pin, start: int, end: int) -> int:
    """Require that *answer*, to `stretch`, is what was asked for.

    Returns:
        How many bytes of it come before *start*: none, unless the server ignored the range and sent everything, as it may
        (RFC 9110 §14.2).

    Raises:
        ObjectChangedError: It is about another version: the server ignored the condition.
        FileOperationError: It is about another range, or of another length.
    """
    if etag_of(answer) != pin.etag:
        raise changed(pin, start)
    stated = (answer.get("ContentRange"), answer.get("ContentLength"))
    expected = (f"bytes {start}-{end - 1}/{pin.size_bytes}", end - start)
    if stated == (None, pin.size_bytes):
        return start
    if stated != expected:
        raise _nonsense(pin.ref, f"{stated[1]!r} bytes, range {stated[0]!r}", f"{expected[1]} bytes, {expected[0]}")
    return 0


def stretches(start: int, end: int, part_size_bytes: int) -> Iterator[tuple[int, int]]:
    """Yield pairs that together are the bytes from *start* up to *end*, none of more than *part_size_bytes*."""
    for at in range(start, end, part_size_bytes):
        yield at, min(end, at + part_size_bytes)


def promised(answer: Mapping[str, Any]) -> Promise | None:
    """Return what the content of *answer*, to `first`, has to add up to, if the server or the writer said; else None.

    A sum over the sums of parts says nothing of the content as a whole.
    """
    for name, algorithm in _SUMS:
        stated = str(answer.get(name) or "")
        if stated and "-" not in stated and answer.get("ChecksumType") != "COMPOSITE":
            try:
                return Promise(algorithm, b64decode(stated, validate=True))
            except ValueError:
                continue
    recorded = sha256_of(answer)
    return None if recorded is None else Promise("sha256", bytes.fromhex(recorded))


def changed(pin: Pin, at_bytes: int) -> ObjectChangedError:
    """Return the error for a version that is not there any more, when its bytes from *at_bytes* on were asked for."""
    message = (
        f"{pin.ref}: it was replaced or removed while it was read: the version with etag {pin.etag} is gone, after {at_bytes}"
        f" of its {pin.size_bytes} bytes. What was read so far is of that version. Read it again from its beginning."
    )
    return ObjectChangedError(message, ref=pin.ref)


def cut_short(pin: Pin, at_bytes: int) -> StorageUnavailableError:
    """Return the error for an answer that ended at *at_bytes*, too early."""
    message = (
        f"{pin.ref}: the answer ended after {at_bytes} of {pin.size_bytes} bytes. Nothing was changed. Reading on from there"
        " can help."
    )
    return StorageUnavailableError(message, ref=pin.ref)


def too_slow(pin: Pin, at_bytes: int, read_s: float) -> StorageUnavailableError:
    """Return the error for an answer that only trickles."""
    message = (
        f"{pin.ref}: less than {SLOWEST_BYTES_PER_S} bytes a second came for {read_s:g} s, at {at_bytes} of {pin.size_bytes}"
        " bytes. Nothing was changed. Reading on from there over another connection can help."
    )
    return StorageUnavailableError(message, ref=pin.ref)


def mismatched(pin: Pin, promise: Promise, actual: bytes) -> ChecksumMismatchError:
    """Return the error for content that does not add up to *promise*."""
    message = (
        f"{pin.ref}: its {pin.size_bytes} bytes give {promise.algorithm} {actual.hex()}, but {promise.digest.hex()} was"
        " promised for them. They were damaged, at rest or on their way; nothing was changed. Read it again; if that does"
        " not help, publish it again from its source."
    )
    return ChecksumMismatchError(message, expected=promise.digest.hex(), actual=actual.hex(), ref=pin.ref)


def _nonsense(ref: str, stated: str, asked: str) -> FileOperationError:
    message = (
        f"{ref}: asked for {asked}, the server answered with {stated}. Nothing of it was used. Something between here and"
        " there answers other questions than were asked."
    )
    return FileOperationError(message, ref=ref)
