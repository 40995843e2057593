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
from controlroom.policy.flow import drive_async
from controlroom.storage import AsyncObjectStore, ObjectInfo

__all__ = ["AsyncInbox"]

_CHUNK_BYTES = 1 << 20


class AsyncInbox:
    """Files in *landing*, each delivered to one worker at a time and ingested exactly once.

    Args:
        store: Where the files land.
        database: Where their ledger is kept, together with what the handlers write. Its control tables must exist
            (`Database.create_control_tables`).
        landing: Prefix under which files arrive.
        archive: Prefix to which ingested files, and duplicates, are moved.
        quarantine: Prefix to which files with wrong content are moved, each beside its ``.reason.json``.
        lease_s: Seconds for which a claim holds; longer than the longest file takes. When it runs out, another worker
            may take the file, and this one can no longer commit.
        max_attempts: Failed attempts, workers that died included, after which a file is quarantined.
        duplicates: "skip" leaves out a file whose content was ingested before, under any name; "process" does not.
        max_rejects: Rejected records allowed in one file; None: any number.

    What a ``with delivery`` block raises is handled by its disposition. QUARANTINE: rolled back, the file is moved to
    the quarantine. RETRY: rolled back, released, delivered again by the next `deliveries`, up to *max_attempts*. Both
    are logged once and do not propagate. STOP, RECONCILE and unforeseen exceptions do, after rollback and release.

    Guarantees:
        A worker may be killed at any instruction: the next run finishes or repeats the file, and its effects are in
        the database exactly once. Two workers never hold one file at once while the lease lasts.
        Not promised: effects outside *database* happen at least once, not exactly once.
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

        A file is yielded at most once by one call; one that was released is delivered by a later call. What landed
        after the call began is left to the next one. The keys that wait are held in memory, the files are not.

        Args:
            limit: Deliver at most so many files.

        Raises:
            ShutdownRequested: Between two files, when the process is asked to stop.
            DatabaseUnavailableError, StorageUnavailableError: No file can be claimed at present.
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
