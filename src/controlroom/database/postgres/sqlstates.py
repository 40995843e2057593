"""What each SQLSTATE of PostgreSQL means (postgresql.org/docs/current/errcodes-appendix.html): data, by class and by code.

Whether a unit is worth repeating follows from the class of ours (`Disposition`): a conflict and a lost connection are,
nothing else; 57014 (somebody or something cancelled the statement) never is.
"""

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

__all__ = [
    "AT_CONNECT",
    "BUSY",
    "DECIDED",
    "FOR_A_POOLER",
    "IS_A_STANDBY",
    "MISCONFIGURED",
    "NO_CONTROL_TABLES",
    "SEVERAL_STATEMENTS",
    "STALE_PLAN",
    "UNDECIDED",
    "UNFIT",
    "UNKNOWN",
    "UNREACHABLE",
    "WRONG",
    "is_known",
    "meaning_of_state",
]

UNREACHABLE: Final = Meaning(
    DatabaseUnavailableError, "the connection failed", "Try again; look at the server and the network if it goes on."
)
UNFIT: Final = Meaning(IntegrityViolationError, "a value does not fit", "Correct the data, or set it aside.")
WRONG: Final = Meaning(QueryError, "the statement is wrong", "Correct the statement, its names or its parameters.")
BUSY: Final = Meaning(
    QueryError, "the connection is busy with another statement", "Await one statement before the next; share no unit."
)
SEVERAL_STATEMENTS: Final = Meaning(QueryError, "it holds several statements", "Run them one by one.")
NO_CONTROL_TABLES: Final = Meaning(
    QueryError, "the control tables are missing", "Call db.create_control_tables() once."
)
FOR_A_POOLER: Final = Meaning(
    QueryError,
    "a pooler has given this connection another session, with other prepared statements",
    'Give the Database profile="pooler".',
)
IS_A_STANDBY: Final = Meaning(
    QueryError, "this server takes no writes: it is a standby, or made read-only", "Connect to the primary."
)
STALE_PLAN: Final = Meaning(
    TransactionConflictError, "the schema changed meanwhile", "Run the whole unit again (db.transact does)."
)
UNKNOWN: Final = Meaning(
    DatabaseError, "the server reported an error", "Look its SQLSTATE up in PostgreSQL's documentation."
)

_CONFLICT = Meaning(
    TransactionConflictError, "another transaction was in the way", "Run the whole unit again (db.transact does)."
)
_LOCKED = Meaning(
    TransactionConflictError,
    "another transaction holds the lock",
    "Run the whole unit again (db.transact does), or raise lock_timeout_s.",
)
_REFUSED = Meaning(IntegrityViolationError, "a constraint refused the data", "Correct the data, or set it aside.")
_RAISED = Meaning(
    IntegrityViolationError,
    "a function or trigger of the database refused it",
    "Correct the data, or set it aside; the server's log has the function's own words, which may quote a row.",
)
_FUNCTION = Meaning(
    QueryError, "a function of the database failed", "Correct that function, or what it is called with."
)
_STATE = Meaning(QueryError, "it is not possible at this point", "Do first what it needs, or leave it out.")
_LIMIT = Meaning(QueryError, "the statement is beyond a limit of the server", "Make it smaller, or run it in parts.")
_CANCELLED = Meaning(
    QueryError,
    "the statement was cancelled",
    "Look who or what cancelled it: pg_cancel_backend, or a limit set in the server.",
)
_FAILED = Meaning(
    DoomedTransactionError, "an earlier statement of this unit had failed", "Let its error out, and run the unit again."
)
_DENIED = Meaning(DatabaseError, "the role may not do that", "GRANT it what it needs, or connect as a role that may.")
_NOT_LET_IN = Meaning(
    DatabaseError, "the server does not let this role in", "Correct the role, its password or pg_hba.conf."
)
_IDLE = Meaning(
    DatabaseUnavailableError,
    "the server ended the session: the unit had done nothing for too long",
    "Run the whole unit again, with slow work outside of it; or raise idle_timeout_s.",
)
_ENDED = Meaning(
    DatabaseUnavailableError, "the server ended the session", "Run the whole unit again (db.transact does)."
)
_NOT_NOW = Meaning(DatabaseUnavailableError, "the server takes nobody at present", "Try again in a while.")
_FULL_UP = Meaning(
    DatabaseUnavailableError,
    "the server has no connection left",
    "Try again; use fewer connections (pool_size) if it goes on.",
)
_DROPPED = Meaning(DatabaseError, "the database was dropped", "Create it, or correct the URL.")
_DISK_FULL = Meaning(DatabaseError, "the server's disk is full", "Free some space; then run the whole unit again.")
_MEMORY = Meaning(
    DatabaseError,
    "the server ran out of memory",
    "Give it more, or do less in one unit (max_locks_per_transaction where it is shared memory).",
)
_CONFIGURED_LIMIT = Meaning(
    DatabaseError, "a limit set in the server was reached", "Do less in one unit, or raise the limit that it names."
)
_FILES = Meaning(DatabaseError, "the server's file system failed it", "Look at the server's disk and its log first.")
_DAMAGED = Meaning(
    DatabaseError,
    "what the server has stored is damaged",
    "Stop writing; look at the disk, restore from a backup or rebuild the index. Repeating cannot help.",
)
_INTERNAL = Meaning(DatabaseError, "the server failed internally", "Look into its log; report it to whoever runs it.")
_SERVER_SETTINGS = Meaning(DatabaseError, "the server is not set up right", "Look into its log and its configuration.")
_FOREIGN = Meaning(DatabaseError, "a foreign server reported an error", "Look at the foreign table and at its server.")
_FOREIGN_AWAY = Meaning(
    DatabaseUnavailableError, "a foreign server cannot be reached", "Try again; look at that server if it goes on."
)
_AMBIGUOUS = Meaning(
    TransactionConflictError, "the server cannot tell what it did", "Run the whole unit again (db.transact does)."
)

# At COMMIT these say that the connection ended, not what became of the transaction. So does every error that ends a
# session (FATAL, PANIC), but for those of `DECIDED`.
UNDECIDED: Final = frozenset({"40003", "57P01", "57P02", "57P03", "57P04", "57P05", "25P04"})

# Sent to a session that waits for its client inside a transaction: it has not seen a COMMIT, and never will.
DECIDED: Final = frozenset({"25P03"})

_BY_CLASS: Final[dict[str, Meaning]] = {
    "01": UNKNOWN,
    "02": UNKNOWN,
    "03": _STATE,
    "08": UNREACHABLE,
    "09": _FUNCTION,
    "0A": WRONG,
    "0B": _STATE,
    "0F": WRONG,
    "0L": _DENIED,
    "0P": WRONG,
    "0Z": _FUNCTION,
    "10": WRONG,
    "20": _FUNCTION,
    "21": WRONG,
    "22": UNFIT,
    "23": _REFUSED,
    "24": _STATE,
    "25": _STATE,
    "26": FOR_A_POOLER,
    "27": _REFUSED,
    "28": _NOT_LET_IN,
    "2B": _STATE,
    "2D": _STATE,
    "2F": _FUNCTION,
    "34": WRONG,
    "38": _FUNCTION,
    "39": _FUNCTION,
    "3B": _STATE,
    "3D": WRONG,
    "3F": WRONG,
    "40": _CONFLICT,
    "42": WRONG,
    "44": _REFUSED,
    "53": _NOT_NOW,
    "54": _LIMIT,
    "55": _STATE,
    "57": _ENDED,
    "58": _FILES,
    "72": _CONFLICT,
    "F0": _SERVER_SETTINGS,
    "HV": _FOREIGN,
    "P0": _FUNCTION,
    "XX": _INTERNAL,
}
_BY_CODE: Final[dict[str, Meaning]] = {
    "08007": _AMBIGUOUS,
    "25006": IS_A_STANDBY,
    "25P02": _FAILED,
    "25P03": _IDLE,
    "25P04": _ENDED,
    "40002": _REFUSED,
    "40003": _AMBIGUOUS,
    "42501": _DENIED,
    "42P05": FOR_A_POOLER,
    "53100": _DISK_FULL,
    "53200": _MEMORY,
    "53300": _FULL_UP,
    "53400": _CONFIGURED_LIMIT,
    "54000": UNFIT,  # an index row, an array, a document too large: mostly one value
    "55P03": _LOCKED,
    "57014": _CANCELLED,
    "57P03": _NOT_NOW,
    "57P04": _DROPPED,
    "58000": _INTERNAL,
    "HV001": _MEMORY,
    "HV014": _MEMORY,
    "HV00N": _FOREIGN_AWAY,
    "P0001": _RAISED,
    "XX001": _DAMAGED,
    "XX002": _DAMAGED,
}

# While a connection is opened these say that the configuration is wrong: no attempt after this one would do better.
MISCONFIGURED: Final = ("28", "3D", "3F", "0P", "22", "42", "55000", "57P04")

# libpq has no SQLSTATE for a connection that was never made, only the text. In another language than English nothing here
# is found, and the server counts as out of reach.
AT_CONNECT: Final[tuple[tuple[str, str], ...]] = (
    (r"password authentication failed|SASL authentication failed|no password supplied", "28P01"),
    (r"no pg_hba\.conf entry|pg_hba\.conf rejects|authentication failed for user|not permitted to log in", "28000"),
    (r'role "[^"]*" does not exist|no such user', "28000"),
    (r'database "[^"]*" does not exist|no such database', "3D000"),
    (r"permission denied for database", "42501"),
    (r"is not currently accepting connections", "55000"),
    (r"unrecognized configuration parameter|unsupported startup parameter", "42704"),
    (r"invalid value for parameter|invalid command-line argument", "22023"),
    (r"too many clients already|too many connections|connection slots are reserved", "53300"),
    (r"the database system is (?:starting|shutting|in recovery|not)", "57P03"),
)


def meaning_of_state(state: str) -> Meaning:
    """Return what *state* means."""
    return _BY_CODE.get(state) or _BY_CLASS.get(state[:2], UNKNOWN)


def is_known(state: str) -> bool:
    """Tell whether the table has *state*, or its class."""
    return state in _BY_CODE or state[:2] in _BY_CLASS
