"""``transact`` in both colours: a body in a unit of its own, tried again as a whole, and settled where COMMIT was lost."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from controlroom.database.retried import Attempts, awaitable, checked, performed, require_body
from controlroom.database.settling import SettlingStep
from controlroom.database.unit_of_work import UnitOfWork
from controlroom.errors import CommitInDoubtError
from controlroom.policy.flow import drive, drive_async

if TYPE_CHECKING:
    from controlroom.database.ledger import Entry
    from controlroom.database.unit_of_work_async import AsyncUnitOfWork

__all__ = ["transacted", "transacted_async"]

T = TypeVar("T")


def transacted(
    fn: Callable[[UnitOfWork], T],
    attempts: Attempts[T],
    begin: Callable[[], UnitOfWork],
    fence: Callable[[], UnitOfWork],
) -> T | None:
    """Return ``fn(uow)`` for a unit of *begin*; units of *fence* settle what became of it."""
    require_body(fn)

    def attempt() -> T | None:
        try:
            with begin() as uow:
                work = uow._work  # noqa: SLF001 - one floor, two files
                return attempts.result if attempts.has_committed(work) else attempts.keep(work, fn(uow))
        except CommitInDoubtError as error:
            if attempts.key is None:
                raise
            doubt = error
        with attempts.settling(doubt):
            found = attempts.settling_policy.call(lambda: drive(attempts.settle(doubt), perform))
        return attempts.settled(found, doubt)

    def perform(step: SettlingStep) -> Entry | None:
        with fence() as uow:
            found = performed(step, uow._work)  # noqa: SLF001 - one floor, two files
            uow.rollback()
        return found

    return attempts.policy.call(attempt)


async def transacted_async(
    fn: Callable[[AsyncUnitOfWork], Awaitable[T]],
    attempts: Attempts[T],
    begin: Callable[[], AsyncUnitOfWork],
    fence: Callable[[], AsyncUnitOfWork],
) -> T | None:
    """Return ``await fn(uow)`` for a unit of *begin*; units of *fence* settle what became of it."""
    require_body(fn)

    async def attempt() -> T | None:
        try:
            async with begin() as uow:
                return await body(uow)
        except CommitInDoubtError as error:
            if attempts.key is None:
                raise
            doubt = error
        with attempts.settling(doubt):
            found = await attempts.settling_policy.acall(lambda: drive_async(attempts.settle(doubt), perform))
        return attempts.settled(found, doubt)

    async def body(uow: AsyncUnitOfWork) -> T | None:
        if attempts.key is None:
            return checked(await awaitable(fn(uow)))
        if await uow._run(attempts.has_committed, uow._work):  # noqa: SLF001 - one floor, two files
            return attempts.result
        result = await awaitable(fn(uow))
        kept: T = await uow._run(attempts.keep, uow._work, result)  # noqa: SLF001 - as above
        return kept

    async def perform(step: SettlingStep) -> Entry | None:
        async with fence() as uow:
            found: Entry | None = await uow._run(performed, step, uow._work)  # noqa: SLF001 - one floor, two files
            await uow.rollback()
        return found

    return await attempts.policy.acall(attempt)
