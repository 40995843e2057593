"""The short way to the sockets and the long one: the same bytes, the same answers, the same errors."""

from __future__ import annotations

import asyncio
import socket
import threading
from functools import wraps
from typing import Any

import pytest

from controlroom.errors import APIConnectionError, APITimeoutError
from controlroom.http import ApiClient, AsyncApiClient, BasicAuth, Endpoint, Response, Timeouts, library, straight
from tests.integration.http_colours import COLOURS, ask, walk
from tests.integration.http_server import Answer, raw_server, read_request, serving

pytestmark = pytest.mark.integration

TRANSPORTS = {
    "sync": (library.HTTPTransport, "handle_request"),
    "async": (library.AsyncHTTPTransport, "handle_async_request"),
}


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)


def stand_in(monkeypatch: pytest.MonkeyPatch, colour: str) -> list[Any]:
    """Put somebody in the transport's place, as pytest-httpx and instrumentations do; return what he sees."""
    owner, name = TRANSPORTS[colour]
    method: Any = getattr(owner, name)
    seen: list[Any] = []

    @wraps(method)
    def instrumented(transport: Any, request: Any) -> Any:
        seen.append(request)
        return method(transport, request)

    monkeypatch.setattr(owner, name, instrumented)
    return seen


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "OPTIONS"])
def test_both_ways_send_the_same_bytes(colour: str, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[bytes] = []
    went_straight: list[bool] = []
    plain = straight.plain

    def noted(*args: Any) -> Any:
        request = plain(*args)
        went_straight.append(request is not None)
        return request

    monkeypatch.setattr(straight, "plain", noted)

    def talk(connection: socket.socket, _: threading.Event) -> None:
        sent.append(read_request(connection))
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Cafe: \xe9\r\nA: 1\r\na: 2\r\n\r\n")

    def asked(url: str) -> Response:
        client = {"auth": BasicAuth("me", "s3cret-of-the-wire"), "headers": {"X-Client": "a"}, "params": {"v": 1}}
        options: dict[str, Any] = {"params": {"q": "a b&é", "many": [1, 2]}, "headers": {"x-client": "b"}}
        return ask(colour, url, method, "/v1/a,b;c=d", client=client, **options)

    with raw_server(talk) as url:
        first = asked(url)
        seen = stand_in(monkeypatch, colour)
        second = asked(url)

    assert went_straight == [True]
    assert len(seen) == 1
    assert sent[0] == sent[1]
    assert sent[0].startswith(f"{method} /v1/a,b;c=d?v=1&q=a%20b%26%C3%A9&many=1&many=2 HTTP/1.1\r\nHost: 127".encode())
    assert list(first.headers.items()) == list(second.headers.items())
    assert first.headers["a"] == "1, 2"


@pytest.mark.parametrize("colour", COLOURS)
def test_whoever_stands_in_the_transports_place_sees_each_request(colour: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(lambda _: Answer([1, 2])) as server:
        seen = stand_in(monkeypatch, colour)
        outcome = walk(colour, server.url, Endpoint("/items"))

    assert (outcome.records, outcome.error) == ([1, 2], None)
    assert [str(request.url) for request in seen] == [f"{server.url}/items"]
    assert [request.headers["accept"] for request in seen] == ["*/*"]


def by_both_ways(colour: str, url: str, monkeypatch: pytest.MonkeyPatch, **client: Any) -> list[Exception]:
    """Return the error that a call ends with when it goes straight, and when it goes through the transport."""
    errors = []
    for way in ("straight", "through"):
        if way == "through":
            stand_in(monkeypatch, colour)
        try:
            ask(colour, url, client={"retry": None, **client})
        except Exception as error:
            errors.append(error)
    return errors


TALKS = {
    "nothing": b"",
    "half a head": b"HTTP/1.1 200 OK\r\nContent-Le",
    "no HTTP": b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
    "half a body": b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
    "half a chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
}


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("said", TALKS)
def test_what_breaks_off_is_the_same_error_by_both_ways(
    colour: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def talk(connection: socket.socket, _: threading.Event) -> None:
        read_request(connection)
        connection.sendall(TALKS[said])

    with raw_server(talk) as url:
        first, second = by_both_ways(colour, url, monkeypatch)

    assert isinstance(first, APIConnectionError)
    assert (type(first), str(first), first.sent) == (type(second), str(second), "yes")


@pytest.mark.parametrize("colour", COLOURS)
def test_silence_is_the_same_error_by_both_ways(colour: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def talk(connection: socket.socket, over: threading.Event) -> None:
        read_request(connection)
        over.wait(10)

    with raw_server(talk) as url:
        first, second = by_both_ways(colour, url, monkeypatch, timeouts=Timeouts(read_s=0.05))

    assert isinstance(first, APITimeoutError)
    assert (first.phase, str(first)) == ("read", str(second))


@pytest.mark.parametrize("colour", COLOURS)
def test_an_answer_given_up_in_its_middle_leaves_no_connection_behind(colour: str) -> None:
    gone = threading.Event()

    def talk(connection: socket.socket, over: threading.Event) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"a" * 1_000)
        if not connection.recv(1):  # the client hung up
            gone.set()
        over.wait(10)

    def sync(url: str) -> None:
        with ApiClient(url, max_response_bytes=500, retry=None) as api:
            with pytest.raises(Exception, match="too large"):
                api.get("/")
            assert gone.wait(5)

    async def asynchronous(url: str) -> None:
        async with AsyncApiClient(url, max_response_bytes=500, retry=None) as api:
            with pytest.raises(Exception, match="too large"):
                await api.get("/")
            assert await asyncio.to_thread(gone.wait, 5)

    with raw_server(talk) as url:
        sync(url) if colour == "sync" else asyncio.run(asynchronous(url))
