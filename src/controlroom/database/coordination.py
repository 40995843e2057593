"""What a `Database` offers to workers that share it: leases, messages, forgetting."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from controlroom.database.leases import Lease
from controlroom.database.outbox import Message
from controlroom.database.pruning import Pruned, Pruning, prune
from controlroom.database.relaying import Relayed, Relaying, relay
from controlroom.database.retried import Attempts
from controlroom.database.schema import create_tables
from controlroom.database.transacting import transacted
from controlroom.database.unit_of_work import UnitOfWork

__all__ = ["Coordination"]


class Coordination(ABC):
    """The methods of `Database` that stand on the control tables."""

    @abstractmethod
    def unit_of_work(self, read_only: bool = False, isolation: str | None = None) -> UnitOfWork:  # noqa: FBT001, FBT002 - the contract's signature
        """Return a unit of work, to be used in a ``with`` block."""

    def _short_unit(self) -> UnitOfWork:
        """Return a unit that sees what others commit meanwhile, whatever the server's own default is."""
        return self.unit_of_work(isolation="READ COMMITTED")

    def create_control_tables(self) -> None:
        """Create the tables that controlroom keeps here, or bring those of an earlier release up to date. Idempotent.

        Ledger, checkpoints, watermarks, leases, outbox, received messages, inbox, shared limits and tokens; their names begin
        with ``controlroom_``.

        Raises:
            ConfigError: A newer release has written them. Nothing was changed.

        Guarantees:
            Safe when many processes start at once: one does it, the others wait. Tables of an earlier release keep their
            rows and get what they lack, all of it or nothing; that release then refuses to create them, and says why.
        """
        transacted(create_tables, Attempts(None, None, None), begin=self._short_unit, fence=self._short_unit)

    def lease(self, name: str, ttl_s: float = 60, wait_s: float = 0, *, renew: bool = True) -> Lease:
        """Return the right to work under *name*, for one worker at a time, to be taken by a ``with`` block.

        Put ``uow.require_lease(lease)`` at the start of each unit that writes: without that, a worker that was suspended for
        longer than *ttl_s* would write after its successor. What stands in other systems can compare ``lease.epoch``.

        Args:
            name: What the work is called.
            ttl_s: How long the lease lasts without a renewal, seconds. A worker that dies blocks the others that long.
            wait_s: How long to wait for it, seconds; less where the ambient deadline is nearer.
            renew: Renew it from a thread (a task) of its own, every third of *ttl_s*, while the block runs. That takes a
                connection now and then. Without it, call `Lease.renew`.

        Raises:
            TransactionConflictError: On entry: another worker has it.
            LeaseLostError: On a clean exit: another worker has taken it over meanwhile.
            QueryError: *name* is no text; the control tables are missing (`create_control_tables`).
            ConfigError: *ttl_s* or *wait_s* is no length of time.

        Guarantees:
            Of many who take it at once, one has it. Its epoch only grows, `prune` or not. Time is the server's, so that
            clocks of workers may jump; on SQLite, it is the machine's. Nothing of it belongs to a session: safe behind
            poolers. It is given back when the block ends, by an exception and after the ambient deadline too; where the
            database does not answer then, it expires.
            Not promised: that two workers never run at once; that the earlier one writes nothing after the later one has
            it, is, for units with `UnitOfWork.require_lease`.
        """
        return Lease(self._short_unit, name, ttl_s, wait_s, renew=renew)

    def relay(
        self,
        handler: Callable[[Message[UnitOfWork]], object],
        topic: str | None = None,
        limit: int = 100,
        ordered: bool = False,  # noqa: FBT001, FBT002 - the contract's signature
        max_attempts: int = 5,
    ) -> Relayed:
        """Hand messages of the outbox on to *handler*, and delete those that it took.

        Each message has a unit of its own, which is open while *handler* runs: it deletes the message when *handler* returns.
        What *handler* writes through ``message.uow`` commits with that; an exception undoes it and keeps the message.

        Args:
            handler: Called with a `Message`.
            topic: Only messages about this.
            limit: How many messages to try at most; call it again for more.
            ordered: In the order in which their units began to write, those of one unit in the order in which they were
                put. A message that fails stops the call, and so do transactions that are still open, anywhere on the
                server: what began to write after them waits. One relay at a time; another one returns at once.
                PostgreSQL and SQLite only.
            max_attempts: After so many failures a message is set aside, with the reason in its row; at once where the error
                says that repeating cannot help (``Disposition.QUARANTINE``).

        Returns:
            How many were delivered, kept and set aside.

        Raises:
            ShutdownRequested: The process was asked to stop. What was delivered is.
            QueryError: *handler* is a coroutine function; the control tables are missing.
            ControlRoomError: As `unit_of_work`: the message in hand may come again.

        Guarantees:
            At least once: each message that has committed is handed on until *handler* has taken it or it is set aside, in
            the order of commits or not; none is skipped. While nothing fails, once, by however many relays. A receiver tells
            duplicates by `Message.id` (`UnitOfWork.received`).
            Not promised: that a handler which kills its process is counted; that it may take longer than ``idle_timeout_s``
            between two statements. SQLite: others cannot write while *handler* runs, and it writes through
            ``message.uow`` only.
        """
        return relay(self._short_unit, handler, Relaying(topic, limit, max_attempts, ordered=ordered))

    def prune(self, older_than_s: float) -> Pruned:
        """Forget what is older than *older_than_s* seconds, and return how many rows that were.

        Keys of the ledger whose work is done, ids of received messages, messages that were set aside, leases that nobody
        holds. To forget a key is to allow its work again: a late retry, or a message that comes again after that long, is
        taken for new. So let it be longer than anything is repeated: weeks, rather than hours.

        Args:
            older_than_s: Seconds, by the server's clock.

        Raises:
            ConfigError: *older_than_s* is no length of time.
            ControlRoomError: As `unit_of_work`. What was deleted until then is.

        Guarantees:
            In batches of 500 rows, each in a unit of its own. Messages that wait, leases and claims that are held,
            checkpoints, watermarks, and the files of an inbox are never forgotten; rows that others have locked are left
            for the next time.
        """
        return prune(self._short_unit, Pruning(older_than_s))
