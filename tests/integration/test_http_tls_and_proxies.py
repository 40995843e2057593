"""Private certificate authorities, client certificates, proxies and tunnels: over real sockets, in both colours."""

from __future__ import annotations

import base64
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from controlroom.errors import APIConnectionError, APIContractError, APITimeoutError, ConfigError, Disposition
from controlroom.http import ApiClient, AsyncApiClient, BearerAuth, Timeouts
from controlroom.policy import Backoff
from controlroom.retrying import RetryPolicy
from tests.integration.http_certificates import Authority, new_authority
from tests.integration.http_colours import COLOURS, ask
from tests.integration.http_server import Answer, raw_server, read_request, serving

pytestmark = pytest.mark.integration

AT_ONCE = RetryPolicy(attempts=3, backoff=Backoff(initial_s=0.0))
TOKEN = "t0ken-for-the-origin-alone"


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "ssl_cert_file", "ssl_cert_dir"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return new_authority(tmp_path_factory.mktemp("authority"))


@contextmanager
def tls_server(context: ssl.SSLContext, seen: list[bytes] | None = None) -> Iterator[str]:
    def talk(connection: socket.socket, over: threading.Event) -> None:
        with context.wrap_socket(connection, server_side=True) as tls:
            head = read_request(tls)
            (seen if seen is not None else []).append(head)
            tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")

    with raw_server(talk) as url:
        yield url.replace("http:", "https:")


# TLS


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("form", ["a path", "a text", "a context"])
def test_a_private_authority_is_believed_where_it_is_named(form: str, colour: str, authority: Authority) -> None:
    verify = {
        "a path": authority.path,
        "a text": str(authority.path),
        "a context": ssl.create_default_context(cafile=authority.path),
    }[form]

    with tls_server(authority.server_context(authority.issue("server"))) as url:
        assert ask(colour, url, client={"verify": verify}).json() == {}
        with pytest.raises(APIConnectionError, match="certificate"):
            ask(colour, url)


@pytest.mark.parametrize("colour", COLOURS)
def test_a_client_certificate_is_shown_where_the_server_asks_for_one(colour: str, authority: Authority) -> None:
    ours = ssl.create_default_context(cafile=authority.path)
    ours.load_cert_chain(authority.issue("client"))

    with tls_server(authority.server_context(authority.issue("server"), asks_for_ours=True)) as url:
        assert ask(colour, url, client={"verify": ours}).json() == {}
        with pytest.raises(APIConnectionError):
            ask(colour, url, client={"verify": authority.path, "retry": None})


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize(
    ("certificate", "told"),
    [({"days": -2}, "expired"), ({"host": "other.example"}, "(?i)mismatch|not valid for")],
    ids=["expired", "another host's"],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_certificate_that_does_not_hold_is_no_matter_of_patience(
    method: str, certificate: dict[str, Any], told: str, colour: str, authority: Authority
) -> None:
    with (
        tls_server(authority.server_context(authority.issue("wrong", **certificate))) as url,
        pytest.raises(APIConnectionError, match=told) as raised,
    ):
        ask(colour, url, method, client={"verify": authority.path})

    assert (raised.value.disposition, raised.value.sent) == (Disposition.STOP, "no")
    assert len(raised.value.attempts) == 1


@pytest.mark.parametrize("client", [ApiClient, AsyncApiClient])
@pytest.mark.parametrize("verify", [False, True, "missing.pem", "empty.pem", "folder", 7], ids=str)
def test_what_is_no_authority_is_refused_before_anything_is_asked(
    verify: Any, client: Callable[..., object], tmp_path: Path
) -> None:
    (tmp_path / "empty.pem").touch()
    (tmp_path / "folder").mkdir()

    with pytest.raises(ConfigError, match="verify="):
        client("https://api.example.com", verify=tmp_path / verify if isinstance(verify, str) else verify)


def test_a_transport_brings_its_own_trust(authority: Authority) -> None:
    with pytest.raises(ConfigError, match="transport"):
        ApiClient("https://x", verify=authority.path, transport=httpx.MockTransport(lambda _: httpx.Response(200)))


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("content", [None, b"no certificate"])
def test_an_environment_that_names_no_authority_is_a_matter_of_configuration(
    content: bytes | None, colour: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And no lost connection, to be tried again."""
    if content is not None:
        (tmp_path / "ca.pem").write_bytes(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))

    with pytest.raises(ConfigError, match="SSL_CERT_FILE"):
        ask(colour, "https://127.0.0.1:1")
    with serving(lambda _: Answer({})) as server:
        assert ask(colour, server.url).json() == {}  # where no TLS is spoken, nobody asks


@pytest.mark.parametrize("colour", COLOURS)
def test_a_server_that_speaks_no_tls_is_a_connection_that_never_was(colour: str) -> None:
    def plain(connection: socket.socket, over: threading.Event) -> None:
        connection.recv(1024)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

    with raw_server(plain) as url, pytest.raises(APIConnectionError) as raised:
        ask(colour, url.replace("http:", "https:"), "POST", client={"retry": AT_ONCE})

    assert raised.value.sent == "no"


@pytest.mark.parametrize("colour", COLOURS)
def test_a_handshake_that_never_ends_does(colour: str) -> None:
    with raw_server(lambda connection, over: over.wait(10)) as url, pytest.raises(APITimeoutError) as raised:
        ask(colour, url.replace("http:", "https:"), client={"retry": None, "timeouts": Timeouts(connect_s=0.2)})

    assert (raised.value.phase, raised.value.sent) == ("connect", "no")


@pytest.mark.parametrize("colour", COLOURS)
def test_a_redirect_out_of_tls_is_not_followed(colour: str, authority: Authority) -> None:
    context = authority.server_context(authority.issue("server"))
    arrived: list[str] = []

    def downgrade(connection: socket.socket, over: threading.Event) -> None:
        with context.wrap_socket(connection, server_side=True) as tls:
            read_request(tls)
            tls.sendall(f"HTTP/1.1 302 Found\r\nLocation: {plain.url}/\r\nContent-Length: 0\r\n\r\n".encode())

    def note(_: Any) -> Answer:
        arrived.append("something")
        return Answer({})

    client = {"verify": authority.path, "auth": BearerAuth(TOKEN)}
    with serving(note) as plain, raw_server(downgrade) as url, pytest.raises(APIContractError, match="not followed"):
        ask(colour, url.replace("http:", "https:"), client=client)

    assert arrived == []


# Proxies


@contextmanager
def tunnel(seen: list[bytes]) -> Iterator[str]:
    """A proxy that connects whoever asks."""

    def pump(source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # one of the two went away

    def talk(connection: socket.socket, over: threading.Event) -> None:
        head = read_request(connection)
        seen.append(head)
        host, _, port = head.split()[1].decode().rpartition(":")
        with socket.create_connection((host, int(port)), timeout=5) as there:
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=pump, args=(there, connection), daemon=True)
            back.start()
            pump(connection, there)
            back.join(5)

    with raw_server(talk) as url:
        yield url


@pytest.mark.parametrize("colour", COLOURS)
def test_a_tunnel_learns_the_hosts_name_and_the_proxys_password_and_no_more(
    colour: str, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_the_proxy: list[bytes] = []
    at_the_server: list[bytes] = []
    context = authority.server_context(authority.issue("server"))

    with tunnel(at_the_proxy) as proxy, tls_server(context, at_the_server) as url:
        monkeypatch.setenv("https_proxy", proxy.replace("//", "//us3r:pr0xy-password@"))
        client = {"verify": authority.path, "auth": BearerAuth(TOKEN)}
        assert ask(colour, url, path="/secret-path", client=client).json() == {}

    (connect,), (request,) = at_the_proxy, at_the_server
    assert connect.startswith(b"CONNECT " + url.removeprefix("https://").encode())
    assert base64.b64encode(b"us3r:pr0xy-password") in connect
    assert not any(secret in connect for secret in (TOKEN.encode(), b"secret-path"))
    assert TOKEN.encode() in request
    assert b"roxy" not in request


@pytest.mark.parametrize("colour", COLOURS)
def test_a_tunnel_to_somebody_else_is_noticed(
    colour: str, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proxy answers for the server, with a certificate of another host."""
    seen: list[bytes] = []
    context = authority.server_context(authority.issue("impostor", host="proxy.example"))

    with tunnel([]) as proxy, tls_server(context, seen) as url:
        monkeypatch.setenv("https_proxy", proxy)
        with pytest.raises(APIConnectionError, match="certificate") as raised:
            ask(colour, url, client={"verify": authority.path, "auth": BearerAuth(TOKEN)})

    assert raised.value.disposition is Disposition.STOP
    assert seen == []


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("status", ["403 Forbidden", "407 Proxy Authentication Required", "502 Bad Gateway"])
def test_a_tunnel_that_is_refused_is_a_request_that_was_never_sent(
    status: str, colour: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(connection: socket.socket, over: threading.Event) -> None:
        read_request(connection)
        connection.sendall(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())

    with raw_server(refuse) as proxy:
        monkeypatch.setenv("https_proxy", proxy.replace("//", "//us3r:pr0xy-password@"))
        with pytest.raises(APIConnectionError) as raised:
            ask(colour, "https://api.example.test", "POST", client={"retry": AT_ONCE})

    assert (raised.value.sent, raised.value.disposition) == ("no", Disposition.RETRY)
    assert "pr0xy-password" not in f"{raised.value} {raised.value.to_dict()}"


@pytest.mark.parametrize("colour", COLOURS)
def test_a_proxy_that_is_not_there_is_a_request_that_was_never_sent(
    colour: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port}")

    with pytest.raises(APIConnectionError) as raised:
        ask(colour, "http://api.example.test", "POST", client={"retry": AT_ONCE})

    assert (raised.value.sent, len(raised.value.attempts)) == ("no", 3)


@pytest.mark.parametrize("colour", COLOURS)
def test_a_proxy_of_one_scheme_is_not_asked_for_the_other(colour: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")

    with serving(lambda _: Answer({})) as server:
        assert ask(colour, server.url).json() == {}


@pytest.mark.parametrize("colour", COLOURS)
def test_a_proxy_that_speaks_tls_is_believed_as_servers_are(
    colour: str, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bytes] = []
    with tls_server(authority.server_context(authority.issue("proxy")), seen) as proxy:
        monkeypatch.setenv("http_proxy", proxy)
        assert ask(colour, "http://api.example.test", path="/x", client={"verify": authority.path}).json() == {}
        with pytest.raises(APIConnectionError, match="certificate"):
            ask(colour, "http://api.example.test")

    assert seen[0].startswith(b"GET http://api.example.test/x HTTP/1.1")


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("proxy", ["ftp://127.0.0.1:21", "http://127.0.0.1:port"])
def test_a_proxy_that_is_none_is_a_matter_of_configuration(
    proxy: str, colour: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", proxy)

    with pytest.raises(ConfigError, match="proxy"):
        ask(colour, "http://api.example.test")


@pytest.mark.parametrize("colour", COLOURS)
def test_the_sixth_version_of_the_internet_is_spoken(colour: str) -> None:
    try:
        listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError as error:
        pytest.skip(f"there is no IPv6 here: {error}")
    heads: list[bytes] = []

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            heads.append(read_request(connection))
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    with listener:
        port = listener.getsockname()[1]
        assert ask(colour, f"http://[::1]:{port}", client={"auth": BearerAuth(TOKEN)}).json() == {}
        thread.join(5)

    assert f"host: [::1]:{port}".encode() in heads[0].lower()
    assert TOKEN.encode() in heads[0]
