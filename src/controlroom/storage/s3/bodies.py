"""The body of an answer, read as it arrives: with a limit to silence, and to trickling."""

from __future__ import annotations

from contextlib import suppress
from http.client import HTTPException, HTTPResponse
from typing import Any, Final

from botocore.exceptions import BotoCoreError
from urllib3.exceptions import HTTPError

from controlroom.clock import monotonic_s
from controlroom.policy.s3_reading import SLOWEST_BYTES_PER_S, Pin, cut_short, too_slow
from controlroom.storage.conditions import require_time
from controlroom.storage.s3.classify import classified

__all__ = ["Body", "Pace"]

_BROKEN: Final = (HTTPError, HTTPException, BotoCoreError, OSError, ValueError)
_WITHOUT_READ1_BYTES: Final = 64 * 1024


class Pace:
    """Tells a connection that trickles from one that its reader leaves alone: only waiting counts.

    Args:
        read_s: So long it may be slow.
    """

    def __init__(self, read_s: float) -> None:
        self._read_s = read_s
        self._waited_s = 0.0
        self._got_bytes = 0

    def is_too_slow(self, waited_s: float, got_bytes: int) -> bool:
        """Take down that it took *waited_s* for *got_bytes* to come; tell whether that goes on too slowly."""
        self._waited_s += waited_s
        self._got_bytes += got_bytes
        if self._waited_s < self._read_s:
            return False
        was_slow = self._got_bytes < self._waited_s * SLOWEST_BYTES_PER_S
        self._waited_s, self._got_bytes = 0.0, 0
        return was_slow


class Body:
    """The body of one answer of botocore, which begins at byte *at* of *pin* and is read by one thread.

    Args:
        body: Of botocore.
        pin: Whose bytes they are.
        read_s: How long silence may last.
    """

    def __init__(self, body: Any, pin: Pin, read_s: float) -> None:
        # botocore's own wrapper fills its buffer before it returns, however long that takes, and sums a second time.
        self._raw: Any = getattr(body, "_raw_stream", body)
        self._pin = pin
        self._read_s = read_s
        self._pace = Pace(read_s)

    def read_into(self, view: memoryview, at: int) -> int:
        """Put what arrives next into *view*, at least one byte; *at* is where in the object that stands.

        Raises:
            StorageUnavailableError: It broke off, ended, or came too slowly.
            DeadlineExceededError: The ambient deadline has passed.
        """
        require_time(f"reading {self._pin.ref}")
        began_s = monotonic_s()
        try:
            got_bytes = self._arriving(view)
        except _BROKEN as error:
            raise classified(error, ref=self._pin.ref, operation="GetObject") from error
        if not got_bytes:
            raise cut_short(self._pin, at)
        if self._pace.is_too_slow(monotonic_s() - began_s, got_bytes):
            raise too_slow(self._pin, at, self._read_s)
        return got_bytes

    def _arriving(self, view: memoryview) -> int:
        """Put into *view* what one read of the socket gives, straight to its place if that is possible; return its length."""
        under: Any = getattr(self._raw, "_fp", None)
        is_known = isinstance(under, HTTPResponse)
        if is_known and under.length and under.fp is not None and not under.chunked:
            got_bytes: int = under.fp.readinto1(view[: under.length])
            under.length -= got_bytes
            self._raw.length_remaining = under.length
            return got_bytes
        read1 = getattr(self._raw, "read1", None)  # urllib3 has it from 2.0 on
        chunk = self._raw.read(min(len(view), _WITHOUT_READ1_BYTES)) if read1 is None else read1(len(view))
        view[: len(chunk)] = chunk
        return len(chunk)

    def finish(self) -> None:
        """Give the connection back: everything has been read."""
        with suppress(*_BROKEN):
            self._raw.read(1)  # only asking for more tells http.client that there is none
            self._raw.release_conn()

    def close(self) -> None:
        """Close the connection: what has not been read is not worth waiting for."""
        with suppress(*_BROKEN):
            self._raw.close()
