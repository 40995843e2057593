from __future__ import annotations

import hashlib
import zlib

import pytest

from controlroom.errors import ChecksumMismatchError
from controlroom.policy.s3_reading import Pin, Promise
from controlroom.storage.s3.sums import Sum, SumOfStretches, Verification

CONTENT = bytes(range(256)) * 10
PIN = Pin("k", "s3://b/k", "e", len(CONTENT))
CRC = Promise("crc32", zlib.crc32(CONTENT).to_bytes(4, "big"))
SHA = Promise("sha256", hashlib.sha256(CONTENT).digest())
WRONG = Promise("crc32", b"\0\0\0\0")
PIECES = [(0, 1000), (1000, 1001), (1001, len(CONTENT))]


@pytest.mark.parametrize("promise", [CRC, SHA, Promise("sha1", hashlib.sha1(CONTENT).digest()), None])
def test_content_that_adds_up_passes(promise: Promise | None) -> None:
    verification, stretches = Verification(PIN, promise), SumOfStretches(PIN, promise)
    for start, end in PIECES:
        verification.take(CONTENT[start:end], start)
        stretches.add(CONTENT[start:end], stretches.sum_of(CONTENT[start:end]))
    stretches.verify()


@pytest.mark.parametrize("promise", [WRONG, Promise("sha256", bytes(32))])
def test_content_that_does_not_add_up_is_found_before_its_last_piece_is_handed_out(promise: Promise) -> None:
    verification, stretches = Verification(PIN, promise), SumOfStretches(PIN, promise)
    for start, end in PIECES[:-1]:
        verification.take(CONTENT[start:end], start)
        stretches.add(CONTENT[start:end], stretches.sum_of(CONTENT[start:end]))
    start, end = PIECES[-1]
    with pytest.raises(ChecksumMismatchError) as failed:
        verification.take(CONTENT[start:end], start)
    assert failed.value.expected == promise.digest.hex()
    with pytest.raises(ChecksumMismatchError):
        stretches.add(CONTENT[start:end], stretches.sum_of(CONTENT[start:end]))
        stretches.verify()


def test_what_was_read_with_a_gap_says_nothing_of_the_whole_until_it_is_read_anew() -> None:
    verification = Verification(PIN, WRONG)
    verification.take(CONTENT[:10], 0)
    verification.take(CONTENT[20:], 20)
    verification.restart()
    with pytest.raises(ChecksumMismatchError):
        verification.take(CONTENT, 0)


def test_a_sum_is_stated_as_s3_does() -> None:
    growing = Sum("crc32")
    growing.update(b"ab")
    growing.update(memoryview(b"c"))
    assert growing.digest() == zlib.crc32(b"abc").to_bytes(4, "big")
