"""What PostgreSQL's errors mean to whoever has to act."""

from __future__ import annotations

import re
from typing import Any, Final

from sqlalchemy import exc

from controlroom.database.meanings import Facts, Meaning
from controlroom.database.postgres.phrases import OF_CLIENTS, OF_SERVERS
from controlroom.database.postgres.reports import (
    diagnosed,
    driver_of,
    is_of_a_driver,
    kinds_of,
    primary_of,
    rebuilt,
    sqlstate_of,
    was_raised_inside,
)
from controlroom.database.postgres.sqlstates import (
    AT_CONNECT,
    BUSY,
    DECIDED,
    IS_A_STANDBY,
    MISCONFIGURED,
    NO_CONTROL_TABLES,
    SEVERAL_STATEMENTS,
    STALE_PLAN,
    UNDECIDED,
    UNFIT,
    UNKNOWN,
    UNREACHABLE,
    WRONG,
    meaning_of_state,
)

__all__ = ["PostgresMeanings"]

_DRIVER_FAULTS: Final = (OSError, OverflowError, UnicodeError)  # raised while something is sent; they are not its Error
_ENDS_A_SESSION: Final = ("FATAL", "PANIC")
_OWN_TABLE: Final = re.compile(r'relation "(?:\w+\.)?controlroom_\w+" does not exist')
_TABLE: Final = re.compile(r'relation "(?:\w+\.)?(\w+)"')
_COLUMN: Final = re.compile(r'column "([^"]+)"')
_COPY: Final = re.compile(r"^COPY (?P<table>\w+), line (?P<line>\d+)(?:, column (?P<column>\w+))?", re.MULTILINE)
_ELEMENT: Final = re.compile(r"element #(\d+) of executemany\(\) sequence")
_FUNCTION: Final = re.compile(r"(PL/pgSQL function [\w.(), \[\]]+ line \d+ at \w+)")
_TLS_OR_OPTIONS: Final = re.compile(
    r"SSL, but SSL was required|rejected SSL upgrade|certificate verify failed|CERTIFICATE_VERIFY_FAILED"
    r"|server certificate for|certificate file|private key file|invalid \w+ value|invalid connection option"
)
_OF_A_CONNECTION: Final = ("ConnectionDoesNotExistError", "OperationalError", "OSError")
_WITHOUT_STATE: Final[dict[str, Meaning]] = {
    "DataError": UNFIT,
    "IntegrityError": UNFIT,
    "OverflowError": UNFIT,
    "UnicodeError": UNFIT,
    "TypeError": WRONG,
    "Exception": UNFIT,  # raised while a value was sent
    "ProgrammingError": WRONG,
    "NotSupportedError": WRONG,
    "InterfaceError": WRONG,
    "OperationalError": UNREACHABLE,
    "OSError": UNREACHABLE,
    "InternalClientError": UNREACHABLE,  # what asyncpg says on a connection that was lost while nothing ran
    "Error": UNKNOWN,
}


class PostgresMeanings:
    """The errors of psycopg and asyncpg."""

    def driver_error(self, error: BaseException) -> BaseException | None:
        """Return the driver's own exception, whether SQLAlchemy wrapped it or not; None where it is another's."""
        origin: BaseException | None = error.orig if isinstance(error, exc.StatementError) else error
        if isinstance(error, exc.DBAPIError) or isinstance(origin, (*_DRIVER_FAULTS, exc.EmulatedDBAPIException)):
            return origin
        return origin if is_of_a_driver(origin) else None

    def meaning_of(self, error: BaseException) -> Meaning:
        """Return what *error*, an exception of the driver, means."""
        state, text = sqlstate_of(error), primary_of(error)
        if state is None:
            return _without_state(error, text)
        if state == "0A000" and _has_a_stale_plan(error):
            return STALE_PLAN
        if state == "0A000" and "during recovery" in text:
            return IS_A_STANDBY
        if state == "42601" and "multiple commands" in text:
            return SEVERAL_STATEMENTS
        if state == "42P01" and _OWN_TABLE.search(text):
            return NO_CONTROL_TABLES
        return meaning_of_state(state)

    def leaves_commit_in_doubt(self, error: BaseException) -> bool:
        """Tell whether COMMIT, having raised *error*, may or may not have happened."""
        state = sqlstate_of(error)
        if state is None or state[:2] == "08" or state in UNDECIDED:
            return True
        return diagnosed(error, "severity_nonlocalized") in _ENDS_A_SESSION and state not in DECIDED

    def misconfigured(self, error: BaseException) -> str | None:
        """Return what is wrong with the configuration, where *error*, of a connection that failed, shows that."""
        origin = self.driver_error(error)
        if origin is None:  # what a driver raises about arguments that it does not know
            return str(error) if type(error) in (TypeError, ValueError) else None
        state, text = _state_of(origin), _first_line(primary_of(origin))
        by_option = {"ClientConfigurationError", "ProgrammingError"}.intersection(kinds_of(origin))
        if not (
            by_option
            or type(origin) in (TypeError, ValueError)
            or _TLS_OR_OPTIONS.search(text)
            or (state or "").startswith(MISCONFIGURED)
        ):
            return None
        said = text.rpartition("FATAL:")[2].strip()
        return f'{said}; a pooler wants profile="pooler"' if "startup parameter" in said else said

    def facts_of(self, error: BaseException) -> Facts:
        """Return what *error* names."""
        shown = _shown(error) or ""
        copy = _COPY.search(diagnosed(error, "context") or "")
        table, line, column = (None, None, None) if copy is None else copy.group("table", "line", "column")
        element = _first(_ELEMENT, shown)
        return Facts(
            sqlstate=_state_of(error),
            table=diagnosed(error, "table_name") or table or _first(_TABLE, shown),
            column=diagnosed(error, "column_name") or column or _first(_COLUMN, shown),
            constraint=diagnosed(error, "constraint_name"),
            row=int(line) - 1 if line else int(element) if element else None,
        )

    def refused_write(self, error: BaseException) -> bool:
        """Tell whether *error* says that a unit that only reads tried to write."""
        return sqlstate_of(error) == "25006"

    def said(self, error: BaseException) -> str:
        """Return the text of *error*, without any value of a row."""
        state = sqlstate_of(error)
        parts = (_shown(error), None if state is None else f"SQLSTATE {state}")
        return "; ".join(filter(None, parts)) or type(driver_of(error)).__name__

    def stand_in(self, error: BaseException) -> BaseException:
        """Return an exception of the class of *error*, a driver's, that holds what `said` and `facts_of` do, and no more."""
        driver = driver_of(error)
        stand_in = _stand_in_of(driver)
        if driver is error:
            return stand_in
        kind: Any = type(error)  # SQLAlchemy's, around a driver that does not follow the DB-API
        around: BaseException = kind(str(stand_in), stand_in)
        around.__cause__ = stand_in
        return around


def _shown(error: BaseException) -> str | None:
    """Return what may be shown of the words of *error*."""
    driver = driver_of(error)
    if isinstance(driver, UnicodeError):
        return str(getattr(driver, "reason", ""))
    if was_raised_inside(driver):
        return None
    text = primary_of(error)
    if diagnosed(error, "severity_nonlocalized") is not None:
        return OF_SERVERS.in_(text) or _first(_FUNCTION, diagnosed(error, "context") or "")
    # What libpq and the system say about a connection speaks of hosts, users and databases: rows do not come into it.
    return _first_line(text) if set(_OF_A_CONNECTION).intersection(kinds_of(error)) else OF_CLIENTS.in_(text)


def _stand_in_of(driver: BaseException) -> BaseException:
    if isinstance(driver, OSError):
        return driver  # of the system, which has no rows
    if was_raised_inside(driver):  # by a type that the driver asked: any arguments, the value among them
        return ValueError(f"{type(driver).__name__}: {_shown(driver) or 'its text may quote a row'}")
    return rebuilt(driver, _shown(driver) or f"its text is left out: it may quote a row ({type(driver).__name__})")


def _without_state(error: BaseException, text: str) -> Meaning:
    kinds = kinds_of(error)
    if "InterfaceError" in kinds and re.search("connection .*closed", text):
        return UNREACHABLE
    if "InterfaceError" in kinds and "another operation" in text:
        return BUSY
    return next((_WITHOUT_STATE[kind] for kind in kinds if kind in _WITHOUT_STATE), UNKNOWN)


def _has_a_stale_plan(error: BaseException) -> bool:
    """Tell whether the server, or asyncpg in its place, says so (``RevalidateCachedQuery`` in plancache.c)."""
    by_asyncpg = "InvalidCachedStatementError" in kinds_of(error)
    return by_asyncpg or diagnosed(error, "source_function") == "RevalidateCachedQuery"


def _state_of(error: BaseException) -> str | None:
    """Return the SQLSTATE of *error*, or the one behind the words of a connection that was never made."""
    state = sqlstate_of(error)
    if state is not None or "OperationalError" not in kinds_of(error):
        return state
    text = primary_of(error)
    return next((state for pattern, state in AT_CONNECT if re.search(pattern, text)), None)


def _first_line(text: str) -> str:
    return text.splitlines()[0].rstrip(".") if text else ""


def _first(pattern: re.Pattern[str], text: str) -> str | None:
    match = pattern.search(text)
    return None if match is None else match[1]
