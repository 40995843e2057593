"""The end of a request whose caller was cancelled."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from controlroom.draining import drained

__all__ = ["settled"]


async def settled(request: asyncio.Future[Any], limit_s: float) -> None:
    """Wait until *request* has ended, for at most *limit_s* seconds; end it then. Further cancellations change nothing."""
    with suppress(asyncio.CancelledError):
        await drained(asyncio.wait([request], timeout=limit_s))
    if not request.done():
        request.cancel()
        with suppress(asyncio.CancelledError):
            await drained(asyncio.wait([request]))
    if not request.cancelled():
        request.exception()  # looked at: nobody else will
