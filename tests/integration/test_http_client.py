"""The client on real sockets: TLS, proxies, kept connections, other people's doubles, and the demo's reference API."""

from __future__ import annotations

import gzip
import importlib
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import respx

from controlroom.errors import APIConnectionError, APIContractError, APITimeoutError, Disposition
from controlroom.http import (
    ApiClient,
    AsyncApiClient,
    BearerAuth,
    CursorPagination,
    Endpoint,
    LinkHeaderPagination,
    PageNumberPagination,
    Timeouts,
)
from controlroom.testing import ManualClock
from tests.integration.http_colours import COLOURS, ask, walk
from tests.integration.http_server import Answer, Asked, port_of, raw_server, read_request, serving

pytestmark = pytest.mark.integration

DEMO = Path(__file__).parents[2] / "examples" / "ingest_flights"


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize("colour", COLOURS)
def test_a_compressed_answer_is_unpacked_and_a_bomb_is_not(colour: str) -> None:
    bodies = {"/small": b'{"a": 1}', "/bomb": b" " * 50_000_000}
    packed = {path: gzip.compress(body) for path, body in bodies.items()}

    def answer(asked: Asked) -> Answer:
        assert asked.headers["accept-encoding"].startswith("gzip, deflate")
        return Answer(packed[asked.path], headers={"Content-Encoding": "gzip"})

    with serving(answer) as server:
        assert ask(colour, server.url, path="/small").json() == {"a": 1}
        with pytest.raises(APIContractError, match="too large"):
            ask(colour, server.url, path="/bomb", client={"max_response_bytes": 1_000_000})


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"])
def test_every_method_arrives_with_its_body(colour: str, method: str) -> None:
    with serving(lambda asked: Answer({"method": asked.method})) as server:
        response = ask(colour, server.url, method, "/x?a=1", params={"b": "ü &"}, content=b"body" * 100_000)

    (asked,) = server.asked
    assert (asked.method, asked.query, asked.body) == (method, {"a": "1", "b": "ü &"}, b"body" * 100_000)
    assert method == "HEAD" or response.json() == {"method": method}


def test_one_connection_serves_many_calls_even_after_errors() -> None:
    connections = []

    def talk(connection: socket.socket, over: threading.Event) -> None:
        connections.append(connection)
        for status in ("200 OK", "404 Not Found", "503 Busy", "200 OK"):
            read_request(connection)
            connection.sendall(f"HTTP/1.1 {status}\r\nContent-Length: 2\r\nRetry-After: 1\r\n\r\n{{}}".encode())
        over.wait(5)

    with ManualClock(), raw_server(talk) as url, ApiClient(url) as api:
        api.get("/")
        with pytest.raises(Exception, match="404"):
            api.get("/")
        api.get("/")

    assert len(connections) == 1


# TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    if shutil.which("openssl") is None:
        pytest.skip("makes its certificate with the openssl command, which is not installed")
    folder = tmp_path_factory.mktemp("tls")
    key, cert = folder / "key.pem", folder / "cert.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return key, cert


@pytest.fixture
def tls_url(certificate: tuple[Path, Path]) -> Iterator[str]:
    key, cert = certificate
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(cert, key)

    def talk(connection: socket.socket, over: threading.Event) -> None:
        with context.wrap_socket(connection, server_side=True) as tls:
            path = read_request(tls).split()[1]
            if path == b"/drip":
                tls.sendall(b"HTTP/1.1 200 OK\r\nX: ")
                while not over.wait(0.02):
                    tls.sendall(b"x")
            tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    with raw_server(talk) as url:
        yield url.replace("http:", "https:")


@pytest.mark.parametrize("colour", COLOURS)
def test_tls_is_spoken_and_the_deadline_reaches_below_it(
    colour: str, tls_url: str, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[1]))

    assert ask(colour, tls_url).json() == {}
    with pytest.raises(APITimeoutError) as raised:
        ask(colour, tls_url, path="/drip", client={"timeouts": Timeouts(total_s=1), "retry": None})
    assert raised.value.phase == "total"


@pytest.mark.parametrize("colour", COLOURS)
def test_an_untrusted_certificate_is_neither_trusted_nor_tried_again(colour: str, tls_url: str) -> None:
    with pytest.raises(APIConnectionError, match="certificate") as raised:
        ask(colour, tls_url)

    assert (raised.value.disposition, raised.value.sent) == (Disposition.STOP, "no")
    assert len(raised.value.attempts) == 1


# Proxies


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("scheme", ["http://", ""])
def test_the_environments_proxy_is_asked(colour: str, scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    heads = []

    def talk(connection: socket.socket, over: threading.Event) -> None:
        heads.append(read_request(connection).split(b"\r\n")[0])
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")

    with raw_server(talk) as url:
        monkeypatch.setenv("http_proxy", f"{scheme}127.0.0.1:{port_of(url)}")
        ask(colour, "http://api.example.test", path="/x")

    assert heads == [b"GET http://api.example.test/x HTTP/1.1"]


@pytest.mark.parametrize("colour", COLOURS)
def test_no_proxy_is_obeyed(colour: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "127.0.0.1")

    with serving(lambda _: Answer({})) as server:
        assert ask(colour, server.url).json() == {}


# Other people's doubles


@respx.mock
@pytest.mark.parametrize("colour", COLOURS)
def test_respx_sees_and_answers_the_clients_requests(colour: str) -> None:
    route = respx.get("https://api.example.test/items").mock(
        side_effect=[httpx.ConnectError, httpx.Response(503), httpx.Response(200, json=[1, 2])]
    )

    with ManualClock():
        outcome = walk(colour, "https://api.example.test", Endpoint("/items"), auth=BearerAuth("t0ken-for-respx"))

    assert (outcome.records, outcome.error) == ([1, 2], None)
    assert route.call_count == 3
    assert route.calls.last.request.headers["Authorization"] == "Bearer t0ken-for-respx"


# The demo's reference API


class Reference(ApiClient):
    airports = Endpoint(
        "/v1/airports", records="data", pagination=CursorPagination("cursor", "meta.next"), total="meta.total"
    )
    airlines = Endpoint("/v1/airlines", records="data", pagination=PageNumberPagination(total_pages="meta.pages"))
    linked_airlines = Endpoint("/v1/airlines", records="data", pagination=LinkHeaderPagination())


class AsyncReference(AsyncApiClient):
    airports = Reference.airports


@pytest.fixture
def reference(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.syspath_prepend(str(DEMO))
    module = importlib.import_module("reference_api")
    with module.ReferenceAPI(DEMO / "data" / "reference") as api:
        yield api


@pytest.mark.parametrize("colour", COLOURS)
def test_the_reference_api_is_walked_through_all_its_faults(colour: str, reference: Any) -> None:
    with ManualClock() as clock:
        outcome = walk(colour, reference.url, Reference.airports, auth=BearerAuth(reference.token))

    codes = [airport["iata"] for airport in outcome.records]
    assert outcome.error is None
    assert len(codes) == len(set(codes)) == 107
    assert [fault.kind for fault in reference.injected] == ["rate_limited", "unavailable", "reset", "cut_short"]
    assert len(clock.sleeps) == 4


def test_the_reference_api_is_walked_by_number_and_by_link(reference: Any) -> None:
    with Reference(reference.url, auth=BearerAuth(reference.token)) as api:
        by_number = [airline["carrier"] for airline in api.airlines(params={"size": 5})]
        by_link = [airline["carrier"] for airline in api.linked_airlines(params={"size": 3})]

    assert len(by_number) == 16
    assert by_number == by_link
