"""How long one connection may wait for its server.

The server stops a statement by itself (``statement_timeout``). A server that cannot be heard does not: neither psycopg nor
asyncpg limits how long an answer may take, and a COMMIT sent into a network that swallows everything would wait for ever.
So whoever waits looks at the clock as well.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Final, TypeVar

from controlroom import clock

__all__ = ["GRACE_S", "OTHERWISE_S", "NoAnswerError", "WaitLimit"]

T = TypeVar("T")

GRACE_S: Final = 2.0
"""What the server gets beyond its own limit, to say that it has stopped."""


OTHERWISE_S: Final = 15.0
"""For what is said without a limit of its own: closing a cursor, say."""


class NoAnswerError(Exception):
    """The server has said nothing for as long as it may."""


class WaitLimit:
    """The limit of one connection, set before something is asked and lifted behind it."""

    __slots__ = ("_at_s", "_seconds")

    def __init__(self) -> None:
        self._at_s: float | None = None
        self._seconds = OTHERWISE_S

    def begin(self, seconds: float) -> None:
        """Allow *seconds* from now on."""
        self._seconds = seconds
        self._at_s = clock.monotonic_s() + seconds

    def lift(self) -> None:
        """Allow each wait that comes without a limit of its own `OTHERWISE_S`."""
        self._at_s, self._seconds = None, OTHERWISE_S

    def watching(self, conversation: Generator[Any, Any, T]) -> Generator[Any, Any, T]:
        """Go through psycopg's *conversation* with the server, and leave it where nothing was heard in time.

        psycopg asks for a Ready from the socket and gets nothing (a false value) about ten times a second meanwhile.

        Raises:
            NoAnswerError: The time is over. The connection is of no more use.
        """
        at_s = clock.monotonic_s() + OTHERWISE_S if self._at_s is None else self._at_s
        try:
            wanted = next(conversation)
            while True:
                ready = yield wanted
                if not ready and clock.monotonic_s() >= at_s:
                    message = f"no answer in {self._seconds:g} s"
                    raise NoAnswerError(message)
                wanted = conversation.send(ready)
        except StopIteration as done:
            result: T = done.value
            return result
        finally:
            conversation.close()
