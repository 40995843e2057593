from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from controlroom.errors import ConfigError, UnsafePathError
from controlroom.storage import AsyncLocalStore, AsyncS3Store, LocalStore, S3Store, open_store, open_store_async


def test_a_file_url_opens_the_folder_it_names(tmp_path: Path) -> None:
    folder = tmp_path / "a b%?#ü"
    store = open_store(folder.as_uri())
    twin = open_store_async("file://localhost" + folder.as_uri().removeprefix("file://"))

    assert isinstance(store, LocalStore)
    assert isinstance(twin, AsyncLocalStore)
    assert repr(store) == f"LocalStore({str(folder)!r})"
    assert repr(twin) == f"AsyncLocalStore({str(folder)!r})"


def test_a_receipt_names_its_object_by_a_url_that_leads_back_to_it(tmp_path: Path) -> None:
    receipt = open_store(tmp_path.as_uri()).publish("a b%?#ü/c", b"x")

    assert receipt.ref == (tmp_path / "a b%?#ü" / "c").as_uri()


@pytest.mark.parametrize(
    ("url", "flaw"),
    [
        ("s3://", "names no bucket"),
        ("s3:///prefix", "names no bucket"),
        ("s3:bucket", "names no bucket"),
        ("s3://bucket/a?versionId=1", "%3F and %23"),
        ("s3://bucket/a#b", "%3F and %23"),
        ("s3://bucket/%ff", "not UTF-8"),
        ("s3://AKID:hush-hush@bucket/a", "carries credentials"),
        ("/data", "no store is known"),
        ("gs://bucket", "no store is known"),
        ("", "no store is known"),
        ("file://data/x", "another machine"),
        ("file:data", "not absolute"),
        ("file:///data?x=1", "%3F and %23"),
        ("file:///data#", "%3F and %23"),
        ("s3://[hush/p", "no URL"),
        ("file://[hush", "no URL"),
    ],
)
def test_an_address_that_no_store_has_says_what_is_wrong(url: str, flaw: str) -> None:
    for opened in (open_store, open_store_async):
        with pytest.raises(ConfigError, match=flaw) as caught:
            opened(url)
        assert "hush" not in caught.value.message


@pytest.mark.parametrize("url", [None, 5, b"s3://bucket", Path("/data")])
def test_what_is_no_text_is_no_url(url: Any) -> None:
    for opened in (open_store, open_store_async):
        with pytest.raises(ConfigError, match="a URL is a str"):
            opened(url)


@pytest.mark.parametrize("option", ["nonsense", "bucket", "prefix"])
def test_an_option_that_no_store_takes_is_named(option: str) -> None:
    for opened in (open_store, open_store_async):
        with pytest.raises(ConfigError, match=f"takes no {option} here"):
            opened("s3://bucket/p", **{option: "x"})


@pytest.mark.parametrize("url", ["file:///%00", "file:///a\ud800b"])
def test_a_folder_that_no_filesystem_can_name_is_refused(url: str) -> None:
    with pytest.raises(UnsafePathError, match="cannot be a path"):
        open_store(url)


def test_an_endpoint_is_for_stores_behind_http(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="behind HTTP"):
        open_store(tmp_path.as_uri(), endpoint_url="http://localhost:9000")
    with pytest.raises(ConfigError, match="region is for stores behind HTTP"):
        open_store_async(tmp_path.as_uri(), region="eu-west-1")


@pytest.mark.parametrize(
    ("url", "again"),
    [
        ("s3://bucket", "s3://bucket"),
        ("s3://bucket/", "s3://bucket"),
        ("s3://Bucket_1/a%20b%3F/year=2024/", "s3://Bucket_1/a%20b%3F/year=2024"),
        ("s3://arn:aws:s3:eu-west-1:123456789012:accesspoint/mine/a/b", None),
    ],
)
def test_an_s3_url_opens_the_prefix_it_names(url: str, again: str | None) -> None:
    store = open_store(url, "http://localhost:9000", region="eu-west-1", addressing="path")
    twin = open_store_async(url, endpoint_url="http://localhost:9000")

    assert isinstance(store, S3Store)
    assert isinstance(twin, AsyncS3Store)
    assert store.url == twin.url == open_store(store.url).url == (again or url)
    assert store._performer.options.region == "eu-west-1"
    assert store._performer.options.endpoint_url == twin._performer.options.endpoint_url == "http://localhost:9000"
