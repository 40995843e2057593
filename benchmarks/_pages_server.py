"""The server behind `api_walk`: cursor pages, written before the first request, from a process of its own over real sockets.

It does as little as a server can, so that what is measured is the client.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

__all__ = ["serving"]


@dataclass(frozen=True)
class _List:
    pages: int
    size: int
    think_s: float = 0.0


_LISTS = {"hundred": _List(100, 100), "one": _List(100, 1), "slow": _List(25, 100, think_s=0.02)}


def _record(number: int) -> dict[str, object]:
    return {
        "id": number,
        "name": f"order {number}",
        "customer": {"id": number % 977, "email": f"customer{number % 977}@example.com", "vip": number % 7 == 0},
        "amount": round(number * 1.37, 2),
        "currency": "EUR",
        "created_at": f"2026-03-{number % 28 + 1:02}T10:{number % 60:02}:00Z",
        "status": "shipped" if number % 3 else "open",
        "tags": ["retail", f"region-{number % 16}"],
        "note": None if number % 2 else "leave at the door",
    }


def _body(page: int, served: _List) -> bytes:
    following = f"p{page + 1}" if page + 1 < served.pages else None
    records = [_record(page * served.size + number) for number in range(served.size)]
    return json.dumps({"data": records, "meta": {"next": following, "total": served.pages * served.size}}).encode()


def _answer(body: bytes) -> bytes:
    head = (
        "HTTP/1.1 200 OK\r\nDate: Mon, 02 Mar 2026 10:00:00 GMT\r\nServer: pages\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nCache-Control: no-store\r\nX-Request-Id: 8d1f0c2a\r\n\r\n"
    )
    return head.encode() + body


def _answers() -> dict[bytes, tuple[float, bytes]]:
    return {
        f"/{name}{f'?cursor=p{page}' if page else ''}".encode(): (served.think_s, _answer(_body(page, served)))
        for name, served in _LISTS.items()
        for page in range(served.pages)
    }


def _serve(connection: socket.socket, answers: dict[bytes, tuple[float, bytes]]) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    asked = b""
    with connection:
        while piece := connection.recv(65_536):
            asked += piece
            if asked.endswith(b"\r\n\r\n"):
                think_s, answer = answers[asked.split(b" ", 2)[1]]
                time.sleep(think_s)
                connection.sendall(answer)
                asked = b""


def _main() -> None:
    answers = _answers()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        threading.Thread(target=sys.stdin.read, daemon=True).start()
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=_serve, args=(connection, answers), daemon=True).start()


@contextmanager
def serving() -> Iterator[str]:
    """Run the server while the block runs; yields its base URL."""
    command = [sys.executable, __file__]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603 - this file
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    _main()
