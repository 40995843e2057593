"""What SQLite's result codes mean to whoever has to act. A table, so that it can be read and tested as one.

The codes are those of https://www.sqlite.org/rescode.html; extended codes fall back on their primary one. The driver
puts them on its exceptions as ``sqlite_errorcode``; what it finds out itself, before SQLite is asked, has none.
"""

from __future__ import annotations

import re
import sqlite3
from typing import Final

from sqlalchemy import exc

from controlroom.database.meanings import Meaning
from controlroom.errors import (
    DatabaseError,
    DatabaseUnavailableError,
    IntegrityViolationError,
    QueryError,
    TransactionConflictError,
)

__all__ = ["SqliteMeanings"]

_PRIMARY: Final = 0xFF
_DRIVER_FAULTS = (OverflowError, UnicodeError)  # raised by sqlite3 while binding; they are not its Error
_TABLES = (
    re.compile(r"^(?:UNIQUE|NOT NULL) constraint failed: (?P<table>[^,]+)\.[^.,]+(?:,|$)"),
    re.compile(r"^no such table: (?P<table>.+)$"),
)
_CONTROL_TABLES: Final = "no such table: controlroom_"


_LOCKED = Meaning(
    TransactionConflictError,
    "another connection holds the lock",
    "Run the whole unit again (db.transact does), or raise lock_timeout_s.",
)
_REFUSED = Meaning(IntegrityViolationError, "a constraint refused the data", "Correct the data, or set it aside.")
_UNFIT = Meaning(IntegrityViolationError, "a value does not fit", "Correct the data, or set it aside.")
_WRONG = Meaning(QueryError, "the statement is wrong", "Correct the statement, its names or its parameters.")
_SEVERAL = Meaning(QueryError, "it holds several statements", "Run them one by one.")
_NO_CONTROL_TABLES = Meaning(QueryError, "the control tables are missing", "Call db.create_control_tables() once.")
_DAMAGED = Meaning(
    DatabaseError,
    "the file is not an intact SQLite database",
    "Check the path; restore the file from a backup. Repeating cannot help.",
)
_DENIED = Meaning(
    DatabaseError,
    "the database cannot be written here",
    "Check the permissions of the file and of its folder: SQLite writes beside the file, too.",
)
_BROKEN = Meaning(DatabaseError, "the disk did not do what was asked", "Look at the disk and the file system first.")
_UNKNOWN = Meaning(DatabaseError, "SQLite reported an error", "Look the code up in sqlite.org/rescode.html.")

_BY_CODE: Final[dict[int, Meaning]] = {
    sqlite3.SQLITE_ERROR: _WRONG,
    sqlite3.SQLITE_PERM: _DENIED,
    sqlite3.SQLITE_ABORT: _WRONG,
    sqlite3.SQLITE_BUSY: _LOCKED,
    sqlite3.SQLITE_LOCKED: _LOCKED,
    sqlite3.SQLITE_NOMEM: Meaning(DatabaseError, "memory ran out", "Give the process more memory, or load less."),
    sqlite3.SQLITE_READONLY: _DENIED,
    sqlite3.SQLITE_IOERR: _BROKEN,
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_FULL: Meaning(DatabaseError, "the disk is full", "Free some space; then run the whole unit again."),
    sqlite3.SQLITE_CANTOPEN: Meaning(
        DatabaseUnavailableError, "the file cannot be opened", "Check the path and its permissions."
    ),
    sqlite3.SQLITE_PROTOCOL: _LOCKED,
    sqlite3.SQLITE_SCHEMA: Meaning(
        TransactionConflictError, "the schema changed meanwhile", "Run the whole unit again (db.transact does)."
    ),
    sqlite3.SQLITE_TOOBIG: _UNFIT,
    sqlite3.SQLITE_CONSTRAINT: _REFUSED,
    sqlite3.SQLITE_MISMATCH: _UNFIT,
    sqlite3.SQLITE_MISUSE: _WRONG,
    sqlite3.SQLITE_AUTH: _DENIED,
    sqlite3.SQLITE_RANGE: _WRONG,
    sqlite3.SQLITE_NOTADB: _DAMAGED,
}

# Whether what was written is there after a crash depends on how much of it reached the disk. SQLITE_FULL is definite:
# the frame that commits is written last, so it was not.
_UNDECIDED: Final = {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CANTOPEN}


def _code_of(error: BaseException) -> int | None:
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else int(code) & _PRIMARY


class SqliteMeanings:
    """The errors of sqlite3 and aiosqlite."""

    def driver_error(self, error: BaseException) -> BaseException | None:
        """Return the driver's own exception, whether SQLAlchemy wrapped it or not; None where it is another's."""
        if isinstance(error, exc.DBAPIError):
            return error.orig
        if isinstance(error, _DRIVER_FAULTS) or type(error).__module__ == "sqlite3":
            return error
        return None

    def meaning_of(self, error: BaseException) -> Meaning:
        """Return what *error*, an exception of the driver, means."""
        code = _code_of(error)
        if code is not None:
            missing = code == sqlite3.SQLITE_ERROR and _CONTROL_TABLES in str(error)
            return _NO_CONTROL_TABLES if missing else _BY_CODE.get(code, _UNKNOWN)
        if isinstance(error, OverflowError | UnicodeError | sqlite3.DataError):
            return _UNFIT
        return _SEVERAL if "one statement at a time" in str(error) else _WRONG

    def leaves_commit_in_doubt(self, error: BaseException) -> bool:
        """Tell whether COMMIT, having raised *error*, may or may not have happened."""
        code = _code_of(error)
        return code is None or code in _UNDECIDED or code not in _BY_CODE

    def misconfigured(self, error: BaseException) -> str | None:  # noqa: ARG002 - a path tells more: see `Sqlite`
        """Return what is wrong with the configuration: nothing that an error of SQLite would say."""
        return None

    def table_of(self, error: BaseException) -> str | None:
        """Return the table that *error* names."""
        said = self.said(error)
        return next((match["table"] for pattern in _TABLES if (match := pattern.match(said))), None)

    def refused_write(self, error: BaseException) -> bool:
        """Tell whether *error* says that a unit that only reads tried to write."""
        return "readonly" in str(error)

    def said(self, error: BaseException) -> str:
        """Return the text of *error*, without any value of a row."""
        return str(error).rstrip(".")
