"""Files that land in a store, each worked on once: claim, process, archive or quarantine."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, Literal

from controlroom import shutdown
from controlroom.database import Database
from controlroom.ingestion.arriving import arrivals
from controlroom.ingestion.delivery import Delivery
from controlroom.ingestion.handling import Handling
from controlroom.ingestion.outcomes import InboxReport, Rules
from controlroom.ingestion.owners import Holder
from controlroom.ingestion.places import Places
from controlroom.ingestion.steps import Ask, EnterUnit, HashOf, InUnit, LeaveUnit, Parcel, Step
from controlroom.logs import bound
from controlroom.policy.flow import Flow, drive
from controlroom.storage import ObjectEvent, ObjectStore

__all__ = ["Inbox"]


class Inbox:
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
        store: ObjectStore,
        *,
        database: Database,
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

    def deliveries(self, limit: int | None = None) -> Iterator[Delivery]:
        """Yield the files that wait, oldest first, each claimed by this worker.

        A file is yielded at most once by one call; one that was released is delivered by a later call. What landed
        after the call began is left to the next one, and so is what somebody is still writing, where the store can tell (see
        `LocalStore.is_settled`). The keys that wait are held in memory, the files are not.

        Args:
            limit: Deliver at most so many files.

        Raises:
            ShutdownRequested: Between two files, when the process is asked to stop.
            DatabaseUnavailableError, StorageUnavailableError: No file can be claimed at present.
        """
        left = limit
        for info in self._handling.oldest_first(self._store.list(self._handling.rules.places.landing)):
            shutdown.raise_if_requested()
            if left is not None and left <= 0:
                return
            parcel = self._held(info.key, partial(self._handling.take, info))
            if parcel is not None:
                yield self._delivery(parcel)
                left = None if left is None else left - 1

    def accept(self, events: Iterable[ObjectEvent]) -> Iterator[Delivery]:
        """Yield the files that *events* tell of, as they are now, oldest first, each claimed by this worker.

        For notifications: see `parse_s3_events`. Of the events of one file the latest is followed, by `ObjectEvent.order`;
        what is outside *landing*, deleted, gone or ingested already is passed over, so that a notification may come late,
        twice or out of order.

        Args:
            events: In any order. Their buckets must be the store's.

        Raises:
            ConfigError: An event is of another bucket, or is no event. Nothing was done.
            ShutdownRequested, DatabaseUnavailableError, StorageUnavailableError: As of `deliveries`.

        Guarantees:
            What a file's latest event was is committed with the work on it. Acknowledge a message only when what it told
            of has been worked on and ``report.left`` did not grow: then nothing is lost, and what comes again changes
            nothing.
        """
        rules = self._handling.rules
        for arrival in arrivals(events, self._store.url, rules.places.landing):
            shutdown.raise_if_requested()
            parcel = self._held(arrival.key, partial(self._handling.follow, arrival))
            if parcel is not None:
                yield self._delivery(parcel)

    def _delivery(self, parcel: Parcel) -> Delivery:
        return Delivery(self._handling, parcel, self._store, self._database.unit_of_work(), self._perform)

    def _held(self, key: str, flow: Callable[[Holder], Flow[Step, Parcel | None]]) -> Parcel | None:
        holder = Holder()
        try:
            with bound(file=key):
                return drive(flow(holder), self._perform)
        except BaseException:
            holder.abandon()
            raise

    def _perform(self, step: Step) -> Any:
        match step:
            case Ask(call):
                return call()
            case InUnit(body):
                return self._database.transact(lambda uow: drive(body(uow), self._perform))
            case HashOf(key):
                with self._store.open(key) as source:
                    return hashlib.file_digest(source, "sha256").hexdigest()
            case EnterUnit(parcel):
                uow = parcel.unit.__enter__()
                parcel.unit_is_open = True
                return uow
            case LeaveUnit(parcel, error):
                parcel.unit_is_open = False
                return parcel.unit.__exit__(type(error) if error else None, error, error and error.__traceback__)
