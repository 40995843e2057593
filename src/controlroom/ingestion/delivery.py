"""One claimed file: its unit of work opens with the block and is settled when the block ends."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from types import TracebackType
from typing import Any

from controlroom.database import UnitOfWork
from controlroom.errors import ConfigError
from controlroom.ingestion.handling import Handling
from controlroom.ingestion.steps import Parcel, Step
from controlroom.ingestion.work import Work
from controlroom.logs import bound
from controlroom.policy.delivery import SettleStep, settle
from controlroom.policy.flow import drive
from controlroom.storage import ObjectInfo, ObjectStore

__all__ = ["Delivery"]


class Delivery:
    """A file that this worker, and no other, has claimed. Enter it to work on it.

    On a clean exit the ledger row and the handler's writes commit in one transaction, then the file is archived.
    What goes wrong is handled by its disposition: see the inbox. A delivery that is never entered is given back
    when it is dropped.

    Attributes:
        key: The file's key in the store.
        info: Size, time and version of the file when it was claimed.
        attempt: Which attempt this is, 1-based.
    """

    def __init__(
        self,
        handling: Handling,
        parcel: Parcel,
        store: ObjectStore,
        unit: AbstractContextManager[UnitOfWork],
        perform: Callable[[Step], Any],
    ) -> None:
        self.key: str = parcel.key
        self.info: ObjectInfo = parcel.ticket.info
        self.attempt: int = parcel.ticket.attempt
        self._handling = handling
        self._parcel = parcel
        self._store = store
        parcel.unit = unit
        self._perform = perform
        self._opened = ExitStack()
        self._linked = ExitStack()
        self._was_entered = False

    def __enter__(self) -> Work:
        if self._was_entered:
            message = f"{self.key}: a delivery is worked on once. Take the next one from deliveries()."
            raise ConfigError(message)
        self._was_entered = True
        self._linked.enter_context(bound(file=self.key))
        try:
            drive(self._handling.begin(self._parcel), self._perform)
        except BaseException as error:
            with self._linked:
                self._abandon(error)
            raise
        return Work(self._store, self._parcel, self._opened)

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        with self._linked:
            return self._end(raised)

    def _end(self, raised: BaseException | None) -> bool:
        error = raised
        try:
            self._opened.close()
        except Exception as unread:  # noqa: BLE001 - what closing finds wrong ends the unit like an error of its body
            error = error or unread
        flow = settle(error, attempt=self.attempt, max_attempts=self._handling.rules.max_attempts)
        try:
            settled = drive(flow, self._settle)
        except BaseException as unsettled:
            self._abandon(unsettled)
            raise
        finally:
            self._parcel.rejects.close()
        self._handling.settled(self._parcel, settled)
        if settled.goes_up and settled.error is not None and settled.error is not raised:
            raise settled.error
        return not settled.goes_up

    def _settle(self, step: SettleStep) -> None:
        drive(self._handling.perform(self._parcel, step), self._perform)

    def _abandon(self, error: BaseException) -> None:
        """Give claim and connection back whatever happens, also where settling itself broke off."""
        self._handling.abandoned(self._parcel, error)
        if self._parcel.unit_is_open:
            self._parcel.unit_is_open = False
            self._parcel.unit.__exit__(type(error), error, error.__traceback__)
