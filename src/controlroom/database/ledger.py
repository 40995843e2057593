"""The ledger: which keys have committed, for which payload, and with what result. Once for both colours.

A key is claimed by the first statement of its unit. The unique index then makes everybody else with that key wait for
this unit's end, a COMMIT that is still on its way included: who gets to insert the row knows for certain that no earlier
claim has committed or ever will. Looking for the row with SELECT would not tell that.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from typing import Any, Final

from sqlalchemy import CursorResult, Executable, Row, select, update

from controlroom import clock
from controlroom.database.control import ledger
from controlroom.database.plain import json_of
from controlroom.database.transaction import Transaction
from controlroom.database.writes import WriteCount
from controlroom.errors import IntegrityViolationError, QueryError, TransactionConflictError

__all__ = [
    "Entry",
    "as_stored",
    "ask",
    "claim",
    "claim_values",
    "entry_of",
    "fingerprint_of",
    "insert_or_find",
    "keep",
    "new_owner",
    "require_key",
    "standing",
    "take_over",
]

_ROUNDS: Final = 3
"""How often a claim is tried where the row that was in its way is gone when it is looked at (`Database.prune`)."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What stands in the ledger under a key that is not ours to claim: it has committed.

    Attributes:
        owner: Which claim wrote it; None for rows of version 1.
        result: What the work returned; None where that was not kept.
    """

    owner: str | None
    result: Any


def new_owner() -> str:
    """Return a name for one claim that no other claim has, on any machine."""
    return secrets.token_hex(12)


def require_key(key: object) -> str:
    """Return *key*.

    Raises:
        QueryError: It is no text, or an empty one.
    """
    if not isinstance(key, str) or not key:
        message = f"A ledger key needs a text that is not empty, not {key!r}. Nothing was run."
        raise QueryError(message)
    return key


def fingerprint_of(payload: Any) -> str | None:
    """Return the SHA-256 of *payload* as canonical JSON; None for None.

    Raises:
        QueryError: *payload* is not JSON-ready.
    """
    if payload is None:
        return None
    text = json_of(payload, "The payload of a ledger key", "Nothing was run.", canonical=True)
    return hashlib.sha256(text.encode()).hexdigest()


def claim(work: Transaction, key: str, payload: Any = None, owner: str | None = None) -> Entry | None:
    """Claim *key* until *work* ends, for *owner*; return what stands there where it has committed before.

    Raises:
        IntegrityViolationError: It stands there for another payload.
        TransactionConflictError: Somebody else is at it.
        QueryError: The key or the payload is none.
    """
    with work.guarded():  # whoever swallows a refusal and works on would do so without a claim
        values = claim_values(require_key(key), payload, owner or new_owner())
        row = insert_or_find(work, values)
        if row is not None:
            entry = entry_of(row, values)
            if row.expires_at is None:
                return entry
            take_over(work, row, {**values, "expires_at": None})
        work.token = key
        return None


def claim_values(key: str, payload: Any, owner: str) -> dict[str, Any]:
    """Return the row of a first claim."""
    return {
        "key": key,
        "claimed_at": clock.utcnow().isoformat(),
        "fingerprint": fingerprint_of(payload),
        "owner": owner,
        "epoch": 1,
    }


def insert_or_find(work: Transaction, values: Mapping[str, Any]) -> Row[Any] | None:
    """Insert a row, waiting for whoever is about to insert one with its key; return what stands there instead, or None.

    Raises:
        TransactionConflictError: Whoever is about to did not end in time.
    """
    # psycopg's cursor forgets the count when it is closed, which SQLAlchemy does for an INSERT.
    statement = work.backend.insert_unless_there(ledger, values).execution_options(preserve_rowcount=True)
    expired = (ledger.c.expires_at <= work.backend.now_s()).label("has_expired")
    query = select(ledger, expired).where(ledger.c.key == values["key"])
    for _ in range(_ROUNDS):
        if ask(work, statement).rowcount == 1:
            return None
        row: Row[Any] | None = ask(work, query).first()
        if row is not None:
            return row
    message = (
        f"The ledger key {values['key']!r} was claimed and freed again meanwhile. Nothing was run. Run the unit again."
    )
    raise TransactionConflictError(message, table=ledger.name)


def ask(work: Transaction, statement: Executable) -> CursorResult[Any]:
    """Run a statement about the ledger."""
    return work.run("the ledger", lambda: work.connection.execute(statement), ledger.name)


def entry_of(row: Row[Any], values: Mapping[str, Any]) -> Entry:
    """Return what stands in *row*.

    Raises:
        IntegrityViolationError: It stands there for another payload than that of *values*.
    """
    if None not in (values["fingerprint"], row.fingerprint) and values["fingerprint"] != row.fingerprint:
        message = (
            f"The ledger key {row.key!r} was claimed at {row.claimed_at} for another payload. Nothing was run. "
            "Give each piece of work a key of its own, or repeat it with the payload that it had."
        )
        raise IntegrityViolationError(message, table=ledger.name)
    return Entry(row.owner, None if row.result is None else _result(row.result))


def take_over(work: Transaction, row: Row[Any], values: Mapping[str, Any]) -> int:
    """Put a claim in the place of that in *row*, which has expired; return its epoch.

    Raises:
        TransactionConflictError: It has not expired, or somebody was quicker.
    """
    epoch = row.epoch + 1
    theirs = (ledger.c.key == row.key, ledger.c.owner == row.owner, ledger.c.epoch == row.epoch)
    statement = update(ledger).where(*theirs, ledger.c.expires_at.is_not(None)).values({**values, "epoch": epoch})
    if not row.has_expired or ask(work, statement).rowcount != 1:
        message = (
            f"The ledger key {row.key!r} has been in other hands since {row.claimed_at}. Nothing was run. "
            "Try again when they have finished, or when their claim has expired."
        )
        raise TransactionConflictError(message, table=ledger.name)
    return int(epoch)


def keep(work: Transaction, key: str, result: str) -> None:
    """Store *result*, as `as_stored` wrote it, beside *key*, which this unit has claimed."""
    ask(work, update(ledger).where(ledger.c.key == key).values(result=result))


def standing(work: Transaction, key: str) -> Entry | None:
    """Return what stands under *key* for good; None where nothing does. Whoever asks rolls back.

    Raises:
        TransactionConflictError: Whoever is about to commit or to roll back did not do so in time.
    """
    values = claim_values(key, None, new_owner())
    row = insert_or_find(work, values)
    return None if row is None else entry_of(row, values)


def as_stored(result: Any) -> str | None:
    """Return what the ledger keeps of *result*; None for None.

    Raises:
        QueryError: *result* is neither JSON-ready nor a `WriteCount`.
    """
    if result is None:
        return None
    envelope = {"count": astuple(result)} if isinstance(result, WriteCount) else {"value": result}
    return json_of(
        envelope, "The result of a unit with a key", "The unit was rolled back; a repetition could not return it."
    )


def _result(stored: str) -> Any:
    envelope = json.loads(stored)
    return WriteCount(*envelope["count"]) if "count" in envelope else envelope["value"]
