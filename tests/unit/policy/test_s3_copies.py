from __future__ import annotations

from typing import Any

import pytest

from controlroom.policy.s3_copies import copied_of, kept, part_ends, sums_of
from controlroom.policy.s3_metadata import WRITE_ID
from tests.unit.policy.test_s3_copying import work

MIB = 1024**2


def test_encryption_of_the_store_wins_over_that_of_the_source() -> None:
    source = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "key"}

    assert kept(work(), source)["SSEKMSKeyId"] == "key"
    params = kept(work(encryption={"ServerSideEncryption": "AES256"}), source)
    assert (params["ServerSideEncryption"], "SSEKMSKeyId" in params) == ("AES256", False)


def test_what_a_write_said_of_itself_is_not_said_of_its_copy() -> None:
    held = {"controlroom-replaced": "e", "Controlroom-SHA256": "s", "controlroom-metadata": "m", "x": "y"}
    metadata = kept(work(), {"Metadata": held})["Metadata"]

    assert "controlroom-replaced" not in metadata
    assert (metadata["Controlroom-SHA256"], metadata["controlroom-metadata"], metadata["x"]) == ("s", "m", "y")


def test_metadata_of_the_source_goes_before_marks_of_ours() -> None:
    metadata = kept(work(), {"Metadata": {"x": "y" * 2040}})["Metadata"]
    assert metadata == {"x": "y" * 2040}
    assert WRITE_ID in kept(work(), {"Metadata": {"x": "y" * 2000}})["Metadata"]


@pytest.mark.parametrize(
    ("size", "lengths", "ends"),
    [
        (10, [], [(0, 4), (4, 8), (8, 10)]),
        (10, [3, 7], [(0, 3), (3, 10)]),
        (10, [3, 6], [(0, 4), (4, 8), (8, 10)]),
        (10, [10, 0], [(0, 4), (4, 8), (8, 10)]),
    ],
)
def test_parts_are_those_of_the_source_where_they_add_up(
    size: int, lengths: list[int], ends: list[tuple[int, int]]
) -> None:
    assert part_ends(size, lengths, 4) == ends


def test_no_object_is_too_long_for_ten_thousand_parts() -> None:
    parts = part_ends(50 * 1024**4, [], 256 * MIB)
    assert len(parts) <= 10_000
    assert parts[-1][1] == 50 * 1024**4


@pytest.mark.parametrize(
    ("source", "sums"),
    [
        ({}, (None, None)),
        ({"ChecksumCRC64NVME": "x", "ChecksumType": "FULL_OBJECT"}, ("CRC64NVME", "FULL_OBJECT")),
        ({"ChecksumSHA1": "x-3"}, ("SHA1", "COMPOSITE")),
    ],
)
def test_the_checksum_of_the_source_is_recognised(source: dict[str, Any], sums: tuple[str | None, str | None]) -> None:
    assert sums_of(source) == sums


def test_what_is_not_said_is_not_invented() -> None:
    done = copied_of({})
    assert (done.etag, done.version, done.size_bytes, done.sha256) == ("", None, 0, "")
