"""What an exception of psycopg or asyncpg reports, read the same way from both: text, SQLSTATE, names.

psycopg has it in ``diag``, asyncpg in attributes; SQLAlchemy puts an exception of its own around asyncpg's.
"""

from __future__ import annotations

import traceback
from types import FrameType
from typing import Any, Final

from sqlalchemy import exc

__all__ = [
    "diagnosed",
    "driver_of",
    "is_of_a_driver",
    "kinds_of",
    "primary_of",
    "rebuilt",
    "sqlstate_of",
    "was_raised_inside",
]

_DRIVERS: Final = ("psycopg", "psycopg_binary", "psycopg_c", "asyncpg")
_IN_ASYNCPG: Final = {
    "severity_nonlocalized": "severity_en",
    "source_function": "server_source_function",
    "datatype_name": "data_type_name",
}
# libpq's letters for what is passed on (postgresql.org/docs/current/protocol-error-fields.html): names, and no text.
_PASSED_ON: Final = {
    "severity_nonlocalized": "V",
    "sqlstate": "C",
    "schema_name": "s",
    "table_name": "t",
    "column_name": "c",
    "datatype_name": "d",
    "constraint_name": "n",
    "source_function": "R",
}


def driver_of(error: BaseException) -> BaseException:
    """Return the exception of the driver itself, where SQLAlchemy's adapter stands around it."""
    if isinstance(error, exc.EmulatedDBAPIException):
        return error.orig or error.__cause__ or error
    return error


def kinds_of(error: BaseException) -> tuple[str, ...]:
    """Return the names of the classes of *error*: to import a driver in order to name one would make it a dependency."""
    return tuple(kind.__name__ for kind in type(driver_of(error)).__mro__)


def is_of_a_driver(error: BaseException | None) -> bool:
    """Tell whether *error* is an exception of a driver, or left one: some let through what a value's own type raises."""
    if error is None or type(error).__module__.split(".")[0] in _DRIVERS:
        return error is not None
    if not isinstance(error, Exception) or isinstance(error, exc.SQLAlchemyError):
        return False
    return any(_module_of(frame).split(".")[0] in _DRIVERS for frame, _ in traceback.walk_tb(error.__traceback__))


def was_raised_inside(driver: BaseException) -> bool:
    """Tell whether *driver* is no exception of the driver's own, nor the system's."""
    return not isinstance(driver, OSError) and type(driver).__module__.split(".")[0] not in _DRIVERS


def _module_of(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))


def sqlstate_of(error: BaseException) -> str | None:
    """Return the SQLSTATE of *error*, where there is one."""
    state = getattr(driver_of(error), "sqlstate", None)
    return state if isinstance(state, str) else None


def diagnosed(error: BaseException, name: str) -> str | None:
    """Return what the server said beside its text; *name* is psycopg's."""
    driver = driver_of(error)
    diag = getattr(driver, "diag", None)
    value = getattr(driver, _IN_ASYNCPG.get(name, name), None) if diag is None else getattr(diag, name, None)
    return value if isinstance(value, str) else None


def primary_of(error: BaseException) -> str:
    """Return the primary message: no DETAIL, no CONTEXT, no statement."""
    driver = driver_of(error)
    if (primary := diagnosed(driver, "message_primary")) is not None:
        return primary
    if isinstance(driver, OSError):
        return str(driver) or type(driver).__name__
    return str(driver.args[0]) if driver.args else ""


def rebuilt(driver: BaseException, text: str) -> BaseException:
    """Return an exception of the class of *driver*, with *text* and with the names that the server gave."""
    kind: Any = type(driver)
    known = {name: value for name in _PASSED_ON if (value := diagnosed(driver, name)) is not None}
    if hasattr(driver, "diag"):
        fields = {ord(_PASSED_ON[name]): value.encode() for name, value in known.items()}
        copy: BaseException = kind(text, info=fields or None)
    else:
        copy = kind(text)
        copy.__dict__.update(
            {_IN_ASYNCPG.get(name, name): value for name, value in known.items() if name != "sqlstate"}
        )
        copy.__dict__.update({name: value for name, value in vars(driver).items() if name == "sqlstate"})
    return copy.with_traceback(driver.__traceback__)
