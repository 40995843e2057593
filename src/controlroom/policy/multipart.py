"""Objects that travel in parts: how large the parts are, and what their checksums make together. Pure.

Limits as in "Amazon S3 multipart upload limits": at most 10,000 parts, each of 5 MiB to 5 GiB, the last one of any size.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from controlroom.errors import StorageFullError

__all__ = [
    "LARGEST_PART_BYTES",
    "MOST_PARTS",
    "SMALLEST_PART_BYTES",
    "combined_crc32",
    "growing_part_bytes",
    "part_bytes",
]

_MIB: Final = 1024**2
SMALLEST_PART_BYTES: Final = 5 * _MIB
"""No part but the last may be smaller."""
LARGEST_PART_BYTES: Final = 5 * 1024**3
"""No part may be larger."""
MOST_PARTS: Final = 10_000
"""No object may come in more."""

_PARTS_OF_ONE_SIZE: Final = 900  # then twice as large: 10,000 parts, the first of 5 MiB, hold 9 TiB
_CRC32_POLYNOMIAL: Final = 0xEDB88320
_ONE: Final = 1 << 31  # the polynomial 1, in the reflected order of CRC-32


def part_bytes(total_bytes: int, wanted_bytes: int, ref: str = "the object") -> int:
    """Return how large the parts of an object of *total_bytes* are: *wanted_bytes*, or as much more as it takes.

    Whole MiB, and all parts but the last of one size: some servers insist.

    Raises:
        StorageFullError: No 10,000 parts can hold that much.
    """
    if total_bytes <= wanted_bytes * MOST_PARTS:
        return wanted_bytes
    least_bytes = -(-total_bytes // MOST_PARTS)
    if least_bytes > LARGEST_PART_BYTES:
        raise _too_long(ref, total_bytes)
    return min(LARGEST_PART_BYTES, -(-least_bytes // _MIB) * _MIB)


def growing_part_bytes(number: int, wanted_bytes: int, ref: str = "the object") -> int:
    """Return how large part *number*, 1-based, is where nobody knows how much will come.

    *wanted_bytes* for the first 900 parts, twice as much for the next 900, and so on: what is short enough for *wanted_bytes*
    is sent in parts of one size, and what is longer than anybody thought fits still.

    Raises:
        StorageFullError: It is the 10,001st part.
    """
    if number > MOST_PARTS:
        raise _too_long(ref, None)
    return min(LARGEST_PART_BYTES, wanted_bytes << (number - 1) // _PARTS_OF_ONE_SIZE)


def _too_long(ref: str, total_bytes: int | None) -> StorageFullError:
    length = "it is longer" if total_bytes is None else f"it has {total_bytes} bytes, more"
    message = (
        f"{ref}: {length} than {MOST_PARTS} parts hold. Nothing was published. Split it, or raise part_size_bytes, up to"
        f" {LARGEST_PART_BYTES}."
    )
    return StorageFullError(message, ref=ref)


def combined_crc32(first: int, second: int, second_bytes: int) -> int:
    """Return the CRC-32 of two pieces in a row from theirs (`zlib.crc32`) and the length of the second one.

    The method is that of zlib's ``crc32_combine``: the first is multiplied by x to the power of the second's length in bits,
    modulo the polynomial.
    """
    return _product(_power_of_x(second_bytes), first) ^ second


@lru_cache(maxsize=64)  # parts of an object are of few sizes
def _power_of_x(length_bytes: int) -> int:
    power, factor, left = _ONE, 1 << (31 - 8), length_bytes  # x to the 8th, for each byte
    while left:
        if left & 1:
            power = _product(factor, power)
        factor = _product(factor, factor)
        left >>= 1
    return power


def _product(one: int, other: int) -> int:
    result, bit = 0, _ONE
    while one:
        if one & bit:
            result ^= other
            one ^= bit
        bit >>= 1
        other = other >> 1 ^ (_CRC32_POLYNOMIAL if other & 1 else 0)
    return result
