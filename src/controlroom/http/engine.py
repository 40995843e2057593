"""Performs the steps of an exchange over the library's blocking transports."""

from __future__ import annotations

import threading
import weakref
from typing import cast

from controlroom.clock import sleep
from controlroom.errors import ConfigError
from controlroom.http import library
from controlroom.http.addresses import Origin, origin_of
from controlroom.http.deadline_sockets import cut_to_deadlines
from controlroom.http.proxies import proxy_for
from controlroom.http.steps import Pause, Send

__all__ = ["Engine"]


class Engine:
    """Connections, opened when they are needed. Thread-safe.

    Args:
        transport: Used for every origin, and closed with the engine; None: sockets, and the environment's proxies.
    """

    def __init__(self, transport: library.BaseTransport | None) -> None:
        self._given = transport
        self._routes: dict[Origin | None, library.BaseTransport] = {} if transport is None else {None: transport}
        self._lock = threading.Lock()
        self._open = weakref.finalize(self, _close_all, self._routes)  # a forgotten client leaks no socket

    def perform(self, step: Pause | Send) -> None:
        """Wait, or send and hand the answer to the sink."""
        match step:
            case Pause():
                sleep(step.wait_s)
            case Send():
                self._send(step)

    def _send(self, step: Send) -> None:
        asked = step.request
        extensions = {"timeout": step.timeouts}
        headers = list(asked.headers.items())
        request = library.Request(
            asked.method, asked.url, headers=headers, content=asked.content or None, extensions=extensions
        )
        response = self._route(asked.url).handle_request(request)
        try:
            step.sink.begin(response.status_code, response.headers.multi_items())
            # The raw stream, not iter_bytes(): unpacking happens under a limit.
            for piece in cast("library.SyncByteStream", response.stream):
                if not step.sink.feed(piece):
                    break
            step.sink.end()
        finally:
            response.close()

    def _route(self, url: str) -> library.BaseTransport:
        origin = origin_of(url)
        with self._lock:
            if not self._open.alive:
                message = "This client is closed. Make another one, or keep its `with` block open. Nothing was sent."
                raise ConfigError(message)
            if origin not in self._routes:
                self._routes[origin] = self._given or _sockets(proxy_for(origin))
            return self._routes[origin]

    def close(self) -> None:
        """Close all connections; a second call does nothing."""
        with self._lock:
            self._open()


def _close_all(routes: dict[Origin | None, library.BaseTransport]) -> None:
    for transport in set(routes.values()):
        transport.close()
    routes.clear()


def _sockets(proxy: str | None) -> library.BaseTransport:
    """Return a new transport; one for each origin, so that none starves another of connections."""
    try:
        return cut_to_deadlines(library.HTTPTransport(proxy=proxy))
    except (ImportError, ValueError, library.InvalidURL) as error:
        message = f"The proxy that the environment names cannot be used: {error}."
        raise ConfigError(message) from error
