"""What an `AsyncDatabase` offers to workers that share it: leases, messages, forgetting."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from controlroom.database.leases_async import AsyncLease
from controlroom.database.outbox import Message
from controlroom.database.pruning import Pruned, Pruning, prune_async
from controlroom.database.relaying import Relayed, Relaying, relay_async
from controlroom.database.retried import Attempts
from controlroom.database.schema import create_tables
from controlroom.database.transacting import transacted_async
from controlroom.database.unit_of_work_async import AsyncUnitOfWork

__all__ = ["AsyncCoordination"]


class AsyncCoordination(ABC):
    """The methods of `AsyncDatabase` that stand on the control tables."""

    @abstractmethod
    def unit_of_work(self, read_only: bool = False, isolation: str | None = None) -> AsyncUnitOfWork:  # noqa: FBT001, FBT002 - the contract's signature
        """Return a unit of work, to be used in a ``with`` block."""

    def _short_unit(self) -> AsyncUnitOfWork:
        """Return a unit that sees what others commit meanwhile, whatever the server's own default is."""
        return self.unit_of_work(isolation="READ COMMITTED")

    async def create_control_tables(self) -> None:
        """Create the tables that controlroom keeps here, or bring those of an earlier release up to date. Idempotent."""

        async def create(uow: AsyncUnitOfWork) -> None:
            await uow._run(create_tables, uow._unit)  # noqa: SLF001 - one floor, two files

        await transacted_async(create, Attempts(None, None, None), begin=self._short_unit, fence=self._short_unit)

    def lease(self, name: str, ttl_s: float = 60, wait_s: float = 0, *, renew: bool = True) -> AsyncLease:
        """Return the right to work under *name*, for one worker at a time, to be taken by a ``with`` block.

        An ``async with`` block here; else as `Database.lease`.
        """
        return AsyncLease(self._short_unit, name, ttl_s, wait_s, renew=renew)

    async def relay(
        self,
        handler: Callable[[Message[AsyncUnitOfWork]], Any],
        topic: str | None = None,
        limit: int = 100,
        ordered: bool = False,  # noqa: FBT001, FBT002 - the contract's signature
        max_attempts: int = 5,
    ) -> Relayed:
        """Hand messages of the outbox on to *handler*, and delete those that it took.

        What *handler* returns is awaited, where it can be; else as `Database.relay`.
        """
        return await relay_async(self._short_unit, handler, Relaying(topic, limit, max_attempts, ordered=ordered))

    async def prune(self, older_than_s: float) -> Pruned:
        """Forget what is older than *older_than_s* seconds, and return how many rows that were."""
        return await prune_async(self._short_unit, Pruning(older_than_s))
