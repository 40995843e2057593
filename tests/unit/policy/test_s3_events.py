from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from controlroom.errors import InvalidRecordError
from controlroom.policy.s3_events import ObjectEvent, bridged_event, notified_event


def record(name: str = "ObjectCreated:Put", **described: Any) -> dict[str, Any]:
    return {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": "eu-central-1",
        "eventTime": "2026-01-05T10:11:12.345Z",
        "eventName": name,
        "s3": {"bucket": {"name": "lake"}, "object": {"key": "landing/a.csv", "sequencer": "0A", **described}},
    }


def bridged(name: str = "Object Created", **described: Any) -> dict[str, Any]:
    return {
        "detail-type": name,
        "source": "aws.s3",
        "time": "2026-01-05T10:11:12Z",
        "region": "eu-central-1",
        "detail": {"bucket": {"name": "lake"}, "object": {"key": "landing/a.csv", "sequencer": "0A", **described}},
    }


def event(sequencer: str | None = None, **facts: Any) -> ObjectEvent:
    return ObjectEvent(**{"kind": "created", "event_name": "", "bucket": "b", "key": "k", **facts}, sequencer=sequencer)


def test_a_notification_is_read_with_all_that_it_tells() -> None:
    told = notified_event(record(size=7, eTag="e", versionId="v"), "record")

    assert told == ObjectEvent(
        kind="created",
        event_name="ObjectCreated:Put",
        bucket="lake",
        key="landing/a.csv",
        version="v",
        sequencer="0A",
        size_bytes=7,
        etag="e",
        at=datetime(2026, 1, 5, 10, 11, 12, 345000, tzinfo=UTC),
        region="eu-central-1",
    )


def test_what_no_event_has_to_tell_may_be_absent() -> None:
    told = notified_event({key: value for key, value in record().items() if key != "eventTime"}, "record")

    assert told.at is None


def test_an_event_of_eventbridge_says_the_same() -> None:
    told = bridged_event(bridged(**{"size": 7, "etag": "e", "version-id": "v"}), "event")
    notified = notified_event(record(size=7, eTag="e", versionId="v"), "record")

    assert (told.bucket, told.key, told.version, told.size_bytes, told.etag) == ("lake", "landing/a.csv", "v", 7, "e")
    assert told.region == notified.region
    assert told.dedupe_key == notified.dedupe_key, "one change is one event, whoever tells it"


@pytest.mark.parametrize("version", ["2.0", "2.1", "2.2", "2.3", "2.4", "2.5", "2.6", "2.99"])
def test_every_minor_version_reads_alike(version: str) -> None:
    assert notified_event({**record(), "eventVersion": version, "new": {}}, "record") == notified_event(record(), "")


def test_another_major_version_is_refused_not_guessed() -> None:
    with pytest.raises(InvalidRecordError, match=r"record\.eventVersion: 3\.0 is not known, only 2\.x is"):
        notified_event({**record(), "eventVersion": "3.0"}, "record")


@pytest.mark.parametrize(
    ("encoded", "key"),
    [
        ("red+flower.jpg", "red flower.jpg"),
        ("a%2Bb", "a+b"),
        ("a%252Bb", "a%2Bb"),
        ("100%25", "100%"),
        ("caf%C3%A9", "café"),
        ("cafe%CC%81", "cafe\u0301"),
        ("a//b/%3F%23", "a//b/?#"),
    ],
)
def test_a_key_is_decoded_exactly_once(encoded: str, key: str) -> None:
    assert notified_event(record(key=encoded), "record").key == key


@pytest.mark.parametrize("key", ["red+flower.jpg", "a%2Bb", "100%", "%zz", " "])
def test_the_key_of_eventbridge_is_as_it_is(key: str) -> None:
    assert bridged_event(bridged(key=key), "event").key == key


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("ObjectCreated:Put", "created"),
        ("ObjectCreated:CompleteMultipartUpload", "created"),
        ("s3:ObjectCreated:Put", "created"),
        ("ObjectRemoved:Delete", "deleted"),
        ("ObjectRemoved:DeleteMarkerCreated", "deleted"),
        ("LifecycleExpiration:Delete", "deleted"),
        ("LifecycleExpiration:DeleteMarkerCreated", "deleted"),
        ("ObjectRestore:Post", "other"),
        ("ObjectRestore:Completed", "restored"),
        ("ObjectRestore:Delete", "other"),
        ("ObjectTagging:Put", "tagged"),
        ("ObjectAcl:Put", "acl"),
        ("LifecycleTransition", "other"),
        ("Replication:OperationFailedReplication", "other"),
        ("SomethingOf2030:Put", "other"),
    ],
)
def test_what_happened_in_one_word(name: str, kind: str) -> None:
    assert notified_event(record(name), "record").kind == kind


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("Object Created", "created"),
        ("Object Deleted", "deleted"),
        ("Object Restore Completed", "restored"),
        ("Object Restore Expired", "other"),
        ("Object Tags Added", "tagged"),
        ("Object ACL Updated", "acl"),
        ("Object Storage Class Changed", "other"),
    ],
)
def test_what_happened_in_the_words_of_eventbridge(name: str, kind: str) -> None:
    assert bridged_event(bridged(name), "event").kind == kind


def test_an_event_without_a_sequencer_has_no_order() -> None:
    untold = notified_event(record("ObjectTagging:Put", sequencer=None), "record")

    assert untold.order is None
    assert not untold.later_than(event("1"))
    assert not event("1", bucket="lake", key="landing/a.csv").later_than(untold)


@pytest.mark.parametrize(
    ("earlier", "later"),
    [("0055AED6DCD90281E5", "0055AED6DCD90281E6"), ("0055AED6", "0055AED601"), ("9", "A"), ("a", "B"), ("0F", "1")],
)
def test_sequencers_of_different_lengths_are_padded_on_the_right(earlier: str, later: str) -> None:
    assert event(later).later_than(event(earlier))
    assert not event(earlier).later_than(event(later))


@pytest.mark.parametrize(("one", "other"), [("0A", "0A00"), ("0a", "0A"), ("0", "000")])
def test_sequencers_that_differ_in_padding_or_case_are_one(one: str, other: str) -> None:
    assert not event(one).later_than(event(other))
    assert not event(other).later_than(event(one))
    assert event(one).dedupe_key == event(other).dedupe_key


def test_sequencers_of_different_objects_say_nothing() -> None:
    assert not event("2", key="a").later_than(event("1", key="b"))
    assert not event("2", bucket="a").later_than(event("1", bucket="b"))


def test_events_are_told_apart_by_object_version_and_sequencer() -> None:
    different = [
        event("1"),
        event("2"),
        event("1", key="l"),
        event("1", bucket="c"),
        event("1", version="v"),
        event(None),
        event(None, event_name="ObjectTagging:Put"),
        event(None, at=datetime(2026, 1, 5, tzinfo=UTC)),
    ]

    assert len({one.dedupe_key for one in different}) == len(different)
    assert all(len(one.dedupe_key) == 64 for one in different)


@pytest.mark.parametrize(
    ("broken", "missing"),
    [
        ({**record(), "s3": None}, r"record\.s3 is of type NoneType"),
        ({key: value for key, value in record().items() if key != "s3"}, r"record\.s3 is missing"),
        ({**record(), "s3": {}}, r"record\.s3\.object is missing"),
        ({**record(), "s3": {"object": {"key": "k"}}}, r"record\.s3\.bucket is missing"),
        ({**record(), "s3": {"object": {"key": "k"}, "bucket": {}}}, r"record\.s3\.bucket\.name is missing"),
        ({**record(), "eventName": 7}, r"record\.eventName is of type int, not str"),
        ({**record(), "eventTime": "yesterday"}, r"record\.eventTime is no instant"),
        ({**record(), "eventTime": "0001-01-01T00:00:00+23:00"}, r"record\.eventTime is no instant"),
        ({**record(), "awsRegion": []}, r"record\.awsRegion is of type list"),
        (record(key=""), r"record\.s3\.object\.key is empty"),
        (record(key="%FF"), r"record\.s3\.object\.key is not the form of a UTF-8 text"),
        (record(key="\ud800"), r"record\.s3\.object\.key holds half a surrogate pair"),
        (record(size="7"), r"record\.s3\.object\.size is of type str"),
        (record(size=True), r"record\.s3\.object\.size is of type bool"),
        (record(size=-1), r"record\.s3\.object\.size is less than zero"),
        (record(sequencer="hunter2"), r"record\.s3\.object\.sequencer is not hexadecimal"),
    ],
)
def test_what_is_missing_or_wrong_is_named_and_its_value_is_not_told(broken: dict[str, Any], missing: str) -> None:
    with pytest.raises(InvalidRecordError, match=missing) as refused:
        notified_event(broken, "record")
    assert "hunter2" not in str(refused.value)
    assert "yesterday" not in str(refused.value)


def test_an_event_of_eventbridge_without_detail_is_refused() -> None:
    with pytest.raises(InvalidRecordError, match=r"event\.detail is missing"):
        bridged_event({"detail-type": "Object Created"}, "event")
