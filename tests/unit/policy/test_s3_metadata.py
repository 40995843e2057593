from __future__ import annotations

import hashlib
from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlroom.policy.s3_metadata import (
    content_type_of,
    copied_from,
    decoded,
    encoded,
    etag_of,
    quoted,
    sha256_of,
    version_of,
    write_id_of,
)

TEXTS = st.text(max_size=40)


@given(st.dictionaries(TEXTS, TEXTS, max_size=4))
def test_any_metadata_comes_back_through_headers(metadata: dict[str, str]) -> None:
    held = encoded(metadata)

    for name, value in held.items():
        assert name == name.lower()
        assert name.isascii()
        assert value.isascii()
        assert value.isprintable()
        assert value == value.strip()
        assert value
    assert decoded({name.title(): value for name, value in held.items()}) == metadata


def test_what_a_header_carries_is_not_encoded() -> None:
    assert encoded({"rows": "3", "who-else": "a b"}) == {"rows": "3", "who-else": "a b"}


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("=?UTF-8?Q?caf=C3=A9?=", "café"),
        ("=?utf-8?B?w7w=?= =?utf-8?B?w7w=?=", "üü"),
        ("=?iso-8859-1?Q?=FC?=", "ü"),
        ("=?nothing?Q?x?=", "=?nothing?Q?x?="),
        ("=?UTF-8?B?abcde?=", "=?UTF-8?B?abcde?="),
        ("=?ascii?Q?=FC?=", "=?ascii?Q?=FC?="),
        ("100%41 =?x", "100%41 =?x"),
    ],
)
def test_what_somebody_else_wrote_is_shown_as_s3_means_it(value: str, shown: str) -> None:
    assert decoded({"x": value}) == {"x": shown}


@pytest.mark.parametrize("raw", ["no base64!", b64encode(b"no json").decode(), b64encode(b"[1]").decode()])
def test_an_entry_of_ours_that_is_broken_is_none(raw: str) -> None:
    assert decoded({"controlroom-metadata": raw, "a": "b"}) == {"a": "b"}


def test_names_of_ours_are_hidden_and_can_be_given_all_the_same() -> None:
    assert decoded({"controlroom-write-id": "x"}) == {}
    assert decoded(encoded({"controlroom-write-id": "mine"})) == {"controlroom-write-id": "mine"}
    assert write_id_of({"Metadata": encoded({"controlroom-write-id": "mine"})}) is None


def test_an_answer_is_read() -> None:
    assert (etag_of({"ETag": '"e"'}), etag_of({}), quoted("e")) == ("e", "", '"e"')
    assert [version_of({"VersionId": version}) for version in ("v", "null", "", None)] == ["v", None, None, None]
    assert [content_type_of({"ContentType": kind}) for kind in ("a/b", "binary/octet-stream", None)] == [
        "a/b",
        None,
        None,
    ]
    assert write_id_of({"Metadata": {"Controlroom-Write-Id": "w"}}) == "w"
    assert copied_from({"Metadata": {"controlroom-copied-from": "c"}}) == "c"
    assert copied_from({"Metadata": {"other": "c"}}) is None
    assert write_id_of({}) is None


DIGEST = hashlib.sha256(b"x").digest()


@pytest.mark.parametrize(
    ("answer", "sha256"),
    [
        ({"Metadata": {"controlroom-sha256": DIGEST.hex()}}, DIGEST.hex()),
        ({"Metadata": {"controlroom-sha256": "odd"}}, None),
        ({"ChecksumSHA256": b64encode(DIGEST).decode()}, DIGEST.hex()),
        ({"ChecksumSHA256": b64encode(DIGEST).decode(), "ChecksumType": "COMPOSITE"}, None),
        ({"ChecksumSHA256": f"{b64encode(DIGEST).decode()}-2"}, None),
        ({"ChecksumSHA256": "?"}, None),
        ({"ChecksumSHA256": b64encode(b"short").decode()}, None),
    ],
)
def test_a_sha256_is_believed_where_it_is_of_the_content(answer: dict[str, Any], sha256: str | None) -> None:
    assert sha256_of(answer) == sha256
