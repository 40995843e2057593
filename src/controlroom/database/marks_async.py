"""Checkpoints and watermarks of a unit of work for asyncio: the same, awaited."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from controlroom.database.marks import ANY, Checkpoints, Unasked, Watermarks
from controlroom.policy.watermark import WatermarkValue

__all__ = ["AsyncCheckpoints", "AsyncWatermarks"]

Run = Callable[..., Coroutine[Any, Any, Any]]


class AsyncCheckpoints:
    """Resumable positions by name; they commit with the data. ``uow.checkpoints``."""

    def __init__(self, checkpoints: Checkpoints, run: Run) -> None:
        self._checkpoints = checkpoints
        self._run = run

    async def get(self, name: str, default: Any = None) -> Any:
        """Return the value stored under *name*, or *default*."""
        return await self._run(self._checkpoints.get, name, default)

    async def set(self, name: str, value: Any, expected: Any = ANY) -> None:
        """Store *value* under *name*, in place of what was there."""
        await self._run(self._checkpoints.set, name, value, expected)


class AsyncWatermarks:
    """How far the data is complete, by name; they commit with the data and never go back. ``uow.watermarks``."""

    def __init__(self, watermarks: Watermarks, run: Run) -> None:
        self._watermarks = watermarks
        self._run = run

    async def get(self, name: str) -> WatermarkValue | None:
        """Return where *name* stands; None where it was never advanced."""
        stands: WatermarkValue | None = await self._run(self._watermarks.get, name)
        return stands

    async def advance(self, name: str, value: WatermarkValue, expected: WatermarkValue | Unasked | None = ANY) -> None:
        """Move *name* on to *value*. Where it stands there already, nothing is written."""
        await self._run(self._watermarks.advance, name, value, expected)
