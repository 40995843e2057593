"""What SQLite's result codes mean to whoever has to act. A table, so that it can be read and tested as one.

The codes are those of https://www.sqlite.org/rescode.html; extended codes fall back on their primary one. The driver
puts them on its exceptions as ``sqlite_errorcode``; what it finds out itself, before SQLite is asked, has none.
"""

from __future__ import annotations

import re
import sqlite3
from typing import Final

from sqlalchemy import exc

from controlroom.database.meanings import Facts, Meaning, Phrases
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
_NAMED = (
    re.compile(r"^(?:UNIQUE|NOT NULL) constraint failed: (?P<table>[^,]+)\.(?P<column>[^.,]+)$"),
    re.compile(r"^(?:UNIQUE|NOT NULL) constraint failed: (?P<table>[^,]+)\.[^.,]+,"),
    re.compile(r"^CHECK constraint failed: (?P<constraint>\w+)$"),
    re.compile(r"^table (?P<table>.+) has no column named (?P<column>.+)$"),
    re.compile(r"^cannot store \w+ value in \w+ column (?P<table>[^,]+)\.(?P<column>[^.,]+)$"),
    re.compile(r"^no such table: (?P<table>.+)$"),
)
_CONTROL_TABLES: Final = "no such table: controlroom_"
# Where SQLite speaks of a statement, of JSON or of a trigger, it may quote what it was given: these do not.
_QUOTES: Final = (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CONSTRAINT)
_MAY_BE_SHOWN: Final = Phrases(
    (
        r"(?:UNIQUE|NOT NULL|FOREIGN KEY|CHECK|PRIMARY KEY) constraint failed(?:: .+)?",
        r"cannot store \w+ value in \w+ column [\w.]+",
        r"datatype mismatch",
        r"no such (?:table|column|function|index|view|savepoint|collation sequence|module): [\w.\"]+",
        r"table \S+ has no column named \S+",
        r"table \S+ has \d+ columns but \d+ values were supplied",
        r"(?:table|index|view|trigger) \S+ already exists",
        r"there is already (?:a|an|another) (?:table|index) (?:or index )?(?:named|with this name).*",
        r"ambiguous column name: [\w.]+",
        r"duplicate column name: \S+",
        r'near "[\w.,;()*=<>]+": syntax error',
        r"incomplete input",
        r"\d+ values for \d+ columns",
        r"all VALUES must have the same number of terms",
        r"sub-select returns \d+ columns - expected \d+",
        r"wrong number of arguments to function \w+\(\)",
        r"misuse of (?:aggregate|window function).*",
        r"ON CONFLICT clause does not match any PRIMARY KEY or UNIQUE constraint",
        r"cannot (?:modify|UPSERT|start|commit|rollback|INSERT|UPDATE|VACUUM|ATTACH|DETACH)\b[\w\s-]+",
        r"foreign key mismatch - \S+ referencing \S+",
        r"attempt to write a readonly database",
        r"integer overflow|malformed JSON|too many SQL variables|parser stack overflow|too many attached databases.*",
        r"database table is locked.*|database schema has changed|not an error|SQL logic error|interrupted",
        r"(?:string|BLOB|statement) (?:or blob )?too (?:big|long)",
        r"(?P<said>Could not decode to UTF-8 column '\w+') with text .*(?s:.*)",
    )
)


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

    def facts_of(self, error: BaseException) -> Facts:
        """Return what *error* names."""
        said = self.said(error)
        named = next((match.groupdict() for pattern in _NAMED if (match := pattern.match(said))), {})
        return Facts(None, named.get("table"), named.get("column"), named.get("constraint"))

    def refused_write(self, error: BaseException) -> bool:
        """Tell whether *error* says that a unit that only reads tried to write."""
        return "readonly" in str(error)

    def said(self, error: BaseException) -> str:
        """Return the text of *error*, without any value of a row."""
        if isinstance(error, UnicodeError):
            return str(getattr(error, "reason", "a text is none"))
        text, code = str(error).rstrip("."), _code_of(error)
        if code in _QUOTES or (code is None and "with text" in text):
            return _MAY_BE_SHOWN.in_(text) or getattr(error, "sqlite_errorname", None) or type(error).__name__
        return text

    def stand_in(self, error: BaseException) -> BaseException:
        """Return an exception of the class of *error*, a driver's, that holds what `said` and `facts_of` do, and no more."""
        if isinstance(error, UnicodeError):
            return ValueError(f"{type(error).__name__}: {self.said(error)}")  # its args hold the whole text
        stand_in = type(error)(self.said(error))
        for name in ("sqlite_errorcode", "sqlite_errorname"):
            if hasattr(error, name):
                setattr(stand_in, name, getattr(error, name))
        return stand_in
