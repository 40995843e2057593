"""Reading more rows than fit into memory, for asyncio."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack
from typing import Any

from sqlalchemy import Row

from controlroom.database.ending import Outcome
from controlroom.database.streaming import STREAM_ENDED, Reading
from controlroom.database.unit_of_work_async import AsyncUnitOfWork
from controlroom.draining import drained

__all__ = ["streamed_async"]


async def streamed_async(begin: Callable[[], AsyncUnitOfWork], reading: Reading[Any]) -> AsyncGenerator[Any, None]:
    """Yield what *reading* reads, by units of *begin*, which are rolled back however this ends."""
    async with AsyncExitStack() as stack:
        uow = begin()

        async def fetch() -> list[Row[Any]]:
            nonlocal uow
            if not reading.is_open:
                await stack.aclose()
                uow = await stack.enter_async_context(begin())
                stack.push_async_callback(end, uow)
                reading.open(uow._work)  # noqa: SLF001 - one floor, two files
            rows: list[Row[Any]] = await uow._run(reading.next_chunk)  # noqa: SLF001 - as above
            return rows

        async def end(uow: AsyncUnitOfWork) -> None:
            await drained(close(uow))

        async def close(uow: AsyncUnitOfWork) -> None:
            try:
                await uow._in_greenlet(reading.close)  # noqa: SLF001 - as above
            finally:
                await uow._perform(STREAM_ENDED)  # noqa: SLF001 - as above
                uow._work.outcome = Outcome.ROLLED_BACK  # noqa: SLF001 - as above

        while not reading.is_over:
            policy = reading.policy
            for made in reading.made(await fetch() if policy is None else await policy.acall(fetch)):
                yield made
