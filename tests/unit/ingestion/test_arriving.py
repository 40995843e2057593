from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from controlroom.errors import ConfigError
from controlroom.ingestion.arriving import arrivals
from controlroom.storage import ObjectEvent

AT = datetime(2026, 1, 5, tzinfo=UTC)


def told(key: str, sequencer: str | None = "01", kind: str = "created", at: datetime | None = None) -> ObjectEvent:
    return ObjectEvent(kind, "", "lake", key, sequencer=sequencer, at=at)  # type: ignore[arg-type]  # any text


@pytest.mark.parametrize(
    ("url", "key", "expected"),
    [
        ("memory://store", "landing/a", ["landing/a"]),
        ("file:///data/lake", "landing/a", ["landing/a"]),
        ("s3://lake", "landing/a", ["landing/a"]),
        ("s3://lake/raw", "raw/landing/a", ["landing/a"]),
        ("s3://lake/raw/", "raw/landing/a", ["landing/a"]),
        ("s3://lake/raw", "landing/a", []),
        ("s3://lake/raw", "rawlanding/a", []),
        ("s3://lake/with%20space", "with space/landing/a b", ["landing/a b"]),
        ("s3://arn:aws:s3:eu-central-1:1:accesspoint/point", "landing/a", ["landing/a"]),
        ("s3://arn:aws:s3:eu-central-1:1:accesspoint/point/raw", "raw/landing/a", ["landing/a"]),
        ("s3://lake-copy-abc-s3alias", "landing/a", ["landing/a"]),
    ],
)
def test_a_key_of_the_bucket_is_a_key_of_the_store_below_its_prefix(url: str, key: str, expected: list[str]) -> None:
    assert [arrival.key for arrival in arrivals([told(key)], url, "landing/")] == expected


def test_another_bucket_is_a_mistake_not_silence() -> None:
    with pytest.raises(ConfigError, match="of the bucket lake, the inbox of warehouse"):
        arrivals([told("landing/a")], "s3://warehouse", "landing/")


@pytest.mark.parametrize("message", [{"Records": []}, '{"Records": []}', [{"s3": {}}]], ids=["dict", "text", "list"])
def test_a_notification_that_nobody_unwrapped_is_refused(message: Any) -> None:
    with pytest.raises(ConfigError, match="parse_s3_events"):
        arrivals(message, "s3://lake", "landing/")


@pytest.mark.parametrize("came", [(0, 1, 2), (2, 1, 0), (1, 0, 2), (1, 2, 0)])
def test_the_latest_event_of_a_key_is_the_one_that_is_followed(came: tuple[int, ...]) -> None:
    events = [told("landing/a", "01"), told("landing/a", "0101"), told("landing/a", "02", "deleted")]

    (arrival,) = arrivals([events[number] for number in came], "memory://", "landing/")

    assert arrival.event is events[2]
    assert arrival.is_deletion


def test_events_without_a_sequencer_are_followed_as_they_came() -> None:
    events = [told("landing/a", None), told("landing/a", None, "restored")]

    (arrival,) = arrivals(events, "memory://", "landing/")

    assert arrival.event is events[1]
    assert not arrival.is_deletion


def test_the_oldest_is_first_and_what_has_no_time_last() -> None:
    events = [
        told("landing/untold"),
        told("landing/new", at=AT.replace(day=6)),
        told("landing/old", at=AT),
        told("landing/untold too"),
    ]

    assert [one.key for one in arrivals(events, "memory://", "landing/")] == [
        "landing/old",
        "landing/new",
        "landing/untold",
        "landing/untold too",
    ]
