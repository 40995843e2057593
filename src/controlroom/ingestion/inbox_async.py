"""The async twin of `controlroom.ingestion.inbox`."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable, Iterable
from functools import partial
from typing import Any, Literal

from controlroom import shutdown
from controlroom.database import AsyncDatabase
from controlroom.ingestion.arriving import arrivals
from controlroom.ingestion.delivery_async import AsyncDelivery
from controlroom.ingestion.handling import Handling
from controlroom.ingestion.outcomes import InboxReport, Rules
from controlroom.ingestion.owners import Holder
from controlroom.ingestion.places import Places
from controlroom.ingestion.steps import Ask, EnterUnit, HashOf, InUnit, LeaveUnit, Parcel, Step
from controlroom.logs import bound
from controlroom.policy.flow import Flow, drive_async
from controlroom.storage import AsyncObjectStore, ObjectEvent

__all__ = ["AsyncInbox"]

_CHUNK_BYTES = 1 << 20


class AsyncInbox:
    """Files in *landing*, each delivered to one worker at a time and ingested exactly once.

    `controlroom.Inbox` for asyncio: arguments, outcomes and guarantees are the same. Reading a delivery's file is awaited
    (``await work.open_text()``), rejecting a record is not.
    """

    def __init__(
        self,
        store: AsyncObjectStore,
        *,
        database: AsyncDatabase,
        landing: str = "landing/",
        archive: str = "archive/",
        quarantine: str = "quarantine/",
        lease_s: float = 300,
        max_attempts: int = 5,
        duplicates: Literal["skip", "process"] = "skip",
        max_rejects: int | None = None,
    ) -> None:
        places = Places(landing, archive, quarantine)
        rules = Rules(store.url, places, lease_s, max_attempts, duplicates, max_rejects)
        self._store = store
        self._database = database
        self._handling = Handling(store, rules)

    @property
    def report(self) -> InboxReport:
        """What this inbox did so far."""
        return self._handling.report

    async def deliveries(self, limit: int | None = None) -> AsyncIterator[AsyncDelivery]:
        """Yield the files that wait, oldest first, each claimed by this worker.

        See `Inbox.deliveries`.
        """
        left = limit
        landed = [info async for info in self._store.list(self._handling.rules.places.landing)]
        for info in self._handling.oldest_first(landed):
            shutdown.raise_if_requested()
            if left is not None and left <= 0:
                return
            parcel = await self._held(info.key, partial(self._handling.take, info))
            if parcel is not None:
                yield self._delivery(parcel)
                left = None if left is None else left - 1

    async def accept(self, events: Iterable[ObjectEvent]) -> AsyncIterator[AsyncDelivery]:
        """Yield the files that *events* tell of, as they are now, oldest first, each claimed by this worker.

        See `Inbox.accept`.
        """
        rules = self._handling.rules
        for arrival in arrivals(events, self._store.url, rules.places.landing):
            shutdown.raise_if_requested()
            parcel = await self._held(arrival.key, partial(self._handling.follow, arrival))
            if parcel is not None:
                yield self._delivery(parcel)

    def _delivery(self, parcel: Parcel) -> AsyncDelivery:
        return AsyncDelivery(self._handling, parcel, self._store, self._database.unit_of_work(), self._perform)

    async def _held(self, key: str, flow: Callable[[Holder], Flow[Step, Parcel | None]]) -> Parcel | None:
        holder = Holder()
        try:
            with bound(file=key):
                return await drive_async(flow(holder), self._perform)
        except BaseException:
            holder.abandon()
            raise

    async def _perform(self, step: Step) -> Any:
        match step:
            case Ask(call):
                return await call()
            case InUnit(body):
                return await self._database.transact(lambda uow: drive_async(body(uow), self._perform))
            case HashOf(key):
                digest = hashlib.sha256()
                async with self._store.open(key) as source:
                    while chunk := await source.read(_CHUNK_BYTES):
                        digest.update(chunk)
                return digest.hexdigest()
            case EnterUnit(parcel):
                uow = await parcel.unit.__aenter__()
                parcel.unit_is_open = True
                return uow
            case LeaveUnit(parcel, error):
                parcel.unit_is_open = False
                return await parcel.unit.__aexit__(type(error) if error else None, error, error and error.__traceback__)
