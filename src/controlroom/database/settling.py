"""What became of a COMMIT that nobody answered, found out by the ledger. Pure: steps are data.

The lost unit claimed its key before anything else. So whoever asks claims the key as well, at READ COMMITTED, and waits
for it: either the row of the lost unit is there, or there is room for another, and then the lost one never comes. Where the
lost session is still there and holds the row (the server has not noticed that its client is gone), it is ended first.
"""

from __future__ import annotations

from dataclasses import dataclass

from controlroom.database.ledger import Entry
from controlroom.errors import CommitInDoubtError, DatabaseUnavailableError, QueryError, TransactionConflictError
from controlroom.policy.flow import Flow, StepFailed

__all__ = ["EndSession", "Fence", "SettlingStep", "not_landed", "settle"]


@dataclass(frozen=True, slots=True)
class Fence:
    """Claim the key, and take the claim back; the answer is what stands there, or None."""

    key: str


@dataclass(frozen=True, slots=True)
class EndSession:
    """End the session that has the transaction, if it still has that and no other."""

    pid: int
    xid: str


SettlingStep = Fence | EndSession


def settle(key: str, pid: int | None, xid: str | None) -> Flow[SettlingStep, Entry | None]:
    """Find out what stands under *key* for good; None where nothing does, and the lost unit will not put anything there.

    Raises:
        TransactionConflictError: Somebody still holds the row.
    """
    try:
        found: Entry | None = yield Fence(key)
    except StepFailed as failed:
        # By lock_timeout_s, or by statement_timeout_s where that is shorter.
        was_waiting = isinstance(failed.error, TransactionConflictError | QueryError)
        if not was_waiting or pid is None or xid is None:
            raise
    else:
        return found
    yield EndSession(pid, xid)
    found = yield Fence(key)
    return found


def not_landed(doubt: CommitInDoubtError, key: str) -> DatabaseUnavailableError:
    """Return what *doubt* has turned out to be, where the unit has not committed."""
    message = (
        f"COMMIT was not answered, and the ledger says about {key!r} that it did not happen: everything was rolled back. "
        "Run the whole unit again (db.transact does, where attempts are left)."
    )
    error = DatabaseUnavailableError(message, sqlstate=doubt.sqlstate)
    error.__cause__ = doubt
    return error
