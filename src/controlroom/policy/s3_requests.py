"""What each request of a publication in S3 carries: conditions, metadata, checksums, the list of parts. Pure."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from controlroom.policy.multipart import combined_crc32, growing_part_bytes, part_bytes
from controlroom.policy.s3_metadata import etag_of, quoted, version_of
from controlroom.policy.s3_pieces import Piece, Publication, Published
from controlroom.policy.s3_truth import REPLACED

__all__ = ["Upload", "completion", "condition", "kept", "named", "part_length", "published", "sums"]


@dataclass(slots=True)
class Upload:
    """An upload under way, and the parts that were begun.

    Attributes:
        upload_id: The server's name of it.
        is_summed: Whether the server checks the whole by a CRC-32, too.
        parts: Of each part, in order: length and CRC-32.
        is_over: Whether it was completed or aborted.
    """

    upload_id: str
    is_summed: bool
    parts: list[tuple[int, int]] = field(default_factory=list)
    is_over: bool = False

    @property
    def size_bytes(self) -> int:
        """Of all parts."""
        return sum(size_bytes for size_bytes, _ in self.parts)

    @property
    def crc32(self) -> int:
        """Of all parts."""
        whole = 0
        for size_bytes, crc32 in self.parts:
            whole = combined_crc32(whole, crc32, size_bytes)
        return whole


def part_length(publication: Publication, number: int) -> int:
    """Return how large part *number* is."""
    wanted_bytes, ref = publication.part_size_bytes, publication.ref
    if publication.length_bytes is None:
        return growing_part_bytes(number, wanted_bytes, ref)
    return part_bytes(publication.length_bytes, wanted_bytes, ref)


def named(publication: Publication, upload: Upload) -> dict[str, Any]:
    """Return the parameters that name *upload*."""
    return {"Key": publication.key, "UploadId": upload.upload_id}


def kept(publication: Publication, **ours: str) -> dict[str, Any]:
    """Return the parameters that say what is kept with the content."""
    metadata = {**publication.kept["Metadata"], **ours}
    if publication.if_match is not None:
        metadata[REPLACED] = publication.if_match
    return {**publication.kept, "Metadata": metadata}


def condition(publication: Publication) -> dict[str, str]:
    """Return the parameters that make the call conditional (RFC 9110, section 13.1)."""
    if publication.if_match is not None:
        return {"IfMatch": quoted(publication.if_match)}
    return {"IfNoneMatch": "*"} if publication.if_absent else {}


def sums(publication: Publication, piece: Piece) -> dict[str, str]:
    """Return the parameters by which the server checks *piece*."""
    return {"ContentMD5": piece.md5} if publication.sums == "md5" else {"ChecksumCRC32": _base64(piece.crc32)}


def _base64(crc32: int) -> str:
    return b64encode(crc32.to_bytes(4, "big")).decode("ascii")


def completion(publication: Publication, upload: Upload, answers: list[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the parameters of CompleteMultipartUpload."""
    parts = [
        {"PartNumber": number, "ETag": answer["ETag"]}
        | ({} if publication.sums == "md5" else {"ChecksumCRC32": _base64(crc32)})
        for number, (answer, (_, crc32)) in enumerate(zip(answers, upload.parts, strict=True), 1)
    ]
    params = {**named(publication, upload), "MultipartUpload": {"Parts": parts}, **condition(publication)}
    if upload.is_summed:
        params |= {
            "ChecksumCRC32": _base64(upload.crc32),
            "ChecksumType": "FULL_OBJECT",
            "MpuObjectSize": upload.size_bytes,
        }
    return params


def published(answer: Mapping[str, Any], size_bytes: int, sha256: str) -> Published:
    """Return what the server *answer*s of an object so long, with that content."""
    return Published(size_bytes, sha256, etag_of(answer), version_of(answer))
