"""The outbox of a unit of work for asyncio: the same, awaited."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from controlroom.database.outbox import Outbox

__all__ = ["AsyncOutbox"]


class AsyncOutbox:
    """Messages to others; they commit with the data. ``uow.outbox``."""

    def __init__(self, outbox: Outbox, run: Callable[..., Coroutine[Any, Any, Any]]) -> None:
        self._outbox = outbox
        self._run = run

    async def put(self, topic: str, payload: Any, key: str | None = None) -> str:
        """Put a message, to be handed on by `Database.relay` once this unit has committed; return its id."""
        message_id: str = await self._run(self._outbox.put, topic, payload, key)
        return message_id
