"""Leases as statements: who may work under a name, until when by the server's clock, and the how manieth that is.

Safe behind poolers: nothing belongs to a session. Two rules keep a late owner out:

* Whoever takes a lease over locks its row as if to delete it (FOR UPDATE); a unit that is guarded by the lease holds the
  row's key (FOR KEY SHARE) until it ends. So one of them waits for the other, while a renewal, which changes no key, waits
  for neither (postgresql.org/docs/current/explicit-locking.html#LOCKING-ROWS).
* A row is never deleted without its epoch being kept (`spend`), so that epochs only grow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import CursorResult, Executable, delete, or_, select, update
from sqlalchemy.sql.elements import ColumnElement

from controlroom.database.control import leases
from controlroom.database.transaction import Transaction
from controlroom.errors import LeaseLostError

__all__ = ["Held", "Hold", "extend", "give_back", "guard", "lost", "spend", "take"]

_ROUNDS: Final = 3
"""How often it is looked again where the row has changed since it was looked at."""


@dataclass(frozen=True, slots=True)
class Hold:
    """One owner's hold of a lease. Plain data.

    Attributes:
        name: The lease.
        owner: Who; no other hold has this text.
        epoch: The fencing token: every later hold of this lease has a higher one.
    """

    name: str
    owner: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Held:
    """Somebody else has it: who, and for how many seconds more, as far as that is known."""

    owner: str
    left_s: float


def take(work: Transaction, name: str, owner: str, ttl_s: float) -> Hold | Held:
    """Take the lease for *owner*, for *ttl_s* seconds; say who has it where it is neither free nor expired.

    The same owner again finds its own hold: a COMMIT that nobody answered may have made it.
    """
    now = work.backend.now_s()
    left = (leases.c.expires_at - now).label("left_s")
    found = None
    for _ in range(_ROUNDS):
        found = _run(work, select(leases.c.epoch, leases.c.owner, left).where(leases.c.name == name)).first()
        if found is None:
            hold = _create(work, name, owner, ttl_s)
        elif found.owner == owner:
            return Hold(name, owner, found.epoch)
        elif found.owner is not None and found.left_s > 0:
            return Held(found.owner, found.left_s)
        else:
            hold = _take_over(work, name, owner, ttl_s)
        if hold is not None:
            return hold
    return Held("another worker" if found is None else found.owner or "another worker", 0.0)


def _take_over(work: Transaction, name: str, owner: str, ttl_s: float) -> Hold | None:
    now = work.backend.now_s()
    free = or_(leases.c.owner.is_(None), leases.c.expires_at <= now)
    _run(work, select(leases.c.epoch).where(leases.c.name == name).with_for_update())
    values = {"epoch": leases.c.epoch + 1, "owner": owner, "expires_at": now + ttl_s}
    if _run(work, update(leases).where(leases.c.name == name, free).values(values)).rowcount != 1:
        return None
    return Hold(name, owner, _run(work, select(leases.c.epoch).where(leases.c.name == name)).scalar_one())


def _create(work: Transaction, name: str, owner: str, ttl_s: float) -> Hold | None:
    spent = select(leases.c.epoch).where(leases.c.name == "").with_for_update(read=True)
    epoch = (_run(work, spent).scalar() or 0) + 1
    values = {"name": name, "epoch": epoch, "owner": owner, "expires_at": work.backend.now_s() + ttl_s}
    inserted = _run(work, work.backend.insert_unless_there(leases, values)).rowcount == 1
    return Hold(name, owner, epoch) if inserted else None


def extend(work: Transaction, hold: Hold, ttl_s: float) -> bool:
    """Let *hold* end *ttl_s* seconds from now; False where it has been taken over."""
    values = {"expires_at": work.backend.now_s() + ttl_s}
    return _run(work, update(leases).where(*_ours(hold)).values(values)).rowcount == 1


def give_back(work: Transaction, name: str, owner: str) -> bool:
    """Let anybody take the lease from now on; False where it is not *owner*'s."""
    values = {"owner": None, "expires_at": work.backend.now_s()}
    ours = (leases.c.name == name, leases.c.owner == owner)
    return _run(work, update(leases).where(*ours).values(values)).rowcount == 1


def guard(work: Transaction, hold: Hold) -> None:
    """Keep others from taking the lease over before *work* ends.

    Raises:
        LeaseLostError: Somebody has. Nothing of *work* will be written.
    """
    with work.guarded():
        query = select(leases.c.epoch).where(*_ours(hold)).with_for_update(read=True, key_share=True)
        if _run(work, query).scalar() is None:
            raise lost(hold)


def lost(hold: Hold) -> LeaseLostError:
    """Return the error for whoever goes on with a lease that is somebody else's."""
    message = (
        f"Lease {hold.name!r}: epoch {hold.epoch} is over. This worker was silent for longer than the lease, and the lease "
        "was given to another one, or given back. Nothing that the lease guards was written after that. Stop this work; "
        "where it happens often, give the lease a longer ttl_s."
    )
    return LeaseLostError(message, lease=hold.name)


def spend(work: Transaction, names: list[str]) -> int:
    """Delete the leases *names*, which the caller has locked, keeping what their epochs were; return how many."""
    if not names:
        return 0
    of_them = leases.c.name.in_(names)
    highest = max(_run(work, select(leases.c.epoch).where(of_them)).scalars(), default=0)
    _run(work, work.backend.insert_unless_there(leases, {"name": "", "epoch": 0, "expires_at": 0.0}))
    _run(work, update(leases).where(leases.c.name == "", leases.c.epoch < highest).values(epoch=highest))
    return _run(work, delete(leases).where(of_them)).rowcount


def _ours(hold: Hold) -> list[ColumnElement[bool]]:
    return [leases.c.name == hold.name, leases.c.owner == hold.owner, leases.c.epoch == hold.epoch]


def _run(work: Transaction, statement: Executable) -> CursorResult[Any]:
    # psycopg's cursor forgets the count when it is closed, which SQLAlchemy does for an INSERT.
    counted = statement.execution_options(preserve_rowcount=True)
    result: CursorResult[Any] = work.run("a lease", lambda: work.connection.execute(counted), leases.name)
    return result
