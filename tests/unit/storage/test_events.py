from __future__ import annotations

import json
from typing import Any

import pytest

from controlroom.errors import InvalidRecordError
from controlroom.storage import ObjectEvent, parse_s3_events

Document = Any


def record(key: str, name: str = "ObjectCreated:Put") -> Document:
    return {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "eventName": name,
        "s3": {"bucket": {"name": "lake"}, "object": {"key": key, "sequencer": "0A"}},
    }


def notification(*keys: str) -> Document:
    return {"Records": [record(key) for key in keys]}


def bridged(key: str) -> Document:
    detail = {"bucket": {"name": "lake"}, "object": {"key": key, "sequencer": "0A"}}
    return {"version": "0", "detail-type": "Object Created", "source": "aws.s3", "detail": detail}


def sns(inner: Document) -> Document:
    return {"Type": "Notification", "TopicArn": "arn:aws:sns:::t", "Message": json.dumps(inner)}


def sns_to_lambda(inner: Document) -> Document:
    return {"Records": [{"EventSource": "aws:sns", "EventVersion": "1.0", "Sns": sns(inner)}]}


def sqs_to_lambda(*inner: Document) -> Document:
    return {"Records": [{"messageId": "m", "eventSource": "aws:sqs", "body": json.dumps(one)} for one in inner]}


def received(*inner: Document) -> Document:
    return {"Messages": [{"MessageId": "m", "ReceiptHandle": "r", "Body": json.dumps(one)} for one in inner]}


def nested(times: int) -> Document:
    document: Document = notification("a")
    for _ in range(times):
        document = {"Type": "Notification", "Message": document}
    return document


TEST_EVENT = {"Service": "Amazon S3", "Event": "s3:TestEvent", "Time": "2026-01-05T00:00:00Z", "Bucket": "lake"}

ENVELOPES: dict[str, Document] = {
    "a notification": notification("a+b", "c"),
    "a notification as JSON": json.dumps(notification("a+b", "c")),
    "a notification as bytes": json.dumps(notification("a+b", "c")).encode(),
    "records": [record("a+b"), record("c")],
    "SQS to Lambda": sqs_to_lambda(notification("a+b"), notification("c")),
    "SQS received": received(notification("a+b", "c")),
    "messages of SQS": received(notification("a+b"), notification("c"))["Messages"],
    "SNS posted": sns(notification("a+b", "c")),
    "SNS to Lambda": sns_to_lambda(notification("a+b", "c")),
    "SNS in SQS": sqs_to_lambda(sns(notification("a+b")), sns(notification("c"))),
    "SNS raw in SQS": sqs_to_lambda(notification("a+b", "c")),
    "EventBridge in SQS": sqs_to_lambda(bridged("a b"), bridged("c")),
    "EventBridge in SNS in SQS": sqs_to_lambda(sns(bridged("a b")), sns(bridged("c"))),
    "test events among them": sqs_to_lambda(TEST_EVENT, notification("a+b"), sns(TEST_EVENT), notification("c")),
}


@pytest.mark.parametrize("name", ENVELOPES)
def test_every_envelope_is_opened_and_every_key_decoded_once(name: str) -> None:
    events = parse_s3_events(ENVELOPES[name])

    assert [(event.bucket, event.key, event.kind) for event in events] == [
        ("lake", "a b", "created"),
        ("lake", "c", "created"),
    ]


def test_one_record_one_message_and_one_event_need_no_list() -> None:
    assert [event.key for event in parse_s3_events(record("a"))] == ["a"]
    assert [event.key for event in parse_s3_events(bridged("a"))] == ["a"]
    assert [event.key for event in parse_s3_events(received(notification("a"))["Messages"][0])] == ["a"]


@pytest.mark.parametrize("empty", [TEST_EVENT, json.dumps(TEST_EVENT), sqs_to_lambda(TEST_EVENT), {"Records": []}, []])
def test_a_test_event_and_nothing_at_all_are_no_events(empty: Document) -> None:
    assert parse_s3_events(empty) == []


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (None, "payload is no notification of S3: it is of type NoneType"),
        (7, "payload is no notification of S3: it is of type int"),
        ({}, "payload is no notification of S3: it has none of s3, detail-type"),
        ({"key": "value"}, "it has none of s3, detail-type"),
        ("not JSON", "payload is not JSON"),
        (b"\xff", "payload is not JSON"),
        ("[" * 100_000, "payload is not JSON"),
        ({"Records": [None]}, r"payload\.Records\[0\] is no notification of S3"),
        ({"Records": "none"}, r"payload\.Records is not JSON"),
        ({"Records": [{"body": None}]}, r"payload\.Records\[0\]\.body is no notification"),
        ({"Records": [{"Sns": {}}]}, r"payload\.Records\[0\] is no notification of S3"),
        ({"Messages": [{"Body": "{}"}]}, r"payload\.Messages\[0\]\.Body is no notification of S3"),
        ({"detail-type": "Object Created", "source": "aws.ec2"}, "its source is not aws.s3"),
        (nested(13), "it is wrapped more often"),
        ({"Type": "SubscriptionConfirmation", "Message": "You have chosen …"}, "confirm the subscription"),
    ],
)
def test_what_is_no_notification_is_refused_with_its_place(payload: Document, why: str) -> None:
    with pytest.raises(InvalidRecordError, match=why):
        parse_s3_events(payload)


def test_a_bad_record_among_good_ones_is_named_by_its_place_and_its_content_is_not_told() -> None:
    batch = sqs_to_lambda(notification("a"), notification("b"))
    batch["Records"].insert(1, {"body": "password=hunter2"})

    with pytest.raises(InvalidRecordError, match=r"payload\.Records\[1\]\.body is not JSON") as refused:
        parse_s3_events(batch)

    assert refused.value.line == 2
    assert "hunter2" not in json.dumps(refused.value.to_dict())


def test_the_good_records_beside_a_bad_one_are_to_be_had() -> None:
    batch = sqs_to_lambda(notification("a"), {"unknown": 1}, notification("b"))
    refused: list[InvalidRecordError] = []

    events = parse_s3_events(batch, on_invalid=refused.append)

    assert [event.key for event in events] == ["a", "b"]
    assert [error.line for error in refused] == [2]


def test_a_message_with_one_bad_record_is_left_out_whole() -> None:
    """A queue takes back messages, not records: half of one could neither be acknowledged nor be left."""
    half = {"Records": [record("a"), {**record("b"), "s3": {}}]}
    refused: list[InvalidRecordError] = []

    assert parse_s3_events(sqs_to_lambda(half), on_invalid=refused.append) == []
    assert "payload.Records[0].body.Records[1].s3.object is missing" in str(refused[0])


def test_an_event_is_plain_data() -> None:
    (event,) = parse_s3_events(notification("a"))

    assert isinstance(event, ObjectEvent)
    assert len({event, event}) == 1
