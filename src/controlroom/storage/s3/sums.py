"""Checksums of content, kept while it passes by."""

from __future__ import annotations

import hashlib
import zlib
from typing import Any

from controlroom.policy.multipart import combined_crc32
from controlroom.policy.s3_reading import Pin, Promise, mismatched
from controlroom.storage.sources import Octets

__all__ = ["Sum", "SumOfStretches", "Verification"]


class Sum:
    """A checksum that grows: "crc32", or what `hashlib` knows."""

    def __init__(self, algorithm: str) -> None:
        self._crc32 = 0
        self._digest: Any = None if algorithm == "crc32" else hashlib.new(algorithm, usedforsecurity=False)

    def update(self, data: Octets) -> None:
        """Add *data*."""
        if self._digest is None:
            self._crc32 = zlib.crc32(data, self._crc32)
        else:
            self._digest.update(data)

    def digest(self) -> bytes:
        """Return the checksum of all that was added, as S3 states it."""
        return self._crc32.to_bytes(4, "big") if self._digest is None else bytes(self._digest.digest())


class Verification:
    """Holds what is read of *pin*, from its beginning on and without a gap, against what was promised of it.

    Args:
        pin: What is read.
        promise: What it has to add up to; None if nothing was promised: then nothing is verified but the length.
    """

    def __init__(self, pin: Pin, promise: Promise | None) -> None:
        self._pin = pin
        self._promise = promise
        self.restart()

    def restart(self) -> None:
        """Begin anew, at the beginning."""
        self._sum = None if self._promise is None else Sum(self._promise.algorithm)
        self._at = 0

    def take(self, data: Octets, at: int) -> None:
        """Add *data*, which stands at *at*; where the last byte has come, verify.

        Raises:
            ChecksumMismatchError: It does not add up.
        """
        if self._sum is None or at != self._at:
            self._sum = None  # there is a gap: nothing can be said of the whole
            return
        self._sum.update(data)
        self._at += len(data)
        if self._at == self._pin.size_bytes:
            self.require(self._sum.digest())

    def require(self, actual: bytes) -> None:
        """Require that the checksum of the whole is *actual*.

        Raises:
            ChecksumMismatchError: It is not.
        """
        if self._promise is not None and actual != self._promise.digest:
            raise mismatched(self._pin, self._promise, actual)


class SumOfStretches:
    """Sums up *pin* from stretches: a CRC-32 from theirs, which may be made in other threads; everything else in order.

    Args:
        pin: What is read.
        promise: What it has to add up to; None if nothing was promised.
    """

    def __init__(self, pin: Pin, promise: Promise | None) -> None:
        self._verification = Verification(pin, promise)
        self._is_combined = promise is not None and promise.algorithm == "crc32"
        self._crc32 = 0
        self._at = 0

    def sum_of(self, data: Octets, before: int = 0) -> int:
        """Return the CRC-32 of a stretch, if it will be needed; from any thread. *before* is that of what comes before."""
        return zlib.crc32(data, before) if self._is_combined else 0

    def add(self, data: Octets, crc32: int) -> None:
        """Add the next stretch, whose `sum_of` was *crc32*."""
        self.take(data)
        self.add_crc32(crc32, len(data))

    def take(self, data: Octets) -> None:
        """Sum up the next bytes themselves, unless `add_crc32` will do for them."""
        if not self._is_combined:
            self._verification.take(data, self._at)
            self._at += len(data)

    def add_crc32(self, crc32: int, size_bytes: int) -> None:
        """Add the `sum_of` of the next stretch, which is *size_bytes* long."""
        if self._is_combined:
            self._crc32 = combined_crc32(self._crc32, crc32, size_bytes)

    def verify(self) -> None:
        """Require that all that was added is what was promised.

        Raises:
            ChecksumMismatchError: It is not.
        """
        if self._is_combined:
            self._verification.require(self._crc32.to_bytes(4, "big"))
