"""Bytes of one version of an object, from here to there, over as many connections as it takes."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from controlroom.clock import monotonic_s
from controlroom.errors import (
    ConfigError,
    ControlRoomError,
    ObjectChangedError,
    ObjectNotFoundError,
    StorageUnavailableError,
)
from controlroom.policy.s3_reading import Pin, changed, promised, require_stretch, stretch
from controlroom.storage.s3.bodies import Body
from controlroom.storage.s3.performer import S3Performer
from controlroom.storage.s3.sums import Verification

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["PinnedFile", "Stream", "Window"]

_PIECE_BYTES: Final = 1024 * 1024
_FIRST_WINDOW_BYTES: Final = 256 * 1024


class Stream:
    """Reads the bytes of *pin* from *start* up to *end*, in order. A connection that is lost is replaced at the byte reached.

    Args:
        performer: Asks for them.
        pin: Which version.
        start: The first byte.
        end: The byte after the last.
        answer: To a request for bytes from *start* on, already there; it may hold more than is wanted.
    """

    def __init__(
        self, performer: S3Performer, pin: Pin, start: int, end: int, answer: Mapping[str, Any] | None = None
    ) -> None:
        self.at: int = start
        self.end: int = end
        self._performer = performer
        self._pin = pin
        self._read_s = performer.options.timeouts.read_s
        self._final: ControlRoomError | None = None
        self._has_more = answer is not None
        self._body = None if answer is None else Body(answer["Body"], pin, self._read_s)
        if self._body is not None and start == end:
            self._finish(self._body)

    def read_into(self, view: memoryview) -> int:
        """Fill *view*, as far as there are bytes; answer how many.

        Raises:
            ObjectChangedError: This version is gone.
            StorageUnavailableError: They do not come, as often as they were asked for.
        """
        wanted = min(len(view), self.end - self.at)
        for start in range(0, wanted, _PIECE_BYTES):  # the tries for one piece are no business of the next one
            piece = view[start : min(wanted, start + _PIECE_BYTES)]
            self._fill_patiently(piece, self.at + len(piece))
        return wanted

    def _fill_patiently(self, piece: memoryview, end: int) -> None:
        began_at_s = monotonic_s()
        try:
            self._fill(piece, end)
        except ControlRoomError as error:
            failed = error
        else:
            return
        policy = self._performer.options.retry.named(f"reading {self._pin.ref}", only_if=self._is_about_a_body)
        try:
            policy.resumed(partial(self._fill, piece, end), failed=failed, began_at_s=began_at_s)
        finally:
            del failed  # it would close a cycle: error, traceback, this frame, error

    def _fill(self, piece: memoryview, end: int) -> None:
        """Fill *piece*, which ends at *end*; an earlier try may have filled its beginning."""
        try:
            body = self._opened()
            while self.at < end:
                self.at += body.read_into(piece[len(piece) - (end - self.at) :], self.at)
        except BaseException:
            self.close()
            raise
        if self.at == self.end:
            self._finish(body)

    def _opened(self) -> Body:
        if self._body is None:
            try:
                answer = self._performer.perform(stretch(self._pin, self.at, self.end))
            except (ObjectChangedError, ObjectNotFoundError) as error:
                raise changed(self._pin, self.at) from error
            except ControlRoomError as error:
                self._final = error  # it was tried as often as it may be
                raise
            self._body = Body(answer["Body"], self._pin, self._read_s)
            self._has_more = answer.get("ContentRange") is None
            self._skip(self._body, require_stretch(answer, self._pin, self.at, self.end))
        return self._body

    @staticmethod
    def _skip(body: Body, before_bytes: int) -> None:
        room = memoryview(bytearray(min(before_bytes, _PIECE_BYTES)))
        at = 0
        while at < before_bytes:
            at += body.read_into(room[: before_bytes - at], at)

    def _is_about_a_body(self, error: ControlRoomError) -> bool:
        return error is not self._final and isinstance(error, StorageUnavailableError)

    def _finish(self, body: Body) -> None:
        if self._has_more and self.end != self._pin.size_bytes:
            body.close()
        else:
            body.finish()
        self._body = None

    def close(self) -> None:
        """Let go of the connection, if there is one."""
        body, self._body = self._body, None
        if body is not None:
            body.close()


class Window:
    """How much to ask for where a reader has jumped to: more each time that it reads on, little where it jumps again.

    What was asked for and is not read costs a connection.

    Args:
        most_bytes: So much at most, unless more is wanted.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0

    def end(self, at: int, wanted_bytes: int, size_bytes: int) -> int:
        """Return up to where to ask, from *at* on, of *size_bytes* in all."""
        self._bytes = min(self._most_bytes, max(2 * self._bytes, _FIRST_WINDOW_BYTES))
        return min(size_bytes, at + max(wanted_bytes, self._bytes))

    def restart(self) -> None:
        """The reader has jumped."""
        self._bytes = 0


class PinnedFile(io.RawIOBase):
    """The unbuffered file under an `ObjectReader`: one version of an object.

    Args:
        performer: Asks for its bytes.
        pin: Which version.
        answer: To the request for all of it.
    """

    def __init__(self, performer: S3Performer, pin: Pin, answer: Mapping[str, Any]) -> None:
        self.name: str = pin.ref
        self._performer = performer
        self._pin = pin
        self._at = 0
        self._window = Window(performer.options.part_size_bytes)
        self._verification = Verification(pin, promised(answer))
        self._stream = Stream(performer, pin, 0, pin.size_bytes, answer)

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position."""
        return self._at

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Fill *buffer*, as far as there are bytes."""
        self._require_open()
        view = memoryview(buffer).cast("B")
        view = view[: max(0, min(len(view), self._pin.size_bytes - self._at))]
        done = 0
        while done < len(view):
            if self._stream.at != self._at or self._at == self._stream.end:
                self._reopen(len(view) - done)
            got = self._stream.read_into(view[done:])
            self._verification.take(view[done : done + got], self._at)
            self._at += got
            done += got
        return done

    def readall(self) -> bytes:
        """Read what is left."""
        content = bytearray(max(0, self._pin.size_bytes - self._at))
        self.readinto(content)
        return bytes(content)

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Move to another position. What is read there is asked for anew, a stretch at a time."""
        self._require_open()
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._pin.size_bytes}.get(whence)
        if start is None or start + offset < 0:
            message = f"{self.name}: seek({offset}, {whence}) leads nowhere. Nothing was read."
            raise ConfigError(message)
        if start + offset != self._at:
            self._at = start + offset
            self._window.restart()
            if self._at == 0:
                self._verification.restart()
        return self._at

    def _reopen(self, wanted_bytes: int) -> None:
        self._stream.close()
        end = self._window.end(self._at, wanted_bytes, self._pin.size_bytes)
        self._stream = Stream(self._performer, self._pin, self._at, end)

    def _require_open(self) -> None:
        if self.closed:
            message = "I/O operation on closed file"
            raise ValueError(message)

    def close(self) -> None:
        """Let go of the connection."""
        if not self.closed:
            self._stream.close()
        super().close()
