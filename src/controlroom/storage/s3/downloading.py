"""An object of S3 becomes a local file: stretches that arrive in any order, each written to its place as it comes."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from typing import Any, Final, Protocol

from controlroom.errors import FileOperationError
from controlroom.policy.s3_reading import Pin, Promise, promised
from controlroom.storage.classify import TARGET_KEPT, translating
from controlroom.storage.objects import Receipt
from controlroom.storage.paths import StrPath
from controlroom.storage.s3.performer import S3Performer
from controlroom.storage.s3.stretches import Stretches
from controlroom.storage.s3.sums import Sum, SumOfStretches

__all__ = ["Arrival", "Filling", "write_down"]

_PIECE_BYTES: Final = 256 * 1024  # so little is still in the processor's cache when it is summed and written
_READ_BACK_BYTES: Final = 1024 * 1024


class _File(Protocol):
    def fileno(self) -> int: ...


class Arrival:
    """A stretch that is being written.

    Attributes:
        crc32: Of what has been written of it, if that is needed.
    """

    __slots__ = ("_filling", "crc32")

    def __init__(self, filling: Filling) -> None:
        self._filling = filling
        self.crc32: int = 0

    def write(self, at: int, piece: memoryview) -> None:
        """Write the next *piece*, which stands at *at*, to its place; from any thread."""
        self.crc32 = self._filling.write(at, piece, self.crc32)


class Filling:
    """Fills a file with the stretches of *pin*, and sums them up.

    The SHA-256 is that of what stands in the file, read again in order, out of the kernel's cache: nothing that has been
    written needs to be kept for it.

    Args:
        pin: What is read.
        promise: What it has to add up to; None if nothing was promised.
        file: Empty, and open for reading and writing.
        to: What errors call it.
    """

    def __init__(self, pin: Pin, promise: Promise | None, file: _File, to: StrPath) -> None:
        self._pin = pin
        self._fd = file.fileno()
        self._to = os.fspath(to)
        self._sha256 = Sum("sha256")
        self._whole = SumOfStretches(pin, promise)
        self._room = memoryview(bytearray(min(_READ_BACK_BYTES, pin.size_bytes)))

    def write(self, at: int, piece: memoryview, crc32: int) -> int:
        """Write *piece* to its place *at*; return the CRC-32 of its stretch so far, which was *crc32* before."""
        with translating(self._to, "writing", TARGET_KEPT):
            written = 0
            while written < len(piece):
                written += os.pwrite(self._fd, piece[written:], at + written)
        return self._whole.sum_of(piece, crc32)

    def add(self, start: int, end: int, crc32: int) -> None:
        """Sum up the next stretch, in order; all of it has been written."""
        at = start
        while at < end:
            with translating(self._to, "reading what was written", TARGET_KEPT):
                got_bytes = os.preadv(self._fd, [self._room[: end - at]], at)
            if not got_bytes:
                message = f"{self._to}: what was written cannot be read again, at byte {at}. {TARGET_KEPT}"
                raise FileOperationError(message, ref=self._to)
            self._sha256.update(self._room[:got_bytes])
            self._whole.take(self._room[:got_bytes])
            at += got_bytes
        self._whole.add_crc32(crc32, end - start)

    def receipt(self) -> Receipt:
        """Prove it.

        Raises:
            ChecksumMismatchError: It does not add up.
        """
        self._whole.verify()
        pin = self._pin
        return Receipt(pin.ref, pin.size_bytes, self._sha256.digest().hex(), pin.etag, pin.version)


def write_down(performer: S3Performer, pin: Pin, answer: Mapping[str, Any], file: _File, to: StrPath) -> Receipt:
    """Write *pin*, of which *answer* holds the beginning, to *file*."""
    filling = Filling(pin, promised(answer), file, to)
    rooms = threading.local()  # memory that is used again costs nothing

    def fetch(start: int, end: int) -> Arrival:
        if not hasattr(rooms, "view"):
            rooms.view = memoryview(bytearray(_PIECE_BYTES))
        arrival = Arrival(filling)
        stretches.read_through(start, end, rooms.view, arrival.write)
        return arrival

    with Stretches(performer, pin, answer) as stretches:
        for start, end, arrival in stretches.in_order(fetch):
            filling.add(start, end, arrival.crc32)
    return filling.receipt()
