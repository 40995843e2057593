"""Performs the steps of an exchange over the library's blocking transports."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterable
from typing import Any, cast

from controlroom.clock import sleep
from controlroom.errors import ConfigError
from controlroom.http import library, straight
from controlroom.http.addresses import Origin, origin_of
from controlroom.http.body import BodySink
from controlroom.http.deadline_sockets import cut_to_deadlines
from controlroom.http.leftovers import distrust_what_is_left
from controlroom.http.steps import Coordinate, Pause, Send
from controlroom.http.trust import Trust

__all__ = ["Engine"]


class Engine:
    """Connections, opened when they are needed. Thread-safe.

    Args:
        transport: Used for every origin, and closed with the engine; None: sockets, and the environment's proxies.
        trust: Whom to believe in TLS.
    """

    def __init__(self, transport: library.BaseTransport | None, trust: Trust) -> None:
        self._given = transport
        self._trust = trust
        self._routes: dict[Origin | None, library.BaseTransport] = {} if transport is None else {None: transport}
        self._lock = threading.RLock()  # inside, an abandoned walk may be collected, which then closes a client
        self._open = weakref.finalize(self, _close_all, self._routes)  # a forgotten client leaks no socket

    def perform(self, step: Pause | Send | Coordinate) -> Any:
        """Wait, or send and hand the answer to the sink, or do the work and return what came of it."""
        match step:
            case Send():
                self._send(step)
            case Pause():
                sleep(step.wait_s)
            case Coordinate():
                return step.work.run()
        return None

    def _send(self, step: Send) -> None:
        mine = self._route(step.request.url)
        transport = straight.standing_in(library.Client, mine, step.request.url)
        ours = transport is mine is not self._given and straight.is_in_place(library.HTTPTransport.handle_request)
        request = straight.plain(step.request, step.timeouts) if ours else None
        if request is None:
            _send_through(transport, step)
        else:
            _send_straight(transport, request, step.sink)

    def _route(self, url: str) -> library.BaseTransport:
        origin = origin_of(url)
        with self._lock:
            if not self._open.alive:
                message = "This client is closed. Make another one, or keep its `with` block open. Nothing was sent."
                raise ConfigError(message)
            if origin not in self._routes:
                self._routes[origin] = self._given or cut_to_deadlines(
                    self._trust.transport_to(origin, library.HTTPTransport)
                )
            return self._routes[origin]

    def close(self) -> None:
        """Close all connections; a second call does nothing."""
        with self._lock:
            self._open()


def _send_straight(transport: Any, request: Any, sink: BodySink) -> None:
    try:
        response = transport._pool.handle_request(request)  # noqa: SLF001 - see deadline_sockets
        try:
            _take(sink, response.status, straight.pairs(response.headers), response.stream)
        finally:
            response.close()
    except straight.FAILURES as error:
        raise straight.translated(error) from error


def _send_through(transport: library.BaseTransport, step: Send) -> None:
    response = transport.handle_request(step.in_the_librarys_words())
    try:
        # The raw stream, not iter_bytes(): unpacking happens under a limit.
        pieces = cast("library.SyncByteStream", response.stream)
        _take(step.sink, response.status_code, response.headers.multi_items(), pieces)
    finally:
        response.close()


def _take(sink: BodySink, status_code: int, fields: list[tuple[str, str]], pieces: Iterable[bytes]) -> None:
    sink.begin(status_code, fields)
    for piece in pieces:
        if not sink.feed(piece):
            break
    distrust_what_is_left(pieces)
    sink.end()


def _close_all(routes: dict[Origin | None, library.BaseTransport]) -> None:
    for transport in set(routes.values()):
        transport.close()
    routes.clear()
