"""A server with one object in one bucket, that answers GetObject truthfully or not, as a test says."""

from __future__ import annotations

import base64
import hashlib
import re
import threading
import zlib
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

__all__ = ["Answer", "Liar"]


class Answer:
    """One answer to GetObject, before it is sent.

    Attributes:
        number: Which request it answers, from 1 on.
        status: Of HTTP.
        headers: By name.
        body: All of it.
        cut_at: After so many bytes of the body the connection is closed.
        drip: Send single bytes, slowly.
    """

    def __init__(self, number: int, status: int, headers: dict[str, str], body: bytes) -> None:
        self.number = number
        self.status = status
        self.headers = headers
        self.body = body
        self.cut_at: int | None = None
        self.drip = False


class Liar:
    """Serves ``/bucket/<any key>``: one content, with ranges, conditions and a CRC-32.

    Attributes:
        content: The object.
        tell: Changes an answer before it is sent.
        ranges: What was asked for, in order; None for everything.
        connections: How many were opened.
        sent_bytes: Of bodies.
    """

    def __init__(self) -> None:
        self.connections = 0
        self.begin(b"")
        self._lock = threading.Lock()
        self._slow = threading.Event()
        handler = type("Handler", (_Handler,), {"liar": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]  # readers that leave early are the point
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    def begin(self, content: bytes) -> None:
        """Forget everything, and serve *content*."""
        self.content = content
        self.version: str | None = None
        self.tell: Callable[[Answer], object] = lambda _: None
        self.ranges: list[str | None] = []
        self.sent_bytes = 0
        self._old: dict[str, bytes] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def etag(self) -> str:
        return hashlib.md5(self.content).hexdigest()

    def replace(self, content: bytes) -> None:
        """Publish something else; a bucket with versions keeps the old one."""
        with self._lock:
            if self.version is not None:
                self._old[self.version] = self.content
                self.version += "'"
            self.content = content

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._slow.set()
        self._server.shutdown()
        self._server.server_close()

    def answer(self, headers: Any, query: str) -> Answer:
        with self._lock:
            asked = headers.get("Range")
            self.ranges.append(asked)
            content = self._old.get(query.removeprefix("versionId="), self.content)
            etag = f'"{hashlib.md5(content).hexdigest()}"'
            if headers.get("If-Match") not in {None, etag}:
                return Answer(len(self.ranges), 412, {}, b"<Error><Code>PreconditionFailed</Code></Error>")
            about = {"ETag": etag, "Last-Modified": "Sun, 22 Nov 2026 00:00:00 GMT", "Content-Type": "a/b"}
            if self.version is not None:
                about["x-amz-version-id"] = query.removeprefix("versionId=") or self.version
            if asked is None:
                crc = base64.b64encode(zlib.crc32(content).to_bytes(4, "big")).decode()
                about |= {"x-amz-checksum-crc32": crc, "Content-Length": str(len(content))}
                return Answer(len(self.ranges), 200, about, content)
            match = re.fullmatch(r"bytes=(\d+)-(\d+)", asked)
            assert match is not None
            body = content[int(match[1]) : int(match[2]) + 1]
            about |= {
                "Content-Range": f"bytes {match[1]}-{match[2]}/{len(content)}",
                "Content-Length": str(len(body)),
            }
            return Answer(len(self.ranges), 206, about, body)

    def pause(self) -> None:
        self._slow.wait(0.01)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    liar: Liar

    def setup(self) -> None:
        super().setup()
        self.liar.connections += 1

    def log_message(self, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        answer = self.liar.answer(self.headers, self.path.partition("?")[2])
        self.liar.tell(answer)
        self.send_response(answer.status)
        for name, value in ({"Content-Length": str(len(answer.body))} | answer.headers).items():
            self.send_header(name, value)
        self.end_headers()
        try:
            self._send(answer)
        except OSError:  # the reader has had enough
            self.close_connection = True

    def _send(self, answer: Answer) -> None:
        if answer.drip:
            for at in range(len(answer.body)):
                self.wfile.write(answer.body[at : at + 1])
                self.liar.pause()
        body = answer.body if answer.cut_at is None else answer.body[: answer.cut_at]
        for at in range(0, len(body), 65536):
            self.wfile.write(body[at : at + 65536])
            self.liar.sent_bytes += len(body[at : at + 65536])
        if answer.cut_at is not None:
            self.close_connection = True
