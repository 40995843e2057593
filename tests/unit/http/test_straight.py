from __future__ import annotations

from functools import wraps
from importlib import import_module
from itertools import count
from typing import Any
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlroom.http import Headers, Request, library, straight

httpx: Any = import_module(library.URL.__module__.split(".")[0])  # or its fork: whatever the suite stands on
httpcore: Any = import_module(library.SocketURL.__module__.split(".")[0])

TIMEOUTS = {"read": 1.0}


def plain(url: str, method: str = "GET", headers: dict[str, str] | None = None, content: bytes = b"") -> Any:
    return straight.plain(Request(method, url, Headers(headers or {}), {}, content), TIMEOUTS)


def seen(request: Any) -> tuple[Any, ...]:
    url = request.url
    return request.method, (url.scheme, url.host, url.port, url.target), request.headers


def by_the_library(url: str, method: str = "GET", headers: dict[str, str] | None = None) -> tuple[Any, ...]:
    asked = httpx.Request(method, url, headers=list((headers or {}).items()))
    parts = asked.url
    address = (parts.raw_scheme, parts.raw_host, parts.port, parts.raw_path)
    return method.encode(), address, [(name, value) for name, value in asked.headers.raw]


@pytest.mark.parametrize(
    "url",
    [
        "https://api.example.com/v1/orders?cursor=abc%3D%3D&limit=100",
        "http://127.0.0.1:8080/orders",
        "http://[::1]:8080/a,b;c=d/~x?q=$&!()*+",
        "https://API.example.com:443/",
        "http://x:80/a?b?c=/d",
        "https://x/a.b/c..d?e=/.f",
    ],
    ids=count(),
)
@pytest.mark.parametrize("headers", [{"Accept": "*/*", "X-Id": "7"}, {"Accept": "*/*", "host": "other"}], ids=count())
def test_what_goes_straight_is_what_the_library_would_have_sent(url: str, headers: dict[str, str]) -> None:
    request = plain(url, headers=headers)

    if request is None:  # the long way is always right
        assert "/." in url
    else:
        assert seen(request) == by_the_library(url, headers=headers)
        assert request.extensions == {"timeout": TIMEOUTS}


@given(st.text(st.sampled_from("aB0/.?&=%2F-_~;:@!$'()*+,[]{}|^`\"<> é\\#"), max_size=30))
def test_whatever_the_path_and_the_query_it_is_the_librarys_request_or_none(rest: str) -> None:
    url = f"https://api.example.com/{rest}"
    request = plain(url)

    assert request is None or seen(request) == by_the_library(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://x/a b",
        "https://x/é",
        "https://x/a/../b",
        "https://x/./b",
        "https://x/%zz",
        "https://x/a?b='c'",
        "https://x/a#b",
        "https://x",
        "https://x?a=b",
        "https://bücher.example/a",
        "https://user@x/a",
        "ftp://x/a",
        "https://x/" + "a" * 5_000,
    ],
    ids=count(),
)
def test_what_the_library_would_have_to_think_about_goes_the_long_way(url: str) -> None:
    assert plain(url) is None


def test_what_has_a_body_or_would_be_given_a_length_goes_the_long_way() -> None:
    assert plain("https://x/a", content=b"{}") is None
    assert plain("https://x/a", method="POST") is None
    assert plain("https://x/a", method="DELETE") is not None


@pytest.mark.parametrize(
    "fields",
    [
        [(b"Content-Type", b"text/plain"), (b"X-Twice", b"1"), (b"x-twice", b"2")],
        [(b"X-Name", "bücher".encode())],
        [(b"X-Name", "bücher".encode("latin-1")), (b"X-Plain", b"a")],
        [],
    ],
    ids=count(),
)
def test_the_fields_of_an_answer_are_read_as_the_library_reads_them(fields: list[tuple[bytes, bytes]]) -> None:
    assert straight.pairs(fields) == httpx.Headers(fields).multi_items()


FAILURES = [
    (httpcore.PoolTimeout, httpx.PoolTimeout),
    (httpcore.ConnectTimeout, httpx.ConnectTimeout),
    (httpcore.ReadTimeout, httpx.ReadTimeout),
    (httpcore.WriteTimeout, httpx.WriteTimeout),
    (httpcore.ConnectError, httpx.ConnectError),
    (httpcore.ReadError, httpx.ReadError),
    (httpcore.WriteError, httpx.WriteError),
    (httpcore.ProxyError, httpx.ProxyError),
    (httpcore.UnsupportedProtocol, httpx.UnsupportedProtocol),
    (httpcore.LocalProtocolError, httpx.LocalProtocolError),
    (httpcore.RemoteProtocolError, httpx.RemoteProtocolError),
    (httpcore.NetworkError, httpx.HTTPError),
]


@pytest.mark.parametrize(("raised", "wanted"), FAILURES, ids=count())
def test_a_failure_of_the_pool_is_the_one_that_the_transport_would_have_raised(
    raised: type[Exception], wanted: type[Exception]
) -> None:
    error = raised("broken")
    assert isinstance(error, straight.FAILURES)

    translated = straight.translated(error)

    assert type(translated) is wanted
    assert str(translated) == "broken"


def test_a_subclass_of_a_failure_is_what_it_is_derived_from() -> None:
    class Stalled(httpcore.ReadTimeout):
        pass

    assert type(straight.translated(Stalled())) is httpx.ReadTimeout


def test_whoever_stands_in_the_transports_place_is_noticed() -> None:
    method = httpx.HTTPTransport.handle_request

    @wraps(method)
    def instrumented(*args: Any) -> Any:
        return method(*args)

    assert straight.is_in_place(method)
    assert not straight.is_in_place(instrumented)
    assert not straight.is_in_place(mock.Mock(wraps=method))
    assert not straight.is_in_place(mock.create_autospec(method))
