from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from controlroom.testing.http_messages import Wire


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    here, there = socket.socketpair()
    with here, there:
        yield here, there


def test_messages_on_one_connection_are_told_apart(ends: tuple[socket.socket, socket.socket]) -> None:
    here, there = ends
    chunked = b"5;a=b\r\nhe\r\nl\r\n0\r\nTrailer: x\r\n\r\n"
    here.sendall(
        b"PUT /a?b=c HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"
        b"PUT /d HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n" + chunked + b"GET / HTTP/1.1\r\n\r\n"
    )
    here.shutdown(socket.SHUT_WR)
    wire = Wire(there)

    first = wire.head()
    assert first is not None
    assert (first.words, first.headers) == (("PUT", "/a?b=c", "HTTP/1.1"), {"content-length": "3"})
    assert b"".join(wire.body(first)) == b"abc"
    second = wire.head()
    assert second is not None
    assert b"".join(wire.body(second)) == chunked
    third = wire.head()
    assert third is not None
    assert (third.data, third.has_body()) == (b"GET / HTTP/1.1\r\n\r\n", False)
    assert wire.head() is None


def test_an_answer_without_a_length_goes_on_until_the_end(ends: tuple[socket.socket, socket.socket]) -> None:
    here, there = ends
    here.sendall(b"HTTP/1.1 200\r\n\r\nall of it")
    here.shutdown(socket.SHUT_WR)
    wire = Wire(there)

    head = wire.head()
    assert head is not None
    assert (head.status, head.words[2], head.has_body("GET"), head.has_body("HEAD")) == (200, "", True, False)
    assert b"".join(wire.body(head)) == b"all of it"


@pytest.mark.parametrize(
    "text",
    [
        b"GET / HTTP",
        b"GET / HTTP/1.1\r\nA: b\r\n",
        b"PUT / HTTP/1.1\r\nContent-Length: 4\r\n\r\nabc",
        b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
    ],
)
def test_a_message_that_ends_too_soon_is_an_error(ends: tuple[socket.socket, socket.socket], text: bytes) -> None:
    here, there = ends
    here.sendall(text)
    here.shutdown(socket.SHUT_WR)
    wire = Wire(there)

    with pytest.raises(ConnectionError):
        if (head := wire.head()) is not None:
            list(wire.body(head))
