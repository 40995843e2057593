"""The HTTP library, named once. Everything that the package needs of httpx (and of httpcore below it) passes through here.

It is httpx. The environment variable CONTROLROOM_HTTP_LIBRARY=httpx2 chooses its maintained fork, whose names are the same
and whose classes are others; that it is installed chooses nothing.

httpx's own client is not used, only its transports: the client logs every URL at INFO, credentials included
(encode/httpx #2760), keeps cookies across origins, and has no total deadline (encode/httpx #1450). Its class is named here
for those who put themselves into it: see `controlroom.http.straight`.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Final

from controlroom.errors import ConfigError

if TYPE_CHECKING:
    from httpcore import URL as SocketURL  # noqa: N811 - a class
    from httpcore import ConnectTimeout as SocketConnectTimeout
    from httpcore import NetworkBackend, NetworkStream
    from httpcore import NetworkError as SocketNetworkError
    from httpcore import ProtocolError as SocketProtocolError
    from httpcore import ProxyError as SocketProxyError
    from httpcore import ReadTimeout as SocketReadTimeout
    from httpcore import Request as SocketRequest
    from httpcore import TimeoutException as SocketTimeout
    from httpcore import UnsupportedProtocol as SocketUnsupportedProtocol
    from httpcore import WriteTimeout as SocketWriteTimeout
    from httpx import (
        URL,
        AsyncBaseTransport,
        AsyncByteStream,
        AsyncClient,
        AsyncHTTPTransport,
        BaseTransport,
        Client,
        CloseError,
        ConnectError,
        ConnectTimeout,
        HTTPError,
        HTTPTransport,
        InvalidURL,
        LocalProtocolError,
        MockTransport,
        PoolTimeout,
        Proxy,
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
        create_ssl_context,
    )

__all__ = [
    "URL",
    "AsyncBaseTransport",
    "AsyncByteStream",
    "AsyncClient",
    "AsyncHTTPTransport",
    "BaseTransport",
    "Client",
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
    "Proxy",
    "ProxyError",
    "ReadError",
    "ReadTimeout",
    "RemoteProtocolError",
    "Request",
    "Response",
    "SocketConnectTimeout",
    "SocketNetworkError",
    "SocketProtocolError",
    "SocketProxyError",
    "SocketReadTimeout",
    "SocketRequest",
    "SocketTimeout",
    "SocketURL",
    "SocketUnsupportedProtocol",
    "SocketWriteTimeout",
    "StreamError",
    "SyncByteStream",
    "TimeoutException",
    "UnsupportedProtocol",
    "WriteError",
    "WriteTimeout",
    "create_ssl_context",
]

_VARIABLE: Final = "CONTROLROOM_HTTP_LIBRARY"
_CORES: Final = {"httpx": "httpcore", "httpx2": "httpcore2"}
_CORE_NAMES: Final = {
    "NetworkBackend": "NetworkBackend",
    "NetworkStream": "NetworkStream",
    "SocketConnectTimeout": "ConnectTimeout",
    "SocketNetworkError": "NetworkError",
    "SocketProtocolError": "ProtocolError",
    "SocketProxyError": "ProxyError",
    "SocketReadTimeout": "ReadTimeout",
    "SocketRequest": "Request",
    "SocketTimeout": "TimeoutException",
    "SocketURL": "URL",
    "SocketUnsupportedProtocol": "UnsupportedProtocol",
    "SocketWriteTimeout": "WriteTimeout",
}


def _bind() -> None:
    chosen = os.environ.get(_VARIABLE) or "httpx"
    if chosen not in _CORES:
        message = f"{_VARIABLE}={chosen!r} is not possible: give httpx or httpx2."
        raise ConfigError(message)
    try:
        library, core = import_module(chosen), import_module(_CORES[chosen])
    except ModuleNotFoundError as error:
        message = (
            f"{_VARIABLE}={chosen} was chosen, but {error.name} is not installed: pip install 'controlroom[{chosen}]'."
        )
        raise ConfigError(message) from error
    for name in __all__:
        globals()[name] = getattr(core, _CORE_NAMES[name]) if name in _CORE_NAMES else getattr(library, name)


_bind()
