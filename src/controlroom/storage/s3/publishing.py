"""What both colours have in common where an object is published: the publication as a value, and its receipt."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any, Final, TypedDict
from urllib.parse import urlencode

from controlroom.errors import ConfigError
from controlroom.logs import get_logger
from controlroom.policy.object_calls import Call
from controlroom.policy.s3_pieces import AbortUpload, Publication, Published, Sums
from controlroom.storage.conditions import require_one_condition, require_time
from controlroom.storage.objects import Receipt
from controlroom.storage.s3.encryption import encrypted_by
from controlroom.storage.s3.journal import NotedUpload, UploadsJournal
from controlroom.storage.s3.metadata import kept_with
from controlroom.storage.s3.options import S3Options
from controlroom.storage.s3.reach import Reach
from controlroom.storage.s3_keys import S3Place

__all__ = [
    "ABORT_WITHIN_S",
    "Asked",
    "body_bytes",
    "has_room",
    "journal_of",
    "noted",
    "receipt",
    "requested",
    "sums_of",
    "told_of_orphan",
]

ABORT_WITHIN_S: Final = 30.0
"""How long putting in order may take, after the deadline and after a cancellation, too."""

_log = get_logger(__name__)


class Asked(TypedDict, total=False):
    """What may be asked of a publication; see `S3Store.publish`."""

    if_absent: bool
    if_match: str | None
    metadata: Mapping[str, str] | None
    content_type: str | None
    tags: Mapping[str, str] | None


def requested(
    reach: Reach,
    key: str,
    *,
    if_absent: bool = False,
    if_match: str | None = None,
    metadata: Mapping[str, str] | None = None,
    content_type: str | None = None,
    tags: Mapping[str, str] | None = None,
    length_bytes: int | None = None,
) -> Publication:
    """Return what shall be published under *key*, and how.

    Raises:
        UnsafePathError: *key* cannot be a key.
        ConfigError: The conditions exclude each other, or metadata, content type or tags are not possible.
        DeadlineExceededError: The ambient deadline has passed.
    """
    require_one_condition(if_absent=if_absent, if_match=if_match)
    place, options = reach.place, reach.options
    full_key, ref, write_id = place.full_key(key), place.ref(key), secrets.token_hex(16)
    require_time(f"publishing {ref}")
    kept = kept_with(metadata, content_type, write_id=write_id) | encrypted_by(options.encryption) | _tagged(tags)
    return Publication(
        full_key,
        ref,
        write_id,
        kept,
        options.part_size_bytes,
        length_bytes,
        sums_of(options),
        if_absent=if_absent,
        if_match=if_match,
    )


def sums_of(options: S3Options) -> Sums:
    """Return what the server checks pieces by."""
    return "md5" if options.checksums == "when_required" else "crc32"


def _tagged(tags: Mapping[str, str] | None) -> dict[str, str]:
    if not tags:
        return {}
    if not all(isinstance(text, str) for pair in tags.items() for text in pair):
        message = f"tags are texts: {tags!r}. Nothing was written."
        raise ConfigError(message)
    return {"Tagging": urlencode(tags)}


def receipt(publication: Publication, published: Published) -> Receipt:
    """Return the proof of a publication, and tell the log of it."""
    proof = Receipt(publication.ref, published.size_bytes, published.sha256, published.etag, published.version)
    _log.debug("file_published", ref=proof.ref, size_bytes=proof.size_bytes, sha256=proof.sha256)
    return proof


def journal_of(options: S3Options) -> UploadsJournal | None:
    """Return where uploads are noted, if anywhere."""
    return None if options.uploads_journal is None else UploadsJournal(options.uploads_journal)


def noted(place: S3Place, options: S3Options, key: str, upload_id: str) -> NotedUpload:
    """Return what the journal says of an upload of *key*, which is its name in the bucket."""
    return NotedUpload(place.bucket, options.endpoint_url, key, upload_id)


def body_bytes(call: Call) -> int:
    """Return how long what *call* sends is."""
    return len(call.params["Body"])


def has_room(under_way: Mapping[Any, int], size_bytes: int, options: S3Options) -> bool:
    """Tell whether a call that sends *size_bytes* may begin beside those that are under way.

    So many calls, and no more bytes than as many parts of the usual size; one alone always may.
    """
    if not under_way:
        return True
    fits = sum(under_way.values()) + size_bytes <= options.parallel * options.part_size_bytes
    return fits and len(under_way) < options.parallel


def told_of_orphan(ref: str, step: AbortUpload, error: BaseException) -> None:
    """Tell the log that an upload could not be aborted."""
    _log.warning("upload_left_behind", ref=ref, upload_id=step.upload_id, reason=type(error).__name__)
