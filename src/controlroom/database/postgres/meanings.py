"""What PostgreSQL's errors mean to whoever has to act."""

from __future__ import annotations

from typing import Any

from sqlalchemy import exc

from controlroom.database.meanings import Meaning
from controlroom.database.postgres.sqlstates import UNDECIDED, UNREACHABLE, meaning_of_state

__all__ = ["PostgresMeanings"]

_DRIVERS = ("psycopg", "asyncpg")


class PostgresMeanings:
    """The errors of psycopg and asyncpg."""

    def driver_error(self, error: BaseException) -> BaseException | None:
        """Return the driver's own exception, whether SQLAlchemy wrapped it or not; None where it is another's."""
        if isinstance(error, exc.DBAPIError):
            return error.orig
        if type(error).__module__.split(".")[0] in _DRIVERS or isinstance(error, OSError):
            return error
        return None

    def meaning_of(self, error: BaseException) -> Meaning:
        """Return what *error*, an exception of the driver, means."""
        state = sqlstate_of(error)
        return UNREACHABLE if state is None else meaning_of_state(state)

    def leaves_commit_in_doubt(self, error: BaseException) -> bool:
        """Tell whether COMMIT, having raised *error*, may or may not have happened."""
        state = sqlstate_of(error)
        return state is None or state[:2] == "08" or state in UNDECIDED

    def misconfigured(self, error: BaseException) -> str | None:
        """Return what is wrong with the configuration, where *error*, of a connection that failed, shows that."""
        return None

    def table_of(self, error: BaseException) -> str | None:
        """Return the table that *error* names."""
        name = getattr(getattr(error, "diag", None), "table_name", None)
        return name or getattr(getattr(error, "__cause__", None), "table_name", None)

    def refused_write(self, error: BaseException) -> bool:
        """Tell whether *error* says that a unit that only reads tried to write."""
        return sqlstate_of(error) == "25006"

    def said(self, error: BaseException) -> str:
        """Return the text of *error*, without any value of a row."""
        return str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__


def sqlstate_of(error: Any) -> str | None:
    """Return the SQLSTATE of *error*, where the server gave one."""
    state = getattr(error, "sqlstate", None)
    return state if isinstance(state, str) else None
