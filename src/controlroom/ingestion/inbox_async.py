"""The async twin of `controlroom.ingestion.inbox`."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from typing import Any, Literal

from controlroom import shutdown
from controlroom.database import AsyncDatabase
from controlroom.ingestion.delivery_async import AsyncDelivery
from controlroom.ingestion.handling import Ask, EnterUnit, Handling, HashOf, InUnit, LeaveUnit, Parcel, Step
from controlroom.ingestion.outcomes import InboxReport, Rules
from controlroom.ingestion.owners import Holder
from controlroom.ingestion.places import Places
from controlroom.logs import bound
from controlroom.policy.flow import drive_async
from controlroom.storage import AsyncObjectStore, ObjectInfo

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
            parcel = await self._take(info)
            if parcel is not None:
                yield AsyncDelivery(self._handling, parcel, self._store, self._database.unit_of_work(), self._perform)
                left = None if left is None else left - 1

    async def _take(self, info: ObjectInfo) -> Parcel | None:
        holder = Holder()
        try:
            with bound(file=info.key):
                return await drive_async(self._handling.take(info, holder), self._perform)
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
