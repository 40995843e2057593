"""Servers that break off, lie about lengths, drip or say nothing: over real sockets, in both colours.

Nothing here asserts a time. What would hang is ended by the run's own limit, and that is the failure.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable
from typing import Any

import pytest

from controlroom.errors import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    ControlRoomError,
    Disposition,
)
from controlroom.http import Timeouts
from controlroom.policy import Backoff
from controlroom.retrying import RetryPolicy
from tests.integration.http_colours import COLOURS, ask
from tests.integration.http_server import RESET_ON_CLOSE, raw_server, read_request

pytestmark = pytest.mark.integration

Talk = Callable[[socket.socket, threading.Event], None]

AT_ONCE = RetryPolicy(attempts=3, backoff=Backoff(initial_s=0.0))
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def says(data: bytes, *, reset: bool = False) -> Talk:
    """Read the request, send *data*, and hang up (or send RST)."""

    def talk(connection: socket.socket, over: threading.Event) -> None:
        read_request(connection)
        connection.sendall(data)
        if reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)

    return talk


def drips(start: bytes, drop: bytes, every_s: float = 0.02) -> Talk:
    """Send *start*, then *drop* again and again: each read makes progress, the call never ends."""

    def talk(connection: socket.socket, over: threading.Event) -> None:
        read_request(connection)
        connection.sendall(start)
        while not over.wait(every_s):
            connection.sendall(drop)

    return talk


def first_then(first: Talk, then: Talk) -> Talk:
    """The first connection meets *first*, all others *then*."""
    turns = iter([first])

    def talk(connection: socket.socket, over: threading.Event) -> None:
        next(turns, then)(connection, over)

    return talk


GOOD = says(HEAD + b"Content-Length: 2\r\nConnection: close\r\n\r\n{}")

BROKEN_OFF = {
    "no answer at all": says(b""),
    "reset before the answer": says(b"", reset=True),
    "half a status line": says(b"HTTP/1.1 20"),
    "half a head": says(HEAD),
    "half a body": says(HEAD + b"Content-Length: 100\r\n\r\n{"),
    "reset amid the body": says(HEAD + b"Content-Length: 100\r\n\r\n{", reset=True),
    "half a chunk": says(HEAD + b"Transfer-Encoding: chunked\r\n\r\n10\r\n{"),
    "no last chunk": says(HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"),
    "no number of a chunk": says(HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"),
    "no HTTP": says(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"),
    "a negative length": says(HEAD + b"Content-Length: -1\r\n\r\n{}"),
    "two lengths": says(HEAD + b"Content-Length: 2\r\nContent-Length: 7\r\n\r\n{}"),
    "a head without end": says(HEAD + b"X: " + b"x" * 200_000),
}


def failed(colour: str, url: str, method: str = "GET", **client: Any) -> Any:
    with pytest.raises(ControlRoomError) as raised:
        ask(colour, url, method, client={"retry": AT_ONCE, **client})
    return raised.value


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("name", BROKEN_OFF)
def test_an_answer_that_breaks_off_is_asked_for_again(name: str, colour: str) -> None:
    with raw_server(first_then(BROKEN_OFF[name], GOOD)) as url:
        assert ask(colour, url, client={"retry": AT_ONCE}).json() == {}


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("name", BROKEN_OFF)
def test_an_answer_that_always_breaks_off_raises_and_never_passes_for_a_short_one(name: str, colour: str) -> None:
    with raw_server(BROKEN_OFF[name]) as url:
        error = failed(colour, url)

    assert type(error) is APIConnectionError
    assert error.sent == "yes"
    assert len(error.attempts) == 3


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("name", ["no answer at all", "half a body", "reset before the answer"])
def test_a_write_whose_answer_breaks_off_is_left_to_be_reconciled(name: str, colour: str) -> None:
    with raw_server(BROKEN_OFF[name]) as url:
        error = failed(colour, url, "POST")

    assert (type(error), error.disposition) == (APIConnectionError, Disposition.RECONCILE)


@pytest.mark.parametrize("colour", COLOURS)
def test_a_refused_connection_is_known_not_to_be_sent(colour: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    error = failed(colour, f"http://127.0.0.1:{port}", "POST")

    assert (type(error), error.sent, error.disposition) == (APIConnectionError, "no", Disposition.RETRY)
    assert len(error.attempts) == 3


DRIPS = {
    "the body": drips(HEAD + b"Content-Length: 1000000\r\n\r\n", b"x"),
    "the head": drips(b"HTTP/1.1 200 OK\r\nX: ", b"x"),
    "interim answers": drips(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
    "a chunk's number": drips(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"0"),
    "a chunk's extension": drips(HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;", b"x"),
    "trailers": drips(HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X: y\r\n"),
    "an error's body": drips(b"HTTP/1.1 500 X\r\nContent-Length: 1000000\r\n\r\n", b"x"),
}


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("name", DRIPS)
def test_a_drip_that_keeps_every_read_timeout_does_not_keep_the_total(name: str, colour: str) -> None:
    timeouts = Timeouts(read_s=5, total_s=0.3)

    with raw_server(DRIPS[name]) as url:
        error = failed(colour, url, timeouts=timeouts)

    if name == "an error's body":
        assert (type(error), error.status_code) == (APIStatusError, 500)
    else:
        assert type(error) is APITimeoutError
        assert error.phase == "total"


@pytest.mark.parametrize("colour", COLOURS)
def test_silence_is_a_read_timeout(colour: str) -> None:
    def silent(connection: socket.socket, over: threading.Event) -> None:
        over.wait(10)

    with raw_server(silent) as url:
        error = failed(colour, url, timeouts=Timeouts(read_s=0.1), retry=None)

    assert (type(error), error.phase, error.sent) == (APITimeoutError, "read", "yes")


@pytest.mark.parametrize("colour", COLOURS)
def test_a_server_that_does_not_read_is_a_write_timeout(colour: str) -> None:
    def deaf(connection: socket.socket, over: threading.Event) -> None:
        over.wait(10)

    client = {"timeouts": Timeouts(write_s=0.2, read_s=0.1), "retry": None}
    with raw_server(deaf) as url, pytest.raises(APITimeoutError) as raised:
        ask(colour, url, "POST", content=b"x" * 50_000_000, client=client)

    assert raised.value.disposition is Disposition.RECONCILE


@pytest.mark.parametrize("colour", COLOURS)
def test_a_server_that_reads_ever_so_slowly_does_not_keep_the_total(colour: str) -> None:
    def slow(connection: socket.socket, over: threading.Event) -> None:
        while not over.wait(0.02):
            connection.recv(4096)

    with raw_server(slow) as url, pytest.raises(APITimeoutError) as raised:
        ask(colour, url, "PUT", content=b"x" * 50_000_000, client={"timeouts": Timeouts(total_s=0.3), "retry": None})

    assert raised.value.phase == "total"


@pytest.mark.parametrize("colour", COLOURS)
def test_more_than_was_announced_is_not_taken_for_content(colour: str) -> None:
    with raw_server(says(HEAD + b"Content-Length: 2\r\n\r\n{}, and more")) as url:
        assert ask(colour, url).content == b"{}"


@pytest.mark.parametrize("colour", COLOURS)
def test_an_answer_without_length_ends_with_the_connection_and_a_reset_is_no_end(colour: str) -> None:
    """HTTP/1.0 style: a FIN is the only end there is; an RST is none."""
    with raw_server(says(HEAD + b"\r\n{}")) as url:
        assert ask(colour, url).json() == {}

    def reset_later(connection: socket.socket, over: threading.Event) -> None:
        read_request(connection)
        connection.sendall(HEAD + b"\r\n{}")
        over.wait(0.1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with raw_server(reset_later) as url:
        assert type(failed(colour, url)) is APIConnectionError


@pytest.mark.parametrize("colour", COLOURS)
def test_an_answer_that_comes_before_the_request_was_read_is_believed(colour: str) -> None:
    """A server may refuse an upload from its head alone, and hang up."""
    refusal = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

    def refusing(connection: socket.socket, over: threading.Event) -> None:
        read_request(connection)
        connection.sendall(refusal)
        connection.shutdown(socket.SHUT_WR)
        over.wait(1)

    client = {"retry": None, "timeouts": Timeouts(write_s=0.3)}
    with raw_server(refusing) as url, pytest.raises((APIStatusError, APITimeoutError)) as raised:
        ask(colour, url, "POST", content=b"x" * 20_000_000, client=client)

    assert raised.value.disposition in (Disposition.STOP, Disposition.RECONCILE)
