"""`streams` for asyncio: bytes of one version of an object, from here to there, over as many connections as it takes."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import aiohttp
from botocore.exceptions import BotoCoreError

from controlroom.clock import current_deadline, monotonic_s
from controlroom.errors import (
    ConfigError,
    ControlRoomError,
    ObjectChangedError,
    ObjectNotFoundError,
    StorageUnavailableError,
)
from controlroom.policy.s3_reading import (
    Pin,
    changed,
    cut_short,
    promised,
    require_stretch,
    stretch,
    too_slow,
)
from controlroom.storage.conditions import require_time
from controlroom.storage.objects import ObjectInfo
from controlroom.storage.s3.bodies import Pace
from controlroom.storage.s3.classify import classified
from controlroom.storage.s3.performer_async import AsyncS3Performer
from controlroom.storage.s3.streams import Window
from controlroom.storage.s3.sums import Verification

__all__ = ["AsyncBody", "AsyncPinnedFile", "AsyncStream"]

_PIECE_BYTES: Final = 1024 * 1024
_BROKEN: Final = (aiohttp.ClientError, BotoCoreError, OSError, ValueError)  # TimeoutError is an OSError


class AsyncBody:
    """The body of one answer of aiobotocore; see `Body`."""

    def __init__(self, body: Any, pin: Pin, read_s: float) -> None:
        self._raw: Any = getattr(body, "raw_stream", body)
        self._pin = pin
        self._read_s = read_s
        self._pace = Pace(read_s)

    async def read_into(self, view: memoryview, at: int) -> int:
        """Put what arrives next into *view*, at least one byte; *at* is where in the object that stands."""
        require_time(f"reading {self._pin.ref}")
        try:
            chunk: bytes = self._raw.content.read_nowait(len(view)) or await self._awaited(len(view), at)
        except _BROKEN as error:
            raise classified(error, ref=self._pin.ref, operation="GetObject") from error
        if not chunk:
            raise cut_short(self._pin, at)
        view[: len(chunk)] = chunk
        return len(chunk)

    async def _awaited(self, size_bytes: int, at: int) -> bytes:
        limit = current_deadline()
        began_s = monotonic_s()
        async with asyncio.timeout(self._read_s if limit is None else limit.fit(self._read_s)):
            chunk: bytes = await self._raw.content.read(size_bytes)
        if chunk and self._pace.is_too_slow(monotonic_s() - began_s, len(chunk)):
            raise too_slow(self._pin, at, self._read_s)
        return chunk

    def close(self) -> None:
        """Let go: of the connection, if everything has been read; else close it."""
        self._raw.release() if self._raw.content.at_eof() else self._raw.close()


class AsyncStream:
    """Reads the bytes of *pin* from *start* up to *end*, in order; see `Stream`."""

    def __init__(
        self, performer: AsyncS3Performer, pin: Pin, start: int, end: int, answer: Mapping[str, Any] | None = None
    ) -> None:
        self.at: int = start
        self.end: int = end
        self._performer = performer
        self._pin = pin
        self._read_s = performer.options.timeouts.read_s
        self._final: ControlRoomError | None = None
        self._body = None if answer is None else AsyncBody(answer["Body"], pin, self._read_s)

    async def read_into(self, view: memoryview) -> int:
        """Fill *view*, as far as there are bytes; answer how many."""
        wanted = min(len(view), self.end - self.at)
        for start in range(0, wanted, _PIECE_BYTES):  # the tries for one piece are no business of the next one
            piece = view[start : min(wanted, start + _PIECE_BYTES)]
            await self._fill_patiently(piece, self.at + len(piece))
        return wanted

    async def _fill_patiently(self, piece: memoryview, end: int) -> None:
        began_at_s = monotonic_s()
        try:
            await self._fill(piece, end)
        except ControlRoomError as error:
            failed = error
        else:
            return
        policy = self._performer.options.retry.named(f"reading {self._pin.ref}", only_if=self._is_about_a_body)
        try:
            await policy.aresumed(partial(self._fill, piece, end), failed=failed, began_at_s=began_at_s)
        finally:
            del failed  # it would close a cycle: error, traceback, this frame, error

    async def _fill(self, piece: memoryview, end: int) -> None:
        """Fill *piece*, which ends at *end*; an earlier try may have filled its beginning."""
        try:
            body = await self._opened()
            while self.at < end:
                self.at += await body.read_into(piece[len(piece) - (end - self.at) :], self.at)
        except BaseException:
            self.close()
            raise
        if self.at == self.end:
            self.close()

    async def _opened(self) -> AsyncBody:
        if self._body is None:
            try:
                answer = await self._performer.perform(stretch(self._pin, self.at, self.end))
            except (ObjectChangedError, ObjectNotFoundError) as error:
                raise changed(self._pin, self.at) from error
            except ControlRoomError as error:
                self._final = error  # it was tried as often as it may be
                raise
            self._body = AsyncBody(answer["Body"], self._pin, self._read_s)
            await self._skip(self._body, require_stretch(answer, self._pin, self.at, self.end))
        return self._body

    @staticmethod
    async def _skip(body: AsyncBody, before_bytes: int) -> None:
        room = memoryview(bytearray(min(before_bytes, _PIECE_BYTES)))
        at = 0
        while at < before_bytes:
            at += await body.read_into(room[: before_bytes - at], at)

    def _is_about_a_body(self, error: ControlRoomError) -> bool:
        return error is not self._final and isinstance(error, StorageUnavailableError)

    def close(self) -> None:
        """Let go of the connection, if there is one."""
        body, self._body = self._body, None
        if body is not None:
            body.close()


class AsyncPinnedFile:
    """An `AsyncObjectReader` of one version of an object; see `PinnedFile`.

    Args:
        performer: Asks for its bytes.
        pin: Which version.
        answer: To the request for all of it.
        info: What it says of the object.
    """

    def __init__(self, performer: AsyncS3Performer, pin: Pin, answer: Mapping[str, Any], info: ObjectInfo) -> None:
        self._info = info
        self._performer = performer
        self._pin = pin
        self._at = 0
        self._is_open = True
        self._window = Window(performer.options.part_size_bytes)
        self._verification = Verification(pin, promised(answer))
        self._stream = AsyncStream(performer, pin, 0, pin.size_bytes, answer)

    @property
    def info(self) -> ObjectInfo:
        """The object that is being read."""
        return self._info

    async def read(self, size: int = -1, /) -> bytes:
        """Read up to *size* bytes, or all that is left."""
        self._require_open()
        left = max(0, self._pin.size_bytes - self._at)
        content = bytearray(left if size < 0 else min(size, left))
        view, done = memoryview(content), 0
        while done < len(view):
            if self._stream.at != self._at or self._at == self._stream.end:
                self._stream.close()
                end = self._window.end(self._at, len(view) - done, self._pin.size_bytes)
                self._stream = AsyncStream(self._performer, self._pin, self._at, end)
            got = await self._stream.read_into(view[done:])
            self._verification.take(view[done : done + got], self._at)
            self._at += got
            done += got
        return bytes(content)

    async def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Move to another position. What is read there is asked for anew, a stretch at a time."""
        self._require_open()
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._pin.size_bytes}.get(whence)
        if start is None or start + offset < 0:
            message = f"{self._pin.ref}: seek({offset}, {whence}) leads nowhere. Nothing was read."
            raise ConfigError(message)
        if start + offset != self._at:
            self._at = start + offset
            self._window.restart()
            if self._at == 0:
                self._verification.restart()
        return self._at

    def _require_open(self) -> None:
        if not self._is_open:
            message = "I/O operation on closed file"
            raise ValueError(message)

    def close(self) -> None:
        """Let go of the connection."""
        self._is_open = False
        self._stream.close()
