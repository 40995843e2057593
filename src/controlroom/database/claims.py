"""Claims that outlast one transaction: for work with effects elsewhere, whose owner may die in the middle of it.

Such a claim is committed at once and expires by the server's time. Whoever takes it over gets a higher epoch, and every
later write of the one before is refused: `hold` and `finish` look at owner and epoch in the transaction that they guard.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import update
from sqlalchemy.sql.elements import ColumnElement

from controlroom.database.control import ledger
from controlroom.database.ledger import (
    as_stored,
    ask,
    claim_values,
    entry_of,
    insert_or_find,
    require_key,
    take_over,
)
from controlroom.database.transaction import Transaction
from controlroom.errors import CommitInDoubtError, ConfigError, DatabaseUnavailableError, LeaseLostError
from controlroom.retrying import RetryPolicy

__all__ = ["CLAIMING", "Claim", "checked_ttl_s", "claim_for", "finish", "hold", "release", "repeatable"]


@dataclass(frozen=True, slots=True)
class Claim:
    """A key in somebody's hands, or done; made by `Database.claim`. Plain data: it can be handed to another process.

    Attributes:
        key: What the work is called.
        owner: Whose claim it is.
        epoch: How often the key was claimed, this time included: a later holder has a higher one.
        ttl_s: How long it holds from the last look at it, seconds.
        done: Whether the work is done: by an earlier claim, and nothing is left to do.
        result: What it returned, where it is done.
    """

    key: str
    owner: str
    epoch: int
    ttl_s: float
    done: bool = False
    result: Any = None


def claim_for(work: Transaction, key: str, payload: Any, owner: str, ttl_s: float) -> Claim:
    """Claim *key* for *owner*, or for *owner* once more; return what stands there where the work is done.

    Raises:
        IntegrityViolationError: The key stands for another payload.
        TransactionConflictError: Somebody else has it.
    """
    with work.guarded():
        values = claim_values(require_key(key), payload, owner) | {"expires_at": work.backend.now_s() + ttl_s}
        row = insert_or_find(work, values)
        if row is None:
            return Claim(key, owner, 1, ttl_s)
        entry = entry_of(row, values)
        if row.expires_at is None:
            return Claim(key, row.owner or "", row.epoch or 1, ttl_s, done=True, result=entry.result)
        epoch = row.epoch if row.owner == owner else take_over(work, row, values)
        return Claim(key, owner, epoch, ttl_s)


def _ours(claim: Claim) -> list[ColumnElement[bool]]:
    return [
        ledger.c.key == claim.key,
        ledger.c.owner == claim.owner,
        ledger.c.epoch == claim.epoch,
        ledger.c.expires_at > 0,  # neither done nor released
    ]


def hold(work: Transaction, claim: Claim) -> None:
    """Renew *claim*, and keep others from taking it over before *work* ends.

    Raises:
        LeaseLostError: It was taken over, finished or released.
    """
    with work.guarded():
        expires_at = work.backend.now_s() + claim.ttl_s
        if ask(work, update(ledger).where(*_ours(claim)).values(expires_at=expires_at)).rowcount != 1:
            raise _lost(claim)


def finish(work: Transaction, claim: Claim, result: Any) -> None:
    """Have the work that *claim* stands for done when *work* commits, with *result*.

    Raises:
        LeaseLostError: It was taken over, finished or released.
        QueryError: The ledger cannot keep *result*.
    """
    with work.guarded():
        values = {"expires_at": None, "result": as_stored(result)}
        if ask(work, update(ledger).where(*_ours(claim)).values(values)).rowcount != 1:
            raise _lost(claim)
        work.token = claim.key


def release(work: Transaction, claim: Claim) -> bool:
    """Let *claim* expire now; False where it was no longer ours. The row stays: the next epoch is counted from it."""
    return ask(work, update(ledger).where(*_ours(claim)).values(expires_at=0.0)).rowcount == 1


@contextmanager
def repeatable() -> Iterator[None]:
    """Let a claim whose COMMIT is in doubt be made again: the same owner finds its own row, or there is none.

    Raises:
        DatabaseUnavailableError: In the place of the doubt.
    """
    try:
        yield
    except CommitInDoubtError as doubt:
        message = (
            "The claim was not acknowledged; it may stand in the ledger, under an owner that nobody is, until it expires. "
            "Nothing else was written. Claim the key again."
        )
        raise DatabaseUnavailableError(message) from doubt


def checked_ttl_s(ttl_s: object) -> float:
    """Return *ttl_s*.

    Raises:
        ConfigError: It is no length of time.
    """
    if not isinstance(ttl_s, int | float) or not math.isfinite(ttl_s) or ttl_s <= 0:
        message = f"ttl_s={ttl_s!r} is not possible: give seconds, more than zero. Nothing was claimed."
        raise ConfigError(message)
    return float(ttl_s)


CLAIMING: Final = RetryPolicy(
    what="claiming a key",
    only_if=lambda error: isinstance(error, DatabaseUnavailableError),  # who meets another owner is told at once
)
"""How a claim is repeated."""


def _lost(claim: Claim) -> LeaseLostError:
    message = (
        f"The claim of {claim.key!r} (epoch {claim.epoch}) is no longer ours: it expired and was taken over, or the work is "
        "done. Nothing of this unit was written. Let the new owner go on; give work that takes longer a longer ttl_s."
    )
    return LeaseLostError(message, lease=claim.key)
