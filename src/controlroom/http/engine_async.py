"""Performs the steps of an exchange over the library's asyncio transports; see `controlroom.http.engine`."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, aclosing
from typing import Any, cast

from controlroom.clock import asleep, current_deadline
from controlroom.errors import ConfigError
from controlroom.http import library
from controlroom.http.addresses import Origin, origin_of
from controlroom.http.proxies import proxy_for
from controlroom.http.steps import Pause, Send

__all__ = ["AsyncEngine"]


class AsyncEngine:
    """Connections of one event loop, opened when they are needed.

    Args:
        transport: Used for every origin, and closed with the engine; None: sockets, and the environment's proxies.
    """

    def __init__(self, transport: library.AsyncBaseTransport | None) -> None:
        self._given = transport
        self._routes: dict[Origin | None, library.AsyncBaseTransport] = {} if transport is None else {None: transport}
        self._is_closed = False

    async def perform(self, step: Pause | Send) -> None:
        """Wait, or send and hand the answer to the sink."""
        match step:
            case Pause():
                await asleep(step.wait_s)
            case Send():
                deadline = current_deadline()
                async with asyncio.timeout(None if deadline is None else deadline.remaining_s()):
                    await self._send(step)

    async def _send(self, step: Send) -> None:
        asked = step.request
        extensions = {"timeout": step.timeouts}
        headers = list(asked.headers.items())
        request = library.Request(
            asked.method, asked.url, headers=headers, content=asked.content or None, extensions=extensions
        )
        response = await self._route(asked.url).handle_async_request(request)
        async with AsyncExitStack() as cleanup:
            cleanup.push_async_callback(response.aclose)
            step.sink.begin(response.status_code, response.headers.multi_items())
            pieces: Any = aiter(cast("library.AsyncByteStream", response.stream))
            if hasattr(pieces, "aclose"):  # an async generator left in its middle waits for the garbage collector
                await cleanup.enter_async_context(aclosing(pieces))
            async for piece in pieces:
                wanted = step.sink.feed(piece)
                await step.sink.settle()
                if not wanted:
                    break
            step.sink.end()

    def _route(self, url: str) -> library.AsyncBaseTransport:
        origin = origin_of(url)
        if self._is_closed:
            message = "This client is closed. Make another one, or keep its `async with` block open. Nothing was sent."
            raise ConfigError(message)
        if origin not in self._routes:
            self._routes[origin] = self._given or _sockets(proxy_for(origin))
        return self._routes[origin]

    async def aclose(self) -> None:
        """Close all connections; a second call does nothing."""
        self._is_closed = True
        transports, self._routes = set(self._routes.values()), {}
        for transport in transports:
            await transport.aclose()


def _sockets(proxy: str | None) -> library.AsyncBaseTransport:
    """Return a new transport; one for each origin, so that none starves another of connections."""
    try:
        return library.AsyncHTTPTransport(proxy=proxy)
    except (ImportError, ValueError, library.InvalidURL) as error:
        message = f"The proxy that the environment names cannot be used: {error}."
        raise ConfigError(message) from error
