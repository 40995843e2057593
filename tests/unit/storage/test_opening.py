from __future__ import annotations

from pathlib import Path

import pytest

from controlroom.errors import ConfigError
from controlroom.storage import AsyncLocalStore, LocalStore, open_store, open_store_async


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
        ("s3://bucket/prefix", "this version has no S3 store"),
        ("/data", "no store is known"),
        ("gs://bucket", "no store is known"),
        ("", "no store is known"),
        ("file://data/x", "another machine"),
        ("file:data", "not absolute"),
        ("file:///data?x=1", "%3F and %23"),
        ("file:///data#", "%3F and %23"),
    ],
)
def test_an_address_that_no_store_has_says_what_is_wrong(url: str, flaw: str) -> None:
    for opened in (open_store, open_store_async):
        with pytest.raises(ConfigError, match=flaw):
            opened(url)


def test_an_endpoint_is_for_stores_behind_http(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="behind HTTP"):
        open_store(tmp_path.as_uri(), endpoint_url="http://localhost:9000")
