"""Sockets that know the ambient deadline: each read and write is cut to what is left at that moment.

A timeout between two pieces is no protection against a server that drips a byte of its head every few seconds, or sends
interim answers (1xx) without end; only the socket sees all of these. Async needs none of it: a task can be cancelled
anywhere.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from typing import Any

from controlroom.clock import current_deadline
from controlroom.http import library

__all__ = ["cut_to_deadlines"]

_WRITE_BYTES = 64 * 1024  # the library writes a buffer to its end under one timeout for each part


def cut_to_deadlines(transport: library.HTTPTransport) -> library.HTTPTransport:
    """Return *transport* with its sockets under the ambient deadline.

    httpx offers no place for a network backend, httpcore does; hence the two private names. A test with a dripping
    server fails should they ever change.
    """
    pool: Any = transport._pool  # noqa: SLF001 - see above
    pool._network_backend = _Backend(pool._network_backend)  # noqa: SLF001 - see above
    return transport


def _left(timeout: float | None, error: type[Exception]) -> float | None:
    deadline = current_deadline()
    if deadline is None:
        return timeout
    if deadline.is_over:
        message = "the deadline has passed"
        raise error(message)
    return deadline.remaining_s() if timeout is None else deadline.fit(timeout)


class _Backend(library.NetworkBackend):
    def __init__(self, backend: library.NetworkBackend) -> None:
        self._backend = backend

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> library.NetworkStream:
        timeout = _left(timeout, library.SocketConnectTimeout)
        return _Stream(self._backend.connect_tcp(host, port, timeout, local_address, socket_options))


class _Stream(library.NetworkStream):
    def __init__(self, stream: library.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(timeout, library.SocketReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for start in range(0, len(buffer), _WRITE_BYTES):
            part = buffer[start : start + _WRITE_BYTES]
            self._stream.write(part, _left(timeout, library.SocketWriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> library.NetworkStream:
        timeout = _left(timeout, library.SocketConnectTimeout)
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
