"""An object of S3 becomes a local file: stretches that arrive in any order, each written to its place."""

from __future__ import annotations

import os
from collections.abc import Mapping
from queue import SimpleQueue
from typing import Any, Protocol

from controlroom.policy.s3_reading import Pin, Promise, promised
from controlroom.storage.classify import TARGET_KEPT, translating
from controlroom.storage.objects import Receipt
from controlroom.storage.paths import StrPath
from controlroom.storage.s3.performer import S3Performer
from controlroom.storage.s3.stretches import Stretches
from controlroom.storage.s3.sums import Sum, SumOfStretches

__all__ = ["Arrival", "Filling", "write_down"]


class _File(Protocol):
    def fileno(self) -> int: ...


class Arrival:
    """A stretch in memory.

    Args:
        buffer: Longer than the stretch, or as long.
        length: Of the stretch.
        crc32: Of it, if that is needed.
    """

    __slots__ = ("buffer", "crc32", "length")

    def __init__(self, buffer: bytearray, length: int, crc32: int) -> None:
        self.buffer = buffer
        self.length = length
        self.crc32 = crc32


class Filling:
    """Fills a file with the stretches of *pin*, and sums them up.

    Args:
        pin: What is read.
        promise: What it has to add up to; None if nothing was promised.
        file: Empty, and open for writing.
        to: What errors call it.
        part_size_bytes: No stretch is longer.
    """

    def __init__(self, pin: Pin, promise: Promise | None, file: _File, to: StrPath, part_size_bytes: int) -> None:
        self._pin = pin
        self._fd = file.fileno()
        self._to = os.fspath(to)
        self._part_size_bytes = part_size_bytes
        self._sha256 = Sum("sha256")
        self._whole = SumOfStretches(pin, promise)
        self._buffers: SimpleQueue[bytearray] = SimpleQueue()  # memory that is used again costs nothing

    def buffer(self) -> bytearray:
        """Return room for a stretch."""
        return bytearray(self._part_size_bytes) if self._buffers.empty() else self._buffers.get()

    def write(self, buffer: bytearray, start: int, end: int) -> Arrival:
        """Write what has arrived in *buffer* to its place; from any thread."""
        with memoryview(buffer)[: end - start] as data, translating(self._to, "writing", TARGET_KEPT):
            written = 0
            while written < len(data):
                written += os.pwrite(self._fd, data[written:], start + written)
            return Arrival(buffer, end - start, self._whole.sum_of(data))

    def add(self, arrival: Arrival) -> None:
        """Sum up the next stretch, in order."""
        with memoryview(arrival.buffer)[: arrival.length] as data:
            self._sha256.update(data)
            self._whole.add(data, arrival.crc32)
        self._buffers.put(arrival.buffer)

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
    filling = Filling(pin, promised(answer), file, to, performer.options.part_size_bytes)

    def fetch(start: int, end: int) -> Arrival:
        buffer = filling.buffer()
        stretches.read(start, memoryview(buffer)[: end - start])
        return filling.write(buffer, start, end)

    with Stretches(performer, pin, answer) as stretches:
        for _, _, arrival in stretches.in_order(fetch):
            filling.add(arrival)
    return filling.receipt()
