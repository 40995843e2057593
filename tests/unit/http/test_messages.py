from __future__ import annotations

import copy
import pickle
from itertools import count
from typing import Any

import pytest

from controlroom.errors import APIContractError, ConfigError
from controlroom.http import Headers, Request, Response


def test_headers_ignore_case_and_join_what_came_twice() -> None:
    headers = Headers([("Link", "<a>"), ("LINK", "<b>"), ("X", "1")])

    assert headers["link"] == "<a>, <b>"
    assert "x" in headers
    assert 7 not in headers
    assert dict(headers) == {"LINK": "<a>, <b>", "X": "1"}
    headers["x"] = "2"
    del headers["link"]
    assert list(headers.items()) == [("x", "2")]
    assert len(headers) == 1


def test_headers_print_no_value() -> None:
    assert repr(Headers({"Authorization": "Bearer s3cret", "Accept": "*/*"})) == "Headers(Authorization, Accept)"


@pytest.mark.parametrize(
    "field",
    [
        ("X", "a\r\nEvil: 1"),
        ("X", "a\nb"),
        ("X", "a\x00"),
        ("X", "é"),
        ("X Y", "a"),
        ("", "a"),
        ("X:", "a"),
        ("X", 7),
        ("X", None),
    ],
    ids=count(),
)
def test_a_header_that_could_split_the_request_is_refused_without_showing_it(field: Any) -> None:
    with pytest.raises(ConfigError, match="cannot be sent") as refused:
        Headers([field]).require_sendable()

    assert "Evil" not in str(refused.value)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b'{"a": ',
        b"{} {}",
        b'{"a": NaN}',
        b"[Infinity]",
        b"\xff\xfe\x00",
        b"{'a': 1}",
        b"[" * 100_000,
        b"9" * 5_000,
    ],
    ids=count(),
)
def test_a_body_that_is_not_json_is_a_broken_contract(body: bytes) -> None:
    response = Response(200, Headers({"Content-Type": "text/html"}), body, "GET", "https://x/y")

    with pytest.raises(
        APIContractError, match=r"GET https://x/y answered 200 with \d+ bytes that are not JSON"
    ) as raised:
        response.json()

    assert len(raised.value.body_excerpt or "") <= 500
    assert raised.value.url == "https://x/y"


@pytest.mark.parametrize("body", [b'\xef\xbb\xbf{"a": 1}', '{"a": 1}'.encode("utf-16"), b' {"a": 1}\n'], ids=count())
def test_json_is_read_in_every_encoding_it_may_have(body: bytes) -> None:
    assert Response(200, Headers(), body).json() == {"a": 1}


def test_a_response_is_plain_data() -> None:
    response = Response(200, Headers({"A": "b"}), b"x", "GET", "https://x")

    for twin in (pickle.loads(pickle.dumps(response)), copy.deepcopy(response)):
        assert (twin.headers["a"], twin.content, twin.text) == ("b", b"x", "x")


def test_messages_print_neither_bodies_nor_values_nor_secrets() -> None:
    url = "https://x/y?api_key=s3cret-k3y&page=2"
    request = Request("GET", url, Headers({"Authorization": "Bearer s3cret-k3y"}), {"key": "s3cret-k3y"}, b"s3cret-k3y")
    response = Response(200, request.headers, b"s3cret-k3y", "GET", url)

    assert repr(request) == "Request(GET https://x/y?api_key=***&page=2, Headers(Authorization), 10 bytes)"
    assert repr(response) == "Response(200 to GET https://x/y?api_key=***&page=2, Headers(Authorization), 10 bytes)"


def test_a_field_that_is_absent_is_none_or_the_default() -> None:
    headers = Headers({"Accept": "*/*"})

    assert headers.get("ACCEPT") == "*/*"
    assert headers.get("x") is None
    assert headers.get("x", "a") == "a"


def test_a_copy_of_headers_is_changed_for_itself() -> None:
    headers = Headers({"Accept": "*/*"})
    copied = headers.copy()
    copied.take_over(Headers({"accept": "text/csv", "X": "1"}))

    assert dict(headers) == {"Accept": "*/*"}
    assert dict(copied) == {"accept": "text/csv", "X": "1"}
    assert copied.raw() == [(b"accept", b"text/csv"), (b"X", b"1")]


def test_a_field_that_was_found_sendable_is_looked_at_again_when_it_changed() -> None:
    known = Headers({"X": "1", "Y": "2"})
    changed = known.copy()
    changed["x"] = "1\r\nEvil: 1"

    known.copy().require_sendable(known)
    with pytest.raises(ConfigError, match="cannot be sent"):
        changed.require_sendable(known)
