"""Leases for asyncio: the same lease, awaited, and renewed by a task."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from controlroom import clock
from controlroom.database.lease_rows import Held, Hold, extend, give_back, lost, take
from controlroom.database.lease_state import LeaseState, Wait
from controlroom.database.unit_of_work_async import AsyncUnitOfWork
from controlroom.draining import drained
from controlroom.errors import CommitInDoubtError, ControlRoomError, LeaseLostError, TransactionConflictError

__all__ = ["AsyncLease"]


class AsyncLease(LeaseState):
    """The right to work under a name, for one worker at a time; made by `AsyncDatabase.lease`; see `Lease`.

    Guarantees:
        A cancellation that comes while it is taken gives it back.
    """

    def __init__(
        self, begin: Callable[[], AsyncUnitOfWork], name: str, ttl_s: float, wait_s: float, *, renew: bool
    ) -> None:
        super().__init__(name, ttl_s, wait_s, renew=renew)
        self._begin = begin
        self._ended = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self.require_new()
        try:
            hold, asked_s = await self._waited_for()
        except TransactionConflictError:
            raise  # somebody else has it
        except BaseException:
            await drained(self._take_back())
            raise
        self.took(hold, asked_s)
        if self.renews:
            self._task = asyncio.create_task(self._keep(), name=f"lease {self.name}")
        return self

    async def _waited_for(self) -> tuple[Hold, float]:
        wait = Wait(self)
        while True:
            asked_s = clock.monotonic_s()
            found = await self._taken()
            if isinstance(found, Hold):
                return found, asked_s
            await clock.asleep(wait.pause_s(found))

    async def _take_back(self) -> None:
        """Undo what may have been taken where nobody will know of it."""
        with contextlib.suppress(ControlRoomError), clock.unhurried():
            await self._asked(give_back, self.name, self.owner)

    async def _taken(self) -> Hold | Held:
        try:
            return await self._once()
        except CommitInDoubtError:
            return await self._once()  # its row says who has it, or is locked until the lost unit has ended
        except TransactionConflictError:
            return Held("an earlier owner, whose last unit has not ended", 0.0)

    async def _once(self) -> Hold | Held:
        found: Hold | Held = await self._asked(take, self.name, self.owner, self.ttl_s)
        return found

    async def _asked(self, statement: Callable[..., Any], *args: Any) -> Any:
        async with self._begin() as uow:
            return await uow._run(statement, uow._work, *args)  # noqa: SLF001 - one floor, two files

    async def _keep(self) -> None:
        while not await self._has_ended_within(self.interval_s):
            try:
                await self.renew()
            except LeaseLostError:
                return
            except ControlRoomError as error:
                if not self._ended.is_set():
                    self.not_renewed(error)

    async def _has_ended_within(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._ended.wait()
        return self._ended.is_set()

    async def renew(self) -> None:
        """Let the lease last ``ttl_s`` seconds from now, by the server's clock."""
        hold, asked_s = self.hold, clock.monotonic_s()
        if not await self._asked(extend, hold, self.ttl_s):
            raise self.has_gone()
        self.lasts_from(asked_s)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._ended.set()
        await drained(self._end())
        if error is None and self.is_lost:
            raise lost(self.hold)

    async def _end(self) -> None:
        if self._task is not None:
            self._task.cancel()  # in the middle of a renewal it stops at once, or when that has ended
            await asyncio.wait([self._task])
        try:
            if not self.is_lost:
                with clock.unhurried():
                    self.gave_back(was_ours=await self._asked(give_back, self.name, self.owner))
        except ControlRoomError as failure:
            self.left_to_expire(failure)
