"""The proxy that loses requests and answers by plan, before a server that takes notes."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import pytest

from controlroom.errors import ConfigError
from controlroom.testing import HttpProxy

ANSWER = bytes(range(256)) * 1024


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.heard: list[tuple[str, bytes]] = []
        self.cut_short = threading.Event()


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        if len(body) < length:
            self.server.cut_short.set()
            return
        self.server.heard.append((self.path, body))
        self.send_response(200)
        self.send_header("Content-Length", str(len(ANSWER)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(ANSWER)

    do_GET = do_PUT = do_HEAD = answer  # noqa: N815 - http.server looks for these names

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def proxy(server: Server) -> Iterator[HttpProxy]:
    with HttpProxy(f"http://127.0.0.1:{server.server_port}") as proxy:
        yield proxy


def ask(proxy: HttpProxy, path: str = "/", body: bytes | None = None, **headers: str) -> Any:
    connection = http.client.HTTPConnection(urlsplit(proxy.url).netloc, timeout=30)
    try:
        connection.request("GET" if body is None else "PUT", path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


LOST = (ConnectionError, http.client.HTTPException)


def test_what_is_not_cut_passes_whole_on_a_connection_that_stays(proxy: HttpProxy, server: Server) -> None:
    connection = http.client.HTTPConnection(urlsplit(proxy.url).netloc, timeout=30)
    body = b"x" * 3_000_000
    for method, path, sent in (("PUT", "/a?b", body), ("HEAD", "/h", b""), ("GET", "/c", b""), ("PUT", "/d", b"")):
        connection.request(method, path, sent or None)
        answer = connection.getresponse()
        assert answer.read() == (b"" if method == "HEAD" else ANSWER)
    connection.request("PUT", "/chunks", iter([b"ab", b"c"]), {"X": "y"}, encode_chunked=False)
    connection.close()

    assert server.heard[:4] == [("/a?b", body), ("/h", b""), ("/c", b""), ("/d", b"")]
    assert [(each.method, each.target, each.status, each.cut) for each in proxy.seen[:2]] == [
        ("PUT", "/a?b", 200, None),
        ("HEAD", "/h", 200, None),
    ]


@pytest.mark.parametrize("reset", [False, True])
def test_pre_the_server_hears_nothing(proxy: HttpProxy, server: Server, reset: bool) -> None:
    proxy.cut("pre", reset=reset)
    with pytest.raises(LOST):
        ask(proxy, "/lost", b"x")
    assert ask(proxy, "/whole", b"y") == (200, ANSWER)

    assert server.heard == [("/whole", b"y")]
    assert [each.cut for each in proxy.seen] == ["pre", None]


@pytest.mark.parametrize("reset", [False, True])
def test_post_the_server_has_done_it_and_nobody_knows(proxy: HttpProxy, server: Server, reset: bool) -> None:
    proxy.cut("post", reset=reset)
    with pytest.raises(ConnectionResetError if reset else LOST):
        ask(proxy, "/a", b"x")

    assert proxy.wait()
    assert server.heard == [("/a", b"x")]
    assert proxy.seen[0].status == 200


def test_mid_request_the_server_hears_a_part(proxy: HttpProxy, server: Server) -> None:
    proxy.cut("mid_request", after_bytes=70_000)
    with pytest.raises(LOST):
        ask(proxy, "/a", b"x" * 1_000_000)

    assert server.cut_short.wait(30)
    assert server.heard == []


def test_mid_request_without_a_body_the_server_hears_no_request(proxy: HttpProxy, server: Server) -> None:
    proxy.cut("mid_request", after_bytes=70_000)
    with pytest.raises(LOST):
        ask(proxy)

    assert proxy.wait()
    ask(proxy, "/b")
    assert server.heard == [("/b", b"")]


@pytest.mark.parametrize("after_bytes", [0, 1, 100_000])
def test_mid_reply_the_client_hears_a_part(proxy: HttpProxy, server: Server, after_bytes: int) -> None:
    proxy.cut("mid_reply", after_bytes=after_bytes)
    with pytest.raises(http.client.IncompleteRead) as cut:
        ask(proxy)

    assert cut.value.partial == ANSWER[:after_bytes]


def test_a_late_request_arrives_when_it_is_released(proxy: HttpProxy, server: Server) -> None:
    proxy.cut("late")
    with pytest.raises(LOST):
        ask(proxy, "/late", b"x" * 100_000, Expect="100-continue")
    ask(proxy, "/second", b"y")
    assert server.heard == [("/second", b"y")]
    proxy.release()

    assert server.heard == [("/second", b"y"), ("/late", b"x" * 100_000)]


def test_a_black_hole_answers_nothing_and_closes_nothing(proxy: HttpProxy, server: Server) -> None:
    proxy.cut("blackhole")
    with socket.create_connection(("127.0.0.1", urlsplit(proxy.url).port or 0)) as client:
        client.sendall(b"GET /hole HTTP/1.1\r\n\r\n")
        client.settimeout(0.2)
        with pytest.raises(TimeoutError):
            client.recv(1)

    assert server.heard == [("/hole", b"")]


def test_a_trickle_comes_byte_by_byte(proxy: HttpProxy) -> None:
    proxy.cut("trickle")
    with socket.create_connection(("127.0.0.1", urlsplit(proxy.url).port or 0)) as client:
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        file = client.makefile("rb")
        while file.readline() != b"\r\n":
            pass
        assert file.read(3) == ANSWER[:3]
        assert proxy.seen[0].status == 200


@pytest.mark.parametrize("forwards", [False, True])
def test_an_answer_takes_the_place_of_the_servers(proxy: HttpProxy, server: Server, forwards: bool) -> None:
    proxy.answer(503, b"<Code>SlowDown</Code>", {"Retry-After": "1"}, forwards=forwards)

    assert ask(proxy, "/a", b"x" * 1_000_000) == (503, b"<Code>SlowDown</Code>")
    assert [path for path, _ in server.heard] == (["/a"] if forwards else [])


def test_the_server_is_asked_whether_to_go_on(proxy: HttpProxy, server: Server) -> None:
    with socket.create_connection(("127.0.0.1", urlsplit(proxy.url).port or 0)) as client:
        client.settimeout(30)
        client.sendall(b"PUT /a HTTP/1.1\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 100")
        client.sendall(b"x")
        assert client.recv(100).startswith(b"HTTP/1.1 200")


def test_rules_count_only_what_they_are_for(proxy: HttpProxy, server: Server) -> None:
    called: list[int] = []
    proxy.cut("pre", at=2, when=lambda exchange: exchange.target == "/a", times=2)
    proxy.before(lambda: called.append(len(server.heard)), at=2)

    ask(proxy, "/a")
    ask(proxy, "/b")
    for _ in range(2):
        with pytest.raises(LOST):
            ask(proxy, "/a")
    ask(proxy, "/a")
    proxy.cut("pre")
    proxy.forget()
    ask(proxy, "/a")

    assert called == [1]
    assert [each.cut for each in proxy.seen] == [None, None, "pre", "pre", None, None]


def test_closing_ends_what_waits(server: Server) -> None:
    with HttpProxy(f"http://127.0.0.1:{server.server_port}") as proxy:
        proxy.cut("late")
        with pytest.raises(LOST):
            ask(proxy, "/never", b"x")
        idle = http.client.HTTPConnection(urlsplit(proxy.url).netloc, timeout=30)
        idle.request("HEAD", "/")
        idle.getresponse()
    with pytest.raises(LOST):
        idle.request("GET", "/")
        idle.getresponse()
    idle.close()
    with pytest.raises(ConnectionError):
        ask(proxy)

    assert server.heard == [("/", b"")]


def test_a_server_that_is_not_there_is_a_connection_that_ends(server: Server) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with HttpProxy(f"http://127.0.0.1:{port}") as proxy, pytest.raises(LOST):
        ask(proxy)


def test_what_could_never_strike_is_refused(proxy: HttpProxy) -> None:
    with pytest.raises(ConfigError, match="choose one of pre"):
        proxy.cut("sideways")  # type: ignore[arg-type]  # no such way
    with pytest.raises(ConfigError, match="count from 1"):
        proxy.cut("pre", at=0)
    for url in ("https://127.0.0.1:1", "nothing"):
        with pytest.raises(ConfigError, match="plain HTTP"):
            HttpProxy(url)
