from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlroom.errors import ConfigError, UnsafePathError
from controlroom.storage.s3_keys import PROBES, S3Place

ARN = "arn:aws:s3:eu-west-1:123456789012:accesspoint/mine"
OUTPOST = "arn:aws:s3-outposts:us-west-2:123456789012:outpost/op-01ac5d28a6a232904/accesspoint/mine"
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)


@given(prefix=texts, key=texts)
def test_what_a_place_keeps_it_gives_back_exactly_and_the_rest_it_refuses(prefix: str, key: str) -> None:
    try:
        place = S3Place("bucket", prefix)
        full = place.full_key(key)
    except UnsafePathError:
        return

    assert full == (f"{prefix.removesuffix('/')}/{key}" if prefix else key)
    assert place.key_of(full) == key
    assert full.startswith(place.full_prefix(key[:3]) if "/" not in key[:3] else place.prefix)


@pytest.mark.parametrize(
    "key", ["a?b", "a#b", "100%", "a*b", " a ", "a+b", "ä", "a\u0308", "a\tb\nc\rd", "\x7f", "a\\b", "😀"]
)
def test_a_strange_key_is_kept(key: str) -> None:
    assert S3Place("bucket").full_key(key) == key


@pytest.mark.parametrize(
    "key", ["", "/", "a//b", "../a", "a/./b", "a/", "/a", "a\0", "a\x01b", "\ufffe", "\ud800", f"{PROBES}x"]
)
def test_a_key_that_cannot_be_kept_is_refused_by_name(key: str) -> None:
    with pytest.raises(UnsafePathError) as caught:
        S3Place("bucket", "pre").full_key(key)

    assert caught.value.ref is not None


def test_the_prefix_counts_to_the_length_of_a_key() -> None:
    assert S3Place("bucket").full_key("ä" * 512)
    with pytest.raises(UnsafePathError, match="1026 bytes"):
        S3Place("bucket", "a").full_key("ä" * 512)


@pytest.mark.parametrize("full", ["pre/", "pre/d/", "other/a", "pre", "pre/a//b", f"pre/{PROBES}1"])
def test_what_is_no_key_of_this_store_has_none(full: str) -> None:
    assert S3Place("bucket", "pre").key_of(full) is None


def test_a_prefix_may_end_inside_a_segment() -> None:
    assert S3Place("bucket", "pre/").full_prefix("a/b") == "pre/a/b"
    assert S3Place("bucket", "pre").full_prefix("") == "pre/"
    with pytest.raises(UnsafePathError):
        S3Place("bucket").full_prefix("a//b")


def test_urls_lead_back_and_show_what_they_can() -> None:
    place = S3Place("bucket", "a b/year=2024")

    assert place.url == "s3://bucket/a%20b/year=2024"
    assert place.ref("100%?#.csv") == "s3://bucket/a%20b/year=2024/100%25%3F%23.csv"
    assert S3Place("bucket").url == "s3://bucket"
    assert S3Place(ARN, "x").url == f"s3://{ARN}/x"


@pytest.mark.parametrize(
    "bucket", ["bucket", "Old_Bucket.1", ARN, ARN.replace("/mine", ":mine"), OUTPOST, "mine-abc-s3alias"]
)
def test_a_bucket_is_a_name_an_arn_or_an_alias(bucket: str) -> None:
    assert S3Place(bucket).bucket == bucket


@pytest.mark.parametrize("bucket", ["", "a/b", "s3://bucket", "a b", "..", "-a", "arn:aws:iam::1:role/x", None, 7])
def test_what_is_no_bucket_is_refused(bucket: Any) -> None:
    with pytest.raises(ConfigError, match="no bucket"):
        S3Place(bucket)


def test_a_prefix_is_a_text_that_leaves_nothing() -> None:
    with pytest.raises(ConfigError, match="a str"):
        S3Place("bucket", 7)  # type: ignore[arg-type]  # that is the point
    for prefix in ("/a", "a//b", "../a", "/"):
        with pytest.raises(UnsafePathError):
            S3Place("bucket", prefix)
