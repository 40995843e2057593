"""The demo's reference API: airports and airlines over loopback HTTP, misbehaving by plan.

    with ReferenceAPI(DATA / "reference") as api:
        ...                             # GET {api.url}/v1/airports with api.token
        api.injected                    # what went wrong on purpose, in order

    python reference_api.py --port 0    # the same as a process: its first line of output is the URL

Routes (all need ``Authorization: Bearer <token>``; errors are RFC 9457 problem details):
    /v1/airports?cursor=…&limit=20      {"data": […], "meta": {"next": "<cursor>" | null, "total": 107}}
    /v1/airports/{iata}                 one airport
    /v1/airlines?page=1&size=5          {"data": […], "meta": {"page": 1, "pages": 4, "total": 16}}, and a Link header
    /injected                           the faults so far, for a caller in another process; not counted, never faulty

The n-th authorised request to a path meets the fault that the plan has for it, however many threads are asking.
Nothing is logged: a client that resets its connection is no news here.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import hmac
import json
import signal
import socket
import socketserver
import struct
import sys
import threading
from bisect import bisect_right
from dataclasses import asdict, dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import parse_qs, unquote

from reference_faults import DEFAULT_FAULTS, Fault, FaultPlan, Injected

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["DEFAULT_FAULTS", "DEMO_TOKEN", "Fault", "Injected", "ReferenceAPI"]

DEMO_TOKEN: Final = "demo-token"  # noqa: S105  the demo's own token, valid on this loopback server only
MAX_LIMIT: Final = 100
RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)  # socket(7): a linger of 0 s makes close() send RST, not FIN


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    body: object
    headers: dict[str, str] = field(default_factory=dict)

    def encoded(self) -> bytes:
        return json.dumps(self.body, ensure_ascii=False).encode()


class ProblemError(Exception):
    """The request cannot be answered; carries the RFC 9457 reply that says why."""

    def __init__(self, status: HTTPStatus, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        body = {"type": "about:blank", "title": status.phrase, "status": int(status), "detail": detail}
        self.reply = Reply(status, body, {"Content-Type": "application/problem+json", **(headers or {})})


class Catalogue:
    """The reference data and its routes; knows nothing of sockets and faults."""

    def __init__(self, data_path: Path) -> None:
        self._airports = _load(data_path / "airports.json", "iata")
        self._codes = [airport["iata"] for airport in self._airports]
        self._airlines = _load(data_path / "airlines.json", "carrier")

    def answer(self, path: str, query: dict[str, list[str]]) -> Reply:
        if path == "/v1/airports":
            return self._airport_page(query)
        if path == "/v1/airlines":
            return self._airline_page(query)
        if path.startswith("/v1/airports/"):
            return self._airport(unquote(path.removeprefix("/v1/airports/")))
        raise ProblemError(HTTPStatus.NOT_FOUND, f"There is no {path} here.")

    def _airport(self, code: str) -> Reply:
        if code not in self._codes:
            raise ProblemError(HTTPStatus.NOT_FOUND, f"No airport has the IATA code {code}.")
        return Reply(HTTPStatus.OK, self._airports[self._codes.index(code)])

    def _airport_page(self, query: dict[str, list[str]]) -> Reply:
        limit = _number(query, "limit", default=20)
        start = bisect_right(self._codes, _decode_cursor(query["cursor"][-1])) if "cursor" in query else 0
        end = start + limit
        following = _encode_cursor(self._codes[end - 1]) if end < len(self._codes) else None
        meta = {"next": following, "total": len(self._codes)}
        return Reply(HTTPStatus.OK, {"data": self._airports[start:end], "meta": meta})

    def _airline_page(self, query: dict[str, list[str]]) -> Reply:
        page, size = _number(query, "page", default=1), _number(query, "size", default=5)
        pages = -(-len(self._airlines) // size)
        if page > pages:
            raise ProblemError(HTTPStatus.NOT_FOUND, f"Page {page} is beyond the last, {pages}.")
        meta = {"page": page, "pages": pages, "total": len(self._airlines)}
        # RFC 8288: a target may be relative to the address that was asked for.
        link = {"Link": f'</v1/airlines?page={page + 1}&size={size}>; rel="next"'} if page < pages else {}
        return Reply(HTTPStatus.OK, {"data": self._airlines[(page - 1) * size : page * size], "meta": meta}, link)


def _load(path: Path, key: str) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["data"]
    return sorted(records, key=lambda record: str(record[key]))


def _number(query: dict[str, list[str]], name: str, *, default: int) -> int:
    text = query.get(name, [str(default)])[-1]
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(MAX_LIMIT)) and 1 <= int(text) <= MAX_LIMIT):
        raise ProblemError(HTTPStatus.BAD_REQUEST, f"{name} must be a whole number from 1 to {MAX_LIMIT}.")
    return int(text)


def _encode_cursor(code: str) -> str:
    return base64.urlsafe_b64encode(f"after:{code}".encode()).decode()


def _decode_cursor(cursor: str) -> str:
    try:
        word, _, code = base64.urlsafe_b64decode(cursor).decode().partition(":")
    except ValueError:
        word = ""
    if word != "after":
        raise ProblemError(HTTPStatus.BAD_REQUEST, "The cursor is not one that this API gave.")
    return code


class _Server(socketserver.ThreadingTCPServer):
    """Knows its open connections, so that closing it need not wait for idle keep-alive clients to leave."""

    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], api: ReferenceAPI) -> None:
        self.api = api
        self._lock = threading.Lock()
        self._open: dict[Any, threading.Thread] = {}
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        thread = threading.Thread(target=self.process_request_thread, args=(request, client_address), daemon=True)
        with self._lock:
            self._open[request] = thread
        thread.start()

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.pop(request, None)
        if request.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, len(RESET_ON_CLOSE)) == RESET_ON_CLOSE:
            self.close_request(request)  # socketserver's own way would send a FIN before the RST
        else:
            super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)

    def hang_up(self) -> None:
        """Break every open connection and see its thread end."""
        with self._lock:
            connections = dict(self._open)
        for connection, thread in connections.items():
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            thread.join(timeout=5)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    server_version = "reference-api"
    sys_version = ""
    disable_nagle_algorithm = True  # the head and the body are two writes; a delayed ACK between them costs 40 ms
    error_content_type = "application/problem+json"
    error_message_format = '{"type": "about:blank", "title": "%(message)s", "status": %(code)d}'

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        self.close_connection |= "Content-Length" in self.headers or "Transfer-Encoding" in self.headers
        try:
            self._authorise()
            if path == "/injected":
                self._send(Reply(HTTPStatus.OK, {"data": [asdict(one) for one in self.server.api.injected]}))
            else:
                self._answer(path, query)
        except ProblemError as problem:
            self._send(problem.reply)

    def _authorise(self) -> None:
        scheme, _, given = self.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(given.encode(), self.server.api.token.encode()):
            challenge = {"WWW-Authenticate": "Bearer"}
            raise ProblemError(HTTPStatus.UNAUTHORIZED, "A valid bearer token is needed.", challenge)

    def _answer(self, path: str, query: str) -> None:
        api = self.server.api
        fault = api.plan.draw(path, self.path)
        if fault == "rate_limited":
            wait = {"Retry-After": str(api.retry_after_s)}
            raise ProblemError(HTTPStatus.TOO_MANY_REQUESTS, "Too many requests.", wait)
        if fault == "unavailable":
            raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, "Down for a moment.")
        if fault == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            self.close_connection = True
            return
        reply = api.catalogue.answer(path, parse_qs(query, keep_blank_values=True))
        self._send(reply, cut_short=fault == "cut_short")

    def _send(self, reply: Reply, *, cut_short: bool = False) -> None:
        body = reply.encoded()
        self.send_response(reply.status)
        for name, value in {"Content-Type": "application/json", **reply.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if cut_short else body)
        self.close_connection |= cut_short

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name that http.server calls it by
        """Nothing: the caller reads ``injected`` instead."""


class ReferenceAPI:
    """The server, running between ``with`` and its end on a free port of 127.0.0.1.

    Args:
        data_path: The folder with airports.json and airlines.json.
        faults: What goes wrong and when; empty for a server that behaves.
        token: The bearer token that requests must carry.
        port: 0 takes any free port.
        retry_after_s: What a 429 asks the client to wait, whole seconds.

    Guarantees:
        Leaving the block ends the server and its connections, idle or in the middle of a request, within moments.
    """

    def __init__(
        self,
        data_path: Path,
        faults: Iterable[Fault] = DEFAULT_FAULTS,
        *,
        token: str = DEMO_TOKEN,
        port: int = 0,
        retry_after_s: int = 1,
    ) -> None:
        self.catalogue = Catalogue(data_path)
        self.plan = FaultPlan(faults)
        self.token = token
        self.retry_after_s = retry_after_s
        self._port = port
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        if self._server is None:
            message = "The reference API runs only inside its `with` block."
            raise RuntimeError(message)
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def injected(self) -> list[Injected]:
        """The faults that have happened, in the order of the requests; readable after the block too."""
        return self.plan.injected()

    @property
    def requests(self) -> dict[str, int]:
        """How many authorised requests each path has had, faulty ones included."""
        return self.plan.counts()

    def __enter__(self) -> Self:
        if self._server is not None:
            message = "The reference API is running already."
            raise RuntimeError(message)
        server = _Server(("127.0.0.1", self._port), self)
        self._thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="reference-api", daemon=True)
        self._thread.start()
        self._server = server
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the server; a second call does nothing."""
        server, thread = self._server, self._thread
        self._server = self._thread = None
        if server is None or thread is None:
            return
        server.shutdown()
        server.hang_up()
        server.server_close()
        thread.join(timeout=5)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Serve the demo's reference data until SIGINT or SIGTERM.")
    parser.add_argument("--port", type=int, default=0, help="0: any free port")
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parent / "data" / "reference")
    parser.add_argument("--token", default=DEMO_TOKEN)
    parser.add_argument("--fault", type=Fault.parse, action="append", help="KIND@REQUEST[xTIMES]; replaces the plan")
    parser.add_argument("--no-faults", action="store_true")
    options = parser.parse_args(arguments)
    faults = () if options.no_faults else options.fault or DEFAULT_FAULTS
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with ReferenceAPI(options.data, faults, token=options.token, port=options.port) as api:
        sys.stdout.write(f"{api.url}\n")
        sys.stdout.flush()
        stop.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
