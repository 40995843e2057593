from __future__ import annotations

import hashlib
import zlib
from base64 import b64encode
from typing import Any

import pytest

from controlroom.errors import FileOperationError, ObjectChangedError
from controlroom.policy.s3_reading import (
    Pin,
    Promise,
    changed,
    cut_short,
    first,
    mismatched,
    pinned,
    promised,
    require_stretch,
    stretch,
    stretches,
    too_slow,
)

PIN = Pin("k", "s3://b/k", "e", 100)


def test_all_is_asked_for_at_first_and_with_its_checksum() -> None:
    assert first("k").params == {"Key": "k", "ChecksumMode": "ENABLED"}


def test_the_first_answer_says_which_version_it_is() -> None:
    answer = {"ContentLength": 100, "ETag": '"e"', "VersionId": "v"}
    assert pinned(answer, "k", "s3://b/k") == Pin("k", "s3://b/k", "e", 100, "v")
    assert pinned({"ContentLength": 0, "VersionId": "null"}, "k", "r") == Pin("k", "r", "", 0)


@pytest.mark.parametrize(
    "answer",
    [{}, {"ContentLength": -1}, {"ContentLength": "7"}, {"ContentLength": 7, "ContentRange": "bytes 0-6/100"}],
)
def test_an_answer_that_does_not_say_how_long_the_object_is_is_not_believed(answer: dict[str, Any]) -> None:
    with pytest.raises(FileOperationError, match="whole object"):
        pinned(answer, "k", "s3://b/k")


def test_every_stretch_is_of_the_same_version() -> None:
    assert stretch(PIN, 10, 20).params == {"Key": "k", "Range": "bytes=10-19", "IfMatch": '"e"'}
    assert stretch(Pin("k", "r", "e", 100, "v"), 0, 1).params["VersionId"] == "v"
    with pytest.raises(FileOperationError, match="no etag"):
        stretch(Pin("k", "r", "", 100), 0, 1)


def good() -> dict[str, Any]:
    return {"ETag": '"e"', "ContentRange": "bytes 10-19/100", "ContentLength": 10}


@pytest.mark.parametrize(
    ("lie", "kind"),
    [
        ({"ETag": '"other"'}, ObjectChangedError),
        ({"ETag": None}, ObjectChangedError),
        ({"ContentRange": "bytes 0-9/100"}, FileOperationError),
        ({"ContentRange": "bytes 10-19/101"}, FileOperationError),
        ({"ContentRange": None, "ContentLength": 10}, FileOperationError),
        ({"ContentLength": 9}, FileOperationError),
    ],
)
def test_an_answer_to_another_question_is_not_used(lie: dict[str, Any], kind: type[Exception]) -> None:
    assert require_stretch(good(), PIN, 10, 20) == 0
    assert require_stretch(good() | {"ContentRange": None, "ContentLength": 100}, PIN, 10, 20) == 10
    with pytest.raises(kind) as failed:
        require_stretch(good() | lie, PIN, 10, 20)
    assert type(failed.value) is kind


def test_stretches_together_are_the_whole() -> None:
    assert list(stretches(0, 10, 4)) == [(0, 4), (4, 8), (8, 10)]
    assert list(stretches(8, 8, 4)) == []


def b64(raw: bytes) -> str:
    return b64encode(raw).decode()


CRC = zlib.crc32(b"x").to_bytes(4, "big")
SHA256 = hashlib.sha256(b"x").digest()


@pytest.mark.parametrize(
    ("answer", "promise"),
    [
        ({}, None),
        ({"ChecksumCRC32": b64(CRC)}, Promise("crc32", CRC)),
        ({"ChecksumCRC32": b64(CRC), "ChecksumType": "FULL_OBJECT"}, Promise("crc32", CRC)),
        ({"ChecksumCRC32": b64(CRC), "ChecksumType": "COMPOSITE"}, None),
        ({"ChecksumCRC32": f"{b64(CRC)}-3"}, None),
        ({"ChecksumCRC32": "?"}, None),
        ({"ChecksumSHA256": b64(SHA256)}, Promise("sha256", SHA256)),
        ({"ChecksumCRC64NVME": "x"}, None),
        ({"Metadata": {"Controlroom-SHA256": SHA256.hex()}}, Promise("sha256", SHA256)),
        ({"Metadata": {"controlroom-sha256": "short"}}, None),
    ],
)
def test_only_what_is_about_the_whole_and_can_be_computed_is_a_promise(
    answer: dict[str, Any], promise: Promise | None
) -> None:
    assert promised(answer) == promise


def test_errors_say_what_was_read_and_what_to_do() -> None:
    assert "after 10 of its 100 bytes" in str(changed(PIN, 10))
    assert "ended after 10 of 100" in str(cut_short(PIN, 10))
    assert "for 30 s" in str(too_slow(PIN, 10, 30.0))
    error = mismatched(PIN, Promise("crc32", CRC), b"\0\0\0\0")
    assert (error.expected, error.actual, error.ref) == (CRC.hex(), "00000000", "s3://b/k")
