"""A network that fails by plan: for tests of what your pipeline does about it."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any, Literal, NamedTuple, cast

from controlroom.errors import ConfigError
from controlroom.http import library

__all__ = ["FlakyTransport", "InjectedFault"]

Kind = Literal["connect_error", "connect_timeout", "read_timeout", "reset", "cut_body"]
Fault = Kind | int | tuple[int, Mapping[str, str]]

_BEFORE_SENDING: dict[str, type[Exception]] = {
    "connect_error": library.ConnectError,
    "connect_timeout": library.ConnectTimeout,
}
_AFTER_SENDING: dict[str, type[Exception]] = {"read_timeout": library.ReadTimeout, "reset": library.ReadError}
_KINDS = {*_BEFORE_SENDING, *_AFTER_SENDING, "cut_body"}


class InjectedFault(NamedTuple):
    """A fault that did happen: to which request (1-based), and what it asked for."""

    number: int
    fault: Fault
    method: str
    url: str


class FlakyTransport(library.BaseTransport, library.AsyncBaseTransport):
    """Give it to a client as ``transport=``: request number n meets the fault that the plan has for n, others pass.

    Faults: "connect_error" and "connect_timeout" happen before anything is sent; "read_timeout" and "reset" happen after
    the request was carried out, its answer is lost; "cut_body" breaks off the answer's body; a status code, or one with
    headers (``(429, {"Retry-After": "5"})``), is answered in the place of the server, which does not see the request.

    Args:
        inner: Answers what passes: a handler ``(httpx.Request) -> httpx.Response`` (or an asynchronous one), or another
            transport, which is closed with this one.
        plan: Request number (1-based) → fault.

    Attributes:
        injected: The faults that have happened, in order.
        requests: How many requests there have been.

    Raises:
        ConfigError: The plan has an unknown fault or a number below 1.

    Guarantees:
        Deterministic: the same requests meet the same faults. Thread-safe.
    """

    def __init__(self, inner: Any, plan: Mapping[int, Fault]) -> None:
        for number, fault in plan.items():
            if number < 1 or (isinstance(fault, str) and fault not in _KINDS):
                message = f"Request {number}: {fault!r} is no fault; choose {', '.join(sorted(_KINDS))} or a status."
                raise ConfigError(message)
        is_transport = isinstance(inner, library.BaseTransport | library.AsyncBaseTransport)
        self._inner = inner if is_transport else library.MockTransport(cast("Callable[..., Any]", inner))
        self._plan = dict(plan)
        self._lock = threading.Lock()
        self.requests: int = 0
        self.injected: list[InjectedFault] = []

    def handle_request(self, request: library.Request) -> library.Response:
        """Answer or fail, as the plan says."""
        fault = self._next(request)
        if (answer := _instead(fault, request)) is not None:
            return answer
        response = self._inner.handle_request(request)
        if isinstance(fault, str) and fault in _AFTER_SENDING:
            response.close()
        return _after(fault, request, response)

    async def handle_async_request(self, request: library.Request) -> library.Response:
        """Answer or fail, as the plan says."""
        fault = self._next(request)
        if (answer := _instead(fault, request)) is not None:
            return answer
        response = await self._inner.handle_async_request(request)
        if isinstance(fault, str) and fault in _AFTER_SENDING:
            await response.aclose()
        return _after(fault, request, response)

    def close(self) -> None:
        """Close the inner transport."""
        self._inner.close()

    async def aclose(self) -> None:
        """Close the inner transport."""
        await self._inner.aclose()

    def _next(self, request: library.Request) -> Fault | None:
        with self._lock:
            self.requests += 1
            fault = self._plan.get(self.requests)
            if fault is not None:
                self.injected.append(InjectedFault(self.requests, fault, request.method, str(request.url)))
            return fault


def _instead(fault: Fault | None, request: library.Request) -> library.Response | None:
    """Return the answer that a request gets without reaching the server, if that is its fate."""
    match fault:
        case str() if fault in _BEFORE_SENDING:
            message = f"{fault} by plan"
            raise _BEFORE_SENDING[fault](message)
        case int():
            return library.Response(fault, request=request)
        case (int(status), headers):
            return library.Response(status, headers=dict(headers), request=request)
        case _:
            return None


def _after(fault: Fault | None, request: library.Request, response: library.Response) -> library.Response:
    match fault:
        case str() if fault in _AFTER_SENDING:
            message = f"{fault} by plan"
            raise _AFTER_SENDING[fault](message)
        case "cut_body":
            headers = response.headers.multi_items()
            stream = _CutStream(response)
            return library.Response(response.status_code, headers=headers, stream=stream, request=request)
        case _:
            return response


class _CutStream(library.SyncByteStream, library.AsyncByteStream):
    """The first piece of a body, less its end; then the connection is gone."""

    def __init__(self, response: library.Response) -> None:
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        for piece in cast("library.SyncByteStream", self._response.stream):
            yield piece[: len(piece) // 2]
            break
        raise _broken_off()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in cast("library.AsyncByteStream", self._response.stream):
            yield piece[: len(piece) // 2]
            break
        raise _broken_off()

    def close(self) -> None:
        self._response.close()

    async def aclose(self) -> None:
        await self._response.aclose()


def _broken_off() -> Exception:
    return library.RemoteProtocolError("peer closed connection without sending complete message body (by plan)")
