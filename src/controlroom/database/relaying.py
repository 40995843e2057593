"""Handing on the messages of the outbox: one unit for each, in both colours."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from controlroom import clock, shutdown
from controlroom.database.outbox import Message, Taken, claim_next, keep_failed, message_from, remove
from controlroom.database.retried import checked
from controlroom.database.transaction import Transaction
from controlroom.database.unit_of_work import UnitOfWork
from controlroom.errors import ConfigError, ControlRoomError, Disposition, ShutdownRequested
from controlroom.logs import get_logger
from controlroom.policy.quantities import is_whole

if TYPE_CHECKING:
    from controlroom.database.unit_of_work_async import AsyncUnitOfWork

__all__ = ["Relayed", "Relaying", "relay", "relay_async"]

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Relayed:
    """What became of the messages of one call.

    Attributes:
        delivered: Handed on, and gone from the outbox.
        failed: Kept for another try.
        set_aside: Kept for a person to look at: tried too often, or of a content that repeating cannot help.
    """

    delivered: int = 0
    failed: int = 0
    set_aside: int = 0


class Relaying:
    """One pass over the outbox: which message next, and what becomes of it."""

    def __init__(self, topic: str | None, limit: int, max_attempts: int, *, ordered: bool) -> None:
        asked_for: dict[str, object] = {"limit": limit, "max_attempts": max_attempts}
        for what, number in asked_for.items():
            if not is_whole(number) or number < 1:
                message = f"{what}={number!r} is not possible: give a whole number, 1 or more."
                raise ConfigError(message)
        if not isinstance(topic, str | None):
            message = f"topic={topic!r} is not possible: give a text, or None for messages about anything."
            raise ConfigError(message)
        self._topic, self._limit, self._max_attempts, self._ordered = topic, limit, max_attempts, ordered
        self._after = 0
        self._tried = 0
        self._stopped = False
        self._began_s = clock.monotonic_s()
        self.count: Relayed = Relayed()

    @property
    def goes_on(self) -> bool:
        """Whether another message is to be tried.

        Raises:
            ShutdownRequested: The process was asked to stop: between two messages is a safe point.
        """
        shutdown.raise_if_requested()
        return not self._stopped and self._tried < self._limit

    def next(self, work: Transaction) -> Taken | None:
        """Lock the next message in *work*; None where none is left."""
        if self._ordered and work.connection.dialect.name not in ("postgresql", "sqlite"):
            message = (
                "ordered=True needs PostgreSQL or SQLite: others cannot say who may still commit. Nothing was run."
            )
            raise ConfigError(message)
        taken = claim_next(work, self._topic, self._after, ordered=self._ordered)
        if taken is None:
            self._stopped = True
        else:
            self._after = taken.id
            self._tried += 1
        return taken

    def settle(self, work: Transaction, taken: Taken, error: Exception | None) -> None:
        """Write down in *work* what became of a message; count and log it once that has committed."""
        if error is None:
            remove(work, taken)
            work.hooks.append(self._delivered)
            return
        is_hopeless = isinstance(error, ControlRoomError) and error.disposition is Disposition.QUARANTINE
        set_aside = is_hopeless or taken.attempt >= self._max_attempts
        keep_failed(work, taken, error, set_aside=set_aside)
        work.hooks.append(lambda: self._failed(taken, error, set_aside=set_aside))

    def _delivered(self) -> None:
        self.count = Relayed(self.count.delivered + 1, self.count.failed, self.count.set_aside)

    def _failed(self, taken: Taken, error: Exception, *, set_aside: bool) -> None:
        count, row = self.count, taken.row
        self.count = Relayed(count.delivered, count.failed + (not set_aside), count.set_aside + set_aside)
        if set_aside:
            _log.failure("message_set_aside", error, message_id=row.message_id, topic=row.topic, attempt=taken.attempt)
            return
        self._stopped = self._ordered  # those behind it wait
        reason = type(error).__name__
        _log.warning("message_kept", message_id=row.message_id, topic=row.topic, attempt=taken.attempt, reason=reason)

    def end(self) -> Relayed:
        """Log what was done; return it."""
        count = self.count
        if count != Relayed():
            elapsed_s = round(clock.monotonic_s() - self._began_s, 6)
            _log.info(
                "outbox_relayed",
                topic=self._topic,
                delivered=count.delivered,
                failed=count.failed,
                set_aside=count.set_aside,
                elapsed_s=elapsed_s,
            )
        return count


def relay(
    begin: Callable[[], UnitOfWork], handler: Callable[[Message[UnitOfWork]], object], relaying: Relaying
) -> Relayed:
    """Hand messages on to *handler*, each in a unit of its own."""
    _require_callable(handler)
    while relaying.goes_on:
        with begin() as uow:
            taken = relaying.next(uow._work)  # noqa: SLF001 - one floor, two files
            if taken is not None:
                relaying.settle(uow._work, taken, _handed_on(handler, taken, uow))  # noqa: SLF001 - as above
    return relaying.end()


def _require_callable(handler: object) -> None:
    """Refuse what nobody could call, before it counts against a message."""
    if not callable(handler):
        message = f"handler={handler!r} is not possible: give a function of one message. Nothing was handed on."
        raise ConfigError(message)


def _handed_on(handler: Callable[[Message[UnitOfWork]], object], taken: Taken, uow: UnitOfWork) -> Exception | None:
    """Return what *handler* raised; what it had written through the unit is undone then."""
    try:
        with uow.savepoint():
            outcome = handler(message_from(taken, uow))
    except ShutdownRequested:
        raise
    except Exception as error:  # noqa: BLE001 - it may be anything, and the others go on
        return error
    checked(outcome)
    return None


async def relay_async(
    begin: Callable[[], AsyncUnitOfWork], handler: Callable[[Message[AsyncUnitOfWork]], Any], relaying: Relaying
) -> Relayed:
    """Hand messages on to *handler*, which is awaited where it can be, each in a unit of its own."""
    _require_callable(handler)
    while relaying.goes_on:
        async with begin() as uow:
            taken: Taken | None = await uow._run(relaying.next, uow._work)  # noqa: SLF001 - one floor, two files
            if taken is not None:
                error = await _handed_on_async(handler, taken, uow)
                await uow._run(relaying.settle, uow._work, taken, error)  # noqa: SLF001 - as above
    return relaying.end()


async def _handed_on_async(
    handler: Callable[[Message[AsyncUnitOfWork]], Any], taken: Taken, uow: AsyncUnitOfWork
) -> Exception | None:
    try:
        async with uow.savepoint():
            outcome = handler(message_from(taken, uow))
            if inspect.isawaitable(outcome):
                await outcome
    except ShutdownRequested:
        raise
    except Exception as error:  # noqa: BLE001 - it may be anything, and the others go on
        return error
    return None
