"""What real servers and surroundings do that is odd: proxies for all schemes, old HTTP, empty bodies, lies about a content."""

from __future__ import annotations

import gzip
import json
import socket
import threading
from typing import Any

import pytest

from controlroom.errors import APIConnectionError, APIContractError
from controlroom.http import BearerAuth, CursorPagination, Endpoint, NextUrlPagination, Timeouts
from controlroom.policy import Backoff
from controlroom.retrying import RetryPolicy
from tests.integration.http_colours import COLOURS, ask, walk
from tests.integration.http_server import Answer, Asked, port_of, raw_server, read_request, serving

pytestmark = pytest.mark.integration

AT_ONCE = RetryPolicy(attempts=3, backoff=Backoff(initial_s=0.0))
TOKEN = "t0ken-for-the-origin-alone"


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


# Proxies


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("name", ["ALL_PROXY", "all_proxy", "HTTP_PROXY", "http_proxy"])
def test_a_proxy_for_all_is_asked_for_each_scheme_and_in_either_case(
    name: str, colour: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[bytes] = []

    def proxy(connection: socket.socket, over: threading.Event) -> None:
        lines.append(read_request(connection).split(b"\r\n")[0])
        answer = b"502 Bad Gateway" if lines[-1].startswith(b"CONNECT") else b"200 OK"
        connection.sendall(b"HTTP/1.1 " + answer + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    with raw_server(proxy) as url:
        monkeypatch.setenv(name, url)
        ask(colour, "http://api.example.test", path="/x")
        if name.lower() == "all_proxy":
            with pytest.raises(APIConnectionError) as raised:
                ask(colour, "https://api.example.test", "POST", client={"retry": None})
            assert raised.value.sent == "no"

    assert lines[0] == b"GET http://api.example.test/x HTTP/1.1"
    assert lines[1:] == ([b"CONNECT api.example.test:443 HTTP/1.1"] if name.lower() == "all_proxy" else [])


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize(
    ("spared", "direct"),
    [
        ("127.0.0.1", True),
        ("example.test, 127.0.0.1", True),
        ("*", True),
        ("127.0.0.1:{port}", True),
        ("127.0.0.1:1", False),
        ("27.0.0.1", False),
        ("", False),
    ],
)
def test_no_proxy_spares_whom_it_names_and_nobody_else(
    spared: str, direct: bool, colour: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(lambda _: Answer({"from": "the proxy"})) as proxy, serving(lambda _: Answer({"from": "us"})) as server:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", spared.format(port=port_of(server.url)))
        answer = ask(colour, server.url).json()

    assert answer == {"from": "us" if direct else "the proxy"}
    assert (len(server.asked), len(proxy.asked)) == ((1, 0) if direct else (0, 1))


# Redirects


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_another_origin_takes_no_credential_along(status: int, colour: str) -> None:
    """Another port of the same host is another origin."""
    with serving(lambda _: Answer({"from": "elsewhere"})) as elsewhere:
        headers = {"Location": f"{elsewhere.url}/y"}
        with serving(lambda _: Answer(status=status, headers=headers)) as server:
            client: dict[str, Any] = {
                "auth": BearerAuth(TOKEN),
                "headers": {"X-Api-Key": "k3y-of-ours"},
                "params": {"api_key": "p4ram-of-ours"},
            }
            with pytest.raises(APIContractError, match="must not go"):
                ask(colour, server.url, client=client)
            assert elsewhere.asked == []
            allowed = {**client, "allowed_hosts": [f"127.0.0.1:{port_of(elsewhere.url)}"]}
            assert ask(colour, server.url, client=allowed).json() == {"from": "elsewhere"}

    seen = f"{elsewhere.asked[0].headers} {elsewhere.asked[0].query}"
    assert not any(secret in seen for secret in (TOKEN, "k3y-of-ours", "p4ram-of-ours", "authorization"))
    assert TOKEN in server.asked[0].headers["authorization"]


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("locations", [["/a"], ["/b", "/a"], ["/a?n={n}"]], ids=["itself", "in a circle", "ever on"])
def test_redirects_without_end_end(locations: list[str], colour: str) -> None:
    def answer(asked: Asked) -> Answer:
        location = locations[asked.number % len(locations)].format(n=asked.number)
        return Answer(status=302, headers={"Location": location})

    with serving(answer) as server, pytest.raises(APIContractError, match="more than 5 times"):
        ask(colour, server.url, path="/a", client={"retry": AT_ONCE})

    assert len(server.asked) == 6


# The protocol


GOOD = b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
PROTOCOLS = {
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\n" + GOOD,
    "HTTP/1.0, kept alive": b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n" + GOOD,
    "HTTP/1.0, until the end": b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{}",
    "100-continue that nobody waited for": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n" + GOOD,
    "102 and 103": b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n" + GOOD,
    "length and chunks": b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"2\r\n{}\r\n0\r\n\r\n",
    "the same length twice": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
}


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("name", PROTOCOLS)
def test_an_answer_of_another_time_is_read(name: str, method: str, colour: str) -> None:
    def talk(connection: socket.socket, over: threading.Event) -> None:
        read_request(connection)
        connection.sendall(PROTOCOLS[name])
        connection.shutdown(socket.SHUT_WR)
        over.wait(2)

    with raw_server(talk) as url:
        content = b"{}" if method == "POST" else None
        assert ask(colour, url, method, content=content, client={"retry": None}).json() == {}


@pytest.mark.parametrize("colour", COLOURS)
def test_a_field_as_long_as_a_film_is_not_taken_in(colour: str) -> None:
    sent: list[int] = []

    def talk(connection: socket.socket, over: threading.Event) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nX-Film: ")
        for _ in range(10_000):
            connection.sendall(b"x" * 65_536)
            sent.append(65_536)

    with raw_server(talk) as url, pytest.raises(APIConnectionError):
        ask(colour, url, client={"retry": None, "timeouts": Timeouts(total_s=20)})

    assert sum(sent) < 50_000_000  # what fits into the buffers between, and a little more


NOTHING = {
    "200 without length": b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
    "200 of length 0": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "200 of no chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "200, gzip of nothing": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 20\r\n\r\n"
    + gzip.compress(b"", mtime=0),
    "200, gzip and nothing": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 0\r\n\r\n",
    "204": b"HTTP/1.1 204 No Content\r\n\r\n",
    "204 with a length": b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n",
    "205": b"HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n",
    "304": b"HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\n\r\n",
}


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("name", NOTHING)
def test_an_empty_answer_is_empty_and_no_json(name: str, colour: str) -> None:
    def talk(connection: socket.socket, over: threading.Event) -> None:
        read_request(connection)
        connection.sendall(NOTHING[name])
        connection.shutdown(socket.SHUT_WR)
        over.wait(2)

    with raw_server(talk) as url:
        response = ask(colour, url, client={"retry": None})
        outcome = walk(colour, url, Endpoint("/"), retry=None)

    assert (response.status_code, response.content) == (int(name[:3]), b"")
    with pytest.raises(APIContractError, match="not JSON"):
        response.json()
    assert isinstance(outcome.error, APIContractError)  # and no walk over nothing that is said to be whole
    assert outcome.pages == []


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("coding", ["identity", "gzip", "br", "rot13"])
def test_the_answer_to_head_has_no_body_whatever_it_announces(coding: str, colour: str) -> None:
    def talk(connection: socket.socket, over: threading.Event) -> None:
        while read_request(connection):
            connection.sendall(
                b"HTTP/1.1 200 OK\r\nContent-Encoding: %s\r\nContent-Length: 99999999999\r\n\r\n" % coding.encode()
            )

    with raw_server(talk) as url:
        response = ask(colour, url, "HEAD", client={"retry": None})

    assert (response.content, response.headers["content-length"]) == (b"", "99999999999")


# The content


READ = {
    "json as html": (b'[{"id": 1}]', "text/html"),
    "json as nothing": (b'[{"id": 1}]', ""),
    "a byte order mark": (b'\xef\xbb\xbf[{"id": 1}]', "application/json"),
    "UTF-16": ('[{"id": 1}]'.encode("utf-16"), "application/json"),
    "UTF-16 that says UTF-8": ('[{"id": 1}]'.encode("utf-16"), "application/json; charset=utf-8"),
    "UTF-32": ('[{"id": 1}]'.encode("utf-32"), "application/json; charset=utf-32"),
    "a key that comes twice": (b'[{"id": 7, "id": 1}]', "application/json"),
    "blanks": (b" \r\n\t" * 1_000 + b'[{"id": 1}]' + b"\n" * 1_000, "application/json"),
}


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("name", READ)
def test_json_is_known_by_its_bytes(name: str, colour: str) -> None:
    body, kind = READ[name]
    with serving(lambda _: Answer(body, headers={"Content-Type": kind})) as server:
        outcome = walk(colour, server.url, Endpoint("/x"))

    assert (outcome.error, outcome.records) == (None, [{"id": 1}])


def test_a_number_of_any_size_is_kept_to_its_last_digit() -> None:
    numbers = [2**63, -(2**64), 10**400, 9_007_199_254_740_993]
    with serving(lambda _: Answer(json.dumps(numbers).encode())) as server:
        assert walk("sync", server.url, Endpoint("/x")).records == numbers


REFUSED = {
    "html as json": b"<html><body>Please sign in</body></html>",
    "NaN": b'{"data": [NaN], "next": null}',
    "Infinity": b'{"data": [-Infinity], "next": null}',
    "half a list": b'{"data": [1, 2',
    "two documents": b'{"data": [1], "next": null}{"data": [2], "next": null}',
    "a hundred thousand lists": b"[" * 100_000,
    "a hundred thousand lists in a list": b'{"data": [' + b"[" * 100_000 + b"]" * 100_000 + b'], "next": null}',
    "five thousand digits": b'{"data": [' + b"9" * 5_000 + b'], "next": null}',
    "Latin-1": b'{"data": ["caf\xe9"], "next": null}',
    "nothing": b"",
}


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("name", REFUSED)
def test_a_page_that_is_no_json_ends_the_walk_where_it_can_be_resumed(name: str, colour: str) -> None:
    def answer(asked: Asked) -> Answer:
        return Answer(REFUSED[name] if asked.query else {"data": [0], "next": "b"})

    endpoint = Endpoint("/x", records="data", pagination=CursorPagination("cursor", "next"))
    with serving(answer) as server:
        outcome = walk(colour, server.url, endpoint, retry=AT_ONCE)

    assert isinstance(outcome.error, APIContractError)
    assert outcome.records == [0]
    assert outcome.error.checkpoint == outcome.pages[-1].checkpoint
    assert len(server.asked) == 2


@pytest.mark.parametrize("colour", COLOURS)
def test_a_link_that_a_lying_server_gives_is_asked_of_nobody_else(colour: str) -> None:
    with serving(lambda _: Answer({"data": [1], "next": "//evil.example.test/x"})) as server:
        endpoint = Endpoint("/x", records="data", pagination=NextUrlPagination("next"))
        outcome = walk(colour, server.url, endpoint, auth=BearerAuth(TOKEN))

    assert isinstance(outcome.error, APIContractError)
    assert TOKEN not in f"{outcome.error} {outcome.error.to_dict()}"
    assert outcome.records == [1]
