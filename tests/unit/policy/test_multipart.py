from __future__ import annotations

import os
import zlib
from itertools import accumulate, pairwise

import pytest

from controlroom.errors import StorageFullError
from controlroom.policy.multipart import (
    LARGEST_PART_BYTES,
    MOST_PARTS,
    SMALLEST_PART_BYTES,
    combined_crc32,
    growing_part_bytes,
    part_bytes,
)

MIB = 1024**2
TIB = 1024**4


@pytest.mark.parametrize("total_bytes", [0, 1, 8 * MIB, 8 * MIB * MOST_PARTS])
def test_parts_are_as_large_as_wanted_while_there_are_enough_of_them(total_bytes: int) -> None:
    assert part_bytes(total_bytes, 8 * MIB) == 8 * MIB


@pytest.mark.parametrize(
    "total_bytes", [8 * MIB * MOST_PARTS + 1, TIB, 5 * TIB, 48 * TIB, LARGEST_PART_BYTES * MOST_PARTS]
)
def test_a_length_that_is_known_is_cut_into_at_most_ten_thousand_parts_of_one_size(total_bytes: int) -> None:
    size_bytes = part_bytes(total_bytes, 8 * MIB)

    assert -(-total_bytes // size_bytes) <= MOST_PARTS
    assert size_bytes <= LARGEST_PART_BYTES
    assert size_bytes % MIB == 0


def test_what_no_ten_thousand_parts_can_hold_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(StorageFullError, match=r"s3://b/k: it has .* Nothing was published") as refused:
        part_bytes(LARGEST_PART_BYTES * MOST_PARTS + 1, 8 * MIB, "s3://b/k")
    assert refused.value.ref == "s3://b/k"


@pytest.mark.parametrize("wanted_bytes", [SMALLEST_PART_BYTES, 8 * MIB, 64 * MIB, LARGEST_PART_BYTES])
def test_parts_of_a_length_nobody_knows_grow_so_that_five_tebibytes_fit(wanted_bytes: int) -> None:
    sizes = [growing_part_bytes(number, wanted_bytes) for number in range(1, MOST_PARTS + 1)]

    assert sizes[:900] == [wanted_bytes] * 900
    assert all(earlier <= later for earlier, later in pairwise(sizes))
    assert max(sizes) <= LARGEST_PART_BYTES
    assert list(accumulate(sizes))[-1] >= 5 * TIB


def test_the_part_after_the_last_possible_one_is_refused() -> None:
    with pytest.raises(StorageFullError, match=r"longer than 10000 parts hold\. Nothing was published"):
        growing_part_bytes(MOST_PARTS + 1, 8 * MIB)


@pytest.mark.parametrize(("one", "other"), [(0, 0), (0, 5), (5, 0), (1, 1), (70_000, 13), (13, 70_000)])
def test_checksums_of_pieces_make_that_of_the_whole(one: int, other: int) -> None:
    first, second = os.urandom(one), os.urandom(other)

    assert combined_crc32(zlib.crc32(first), zlib.crc32(second), other) == zlib.crc32(first + second)


def test_checksums_of_many_pieces_make_that_of_the_whole_in_their_order_only() -> None:
    pieces = [os.urandom(1000 + number % 3) for number in range(50)]
    whole = 0
    for piece in pieces:
        whole = combined_crc32(whole, zlib.crc32(piece), len(piece))
    backwards = 0
    for piece in reversed(pieces):
        backwards = combined_crc32(backwards, zlib.crc32(piece), len(piece))

    assert whole == zlib.crc32(b"".join(pieces))
    assert backwards != whole
