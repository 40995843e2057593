"""The inbox table as statements: who has which file, until when, and what became of it. Pure: nothing is executed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Select, Update, case, or_, select, update
from sqlalchemy.engine import Row

from controlroom.database.control import inbox
from controlroom.ingestion.owners import Holder
from controlroom.policy.delivery import ClaimRow, State
from controlroom.storage import ObjectInfo

__all__ = [
    "State",
    "Ticket",
    "as_claim_row",
    "claimed_row",
    "condemn",
    "deleted",
    "find",
    "followed",
    "inbox",
    "mark",
    "same_content",
    "version_of",
]


@dataclass(frozen=True, slots=True)
class Ticket:
    """One worker's claim to one version of one file; its owner and *attempt* fence every later write.

    *order* is that of the notification which led here, None where none did.
    """

    ref: str
    info: ObjectInfo
    holder: Holder
    attempt: int
    order: str | None = None

    @property
    def owner(self) -> str:
        """The name under which the claim stands in the table."""
        return self.holder.owner

    @property
    def version(self) -> str:
        """What tells this file from an earlier or later one under the same key."""
        return version_of(self.info)


def version_of(info: ObjectInfo) -> str:
    """Return the strongest name that the store has for this version of the object."""
    return info.version or info.etag or f"{info.size_bytes}-{info.modified_at.timestamp()}"


def find(ref: str, info: ObjectInfo) -> Select[Any]:
    """Select the row of this version of this file."""
    return select(inbox).where(inbox.c.ref == ref, inbox.c.version == version_of(info))


def as_claim_row(row: Row[Any] | None) -> ClaimRow | None:
    """Return what the policy needs to know of a selected row."""
    if row is None:
        return None
    return ClaimRow(cast("State", row.state), row.attempt, row.lease_until, row.reason)


def claimed_row(ticket: Ticket, *, now: datetime, lease_s: float) -> dict[str, Any]:
    """Return the row that says: *ticket* holds it for *lease_s* seconds from *now*."""
    return {
        "ref": ticket.ref,
        "version": ticket.version,
        "state": "claimed",
        "attempt": ticket.attempt,
        "owner": ticket.owner,
        "lease_until": now.timestamp() + lease_s,
        "size_bytes": ticket.info.size_bytes,
        "reason": None,
        "updated_at": now.isoformat(),
    }


def mark(ticket: Ticket, *, state: State, now: datetime, counted: bool = True, **values: Any) -> Update:
    """Move the row to *state*, but only while *ticket* still holds it: an owner that came late changes nothing.

    Args:
        ticket: The claim.
        state: What the file is from now on.
        now: The present instant.
        counted: Whether the attempt counts against the file.
        values: Further columns.
    """
    held = (
        inbox.c.ref == ticket.ref,
        inbox.c.version == ticket.version,
        inbox.c.owner == ticket.owner,
        inbox.c.attempt == ticket.attempt,
        inbox.c.state == "claimed",
    )
    attempt = ticket.attempt if counted else ticket.attempt - 1
    new = {"state": state, "attempt": attempt, "lease_until": None, "updated_at": now.isoformat(), **values}
    if ticket.order is not None and state not in {"claimed", "released"}:
        new["sequencer"] = case((inbox.c.sequencer > ticket.order, inbox.c.sequencer), else_=ticket.order)
    return update(inbox).where(*held).values(new)


def followed(ticket: Ticket) -> Select[Any]:
    """Select whether the notification that led here was followed before, to its end."""
    return select(inbox.c.ref).where(inbox.c.ref == ticket.ref, inbox.c.sequencer == ticket.order).limit(1)


def deleted(ref: str, order: str) -> Update:
    """Record on every version of a file that its deletion was told of."""
    earlier = or_(inbox.c.sequencer.is_(None), inbox.c.sequencer < order)
    return update(inbox).where(inbox.c.ref == ref, earlier).values(sequencer=order)


def condemn(ticket: Ticket, reason: str | None, *, now: datetime) -> Update:
    """Record that the file is to be quarantined, whoever held it last."""
    row = (inbox.c.ref == ticket.ref, inbox.c.version == ticket.version)
    values = {"state": "quarantined", "reason": reason, "lease_until": None, "updated_at": now.isoformat()}
    return update(inbox).where(*row).values(values)


def same_content(sha256: str) -> Select[Any]:
    """Select the file with this content that is done already, if there is one."""
    return select(inbox.c.ref).where(inbox.c.sha256 == sha256, inbox.c.state == "done").limit(1)
