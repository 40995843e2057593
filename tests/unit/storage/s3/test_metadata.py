from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from controlroom.errors import ConfigError
from controlroom.storage.s3.metadata import described, kept_with, utc


def test_an_object_is_described_whatever_is_missing() -> None:
    info = described("k", {})
    assert (info.key, info.size_bytes, info.etag, info.version, info.content_type) == ("k", 0, "", None, None)
    assert info.modified_at == datetime(1970, 1, 1, tzinfo=UTC)


def test_a_range_says_how_long_the_whole_is() -> None:
    assert described("k", {"ContentLength": 10, "ContentRange": "bytes 0-9/100"}).size_bytes == 100
    assert described("k", {"ContentLength": 10, "ContentRange": "bytes 0-9/*"}).size_bytes == 10


def test_times_are_utc() -> None:
    assert utc(datetime(2026, 1, 1, 2, tzinfo=timezone(timedelta(hours=2)))) == datetime(2026, 1, 1, tzinfo=UTC)
    assert utc(None).tzinfo is UTC


def test_what_is_kept_comes_back() -> None:
    params = kept_with({"who": "Zoë"}, None, write_id="w", sha256="s")
    assert params["Metadata"]["controlroom-write-id"] == "w"
    info = described("k", params)
    assert (dict(info.metadata), info.content_type) == ({"who": "Zoë"}, None)
    with pytest.raises(ConfigError):
        kept_with({"a": "x" * 3000}, None, write_id="w")
