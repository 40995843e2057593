"""Sockets that know the ambient deadline: each read and write is cut to what is left at that moment.

A timeout between two pieces is no protection against a server that drips; only the socket sees that. And what urllib3 sends
it sends under the timeout for connecting, all of it: a part of 8 MiB would have three seconds. Here each piece of it may
take as long as silence may. Async needs none of this: a task can be cancelled anywhere.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from contextvars import ContextVar
from math import inf
from typing import TYPE_CHECKING, Any, Final

from botocore.awsrequest import (
    AWSHTTPConnection,
    AWSHTTPConnectionPool,
    AWSHTTPSConnection,
    AWSHTTPSConnectionPool,
)

from controlroom.clock import current_deadline, monotonic_s

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

__all__ = ["call_until_s", "cut_to_deadlines"]

_WRITE_BYTES: Final = 256 * 1024

call_until_s: Final[ContextVar[float | None]] = ContextVar("controlroom_s3_call_until_s", default=None)
"""Until when the call under way in this context has to be answered: an instant of `controlroom.clock.monotonic_s`."""


def cut_to_deadlines(client: Any, silence_s: float) -> None:
    """Put the sockets that *client*, of botocore, will open under the ambient deadline.

    botocore offers no place for a connection class; hence the two private names. A test with a dripping server fails should
    they ever change.

    Args:
        client: That has opened none yet.
        silence_s: How long one piece may take to be taken.
    """
    pools: dict[str, Any] = client._endpoint.http_session._pool_classes_by_scheme  # noqa: SLF001 - see above
    plain = type("Connection", (_Connection,), {"silence_s": silence_s})
    tls = type("TlsConnection", (_TlsConnection,), {"silence_s": silence_s})
    pools["http"] = type("Pool", (AWSHTTPConnectionPool,), {"ConnectionCls": plain})
    pools["https"] = type("TlsPool", (AWSHTTPSConnectionPool,), {"ConnectionCls": tls})


def _left(limit_s: float | None) -> float | None:
    deadline, until_s, left_s = current_deadline(), call_until_s.get(), inf if limit_s is None else limit_s
    if until_s is not None:
        left_s = min(left_s, until_s - monotonic_s())
    if deadline is not None:
        left_s = deadline.fit(left_s)
    if left_s <= 0:
        message = "the deadline has passed"
        raise TimeoutError(message)
    return None if left_s == inf else left_s


class _Cut:
    """What both kinds of socket have in common."""

    silence_s: float | None = None
    _limit_s: float | None = None
    _set_s: float | None = None

    def settimeout(self, value: float | None, /) -> None:
        """Keep what urllib3 wants: the most that one operation may take."""
        self._limit_s = value
        self._set(value)

    def recv_into(self, *args: Any) -> int:
        """Receive, within what is left."""
        self._set(_left(self._limit_s))
        received: int = super().recv_into(*args)  # type: ignore[misc]  # of the socket class beside this one
        return received

    def sendall(self, data: ReadableBuffer, flags: int = 0, /) -> None:
        """Send, each piece within what is left."""
        with memoryview(data) as given, given.cast("B") as view:
            for start in range(0, len(view), _WRITE_BYTES):
                self._set(_left(self.silence_s or self._limit_s))
                super().sendall(view[start : start + _WRITE_BYTES], flags)  # type: ignore[misc]  # as above

    def _set(self, seconds: float | None) -> None:
        if seconds != self._set_s:
            self._set_s = seconds
            super().settimeout(seconds)  # type: ignore[misc]  # as above


class _Socket(_Cut, socket.socket):
    """A plain one."""


class _TlsSocket(_Cut, ssl.SSLSocket):
    """One of TLS; `ssl.SSLContext` makes it."""


class _Connection(AWSHTTPConnection):  # type: ignore[misc]  # botocore is untyped
    silence_s: float

    def _new_conn(self) -> socket.socket:
        return _opened(self, super()._new_conn)


class _TlsConnection(AWSHTTPSConnection):  # type: ignore[misc]  # as above
    silence_s: float

    def _new_conn(self) -> socket.socket:
        return _opened(self, super()._new_conn)

    def connect(self) -> None:
        """Connect, with our sockets above TLS too."""
        if self.ssl_context is not None:
            self.ssl_context.sslsocket_class = _TlsSocket
        super().connect()
        if isinstance(self.sock, _TlsSocket):
            self.sock.silence_s = self.silence_s


def _opened(connection: Any, connect: Callable[[], socket.socket]) -> _Socket:
    """Return the socket that *connect* opens for *connection*, as one of ours."""
    connection.timeout = _left(connection.timeout)
    opened = connect()
    timeout_s = opened.gettimeout()
    sock = _Socket(opened.family, opened.type, opened.proto, fileno=opened.detach())
    sock.settimeout(timeout_s)
    sock.silence_s = connection.silence_s
    return sock
