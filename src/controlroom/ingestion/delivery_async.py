"""The async twin of `controlroom.ingestion.delivery`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, ExitStack
from types import TracebackType
from typing import Any

from controlroom.database import AsyncUnitOfWork
from controlroom.errors import ConfigError
from controlroom.ingestion.handling import Handling
from controlroom.ingestion.steps import Parcel, Step
from controlroom.ingestion.work_async import AsyncWork
from controlroom.logs import bound
from controlroom.policy.delivery import SettleStep, settle
from controlroom.policy.flow import drive_async
from controlroom.storage import AsyncObjectStore, ObjectInfo

__all__ = ["AsyncDelivery"]


class AsyncDelivery:
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
        store: AsyncObjectStore,
        unit: AbstractAsyncContextManager[AsyncUnitOfWork],
        perform: Callable[[Step], Awaitable[Any]],
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

    async def __aenter__(self) -> AsyncWork:
        if self._was_entered:
            message = f"{self.key}: a delivery is worked on once. Take the next one from deliveries()."
            raise ConfigError(message)
        self._was_entered = True
        self._linked.enter_context(bound(file=self.key))
        try:
            await drive_async(self._handling.begin(self._parcel), self._perform)
        except BaseException as error:
            with self._linked:
                await self._abandon(error)
            raise
        return AsyncWork(self._store, self._parcel, self._opened)

    async def __aexit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        with self._linked:
            return await self._end(raised)

    async def _end(self, raised: BaseException | None) -> bool:
        error = raised
        try:
            self._opened.close()
        except Exception as unread:  # noqa: BLE001 - what closing finds wrong ends the unit like an error of its body
            error = error or unread
        flow = settle(error, attempt=self.attempt, max_attempts=self._handling.rules.max_attempts)
        try:
            settled = await drive_async(flow, self._settle)
        except BaseException as unsettled:
            await self._abandon(unsettled)
            raise
        finally:
            self._parcel.rejects.close()
        self._handling.settled(self._parcel, settled)
        if settled.goes_up and settled.error is not None and settled.error is not raised:
            raise settled.error
        return not settled.goes_up

    async def _settle(self, step: SettleStep) -> None:
        await drive_async(self._handling.perform(self._parcel, step), self._perform)

    async def _abandon(self, error: BaseException) -> None:
        """Give claim and connection back whatever happens, also where settling itself broke off."""
        self._handling.abandoned(self._parcel, error)
        if self._parcel.unit_is_open:
            self._parcel.unit_is_open = False
            await self._parcel.unit.__aexit__(type(error), error, error.__traceback__)
