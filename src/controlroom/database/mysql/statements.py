"""What MySQL reads in a statement, and what it says about one that has run. Pure.

Most statements that define something COMMIT first, whether anybody asked for it or not
(mariadb.com/kb/en/sql-statements-that-cause-an-implicit-commit): half of a unit of work would stay whatever becomes of it.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

__all__ = ["Told", "commits", "only_looks", "told"]

_COMMENTS: Final = r"(?:\s+|--[^\n]*(?:\n|$)|\#[^\n]*(?:\n|$)|/\*(?![!M]).*?\*/)*"
_COMMITS: Final = re.compile(
    rf"{_COMMENTS}(?:/\*[!M]\d*\s*)?(?:"
    r"ALTER|ANALYZE|BEGIN|CACHE|CHANGE|CHECK|COMMIT|FLUSH|GRANT|INSTALL|LOAD\s+INDEX|LOCK\s+TABLES?|OPTIMIZE|RENAME|REPAIR|RESET"
    r"|REVOKE|ROLLBACK\s*;?\s*$|SET\s+(?:@@|SESSION\s+|GLOBAL\s+|@@SESSION\.)*AUTOCOMMIT|SET\s+PASSWORD|SHUTDOWN|START|STOP"
    r"|TRUNCATE|UNINSTALL|UNLOCK|XA"
    r"|CREATE(?!\s+(?:OR\s+REPLACE\s+)?TEMPORARY)|DROP(?!\s+TEMPORARY)"
    r")\b",
    re.IGNORECASE | re.DOTALL,
)
_LOOKS: Final = re.compile(
    rf"{_COMMENTS}(?:SELECT|SHOW|DESCRIBE|DESC|EXPLAIN|SET|USE|HELP)\b", re.IGNORECASE | re.DOTALL
)
_LOCKS: Final = re.compile(r"\b(?:FOR\s+(?:UPDATE|SHARE)|LOCK\s+IN\s+SHARE\s+MODE)\b", re.IGNORECASE)
_MATCHED: Final = re.compile(rb"Rows matched: (\d+)")
_MERGED: Final = re.compile(rb"Records: \d+ +Duplicates: (\d+)")


def commits(sql: str) -> bool:
    """Tell whether *sql* commits the open transaction before it does anything."""
    return _COMMITS.match(sql) is not None


def only_looks(sql: str) -> bool:
    """Tell whether *sql* leaves nothing behind that a COMMIT would keep or a ROLLBACK undo: neither rows nor locks."""
    return _LOOKS.match(sql) is not None and _LOCKS.search(sql) is None


class Told(NamedTuple):
    """What the server said about a statement that wrote.

    Attributes:
        matched: The rows that an UPDATE found; None after other statements.
        updated: The rows that an INSERT … ON DUPLICATE KEY UPDATE changed; it counts each of them twice.
    """

    matched: int | None
    updated: int


def told(message: bytes | None, affected: int) -> Told:
    """Read what comes with the count of rows.

    The count alone is ambiguous. Without CLIENT_FOUND_ROWS, that of an UPDATE leaves out rows which were like this
    already; with it, that of an upsert of one row is 1 both for a new row and for one that was like this.
    """
    if message and (match := _MATCHED.search(message)):
        return Told(int(match[1]), 0)
    if message and (match := _MERGED.search(message)):
        return Told(None, int(match[1]))
    return Told(None, 1 if affected == 2 else 0)  # noqa: PLR2004 - of one row, where no message comes: it was updated
