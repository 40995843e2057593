"""What happens to connections between requests, and around answers: over real sockets, in both colours."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from pathlib import Path
from typing import Any

import pytest

from controlroom.errors import APIConnectionError, Disposition
from controlroom.http import ApiClient, AsyncApiClient, Timeouts
from controlroom.policy import Backoff
from controlroom.retrying import RetryPolicy
from tests.integration.http_certificates import new_authority
from tests.integration.http_colours import COLOURS, ask
from tests.integration.http_server import RESET_ON_CLOSE, raw_server, read_request

pytestmark = pytest.mark.integration

AT_ONCE = RetryPolicy(attempts=3, backoff=Backoff(initial_s=0.0))
GOOD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


class Cutting:
    """Answers one request on each connection as if more were welcome, and cuts it; notes whose request came when."""

    def __init__(self, *, reset: bool = False, context: ssl.SSLContext | None = None) -> None:
        self.heads: list[bytes] = []
        self.cut = threading.Semaphore(0)
        self.reset = reset
        self.context = context

    def __call__(self, connection: socket.socket, over: threading.Event) -> None:
        if self.context is not None:
            connection = self.context.wrap_socket(connection, server_side=True)
        request = read_request(connection)
        while request.endswith(b"\r\n\r\n"):  # what is left unread at the end would make the end a reset
            request += connection.recv(100)
        self.heads.append(request)
        connection.sendall(GOOD)
        if self.reset:
            over.wait(0.05)  # an RST that overtakes the answer would take it away
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        connection.close()
        self.cut.release()


def posted_twice(colour: str, url: str, server: Cutting, **client: Any) -> list[int]:
    """Post, wait until the connection is cut, and post again: without any retry."""

    async def asynchronous() -> list[int]:
        async with AsyncApiClient(url, retry=None, **client) as api:
            first = await api.post("/", content=b"1")
            await asyncio.to_thread(server.cut.acquire, timeout=5)
            return [first.status_code, (await api.post("/", content=b"2")).status_code]

    if colour == "async":
        return asyncio.run(asynchronous())
    with ApiClient(url, retry=None, **client) as api:
        first = api.post("/", content=b"1")
        server.cut.acquire(timeout=5)
        return [first.status_code, api.post("/", content=b"2").status_code]


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("reset", [False, True])
def test_a_kept_connection_that_was_cut_meanwhile_is_not_written_to(reset: bool, colour: str) -> None:
    """A POST that went into a dead connection could not be repeated: whether it arrived nobody would know."""
    server = Cutting(reset=reset)

    with raw_server(server) as url:
        assert posted_twice(colour, url, server) == [200, 200]

    assert len(server.heads) == 2


@pytest.mark.parametrize("colour", COLOURS)
def test_a_kept_tls_connection_that_was_cut_meanwhile_is_not_written_to(colour: str, tmp_path: Path) -> None:
    authority = new_authority(tmp_path)
    server = Cutting(context=authority.server_context(authority.issue("server")))

    with raw_server(server) as url:
        assert posted_twice(colour, url.replace("http:", "https:"), server, verify=authority.path) == [200, 200]


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize(("method", "requests"), [("GET", 3), ("POST", 2)])
def test_a_kept_connection_cut_under_a_request_is_repeated_where_that_is_safe(
    method: str, requests: int, colour: str
) -> None:
    heads: list[bytes] = []

    def talk(connection: socket.socket, over: threading.Event) -> None:
        while head := read_request(connection):
            heads.append(head)
            if len(heads) == 2:
                return  # the second was read, and is not answered
            connection.sendall(GOOD)

    async def asynchronous(url: str) -> None:
        async with AsyncApiClient(url, retry=AT_ONCE) as api:
            await api.get("/")
            await api.request(method, "/")

    def sync(url: str) -> None:
        with ApiClient(url, retry=AT_ONCE) as api:
            api.get("/")
            api.request(method, "/")

    with raw_server(talk) as url:
        if method == "GET":
            sync(url) if colour == "sync" else asyncio.run(asynchronous(url))
        else:
            with pytest.raises(APIConnectionError) as raised:
                sync(url) if colour == "sync" else asyncio.run(asynchronous(url))
            assert (raised.value.sent, raised.value.disposition) == ("yes", Disposition.RECONCILE)

    assert len(heads) == requests


ODD_BUT_RIGHT = {
    "trailers": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n2;q=1\r\n{}\r\n0\r\nX: y\r\n\r\n",
    "a chunk for each byte": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n",
    "a thousand interim answers": b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 1_000 + GOOD,
    "a thousand header fields": GOOD.replace(b"\r\n\r\n", b"\r\n" + b"X-Field: 1\r\n" * 1_000 + b"\r\n"),
    "no reason": GOOD.replace(b"200 OK", b"200"),
    "a field in Latin-1": GOOD.replace(b"\r\n\r\n", b"\r\nX-Name: caf\xe9\r\n\r\n"),
}


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("name", ODD_BUT_RIGHT)
def test_an_answer_that_is_odd_but_right_is_read(name: str, colour: str) -> None:
    def talk(connection: socket.socket, over: threading.Event) -> None:
        read_request(connection)
        connection.sendall(ODD_BUT_RIGHT[name])
        over.wait(2)

    with raw_server(talk) as url:
        assert ask(colour, url, client={"retry": None}).json() == {}


@pytest.mark.parametrize("colour", COLOURS)
def test_a_hundred_thousand_header_fields_are_not_taken_in(colour: str) -> None:
    def talk(connection: socket.socket, over: threading.Event) -> None:
        read_request(connection)
        connection.sendall(GOOD.replace(b"\r\n\r\n", b"\r\n" + b"X: 1\r\n" * 100_000 + b"\r\n"))

    with raw_server(talk) as url, pytest.raises(APIConnectionError):
        ask(colour, url, client={"retry": None, "timeouts": Timeouts(total_s=10)})


@pytest.mark.parametrize("colour", COLOURS)
def test_interim_answers_without_end_do_not_keep_the_total(colour: str) -> None:
    """As fast as they can be read: no read ever waits."""

    def talk(connection: socket.socket, over: threading.Event) -> None:
        read_request(connection)
        while not over.is_set():
            connection.sendall(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100)

    with raw_server(talk) as url, pytest.raises(Exception, match="whole call") as raised:
        ask(colour, url, client={"retry": None, "timeouts": Timeouts(total_s=0.3)})

    assert getattr(raised.value, "phase", None) == "total"
