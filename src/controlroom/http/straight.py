"""The short way to our own sockets: past the library's request and response objects, straight to its connection pool.

Making those objects costs as much as sending what they say: each URL is parsed anew, each header decoded and encoded twice.
So a plain request is written as the pool wants it. What is not plain goes the long way, through the transport, and so does
everything while somebody has put himself in its place (pytest-httpx, respx, an instrumentation): they see what they always
see.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from types import FunctionType
from typing import Any, Final, NamedTuple

from controlroom.http import library
from controlroom.http.messages import Request

__all__ = ["FAILURES", "is_in_place", "pairs", "plain", "standing_in", "translated"]

FAILURES: Final = (
    library.SocketTimeout,
    library.SocketNetworkError,
    library.SocketProtocolError,
    library.SocketProxyError,
    library.SocketUnsupportedProtocol,
)
"""What the pool raises, and its streams while they are read."""

_WITHOUT_BODY: Final = frozenset({"GET", "HEAD", "DELETE", "OPTIONS"})  # to others the library adds Content-Length: 0
# Nothing here is escaped, unescaped, or resolved by anybody: what stands in the URL is what is sent.
_PLAIN = re.compile(r"(https?://[A-Za-z0-9.:\[\]-]+)(/(?:[\w~!$&()*+,;=:@/.?-]+|%[0-9A-Fa-f]{2})*)", re.ASCII)
_LONGEST: Final = 4096
_LIBRARY: Final = f"{Path(str(import_module(library.URL.__module__).__file__)).parent}{os.sep}"


class _Place(NamedTuple):
    scheme: bytes
    host: bytes
    port: int | None
    name: bytes


def is_in_place(method: Any) -> bool:
    """Tell whether *method* is still what the library wrote, and not what somebody put there."""
    return isinstance(method, FunctionType) and method.__code__.co_filename.startswith(_LIBRARY)


def standing_in(client: Any, transport: Any, url: str) -> Any:
    """Return whom somebody put before *transport* by way of the library's *client* class, which is not used else; or itself.

    So does ``respx.mock(using="httpx")``: the client asks a method of its own for the transport to a URL.
    """
    chosen = getattr(client, "_transport_for_url", None)
    if chosen is None or is_in_place(chosen):
        return transport
    return client(transport=transport, trust_env=False)._transport_for_url(library.URL(url))  # noqa: SLF001 - see above


def plain(request: Request, timeouts: dict[str, float]) -> Any:
    """Return *request* as the pool takes it; None where it has to go the long way."""
    if request.content or request.method not in _WITHOUT_BODY or len(request.url) > _LONGEST:
        return None
    found = _PLAIN.fullmatch(request.url)
    if found is None or "/." in found[2]:
        return None
    place = _place(found[1])
    url = library.SocketURL(scheme=place.scheme, host=place.host, port=place.port, target=found[2].encode("ascii"))
    headers = request.headers.raw()
    if "Host" not in request.headers:
        headers.insert(0, (b"Host", place.name))
    return library.SocketRequest(request.method, url, headers=headers, extensions={"timeout": timeouts})


@lru_cache(maxsize=256)
def _place(origin: str) -> _Place:
    url = library.URL(origin)
    return _Place(url.raw_scheme, url.raw_host, url.port, url.netloc)


def pairs(fields: Iterable[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    """Return the header *fields* of an answer as texts, in the one encoding that fits all of them."""
    fields = list(fields)
    for encoding in ("ascii", "utf-8"):
        try:
            return [(name.decode(encoding).lower(), value.decode(encoding)) for name, value in fields]
        except UnicodeDecodeError:
            pass
    return [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in fields]


def translated(error: Exception) -> Exception:
    """Return *error* of the pool as the transport would have raised it: the classes have the same names."""
    for kind in type(error).__mro__:
        if kind.__name__ in library.__all__:
            mapped: Exception = getattr(library, kind.__name__)(str(error))
            return mapped
    return library.HTTPError(str(error))
