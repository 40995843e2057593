"""aiohttp as aiobotocore uses it, without what it does behind our back."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable
from typing import Any, Final

from aiobotocore.config import AioConfig
from aiobotocore.httpsession import AIOHTTPSession
from aiohttp.payload import Payload

__all__ = ["KeptConfig", "PlainSession"]

_SMALL_BYTES: Final = 64 * 1024  # goes out with the head, in one piece
_PIECE_BYTES: Final = 256 * 1024


class _PlainSession(AIOHTTPSession):  # type: ignore[misc]  # aiobotocore is untyped
    """Sends each request once, to where it was signed for, in pieces.

    aiohttp sends a PUT again by itself where a kept connection turns out to be closed: whether the first one arrived, nobody
    would know. It follows redirects, taking the session token along: S3 and botocore have their own way to say where a
    bucket is. And it puts a body into its buffer as a whole, where it stays after a call that was given up, until the server
    deigns to take it.
    """

    async def _get_session(self, proxy_url: str | None) -> Any:
        return _Once(await super()._get_session(proxy_url), self._timeout.sock_read)


PlainSession: Final[type[Any]] = _PlainSession
"""The class of sessions for aiobotocore's ``AioConfig``."""


class _KeptConfig(AioConfig):  # type: ignore[misc]  # as above
    def merge(self, other_config: Any) -> Any:
        merged = super().merge(other_config)
        merged.http_session_cls = getattr(other_config, "http_session_cls", self.http_session_cls)
        return merged


KeptConfig: Final[type[Any]] = _KeptConfig
"""``AioConfig``; before aiobotocore 3.9 that forgets the class of sessions where it is merged with another."""


class _Once:
    """A session of aiohttp; only what aiobotocore asks of it."""

    __slots__ = ("_session", "_silence_s")

    def __init__(self, session: Any, silence_s: float | None) -> None:
        session._retry_connection = False  # noqa: SLF001 - aiohttp has no argument for it
        self._session = session
        self._silence_s = silence_s

    def request(self, method: str, *, data: Any, **given: Any) -> Awaitable[Any]:
        """Send one request."""
        if isinstance(data, io.BytesIO):  # else aiohttp reads it piece by piece, each in a thread
            data = data.getbuffer()[data.tell() :]
        if isinstance(data, bytes | bytearray | memoryview):
            data = _InPieces(data, self._silence_s) if len(data) > _SMALL_BYTES else bytes(data)
        asked: Awaitable[Any] = self._session.request(method, data=data, allow_redirects=False, **given)
        return asked


class _InPieces(Payload):
    """Bytes, of which the buffer of the connection never holds more than one piece."""

    _value: bytes | bytearray | memoryview

    def __init__(self, value: bytes | bytearray | memoryview, silence_s: float | None) -> None:
        super().__init__(value)
        self._silence_s = silence_s
        self._size = memoryview(value).nbytes

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Return it as text: aiohttp wants every payload to have this."""
        return bytes(self._value).decode(encoding, errors)

    async def write(self, writer: Any) -> None:
        """Send it, each piece when the one before has left; forget what has not when this is given up."""
        transport = writer.transport
        transport.set_write_buffer_limits(high=0)
        try:
            with memoryview(self._value) as given, given.cast("B") as view:
                for start in range(0, len(view), _PIECE_BYTES):
                    async with asyncio.timeout(self._silence_s):
                        await writer.write(view[start : start + _PIECE_BYTES], drain=False)
                        await writer.drain()
        except BaseException:
            transport.abort()
            raise
