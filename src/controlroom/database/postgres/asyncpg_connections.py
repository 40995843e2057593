"""asyncpg's connections, with a limit on how long they wait."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, Final

import asyncpg  # type: ignore[import-untyped]  # asyncpg has no types

__all__ = ["Alarm", "connection_class"]

_CLOSE_S: Final = 2.0


class Alarm:
    """The limit of one connection, set before something is asked and lifted behind it.

    One timer of the loop's serves many limits: it looks, when it rings, whether one of them is over by then. To set one for
    each message and take it back would cost more; a sleeping task for each would cost more than the message.
    """

    __slots__ = ("_at_s", "_connection", "_loop", "_timer")

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._at_s: float | None = None

    def begin(self, seconds: float) -> None:
        """Allow *seconds* from now on; then the connection is closed, and whoever waits for it is told."""
        self._at_s = self._loop.time() + seconds
        if self._timer is None or self._timer.when() > self._at_s:
            self._ring_at(self._at_s)

    def lift(self) -> None:
        """Allow any time."""
        self._at_s = None

    def end(self) -> None:
        """Ring no more."""
        self._at_s = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ring_at(self, at_s: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(at_s, self._ring)

    def _ring(self) -> None:
        self._timer = None
        if self._at_s is None:
            return
        if self._loop.time() >= self._at_s:
            self._connection.terminate()
        else:
            self._ring_at(self._at_s)


class _LimitedConnection(asyncpg.Connection):  # type: ignore[misc]  # as above
    """A connection that leaves a silent server after a while, closed."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.limit: Alarm = Alarm(self)

    def terminate(self) -> None:
        """Close at once, without saying goodbye."""
        self.limit.end()
        super().terminate()

    async def close(self, *, timeout: float | None = None) -> None:  # noqa: ASYNC109 - asyncpg's own signature
        """Say goodbye; asyncpg waits for the server's end of it, for ever by default."""
        self.limit.end()
        with suppress(TimeoutError):
            await super().close(timeout=timeout or _CLOSE_S)


connection_class: Any = _LimitedConnection
"""For ``asyncpg.connect``."""
