"""As much of PostgreSQL's protocol as it takes to see a COMMIT (postgresql.org/docs/current/protocol-message-formats.html)."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from socket import socket
from typing import Final, NamedTuple

__all__ = ["ClientMessages", "Message", "ends_a_transaction", "frames"]

_SSL_REQUEST: Final = 80_877_103
_GSSENC_REQUEST: Final = 80_877_104
_NO: Final = b"N"
_ENDS_A_BATCH: Final = (b"S", b"H")  # Sync, Flush: the server answers what was executed before
_COMMENTS: Final = re.compile(r"/\*.*?\*/|--[^\n]*", re.DOTALL)
_COMMIT: Final = re.compile(r"\s*(COMMIT|END)(\s+(WORK|TRANSACTION))?(\s+AND\s+(NO\s+)?CHAIN)?\s*", re.IGNORECASE)


class Message(NamedTuple):
    """What a client said, whole: one message, or an extended query that commits with all that belongs to it."""

    data: bytes
    commits: bool


def ends_a_transaction(sql: str) -> bool:
    """Tell whether *sql*, one command or several, commits. Texts with semicolons inside quotes are cut there too."""
    return any(_COMMIT.fullmatch(command) for command in _COMMENTS.sub(" ", sql).split(";"))


class _Closed(Exception):  # noqa: N818 - a signal, caught in this file
    """The other side has hung up."""


def _exactly(source: socket, count: int) -> bytes:
    parts = []
    while count:
        part = source.recv(min(count, 65_536))
        if not part:
            raise _Closed
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def frames(source: socket) -> Iterator[tuple[bytes, bytes]]:
    """Yield the messages of *source* behind the first one: their kind, and the whole of each."""
    try:
        while True:
            head = _exactly(source, 5)
            (length,) = struct.unpack("!I", head[1:])
            yield head[:1], head + _exactly(source, length - 4)
    except _Closed:
        return


def _texts(data: bytes) -> list[str]:
    """Return the zero-terminated texts at the beginning of a message's body, as far as they go."""
    return [part.decode("utf-8", "replace") for part in data[5:].split(b"\0")]


class ClientMessages:
    """What a client says, from its first byte on."""

    def __init__(self, client: socket) -> None:
        self._client = client
        self._commit_statements: set[str] = set()
        self._commit_portals: set[str] = set()

    def read(self, answer: Callable[[bytes], object]) -> Iterator[Message]:
        """Yield its messages; *answer* tells it what only the first ones ask for: that there is no encryption."""
        try:
            yield Message(self._first(answer), commits=False)
        except _Closed:
            return
        held: list[bytes] = []
        for kind, data in frames(self._client):
            if held or (kind == b"E" and _texts(data)[0] in self._commit_portals):
                held.append(data)
                if kind in _ENDS_A_BATCH:
                    yield Message(b"".join(held), commits=True)
                    held = []
            else:
                yield Message(data, commits=self._simply(kind, data))

    def _first(self, answer: Callable[[bytes], object]) -> bytes:
        while True:
            head = _exactly(self._client, 8)
            length, code = struct.unpack("!II", head)
            data = head + _exactly(self._client, length - 8)
            if code not in (_SSL_REQUEST, _GSSENC_REQUEST):
                return data
            answer(_NO)

    def _simply(self, kind: bytes, data: bytes) -> bool:
        """Tell whether this message alone commits; remember what later ones will speak of."""
        if kind == b"Q":
            return ends_a_transaction(_texts(data)[0])
        if kind == b"P":
            name, sql = _texts(data)[:2]
            self._note(self._commit_statements, name, commits=ends_a_transaction(sql))
        elif kind == b"B":
            portal, statement = _texts(data)[:2]
            self._note(self._commit_portals, portal, commits=statement in self._commit_statements)
        return False

    @staticmethod
    def _note(known: set[str], name: str, *, commits: bool) -> None:
        if commits:
            known.add(name)
        else:
            known.discard(name)
