"""asyncpg's connections, with a limit on how long they wait."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, Final

import asyncpg  # type: ignore[import-untyped]  # asyncpg has no types

__all__ = ["Alarm", "connection_class"]

_CLOSE_S: Final = 2.0


class Alarm:
    """The limit of one connection, set before something is asked and lifted behind it."""

    __slots__ = ("_connection", "_timer")

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, seconds: float) -> None:
        """Allow *seconds* from now on; then the connection is closed, and whoever waits for it is told."""
        self.lift()
        # The loop's own timer: a sleeping task for every statement would cost more than the statement.
        self._timer = asyncio.get_running_loop().call_later(seconds, self._connection.terminate)

    def lift(self) -> None:
        """Allow any time."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class _LimitedConnection(asyncpg.Connection):  # type: ignore[misc]  # as above
    """A connection that leaves a silent server after a while, closed."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.limit: Alarm = Alarm(self)

    async def close(self, *, timeout: float | None = None) -> None:  # noqa: ASYNC109 - asyncpg's own signature
        """Say goodbye; asyncpg waits for the server's end of it, for ever by default."""
        self.limit.lift()
        with suppress(TimeoutError):
            await super().close(timeout=timeout or _CLOSE_S)


connection_class: Any = _LimitedConnection
"""For ``asyncpg.connect``."""
