"""Forgetting what is old: the control tables grow by a row a unit otherwise. In short units, both colours.

What is in use is never forgotten: messages that wait, leases and claims that somebody holds, and all that says where a job
stands (checkpoints, watermarks, the files of an inbox).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Column, Table, and_, delete, or_, select
from sqlalchemy.sql.elements import ColumnElement

from controlroom import clock, shutdown
from controlroom.database.control import leases, ledger, outbox, received
from controlroom.database.lease_rows import spend
from controlroom.database.transaction import Transaction
from controlroom.database.unit_of_work import UnitOfWork
from controlroom.errors import ConfigError
from controlroom.logs import get_logger
from controlroom.policy.quantities import is_finite

if TYPE_CHECKING:
    from controlroom.database.unit_of_work_async import AsyncUnitOfWork

__all__ = ["Pruned", "Pruning", "prune", "prune_async"]

_BATCH_ROWS: Final = 500

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Pruned:
    """How many rows were forgotten, by table.

    Attributes:
        ledger: Keys of `UnitOfWork.once`, `Database.transact` and `Database.claim`: their work can be done again.
        outbox: Messages that had been set aside.
        received: Ids of messages: a duplicate of one is taken for new.
        leases: Leases that nobody holds. Their epochs are not forgotten.
    """

    ledger: int = 0
    outbox: int = 0
    received: int = 0
    leases: int = 0


class Pruning:
    """One call of prune: batch after batch, table after table."""

    def __init__(self, older_than_s: float) -> None:
        if not is_finite(older_than_s) or older_than_s < 0:
            message = f"older_than_s={older_than_s!r} is not possible: give seconds, zero or more."
            raise ConfigError(message)
        self._older_than_s = older_than_s
        self._before_s: float | None = None
        self._tables: list[Table] = [ledger, outbox, received, leases]
        self._began_s = clock.monotonic_s()
        self.count: Pruned = Pruned()

    @property
    def goes_on(self) -> bool:
        """Whether another batch is to be deleted.

        Raises:
            ShutdownRequested: The process was asked to stop: between two batches is a safe point.
        """
        shutdown.raise_if_requested()
        return bool(self._tables)

    def batch(self, work: Transaction) -> None:
        """Delete one batch in *work*; count it once that has committed."""
        table = self._tables[0]
        (key,) = table.primary_key.columns
        query = select(key).where(self._is_old(work, table)).limit(_BATCH_ROWS).with_for_update(skip_locked=True)
        found = list(work.run("pruning", lambda: work.connection.execute(query).scalars().all(), table.name))
        deleted = spend(work, found) if table is leases else _deleted(work, table, key, found)
        work.hooks.append(lambda: self._counted(table, deleted, is_last=len(found) < _BATCH_ROWS))

    def _is_old(self, work: Transaction, table: Table) -> ColumnElement[bool]:
        if self._before_s is None:
            now: Any = work.run("pruning", lambda: work.connection.execute(select(work.backend.now_s())).scalar())
            self._before_s = now - self._older_than_s
        before_s = self._before_s
        if table is ledger:
            claimed = ledger.c.claimed_at < datetime.fromtimestamp(before_s, UTC).isoformat()
            return and_(claimed, or_(ledger.c.expires_at.is_(None), ledger.c.expires_at < before_s))
        if table is outbox:
            return outbox.c.set_aside_at < before_s
        if table is received:
            return received.c.received_at < before_s
        return and_(leases.c.name != "", leases.c.expires_at < before_s)

    def _counted(self, table: Table, deleted: int, *, is_last: bool) -> None:
        name = table.name.removeprefix("controlroom_")
        self.count = replace(self.count, **{name: getattr(self.count, name) + deleted})
        if is_last:
            del self._tables[0]

    def end(self) -> Pruned:
        """Log what was done; return it."""
        count = self.count
        _log.info(
            "control_tables_pruned",
            ledger=count.ledger,
            outbox=count.outbox,
            received=count.received,
            leases=count.leases,
            elapsed_s=round(clock.monotonic_s() - self._began_s, 6),
        )
        return count


def _deleted(work: Transaction, table: Table, key: Column[Any], found: list[Any]) -> int:
    if not found:
        return 0
    statement = delete(table).where(key.in_(found))
    return work.run("pruning", lambda: work.connection.execute(statement).rowcount, table.name)


def prune(begin: Callable[[], UnitOfWork], pruning: Pruning) -> Pruned:
    """Delete what is old, each batch in a unit of its own."""
    while pruning.goes_on:
        with begin() as uow:
            pruning.batch(uow._work)  # noqa: SLF001 - one floor, two files
    return pruning.end()


async def prune_async(begin: Callable[[], AsyncUnitOfWork], pruning: Pruning) -> Pruned:
    """Delete what is old, each batch in a unit of its own."""
    while pruning.goes_on:
        async with begin() as uow:
            await uow._run(pruning.batch, uow._work)  # noqa: SLF001 - one floor, two files
    return pruning.end()
