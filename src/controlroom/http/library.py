"""The HTTP library, named once. Everything that the package needs of httpx (and of httpcore below it) passes through here.

httpx's own client is not used, only its transports: the client logs every URL at INFO, credentials included
(encode/httpx #2760), keeps cookies across origins, and has no total deadline (encode/httpx #1450).
"""

from __future__ import annotations

from httpcore import ConnectTimeout as SocketConnectTimeout
from httpcore import NetworkBackend, NetworkStream
from httpcore import ReadTimeout as SocketReadTimeout
from httpcore import WriteTimeout as SocketWriteTimeout
from httpx import (
    AsyncBaseTransport,
    AsyncByteStream,
    AsyncHTTPTransport,
    BaseTransport,
    CloseError,
    ConnectError,
    ConnectTimeout,
    HTTPError,
    HTTPTransport,
    InvalidURL,
    LocalProtocolError,
    MockTransport,
    PoolTimeout,
    ProxyError,
    ReadError,
    ReadTimeout,
    RemoteProtocolError,
    Request,
    Response,
    StreamError,
    SyncByteStream,
    TimeoutException,
    UnsupportedProtocol,
    WriteError,
    WriteTimeout,
)

__all__ = [
    "AsyncBaseTransport",
    "AsyncByteStream",
    "AsyncHTTPTransport",
    "BaseTransport",
    "CloseError",
    "ConnectError",
    "ConnectTimeout",
    "HTTPError",
    "HTTPTransport",
    "InvalidURL",
    "LocalProtocolError",
    "MockTransport",
    "NetworkBackend",
    "NetworkStream",
    "PoolTimeout",
    "ProxyError",
    "ReadError",
    "ReadTimeout",
    "RemoteProtocolError",
    "Request",
    "Response",
    "SocketConnectTimeout",
    "SocketReadTimeout",
    "SocketWriteTimeout",
    "StreamError",
    "SyncByteStream",
    "TimeoutException",
    "UnsupportedProtocol",
    "WriteError",
    "WriteTimeout",
]
