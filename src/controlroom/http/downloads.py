"""A download that goes on where it broke off: what came, what to ask for next, and whether the answer belongs to it.

A range is asked for only with a strong validator in If-Range (RFC 9110 §13.1.5): without one, the bytes behind could be
another content's. What answers is judged by its Content-Range; whatever does not fit begins again from the first byte.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from controlroom.clock import monotonic_s
from controlroom.errors import APIConnectionError, APIContractError, APIStatusError, ChecksumMismatchError, ConfigError
from controlroom.http.body import BodySink
from controlroom.http.calls import Call
from controlroom.http.decoding import UndecodableError
from controlroom.http.messages import Headers, Response
from controlroom.logs import get_logger
from controlroom.redaction import redact_text

if TYPE_CHECKING:
    from controlroom.storage import Receipt

__all__ = ["START_AGAIN", "Download", "DownloadSink", "Piece", "log_download"]

_log = get_logger(__name__)

START_AGAIN: Final = None
"""Stands between pieces: what was written so far belongs to another content, and is to be forgotten."""

Piece = bytes | None

_OK: Final = 200
_PARTIAL: Final = 206
_UNSATISFIABLE: Final = 416
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)", re.ASCII | re.IGNORECASE)
_LENGTH = re.compile(r"\d{1,18}", re.ASCII)
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
# W/"…" says: equal in meaning, not in bytes. Beyond ASCII nobody knows how to send it back.
_STRONG_ETAG = re.compile(r'"[\x21\x23-\x7e]*"')
# RFC 9530; its predecessor RFC 3230 wrote the same without colons.
_DIGEST = re.compile(r"\bsha-256=:?([A-Za-z0-9+/]{43}=)", re.IGNORECASE)


@dataclass(slots=True)
class Download:
    """The state of one download, over all of its tries.

    Args:
        call: The request for the whole.
        max_bytes: The most that is let in; None: whatever comes.
        sha256: What the content has to have, in hexadecimal; None: unknown.

    Raises:
        ConfigError: *sha256* is none, or *max_bytes* lets nothing in.
    """

    call: Call
    max_bytes: int | None = None
    sha256: str | None = None
    received_bytes: int = 0
    total_bytes: int | None = None
    validator: str | None = None
    promised: str | None = None
    resumed: int = 0
    has_proof: bool = False
    _digest: Any = field(default_factory=hashlib.sha256, repr=False)

    def __post_init__(self) -> None:
        """Refuse what no content could fulfil."""
        if self.sha256 is not None and not _SHA256.fullmatch(self.sha256):
            message = f"sha256={self.sha256!r} is no SHA-256 in hexadecimal."
            raise ConfigError(message)
        if self.max_bytes is not None and self.max_bytes < 1:
            message = f"max_bytes={self.max_bytes} would let nothing in."
            raise ConfigError(message)

    @property
    def is_complete(self) -> bool:
        """Whether all bytes are here: the connection may have broken behind the last one."""
        return self.total_bytes is not None and self.received_bytes == self.total_bytes

    def next_call(self) -> Call:
        """Return the request for what is missing."""
        headers = Headers({**self.call.headers, "Accept-Encoding": "identity"})
        if self.received_bytes and self.validator is None:
            self.forget()
        if self.received_bytes and self.validator is not None:
            headers["Range"] = f"bytes={self.received_bytes}-"
            headers["If-Range"] = self.validator
        return replace(self.call, headers=headers)

    def forget(self) -> None:
        """Begin again."""
        self.received_bytes, self.total_bytes, self.validator, self.promised = 0, None, None, None
        self._digest = hashlib.sha256()

    def take(self, piece: bytes) -> None:
        """Count a piece in.

        Raises:
            APIContractError: It is more than was agreed.
        """
        self.received_bytes += len(piece)
        self._digest.update(piece)
        if self.max_bytes is not None and self.received_bytes > self.max_bytes:
            why = f"is longer than max_bytes={self.max_bytes}"
            raise self.broken(why)
        if self.total_bytes is not None and self.received_bytes > self.total_bytes:
            why = f"is longer than the {self.total_bytes} bytes that it announced"
            raise self.broken(why)

    def require_content(self, response: Response) -> None:
        """Refuse an answer without a content.

        Raises:
            APIContractError: Its status is 204, or another that is neither an error nor a content.
        """
        if response.status_code not in {_OK, _PARTIAL}:
            why = f"is missing: the answer was {response.status_code}"
            raise self.broken(why)

    def verify(self) -> None:
        """Judge the whole.

        Raises:
            ChecksumMismatchError: It is not what was promised.
        """
        actual = self._digest.hexdigest()
        for who, expected in (("you", self.sha256), ("the server", self.promised)):
            if expected is not None and expected.lower() != actual:
                message = (
                    f"{self.call.what}: the content has the SHA-256 {actual}, where {who} promised {expected.lower()}. "
                    f"Nothing was published."
                )
                raise ChecksumMismatchError(message, expected=expected.lower(), actual=actual, ref=self.call.url)

    @contextmanager
    def past_the_end_begins_again(self) -> Iterator[None]:
        """Let a range that does not fit any more be repeated as a request for the whole."""
        try:
            yield
        except APIStatusError as error:
            if error.status_code != _UNSATISFIABLE or not self.received_bytes:
                raise
            why = "the server has nothing behind it"
            raise self.does_not_fit(why) from error

    def does_not_fit(self, why: str) -> APIConnectionError:
        """Begin again, and return the error that says so."""
        message = (
            f"{self.call.what}: what came before cannot be continued ({why}). It begins again from the first byte."
        )
        self.forget()
        return APIConnectionError(message, sent="yes", method=self.call.method, url=self.call.url)

    def broken(self, what: str) -> APIContractError:
        """Return the error for an answer that is not what was agreed."""
        message = f"{self.call.what}: the content {what}. Nothing was published."
        return APIContractError(message, method=self.call.method, url=self.call.url)


class DownloadSink(BodySink):
    """Takes one answer, and hands its content on piece by piece."""

    def __init__(
        self,
        call: Call,
        url: str,
        limit_bytes: int,
        *,
        download: Download,
        emit: Callable[[Piece], object],
        settle: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        super().__init__(call, url, limit_bytes)
        self._download = download
        self._emit = emit
        self._settle = settle
        self._is_content = False

    def begin(self, status_code: int, headers: Iterable[tuple[str, str]]) -> None:
        """Take the head of the answer, and judge whether it goes on where the last one broke off.

        Raises:
            APIConnectionError: It does not; the next try begins again.
            APIContractError: It is no content at all.
        """
        fields = Headers(headers)
        self._is_content = status_code in {_OK, _PARTIAL}
        if not self._is_content:
            super().begin(status_code, fields.items())
            return
        length = fields.pop("content-length", "").strip()
        super().begin(status_code, fields.items())
        announced = int(length) if _LENGTH.fullmatch(length) and self._inflater is None else None
        if status_code == _PARTIAL:
            self._go_on(fields)
        else:
            self._begin_anew(fields, announced)
        if self._download.max_bytes is not None and (self._download.total_bytes or 0) > self._download.max_bytes:
            why = f"is longer than max_bytes={self._download.max_bytes}"
            raise self._download.broken(why)

    def feed(self, piece: bytes) -> bool:
        """Take a piece of the body; see `BodySink.feed`."""
        if not self._is_content:
            return super().feed(piece)
        self._require_time()
        try:
            for part in [piece] if self._inflater is None else self._inflater.unpacked(piece):
                self._download.take(part)
                self._emit(part)
        except UndecodableError as error:
            why = f"cannot be decompressed ({error})"
            raise self._download.broken(why) from error
        return True

    async def settle(self) -> None:
        """Wait until what was fed is written."""
        if self._settle is not None:
            await self._settle()

    def end(self) -> None:
        """Judge the length.

        Raises:
            APIConnectionError: There should be more.
        """
        super().end()
        total_bytes = self._download.total_bytes
        if self._is_content and total_bytes is not None and self._download.received_bytes < total_bytes:
            message = f"{self._call.what}: the content was cut short after {self._download.received_bytes} of {total_bytes} bytes."
            raise APIConnectionError(message, sent="yes", method=self._call.method, url=self._url)

    def _begin_anew(self, fields: Headers, announced_bytes: int | None) -> None:
        """The whole comes: the first time, or since the content has changed under us."""
        self._download.forget()
        self._emit(START_AGAIN)
        self._download.total_bytes = announced_bytes
        self._remember(fields)
        is_framed = "chunked" in fields.get("transfer-encoding", "").lower() or self._inflater is not None
        # A body that ends when the connection does ends whenever the connection does (RFC 9112 section 8).
        self._download.has_proof = announced_bytes is not None or is_framed or self._download.promised is not None

    def _go_on(self, fields: Headers) -> None:
        download = self._download
        stated = _CONTENT_RANGE.fullmatch(fields.get("content-range", "").strip())
        if stated is None or self._inflater is not None or "Range" not in self._call.headers:
            why = "the answer is not one range of bytes"
            raise download.does_not_fit(why)
        total_bytes = None if stated[3] == "*" else int(stated[3])
        if int(stated[1]) != download.received_bytes or total_bytes not in {None, download.total_bytes or total_bytes}:
            why = f"it answers with {stated[0]}"
            raise download.does_not_fit(why)
        if total_bytes is None and download.total_bytes is None:  # a part may be shorter than what was asked for
            why = "nobody says where it ends"
            raise download.does_not_fit(why)
        if fields.get("etag", download.validator) != download.validator:
            why = "the content is another one by now"
            raise download.does_not_fit(why)
        download.total_bytes = total_bytes if total_bytes is not None else download.total_bytes
        download.resumed += 1

    def _remember(self, fields: Headers) -> None:
        etag = fields.get("etag", "").strip()
        takes_ranges = fields.get("accept-ranges", "bytes").strip().lower() == "bytes"
        is_strong = _STRONG_ETAG.fullmatch(etag) is not None
        self._download.validator = etag if is_strong and takes_ranges and self._inflater is None else None
        self._download.promised = None if self._inflater is not None else _promised(fields)


def log_download(download: Download, receipt: Receipt, began_s: float) -> None:
    """Say that a download is there."""
    _log.info(
        "file_downloaded",
        url=redact_text(download.call.url),
        ref=receipt.ref,
        size_bytes=receipt.size_bytes,
        sha256=receipt.sha256,
        resumed=download.resumed,
        verified=download.has_proof or download.sha256 is not None,
        elapsed_s=round(monotonic_s() - began_s, 3),
    )


def _promised(fields: Headers) -> str | None:
    """Return the SHA-256 that the server states of the whole content, in hexadecimal."""
    for name in ("repr-digest", "content-digest", "digest"):  # of a whole content without coding they say the same
        if stated := _DIGEST.search(fields.get(name, "")):
            return base64.b64decode(stated[1]).hex()
    stated_by_s3 = fields.get("x-amz-checksum-sha256", "")
    try:
        raw = base64.b64decode(stated_by_s3, validate=True)
    except binascii.Error:  # "…-3": a checksum of the checksums of parts
        return None
    return raw.hex() if len(raw) == hashlib.sha256().digest_size else None
