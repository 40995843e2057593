"""Everything an inbox does, written once: flows over a store, a database and a unit of either colour.

A flow here yields `Ask` (call this; async: and await it), `InUnit` (run this conversation in one transaction), `HashOf`,
`EnterUnit` and `LeaveUnit`. The two inboxes perform them and decide nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from controlroom import clock
from controlroom.errors import DataError, ObjectChangedError, ObjectExistsError, ObjectNotFoundError, cause_chain
from controlroom.errors.text import plain
from controlroom.ingestion import claims, outcomes
from controlroom.ingestion.arriving import Arrival
from controlroom.ingestion.claims import Ticket
from controlroom.ingestion.outcomes import DuplicateContent, InboxReport, Rules, lease_lost
from controlroom.ingestion.owners import Holder, is_gone
from controlroom.ingestion.steps import Ask, EnterUnit, HashOf, InUnit, LeaveUnit, Parcel, Step
from controlroom.policy.delivery import (
    Archive,
    Claim,
    Commit,
    Forget,
    Found,
    LeaveAlone,
    MarkQuarantined,
    MoveToQuarantine,
    PublishReason,
    PublishRejects,
    Release,
    Rollback,
    Settled,
    SettleStep,
    is_worth_repeating,
    judge_claim,
    reason_of,
)
from controlroom.policy.flow import Flow, StepFailed
from controlroom.storage import ObjectInfo

__all__ = ["Handling"]


class Handling:
    """The flows of one inbox."""

    def __init__(self, store: Any, rules: Rules) -> None:
        self.rules = rules
        self.report: InboxReport = InboxReport()
        self._store = store
        self._is_settled: Callable[[str], Any] | None = getattr(store, "is_settled", None)  # objects of S3 come whole

    def oldest_first(self, found: Iterable[ObjectInfo]) -> list[ObjectInfo]:
        """Sort what landed by age; names decide between equals, so that every run sees the same order."""
        return sorted(found, key=lambda info: (info.modified_at, info.key))

    def follow(self, arrival: Arrival, holder: Holder) -> Flow[Step, Parcel | None]:
        """Claim what *arrival* tells of, as it is now; None when there is nothing to work on."""
        key, order = arrival.key, arrival.event.order
        if arrival.is_deletion:
            if order is not None:
                yield InUnit(partial(self._forget_deleted, self._ref(key), order))
            outcomes.passed_over(key, arrival.event.kind, "it was deleted")
            return None
        try:
            info = yield Ask(partial(self._store.stat, key))
        except StepFailed as failed:
            if not isinstance(failed.error, ObjectNotFoundError):
                raise
            outcomes.passed_over(key, arrival.event.kind, "it is gone")
            return None
        return (yield from self.take(info, holder, order))

    def _forget_deleted(self, ref: str, order: str, uow: Any) -> Flow[Step, None]:
        yield Ask(partial(uow.execute, claims.deleted(ref, order)))

    def _ref(self, key: str) -> str:
        return f"{self.rules.name}/{key}"

    def take(self, info: ObjectInfo, holder: Holder, order: str | None = None) -> Flow[Step, Parcel | None]:
        """Claim *info* if it is free; None when there is nothing to work on after all."""
        if self._is_settled is not None and not (yield Ask(partial(self._is_settled, info.key))):
            self.report.unsettled += 1
            outcomes.unsettled(info.key)
            return None
        ticket = Ticket(self._ref(info.key), info, holder, 0, order)
        verdict = yield InUnit(partial(self._claim, ticket))
        if verdict is None:
            outcomes.passed_over(info.key, "created", "it was followed before")
            return None
        if isinstance(verdict, LeaveAlone):
            self.report.busy += 1
            outcomes.left_alone(ticket)
            return None
        if isinstance(verdict, Found):
            yield from self._finish_for_another(ticket, verdict)
            return None
        outcomes.claimed(verdict, self.rules)
        return (yield from self._inspect(verdict))

    def _claim(self, ticket: Ticket, uow: Any) -> Flow[Step, Ticket | LeaveAlone | Found | None]:
        result = yield Ask(partial(uow.execute, claims.find(ticket.ref, ticket.info)))
        row, now, rules = result.first(), clock.utcnow(), self.rules
        verdict = judge_claim(
            claims.as_claim_row(row),
            now_s=now.timestamp(),
            max_attempts=rules.max_attempts,
            owner_is_gone=row is not None and is_gone(row.owner),
        )
        if isinstance(verdict, Claim):
            if ticket.order is not None and (yield Ask(partial(uow.scalar, claims.followed(ticket)))) is not None:
                return None  # what is there now is another object, with a notification of its own
            mine = Ticket(ticket.ref, ticket.info, ticket.holder, verdict.attempt, ticket.order)
            row = claims.claimed_row(mine, now=now, lease_s=rules.lease_s)
            yield Ask(partial(uow.upsert, claims.inbox, [row], key=["ref", "version"]))
            return mine
        if isinstance(verdict, Found) and verdict.fate == "quarantine":
            yield Ask(partial(uow.execute, claims.condemn(ticket, verdict.reason, now=now)))
        return verdict

    def _finish_for_another(self, ticket: Ticket, found: Found) -> Flow[Step, None]:
        parcel = Parcel(ticket, "", None)
        steps: list[SettleStep] = (
            [Archive()] if found.fate == "archive" else [PublishReason(found.reason or "", None), MoveToQuarantine()]
        )
        try:
            for step in steps:
                yield from self.perform(parcel, step)
        except StepFailed as failed:
            if not is_worth_repeating(failed.error):
                raise
            outcomes.postponed(failed.error, key=parcel.key, fate=found.fate)
        else:
            self.report.finished_for_others += 1
            outcomes.finished(key=parcel.key, fate=found.fate, reason=found.reason)

    def _inspect(self, ticket: Ticket) -> Flow[Step, Parcel | None]:
        """Look at what was claimed: gone, a duplicate, or work."""
        parcel = Parcel(ticket, "", self.rules.max_rejects)
        try:
            parcel.sha256 = yield HashOf(ticket.info.key)
        except StepFailed as failed:
            error, gone = failed.error, isinstance(failed.error, ObjectNotFoundError)
            yield from self.perform(parcel, Release(reason_of(error), counted=not gone))
            if gone:
                outcomes.vanished(ticket)
            else:
                self.settled(parcel, Settled("released", error, goes_up=not is_worth_repeating(error)))
            if gone or is_worth_repeating(error):
                return None
            raise
        if self.rules.skips_duplicates:
            same_as = yield InUnit(partial(self._same_content, parcel.sha256))
            if same_as is not None:
                yield from self._skip(parcel, same_as)
                return None
        return parcel

    def _same_content(self, sha256: str, uow: Any) -> Flow[Step, str | None]:
        same_as: str | None = yield Ask(partial(uow.scalar, claims.same_content(sha256)))
        return same_as

    def _skip(self, parcel: Parcel, same_as: str) -> Flow[Step, None]:
        yield from self.perform(parcel, Forget())
        yield from self.perform(parcel, Archive())
        same_as = same_as.removeprefix(f"{self.rules.name}/")
        duplicate = DuplicateContent("the same content was ingested before", same_as=same_as)
        self.settled(parcel, Settled("skipped", duplicate))

    def begin(self, parcel: Parcel) -> Flow[Step, Any]:
        """Open the file's unit of work."""
        try:
            parcel.uow = yield EnterUnit(parcel)
        except StepFailed as failed:
            yield from self.perform(parcel, Release(reason_of(failed.error), counted=False))
            outcomes.released(parcel.ticket, failed.error, parcel.elapsed_s())
            parcel.fate_is_told = True
            raise
        return parcel.uow

    def perform(self, parcel: Parcel, step: SettleStep) -> Flow[Step, None]:
        """Carry out one step of settling."""
        places = self.rules.places
        match step:
            case PublishRejects():
                yield from self._publish_rejects(parcel)
            case Commit():
                yield from self._commit(parcel)
            case Rollback(error):
                yield from self._roll_back(parcel, error)
            case PublishReason(reason, error):
                yield from self._publish_reason(parcel, reason, error)
            case Archive():
                yield from self._move(parcel, places.archived)
            case MoveToQuarantine():
                yield from self._move(parcel, places.quarantined)
            case Forget() | Release() | MarkQuarantined():
                yield InUnit(partial(self._mark, parcel.ticket, **_as_values(step)))
                parcel.ticket.holder.settle()

    def _publish_rejects(self, parcel: Parcel) -> Flow[Step, None]:
        if parcel.rejects.count:
            target = self.rules.places.rejects(parcel.key)
            yield Ask(partial(self._store.publish, target, parcel.rejects.file()))

    def _roll_back(self, parcel: Parcel, error: BaseException) -> Flow[Step, None]:
        if parcel.uow is not None:
            parcel.uow = None
            yield LeaveUnit(parcel, error)

    def _commit(self, parcel: Parcel) -> Flow[Step, None]:
        """Write the ledger row in the file's own unit, fenced, and commit both."""
        uow = parcel.uow
        if self.rules.skips_duplicates:
            first = yield Ask(partial(uow.once, f"inbox:{self.rules.name}:sha256:{parcel.sha256}"))
            if not first:
                message = f"{parcel.key}: the same content was ingested meanwhile under another name"
                raise DuplicateContent(message)
        yield from self._mark(parcel.ticket, uow, state="done", sha256=parcel.sha256)
        parcel.uow = None
        yield LeaveUnit(parcel, None)
        parcel.ticket.holder.settle()

    def _mark(self, ticket: Ticket, uow: Any, **values: Any) -> Flow[Step, None]:
        result = yield Ask(partial(uow.execute, claims.mark(ticket, now=clock.utcnow(), **values)))
        if result.rowcount == 0:
            raise lease_lost(ticket)

    def _publish_reason(self, parcel: Parcel, reason: str, error: BaseException | None) -> Flow[Step, None]:
        places = self.rules.places
        note = {
            "key": parcel.key,
            "reason": reason,
            "attempt": parcel.ticket.attempt,
            "sha256": parcel.sha256,
            "size_bytes": parcel.ticket.info.size_bytes,
            "quarantined_at": clock.utcnow(),
            "error": None if error is None else _described(error),
        }
        body = json.dumps(plain(note), indent=2).encode()
        yield Ask(partial(self._store.publish, places.reason(parcel.key), body))

    def _move(self, parcel: Parcel, place: Callable[[str, str | None], str]) -> Flow[Step, None]:
        """Move the file of the claim, and only that: another that landed under the same name meanwhile stays."""
        try:
            present = yield Ask(partial(self._store.stat, parcel.key))
            if claims.version_of(present) != parcel.ticket.version:
                return
            target = place(parcel.key, None)
            yield Ask(partial(self._store.move, parcel.key, target, if_absent=True))
        except StepFailed as failed:
            if isinstance(failed.error, ObjectExistsError):
                target = place(parcel.key, parcel.sha256 or (yield HashOf(parcel.key)))
                yield Ask(partial(self._store.move, parcel.key, target))
            elif isinstance(failed.error, ObjectNotFoundError | ObjectChangedError):
                return  # another worker was quicker to finish it, or another file landed under the name
            else:
                raise
        parcel.moved_to = target

    def settled(self, parcel: Parcel, settled: Settled) -> None:
        """Count and log what became of a file. A claim that could not be given back is not waited for."""
        parcel.ticket.holder.abandon()
        parcel.fate_is_told = True
        outcomes.record(
            self.report,
            settled,
            parcel.ticket,
            self.rules,
            rejected=parcel.rejects.count,
            to=parcel.moved_to,
            elapsed_s=parcel.elapsed_s(),
        )

    def abandoned(self, parcel: Parcel, error: BaseException) -> None:
        """Let go of a file that could not be settled."""
        parcel.ticket.holder.abandon()
        if not parcel.fate_is_told:
            outcomes.abandoned(parcel.ticket, error)


def _as_values(step: Forget | Release | MarkQuarantined) -> dict[str, Any]:
    match step:
        case Forget():
            return {"state": "skipped"}
        case Release(reason, counted):
            return {"state": "released", "reason": reason, "counted": counted}
        case MarkQuarantined(reason):
            return {"state": "quarantined", "reason": reason}


def _described(error: BaseException) -> dict[str, Any]:
    """Return *error* as data, a foreign one as the cause of what it means here: wrong content."""
    if hasattr(error, "to_dict"):
        described: dict[str, Any] = error.to_dict()
        return described
    wrong = DataError(f"{type(error).__name__}: {error}")
    wrong.__cause__ = error
    return wrong.to_dict() | {"causes": list(cause_chain(wrong))}
