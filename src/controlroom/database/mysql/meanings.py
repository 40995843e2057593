"""What the errors of MySQL, MariaDB and their drivers mean to whoever has to act."""

from __future__ import annotations

import re
from typing import Any, Final

from sqlalchemy import exc

from controlroom.database.meanings import Facts, Meaning
from controlroom.database.mysql.numbers import (
    MISCONFIGURED,
    REFUSED_AT_COMMIT,
    UNFIT,
    UNREACHABLE,
    WRONG,
    meaning_of_number,
)
from controlroom.database.mysql.phrases import OF_MYSQL
from controlroom.errors import QueryError, TransactionConflictError

__all__ = ["MysqlMeanings", "number_of"]

_DRIVERS: Final = ("pymysql", "aiomysql")
_ONLY_READS: Final = 1792
_NO_CONTROL_TABLES: Final = Meaning(
    QueryError, "the control tables are missing", "Call db.create_control_tables() once."
)
_STARTED_TOGETHER: Final = Meaning(
    TransactionConflictError,
    "another process is creating the control tables",
    "Run the whole unit again (db.create_control_tables does).",
)
_SEVERAL: Final = Meaning(
    WRONG.kind, "the statement is wrong, or there are several", "Correct it; run several statements one by one."
)
_BY_WORDS: Final[dict[int | None, tuple[tuple[str, Meaning], ...]]] = {
    None: (("gone away", UNREACHABLE), ("Already closed", UNREACHABLE), ("Not connected", UNREACHABLE)),
    0: (("cannot be sent", WRONG),),
    1050: (("'controlroom_", _STARTED_TOGETHER),),
    1064: (("", _SEVERAL),),
    1146: ((".controlroom_", _NO_CONTROL_TABLES),),
}
_NAMED: Final = (
    re.compile(r"^Duplicate entry '(?s:.*)' for key '(?:(?P<table>[^'.]+)\.)?(?P<constraint>[^']*)'$"),
    re.compile(r"^(?:Column|Field|Data \w+(?: \w+)? for column|Out of range value for column) '(?P<column>[^']*)'"),
    re.compile(r" for column (?:`[^`]*`\.`(?P<table>[^`]*)`\.`(?P<column>[^`]*)`|'(?P<column_2>[^']*)') at row \d+$"),
    re.compile(r"^CONSTRAINT `(?P<constraint>[^`]*)` failed for `[^`]*`\.`(?P<table>[^`]*)`"),
    re.compile(r"^Check constraint '(?P<constraint>[^']*)'"),
    re.compile(r"a foreign key constraint fails \(`[^`]*`\.`(?P<table>[^`]*)`, CONSTRAINT `(?P<constraint>[^`]*)`"),
    re.compile(r"^Table '(?:[^'.]*\.)?(?P<table>[^']*)' doesn't exist"),
    re.compile(r"^Unknown column '(?:[^'.]*\.)*(?P<column>[^'.]*)' in "),
)


def number_of(error: BaseException) -> int | None:
    """Return the number of *error*, where it has one."""
    first = error.args[0] if error.args else None
    return first if isinstance(first, int) and not isinstance(first, bool) else None


def _text_of(error: BaseException) -> str:
    return str(error.args[-1]).rstrip(".") if error.args else ""


def _sqlstate_of(error: Any) -> str | None:
    state = getattr(error, "sqlstate", None)
    return state if isinstance(state, str) else None


class MysqlMeanings:
    """The errors of PyMySQL and aiomysql."""

    def driver_error(self, error: BaseException) -> BaseException | None:
        """Return the driver's own exception, whether SQLAlchemy wrapped it or not; None where it is another's."""
        if isinstance(error, exc.DBAPIError):
            return error.orig
        ours = type(error).__module__.split(".")[0] in _DRIVERS
        return error if ours or isinstance(error, OSError | UnicodeError) else None

    def meaning_of(self, error: BaseException) -> Meaning:
        """Return what *error*, an exception of the driver, means."""
        if isinstance(error, OSError | UnicodeError):
            return UNREACHABLE if isinstance(error, OSError) else UNFIT
        number, text = number_of(error), _text_of(error)
        for said, meaning in _BY_WORDS.get(number, ()):
            if said in text:
                return meaning
        return meaning_of_number(number, _sqlstate_of(error))

    def leaves_commit_in_doubt(self, error: BaseException) -> bool:
        """Tell whether COMMIT, having raised *error*, may or may not have happened."""
        return number_of(error) not in REFUSED_AT_COMMIT

    def misconfigured(self, error: BaseException) -> str | None:
        """Return what is wrong with the configuration, where *error*, of a connection that failed, shows that."""
        origin = self.driver_error(error)
        if origin is None:
            return str(error) if type(error) in (TypeError, ValueError) else None
        return self.said(origin) if number_of(origin) in MISCONFIGURED else None

    def facts_of(self, error: BaseException) -> Facts:
        """Return what *error* names."""
        found: dict[str, str] = {}
        for pattern in _NAMED:
            if match := pattern.search(_text_of(error)):
                found |= {name.removesuffix("_2"): text for name, text in match.groupdict().items() if text}
        return Facts(_sqlstate_of(error), found.get("table"), found.get("column"), found.get("constraint"))

    def refused_write(self, error: BaseException) -> bool:
        """Tell whether *error* says that a unit that only reads tried to write."""
        return number_of(error) == _ONLY_READS

    def said(self, error: BaseException) -> str:
        """Return the text of *error*, without any value of a row."""
        if isinstance(error, UnicodeError):
            return str(getattr(error, "reason", "a text is none"))
        number, shown = number_of(error), OF_MYSQL.in_(_text_of(error))
        facts = filter(None, (shown, f"error {number}" if number else None))
        return "; ".join(facts) or type(error).__name__

    def stand_in(self, error: BaseException) -> BaseException:
        """Return an exception of the class of *error*, a driver's, that holds what `said` and `facts_of` do, and no more."""
        if isinstance(error, UnicodeError):
            return ValueError(f"{type(error).__name__}: {self.said(error)}")  # its args hold the whole text
        if isinstance(error, OSError):
            return OSError(error.errno, error.strerror)
        number = number_of(error)
        stand_in = type(error)(*([] if number is None else [number]), self.said(error))
        if (state := _sqlstate_of(error)) is not None:
            stand_in.sqlstate = state  # type: ignore[attr-defined]  # PyMySQL 1.2 puts it there as well
        return stand_in
