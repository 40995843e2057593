"""Performs the steps of an exchange over the library's asyncio transports; see `controlroom.http.engine`."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, aclosing
from typing import Any

from controlroom.clock import asleep, current_deadline
from controlroom.draining import drained
from controlroom.errors import ConfigError
from controlroom.http import library, straight
from controlroom.http.addresses import Origin, origin_of
from controlroom.http.body import BodySink
from controlroom.http.leftovers import distrust_what_is_left
from controlroom.http.steps import Coordinate, Pause, Send
from controlroom.http.trust import Trust

__all__ = ["AsyncEngine"]


class AsyncEngine:
    """Connections of one event loop at a time, opened when they are needed.

    Args:
        transport: Used for every origin, and closed with the engine; None: sockets, and the environment's proxies.
        trust: Whom to believe in TLS.
    """

    def __init__(self, transport: library.AsyncBaseTransport | None, trust: Trust) -> None:
        self._given = transport
        self._trust = trust
        self._routes: dict[Origin | None, library.AsyncBaseTransport] = {} if transport is None else {None: transport}
        self._is_closed = False
        self._loop: asyncio.AbstractEventLoop | None = None

    async def perform(self, step: Pause | Send | Coordinate) -> Any:
        """Wait, or send and hand the answer to the sink, or do the work and return what came of it."""
        match step:
            case Send():
                sending = self._send_in_time(step)
                await (drained(sending) if step.to_its_end else sending)
            case Pause():
                await asleep(step.wait_s)
            case Coordinate():
                return await step.work.arun()
        return None

    async def _send_in_time(self, step: Send) -> None:
        deadline = current_deadline()
        async with asyncio.timeout(None if deadline is None else deadline.remaining_s()):
            await self._send(step)

    async def _send(self, step: Send) -> None:
        mine = self._route(step.request.url)
        transport = straight.standing_in(library.AsyncClient, mine, step.request.url)
        direct = transport is mine is not self._given
        ours = direct and straight.is_in_place(library.AsyncHTTPTransport.handle_async_request)
        request = straight.plain(step.request, step.timeouts) if ours else None
        if request is None:
            await _send_through(transport, step)
        else:
            await _send_straight(transport, request, step.sink)

    def _route(self, url: str) -> library.AsyncBaseTransport:
        origin = origin_of(url)
        if self._is_closed:
            message = "This client is closed. Make another one, or keep its `async with` block open. Nothing was sent."
            raise ConfigError(message)
        self._come_to(asyncio.get_running_loop())
        if origin not in self._routes:
            self._routes[origin] = self._given or self._trust.transport_to(origin, library.AsyncHTTPTransport)
        return self._routes[origin]

    def _come_to(self, loop: asyncio.AbstractEventLoop) -> None:
        """Leave the connections of a loop that is over behind: nothing can be awaited on them, not even their end."""
        if self._given is not None or self._loop is loop:
            return
        if self._loop is not None and not self._loop.is_closed():
            message = "This client is in use in another event loop. Make one for each of them. Nothing was sent."
            raise ConfigError(message)
        self._routes, self._loop = {}, loop

    async def aclose(self) -> None:
        """Close all connections; a second call does nothing."""
        self._is_closed = True
        if self._loop is not None and self._loop.is_closed():
            self._routes = {}
        transports, self._routes = set(self._routes.values()), {}
        for transport in transports:
            await transport.aclose()


async def _send_straight(transport: Any, request: Any, sink: BodySink) -> None:
    try:
        response = await transport._pool.handle_async_request(request)  # noqa: SLF001 - see straight
        async with AsyncExitStack() as cleanup:
            cleanup.push_async_callback(response.aclose)
            await _take(sink, response.status, straight.pairs(response.headers), response.stream, cleanup)
    except straight.FAILURES as error:
        raise straight.translated(error) from error


async def _send_through(transport: library.AsyncBaseTransport, step: Send) -> None:
    response = await transport.handle_async_request(step.in_the_librarys_words())
    async with AsyncExitStack() as cleanup:
        cleanup.push_async_callback(response.aclose)
        await _take(step.sink, response.status_code, response.headers.multi_items(), response.stream, cleanup)


async def _take(
    sink: BodySink, status_code: int, fields: list[tuple[str, str]], stream: Any, cleanup: AsyncExitStack
) -> None:
    sink.begin(status_code, fields)
    pieces: Any = aiter(stream)
    if hasattr(pieces, "aclose"):  # an async generator left in its middle waits for the garbage collector
        await cleanup.enter_async_context(aclosing(pieces))
    async for piece in pieces:
        wanted = sink.feed(piece)
        await sink.settle()
        if not wanted:
            break
    distrust_what_is_left(stream)
    sink.end()
