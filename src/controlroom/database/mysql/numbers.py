"""What each error number of MySQL and MariaDB means to whoever has to act: data.

mariadb.com/kb/en/mariadb-error-code-reference, dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html; numbers from
2000 to 2999 are the drivers' own. What is not listed here goes by its SQLSTATE.
"""

from __future__ import annotations

from typing import Final

from controlroom.database.meanings import Meaning
from controlroom.errors import (
    DatabaseError,
    DatabaseUnavailableError,
    IntegrityViolationError,
    QueryError,
    TransactionConflictError,
)

__all__ = ["MISCONFIGURED", "REFUSED_AT_COMMIT", "UNFIT", "UNREACHABLE", "WRONG", "meaning_of_number"]

UNREACHABLE: Final = Meaning(
    DatabaseUnavailableError, "the connection failed", "Try again; look at the server and the network if it goes on."
)
UNFIT: Final = Meaning(IntegrityViolationError, "a value does not fit", "Correct the data, or set it aside.")
WRONG: Final = Meaning(QueryError, "the statement is wrong", "Correct the statement, its names or its parameters.")
_REFUSED: Final = Meaning(
    IntegrityViolationError, "a constraint refused the data", "Correct the data, or set it aside."
)
_DEADLOCK: Final = Meaning(
    TransactionConflictError,
    "two units waited for each other, and the server has rolled this one back",
    "Run the whole unit again (db.transact does).",
)
_LOCKED: Final = Meaning(
    TransactionConflictError,
    "another connection holds the lock",
    "Run the whole unit again (db.transact does), or raise lock_timeout_s.",
)
_CHANGED: Final = Meaning(
    TransactionConflictError, "the row or the table changed meanwhile", "Run the whole unit again (db.transact does)."
)
_FULL: Final = Meaning(
    DatabaseUnavailableError, "the server has no connection to spare", "Try again; use fewer, or allow it more."
)
_DENIED: Final = Meaning(QueryError, "this user may not do that", "Grant it, or use another user.")
_INTERRUPTED: Final = Meaning(
    QueryError, "somebody stopped the statement on the server", "Find out who, before running the unit again."
)
_READ_ONLY: Final = Meaning(
    QueryError, "this server takes no writes: it is read-only, or a replica", "Connect to the primary."
)
_DISK: Final = Meaning(DatabaseError, "the server's disk did not do what was asked", "Look at the server's disk first.")
_TOO_LONG: Final = Meaning(
    QueryError, "it is larger than the server takes", "Give fewer or smaller values, or raise max_allowed_packet."
)
_OTHER_KEY: Final = Meaning(
    IntegrityViolationError,
    "a value is out of range, or a row collides with another one in a unique constraint that key does not name",
    "Correct the data, or set it aside.",
)
_UNKNOWN: Final = Meaning(
    DatabaseError, "the server reported an error", "Look its number up in the manual of the server."
)

_BY_NUMBER: Final[dict[int, Meaning]] = {
    0: UNREACHABLE,  # PyMySQL: the connection was closed before
    1021: _DISK,
    1022: _REFUSED,
    1026: _DISK,
    1030: _DISK,
    1040: _FULL,
    1041: _FULL,
    1044: _DENIED,
    1045: _DENIED,
    1047: UNREACHABLE,  # a node of Galera that is not ready
    1048: _REFUSED,
    1053: UNREACHABLE,
    1062: _REFUSED,
    1105: _UNKNOWN,
    1114: _DISK,
    1118: UNFIT,
    1129: _FULL,
    1142: _DENIED,
    1143: _DENIED,
    1152: UNREACHABLE,
    1153: _TOO_LONG,
    1158: UNREACHABLE,
    1159: UNREACHABLE,
    1160: UNREACHABLE,
    1161: UNREACHABLE,
    1169: _REFUSED,
    1180: _DISK,
    1203: _FULL,
    1205: _LOCKED,
    1206: _LOCKED,
    1213: _DEADLOCK,
    1216: _REFUSED,
    1217: _REFUSED,
    1226: _FULL,
    1227: _DENIED,
    1264: UNFIT,
    1265: UNFIT,
    1290: _READ_ONLY,
    1292: UNFIT,
    1317: _INTERRUPTED,
    1364: _REFUSED,
    1365: UNFIT,
    1366: UNFIT,
    1367: UNFIT,
    1369: _REFUSED,
    1370: _DENIED,
    1406: UNFIT,
    1411: UNFIT,
    1412: _CHANGED,
    1426: UNFIT,
    1441: UNFIT,
    1451: _REFUSED,
    1452: _REFUSED,
    1526: _REFUSED,
    1557: _REFUSED,
    1586: _REFUSED,
    1614: _DEADLOCK,
    1637: _FULL,
    1644: _REFUSED,  # SIGNAL, of a trigger
    1684: _CHANGED,
    1690: _OTHER_KEY,
    1748: _REFUSED,
    1761: _REFUSED,
    1762: _REFUSED,
    1836: _READ_ONLY,
    1859: _REFUSED,
    1927: UNREACHABLE,  # KILL CONNECTION
    2002: UNREACHABLE,
    2003: UNREACHABLE,
    2005: UNREACHABLE,
    2006: UNREACHABLE,
    2013: UNREACHABLE,
    2014: UNREACHABLE,
    2020: _TOO_LONG,
    2055: UNREACHABLE,
    3024: _INTERRUPTED,
    3058: _DEADLOCK,
    3101: _DEADLOCK,
    3140: UNFIT,
    3168: UNREACHABLE,
    3169: UNREACHABLE,
    3572: _LOCKED,
    3819: _REFUSED,
    4025: _REFUSED,
    4031: UNREACHABLE,
}
_BY_CLASS: Final = {
    "08": UNREACHABLE,
    "22": UNFIT,
    "23": _REFUSED,
    "40": _DEADLOCK,
    "42": WRONG,
    "21": WRONG,
    "0A": WRONG,
}
_LAST_OF_THE_SERVER: Final = 1999

REFUSED_AT_COMMIT: Final = frozenset({0, 1205, 1213, 1290, 1614, 1792, 1836, 3101})
"""After these, COMMIT has not happened and never will: the rest leaves it in doubt. 0: it was never sent."""

MISCONFIGURED: Final = frozenset(
    {1044, 1045, 1049, 1115, 1130, 1131, 1133, 1251, 1273, 1524, 1698, 1820, 1862, 3159, 4151}
)
"""What is wrong with URL, user or server is not mended by trying again."""


def meaning_of_number(number: int | None, sqlstate: str | None) -> Meaning:
    """Return what an error *number* means."""
    if number is None:
        return WRONG
    if number in _BY_NUMBER:
        return _BY_NUMBER[number]
    by_class = _BY_CLASS.get((sqlstate or "")[:2])
    if by_class is not None:
        return by_class
    return WRONG if 1000 <= number <= _LAST_OF_THE_SERVER else _UNKNOWN  # noqa: PLR2004 - where the server's begin
