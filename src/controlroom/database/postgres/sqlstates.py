"""What each SQLSTATE of PostgreSQL means (postgresql.org/docs/current/errcodes-appendix.html): data, by class and by code."""

from __future__ import annotations

from typing import Final

from controlroom.database.meanings import Meaning
from controlroom.errors import (
    DatabaseError,
    DatabaseUnavailableError,
    DoomedTransactionError,
    IntegrityViolationError,
    QueryError,
    TransactionConflictError,
)

__all__ = ["UNDECIDED", "UNREACHABLE", "meaning_of_state"]

UNREACHABLE: Final = Meaning(
    DatabaseUnavailableError, "the connection failed", "Try again; look at the server and the network if it goes on."
)
_CONFLICT = Meaning(
    TransactionConflictError, "another transaction was in the way", "Run the whole unit again (db.transact does)."
)
_REFUSED = Meaning(IntegrityViolationError, "a constraint refused the data", "Correct the data, or set it aside.")
_UNFIT = Meaning(IntegrityViolationError, "a value does not fit", "Correct the data, or set it aside.")
_WRONG = Meaning(QueryError, "the statement is wrong", "Correct the statement, its names or its parameters.")
_FAILED = Meaning(
    DoomedTransactionError, "an earlier statement of this unit had failed", "Let its error out, and run the unit again."
)
_UNKNOWN = Meaning(DatabaseError, "the server reported an error", "Look its SQLSTATE up in PostgreSQL's documentation.")

# At COMMIT these say that the connection ended, not what became of the transaction.
UNDECIDED: Final = frozenset({"40003", "57P01", "57P02", "57P03", "57P05"})

_BY_CLASS: Final[dict[str, Meaning]] = {
    "08": UNREACHABLE,
    "22": _UNFIT,
    "23": _REFUSED,
    "25": _WRONG,
    "26": _WRONG,
    "34": _WRONG,
    "40": _CONFLICT,
    "42": _WRONG,
    "53": UNREACHABLE,
    "57": UNREACHABLE,
}
_BY_CODE: Final[dict[str, Meaning]] = {"25P02": _FAILED, "55P03": _CONFLICT, "57014": _WRONG}


def meaning_of_state(state: str) -> Meaning:
    """Return what *state* means."""
    return _BY_CODE.get(state) or _BY_CLASS.get(state[:2], _UNKNOWN)
