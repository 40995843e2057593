"""File work off the event loop, one hop a step, never abandoned half-way."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from functools import partial
from typing import ParamSpec, TypeVar

from controlroom.draining import drained

__all__ = ["in_thread"]

P = ParamSpec("P")
T = TypeVar("T")


async def in_thread(fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return ``fn(*args, **kwargs)``, run in a thread that sees the caller's deadline and log context.

    A cancellation waits until *fn* has ended, and is delivered then: nobody undoes what is still being done. What *fn*
    raised is its cause.
    """
    call = partial(contextvars.copy_context().run, fn, *args, **kwargs)
    # A bare future: a task round it would itself be cancelled when the loop is torn down, and leave the thread behind.
    return await drained(asyncio.get_running_loop().run_in_executor(None, call))
