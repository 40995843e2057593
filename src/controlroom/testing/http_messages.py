"""As much of HTTP/1.1 as it takes to pass messages on and to know where they end (RFC 9112, sections 2 to 7)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from socket import socket
from typing import Final

__all__ = ["Head", "Wire"]

_PIECE_BYTES: Final = 65_536
_LONGEST_LINE_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Head:
    """How a message begins.

    Attributes:
        data: It, as it came, with the blank line.
        words: The three parts of its first line.
        headers: Its fields, names in lower case; of a field that repeats, the last.
    """

    data: bytes
    words: tuple[str, str, str]
    headers: Mapping[str, str]

    @property
    def status(self) -> int:
        """The status of an answer."""
        return int(self.words[1])

    def has_body(self, of_method: str | None = None) -> bool:
        """Whether a body follows; of an answer, *of_method* says what was asked."""
        if of_method is None:
            return "transfer-encoding" in self.headers or self.headers.get("content-length", "0") != "0"
        return of_method != "HEAD" and self.status not in (204, 304) and self.status >= 200  # noqa: PLR2004 - RFC 9112, 6.3


class Wire:
    """What comes out of a connection, message by message; `ConnectionError` where it ends within one."""

    def __init__(self, source: socket) -> None:
        self._source = source
        self._held = b""

    def head(self) -> Head | None:
        """Read the beginning of the next message; None where no further one comes."""
        lines: list[bytes] = []
        while (line := self._line(may_end=not lines)) not in (b"\r\n", b""):
            lines.append(line)
        if not lines:
            return None
        words = lines[0].decode("latin-1").rstrip("\r\n").split(" ", 2)
        fields = (each.decode("latin-1").partition(":") for each in lines[1:])
        return Head(
            b"".join([*lines, b"\r\n"]),
            (words[0], words[1], words[2] if len(words) > 2 else ""),  # noqa: PLR2004 - a reason may be absent
            {name.strip().lower(): value.strip() for name, _, value in fields},
        )

    def body(self, head: Head) -> Iterator[bytes]:
        """Yield what follows *head*, as it came."""
        if "chunked" in head.headers.get("transfer-encoding", "").lower():
            yield from self._chunks()
        elif (length := head.headers.get("content-length")) is not None:
            yield from self._exactly(int(length))
        else:
            while piece := self._some():
                yield piece

    def _chunks(self) -> Iterator[bytes]:
        size = None
        while size != 0:
            line = self._line()
            size = int(line.split(b";")[0], 16)
            yield line
            if size:
                yield from self._exactly(size + 2)
        while True:
            line = self._line()
            yield line
            if line == b"\r\n":
                return

    def _exactly(self, count: int) -> Iterator[bytes]:
        while count:
            piece = self._some(count)
            if not piece:
                raise _cut()
            count -= len(piece)
            yield piece

    def _some(self, most: int = _PIECE_BYTES) -> bytes:
        piece = self._held or self._source.recv(_PIECE_BYTES)
        self._held = piece[most:]
        return piece[:most]

    def _line(self, *, may_end: bool = False) -> bytes:
        while b"\n" not in self._held and len(self._held) < _LONGEST_LINE_BYTES:
            piece = self._source.recv(_PIECE_BYTES)
            if not piece and may_end and not self._held:
                return b""
            if not piece:
                raise _cut()
            self._held += piece
        line, end, self._held = self._held.partition(b"\n")
        return line + end


def _cut() -> ConnectionError:
    return ConnectionError("The other side hung up within a message.")
