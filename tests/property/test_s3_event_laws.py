"""Whatever key an object has, every envelope gives it back; whatever sequencers come, their order is one."""

from __future__ import annotations

import json
from itertools import zip_longest
from typing import Any
from urllib.parse import quote_plus

from hypothesis import given
from hypothesis import strategies as st

from controlroom.errors import InvalidRecordError
from controlroom.policy.s3_events import ObjectEvent
from controlroom.storage import parse_s3_events

keys = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
sequencers = st.text("0123456789abcdefABCDEF", min_size=1, max_size=20)


def notification(key: str) -> Any:
    described = {"key": quote_plus(key, safe="/"), "sequencer": "01"}
    return {"Records": [{"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": "b"}, "object": described}}]}


def bridged(key: str) -> Any:
    detail = {"bucket": {"name": "b"}, "object": {"key": key, "sequencer": "01"}}
    return {"source": "aws.s3", "detail-type": "Object Created", "detail": detail}


def in_sns(document: Any) -> Any:
    return {"Type": "Notification", "Message": json.dumps(document)}


def in_sqs(document: Any) -> Any:
    return {"Records": [{"body": json.dumps(document)}]}


def at(sequencer: str) -> ObjectEvent:
    return ObjectEvent("created", "ObjectCreated:Put", "b", "k", sequencer=sequencer)


def padded(one: str, other: str) -> tuple[str, str]:
    """The rule of the S3 User Guide, word by word."""
    pairs = [*zip_longest(one.upper(), other.upper(), fillvalue="0")]
    return "".join(a for a, _ in pairs), "".join(b for _, b in pairs)


@given(
    key=keys,
    wrapped=st.lists(st.sampled_from([in_sns, in_sqs]), max_size=3),
    source=st.sampled_from([notification, bridged]),
)
def test_any_key_comes_through_any_envelope_as_it_was(key: str, wrapped: list[Any], source: Any) -> None:
    document = source(key)
    for wrap in wrapped:
        document = wrap(document)

    (event,) = parse_s3_events(document)

    assert event.key == key


@given(one=sequencers, other=sequencers | st.none(), zeros=st.integers(0, 5))
def test_an_event_is_later_exactly_where_the_padded_sequencers_say_so(one: str, other: str | None, zeros: int) -> None:
    other = (one.swapcase() if other is None else other) + "0" * zeros
    a, b = padded(one, other)

    assert at(one).later_than(at(other)) == (a > b)
    assert (at(one).order == at(other).order) == (a == b)
    assert (at(one).dedupe_key == at(other).dedupe_key) == (a == b)


@given(some=st.lists(sequencers, min_size=1, max_size=8))
def test_sorting_by_order_puts_the_latest_last_whatever_came_first(some: list[str]) -> None:
    events = sorted(map(at, some), key=lambda event: event.order or "")

    assert not any(event.later_than(events[-1]) for event in events)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["Records", "Messages", "body", "Body", "Message", "Sns", "Type", "s3", "object", "bucket"])
            | st.sampled_from(["key", "name", "eventName", "detail", "detail-type", "source", "eventVersion", "Event"]),
            inner
            | st.sampled_from(["aws.s3", "Object Created", "2.1", "ObjectCreated:Put", "s3:TestEvent", "{}", "[]"]),
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(payload=json_values)
def test_whatever_comes_is_events_or_one_clear_error(payload: Any) -> None:
    refused: list[InvalidRecordError] = []

    events = parse_s3_events(payload, on_invalid=refused.append)

    assert all(str(error).startswith("payload") for error in refused)
    assert all(event.bucket and event.key for event in events)
