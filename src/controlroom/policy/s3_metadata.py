"""How texts are kept with an object of S3, and what is known of an object from an answer about it. Pure.

User metadata travels in HTTP headers: their names lose their case, their values are ASCII and lose the blanks round them.
What a header cannot carry is encoded: a value as in RFC 2047, which S3 itself answers with for such values, and pairs whose
name is no lower-case token together in one entry of our own. Names that begin with ``controlroom-`` are ours.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode
from collections.abc import Mapping
from email.errors import HeaderParseError
from email.header import decode_header
from typing import Any, Final

__all__ = [
    "CONTENT_TYPE_UNKNOWN",
    "COPIED_FROM",
    "PAIRS",
    "PREFIX",
    "SHA256",
    "WRITE_ID",
    "content_type_of",
    "copied_from",
    "decoded",
    "encoded",
    "etag_of",
    "quoted",
    "sha256_of",
    "version_of",
    "write_id_of",
]

PREFIX: Final = "controlroom-"
"""Of the names of metadata that are ours, hidden from users."""

WRITE_ID: Final = f"{PREFIX}write-id"
"""Holds what tells one write from every other one."""

SHA256: Final = f"{PREFIX}sha256"
"""Holds the SHA-256 of the content in hexadecimal, where it was known before the content was sent."""

COPIED_FROM: Final = f"{PREFIX}copied-from"
"""Holds which version of which object this is a copy of."""

CONTENT_TYPE_UNKNOWN: Final = "binary/octet-stream"
"""What S3 says of an object that was given no content type; sent by us, so that every server says it."""

PAIRS: Final = f"{PREFIX}metadata"
"""Holds the metadata whose names no header carries."""

_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?")
_VALUE: Final = re.compile(r"[!-~](?:[ -~]*[!-~])?")
_ENCODED_WORDS: Final = re.compile(r"=\?[^?\s]+\?[bBqQ]\?[^?]*\?=(?:\s+=\?[^?\s]+\?[bBqQ]\?[^?]*\?=)*")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


def encoded(metadata: Mapping[str, str]) -> dict[str, str]:
    """Return *metadata* as headers can carry it; `decoded` gives it back."""
    plain = {name: value for name, value in metadata.items() if _is_plain(name)}
    others = {name: value for name, value in metadata.items() if not _is_plain(name)}
    held = {name: _in_a_header(value) for name, value in plain.items()}
    if others:
        held[PAIRS] = b64encode(json.dumps(others).encode()).decode("ascii")
    return held


def decoded(held: Mapping[str, str]) -> dict[str, str]:
    """Return the metadata that users gave, as `encoded` or anybody else wrote it."""
    found = {name.lower(): value for name, value in held.items()}
    plain = {name: _out_of_a_header(value) for name, value in found.items() if not name.startswith(PREFIX)}
    return plain | _pairs(found.get(PAIRS, ""))


def _is_plain(name: str) -> bool:
    return _NAME.fullmatch(name) is not None and not name.startswith(PREFIX)


def _in_a_header(value: str) -> str:
    if _VALUE.fullmatch(value) and "  " not in value and "=?" not in value:
        return value
    return f"=?UTF-8?B?{b64encode(value.encode('utf-8', 'surrogatepass')).decode('ascii')}?="


def _out_of_a_header(value: str) -> str:
    if not _ENCODED_WORDS.fullmatch(value):
        return value
    try:
        parts = decode_header(value)
        return "".join(
            part if isinstance(part, str) else part.decode(charset or "ascii", _on_error(charset))
            for part, charset in parts
        )
    except (HeaderParseError, LookupError, UnicodeError):  # somebody else's: shown as it is
        return value


def _on_error(charset: str | None) -> str:
    return "surrogatepass" if (charset or "").lower() == "utf-8" else "strict"


def _pairs(raw: str) -> dict[str, str]:
    try:
        pairs = json.loads(b64decode(raw, validate=True))
    except ValueError:
        return {}
    return {str(name): str(value) for name, value in pairs.items()} if isinstance(pairs, dict) else {}


def etag_of(answer: Mapping[str, Any]) -> str:
    """Return the etag of *answer* without the quotes round it, as receipts and infos have it; empty if it has none."""
    return str(answer.get("ETag") or "").strip('"')


def quoted(etag: str) -> str:
    """Return *etag* as a condition carries it (RFC 9110, section 8.8.3)."""
    return f'"{etag}"'


def version_of(answer: Mapping[str, Any]) -> str | None:
    """Return the version id of *answer*; None where the bucket has no versions ("null" is what S3 calls that)."""
    version = answer.get("VersionId")
    return None if version in {None, "", "null"} else str(version)


def content_type_of(answer: Mapping[str, Any]) -> str | None:
    """Return the content type that *answer* states; None if nobody gave one."""
    stated = answer.get("ContentType")
    return str(stated) if stated and stated != CONTENT_TYPE_UNKNOWN else None


def write_id_of(answer: Mapping[str, Any]) -> str | None:
    """Return which write made the object of *answer*; None if it was none of ours."""
    return _ours(answer, WRITE_ID)


def copied_from(answer: Mapping[str, Any]) -> str | None:
    """Return which version of which object the object of *answer* is a copy of; None if it is none of ours."""
    return _ours(answer, COPIED_FROM)


def sha256_of(answer: Mapping[str, Any]) -> str | None:
    """Return the SHA-256 of the content, in hexadecimal, where its writer or the server recorded it."""
    recorded = _ours(answer, SHA256)
    if recorded is not None and _SHA256.fullmatch(recorded):
        return recorded
    checksum = str(answer.get("ChecksumSHA256") or "")
    if answer.get("ChecksumType") == "COMPOSITE" or "-" in checksum:  # of the parts' sums, and not of the content
        return None
    try:
        raw = b64decode(checksum, validate=True).hex()
    except ValueError:
        return None
    return raw if _SHA256.fullmatch(raw) else None


def _ours(answer: Mapping[str, Any], name: str) -> str | None:
    for key, value in (answer.get("Metadata") or {}).items():
        if key.lower() == name:
            return str(value)
    return None
