from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from controlroom.errors import ConfigError
from controlroom.redaction import redact_text
from controlroom.storage import AsyncS3Store, S3Encryption, S3Store, S3Timeouts
from controlroom.storage.s3.options import S3Options

WRONG: list[dict[str, Any]] = [
    {"endpoint_url": "localhost:9000"},
    {"endpoint_url": "ftp://host"},
    {"endpoint_url": "http://"},
    {"endpoint_url": "http://host:port"},
    {"endpoint_url": "http://user:password@host"},
    {"endpoint_url": "http://host?x=1"},
    {"endpoint_url": ""},
    {"region": "EU (Ireland)"},
    {"region": 7},
    {"profile": ""},
    {"access_key_id": "AKID"},
    {"secret_access_key": "hush-hush-1"},
    {"session_token": "token-hush"},
    {"access_key_id": "AKID", "secret_access_key": "hush-hush-2", "profile": "p"},
    {"role_arn": "me"},
    {"anonymous": True, "profile": "p"},
    {"anonymous": True, "access_key_id": "AKID", "secret_access_key": "hush-hush-3"},
    {"anonymous": "yes"},
    {"addressing": "both"},
    {"requester_pays": 1},
    {"encryption": "aws:kms"},
    {"tags": "keep"},
    {"timeouts": 3},
    {"retry": 5},
    {"part_size_bytes": 5 * 2**20 - 1},
    {"part_size_bytes": 6 * 2**30},
    {"part_size_bytes": 8.0e6},
    {"part_size_bytes": True},
    {"parallel": 0},
    {"parallel": 1000},
    {"verify": "/no/such/file"},
    {"verify": None},
    {"checksums": "sometimes"},
    {"uploads_journal": 7},
]


@pytest.mark.parametrize("given", WRONG, ids=str)
def test_a_wrong_value_is_refused_where_it_is_given_in_both_colours(given: dict[str, Any]) -> None:
    for store in (S3Store, AsyncS3Store):
        with pytest.raises(ConfigError) as caught:
            store("bucket", **given)
        assert "hush" not in caught.value.message
        assert "password" not in caught.value.message


@pytest.mark.parametrize(
    "given",
    [
        {"connect_s": 0},
        {"read_s": -1},
        {"call_s": float("inf")},
        {"total_s": float("nan")},
        {"read_s": "3"},
        {"read_s": None},
    ],
    ids=str,
)
def test_a_timeout_is_a_number_of_seconds(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(given))):
        S3Timeouts(**given)


@pytest.mark.parametrize(
    "given",
    [
        {"algorithm": "rot13"},
        {"algorithm": "AES256", "kms_key_id": "alias/mine"},
        {"algorithm": "AES256", "bucket_key": True},
        {"kms_key_id": ""},
        {"context": {"a": 1}},
        {"context": "a=1"},
        {"bucket_key": "yes"},
    ],
    ids=str,
)
def test_an_encryption_that_s3_would_refuse_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="S3Encryption"):
        S3Encryption(**given)


def test_what_is_possible_is_taken(tmp_path: Path) -> None:
    authority = tmp_path / "authority.pem"
    authority.touch()
    options = S3Options(
        endpoint_url="https://[::1]:9000/path",
        region="eu-central-1",
        access_key_id="AKID",
        secret_access_key="hush-hush-4",
        session_token="token-hush-4",
        role_arn="arn:aws-cn:iam::123456789012:role/team/reader",
        encryption=S3Encryption("aws:kms", "alias/mine", {"team": "data"}, bucket_key=True),
        verify=authority,
        uploads_journal=tmp_path,
    )

    assert "hush" not in repr(options)
    assert redact_text("hush-hush-4 and token-hush-4").count("hush") == 0
    assert S3Encryption("AES256") == S3Encryption("AES256")


def test_a_store_shows_where_it_is_and_no_secret() -> None:
    for store in (S3Store, AsyncS3Store):
        opened = store("bucket", "a b", access_key_id="AKID", secret_access_key="hush-hush-5", region="eu-west-1")

        assert opened.url == "s3://bucket/a%20b"
        assert repr(opened) == f"{store.__name__}('s3://bucket/a%20b')"
