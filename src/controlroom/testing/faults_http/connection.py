"""Sends answers over real sockets, in every manner in which they break."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any, Final, NamedTuple

from controlroom.testing.faults_http.turns import Manner

__all__ = ["Answer", "Listener"]

_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)  # socket(7): a linger of 0 s makes close() send RST
_BETWEEN_DROPS_S: Final = 0.02


class Answer(NamedTuple):
    """What goes out, and how."""

    status: int
    headers: Mapping[str, str]
    content: bytes
    manner: Manner


Ask = Callable[[str, str, Mapping[str, str], bytes], Answer]
"""Takes the method, the target, the headers (names in lower case) and the body."""


class Listener(ThreadingHTTPServer):
    """One origin on the loopback interface, served from threads of its own until `close`."""

    request_queue_size = 128

    def __init__(self, ask: Ask) -> None:
        self.ask = ask
        self.over: threading.Event = threading.Event()
        self._answering: list[tuple[socket.socket, threading.Thread]] = []
        super().__init__(("127.0.0.1", 0), _Handler)
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,), name="fault-server", daemon=True)
        self._thread.start()

    def server_bind(self) -> None:
        """Bind, without HTTPServer's look-up of the machine's name, which may take seconds."""
        TCPServer.server_bind(self)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server_address[1])

    def close(self) -> None:
        """Break what is still open, and wait until all threads are gone."""
        self.over.set()
        self.shutdown()
        for connection, _ in self._answering:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in (self._thread, *(thread for _, thread in self._answering)):
            thread.join()
        self.server_close()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread that does not keep the process; socketserver's own `server_close` waits for no such thread."""
        thread = threading.Thread(target=self.process_request_thread, args=(request, client_address), daemon=True)
        self._answering = [(open_, busy) for open_, busy in self._answering if busy.is_alive()]
        self._answering.append((request, thread))
        thread.start()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients go away as they like."""


class _Handler(BaseHTTPRequestHandler):
    server: Listener
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = self.server.ask(self.command, self.path, headers, body)
        self.close_connection |= answer.manner != "whole"
        if answer.manner in {"hang up", "reset"}:
            self._break(reset=answer.manner == "reset")
            return
        self._head(answer)
        if self.command != "HEAD":
            self._body(answer)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _answer  # noqa: N815 - http.server's names

    def _head(self, answer: Answer) -> None:
        self.send_response_only(answer.status)
        for name, value in {"Content-Type": "application/json", **answer.headers}.items():
            self.send_header(name, value)
        if answer.manner in {"chunks cut", "drip"}:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(len(answer.content)))
        self.end_headers()

    def _body(self, answer: Answer) -> None:
        half = answer.content[: len(answer.content) // 2]
        match answer.manner:
            case "whole":
                self.wfile.write(answer.content)
            case "chunks cut":
                self.wfile.write(b"%x\r\n%s\r\n" % (len(half), half))
            case "drip":
                while not self.server.over.wait(_BETWEEN_DROPS_S):
                    self.wfile.write(b"1\r\n \r\n")
            case _:
                self.wfile.write(half)
                self.server.over.wait(None if answer.manner == "stall" else 0)

    def _break(self, *, reset: bool) -> None:
        if reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            self.rfile.close()  # a socket is closed when the last file on it is
            self.connection.close()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server calls it so
        """Nothing."""
