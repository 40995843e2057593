"""What a PostgreSQL URL may say. Refused here is what would be passed over, or what arguments of ours say."""

from __future__ import annotations

import difflib
import inspect
from typing import Final

from sqlalchemy import URL

from controlroom.database.options import Options
from controlroom.errors import ConfigError

__all__ = ["require_known_parameters"]

_INSTEAD: Final = {
    "application_name": "Use the argument application_name",
    "connect_timeout": "Use the argument connect_timeout_s",
    "timeout": "Use the argument connect_timeout_s",
    "command_timeout": "Use the argument statement_timeout_s",
    "statement_timeout": "Use the argument statement_timeout_s",
    "lock_timeout": "Use the argument lock_timeout_s",
    "statement_cache_size": "Leave it out: profile='pooler' prepares nothing on the server",
    "prepare_threshold": "Leave it out: profile='pooler' prepares nothing on the server",
    "password": "Write postgresql://user:password@host/name, or use the argument password",
    "replication": "Leave it out: a replication connection runs no transactions",
}
_ENCRYPTION: Final = ("sslmode", "sslrootcert", "ssl")
_OF_ASYNCPG: Final = frozenset(
    {
        "host",
        "port",
        "passfile",
        "service",
        "servicefile",
        "ssl",
        "direct_tls",
        "target_session_attrs",
        "krbsrvname",
        "gsslib",
    }
    | {"prepared_statement_cache_size"}  # SQLAlchemy's own
)
_MAY_REPEAT: Final = ("host", "port", "hostaddr")


def require_known_parameters(url: URL, driver: str, options: Options) -> None:
    """Refuse parameters that nobody would read, or that contradict an argument. The driver is installed.

    Raises:
        ConfigError: There are such. Values are not shown.
    """
    if url.password is not None and options.password is not None:
        message = (
            "There is a password in the database URL and one in the arguments. Nothing was opened. Give one of them."
        )
        raise ConfigError(message)
    known = _known_to(driver)
    for name, value in url.query.items():
        if (fault := _fault(name, value, known, options)) is not None:
            message = f"The parameter {name!r} of the database URL {fault}. Nothing was opened."
            raise ConfigError(message)


def _fault(name: str, value: str | tuple[str, ...], known: frozenset[str], options: Options) -> str | None:
    if name in _INSTEAD:
        return f"is not for you to set there. {_INSTEAD[name]}"
    if name not in known:
        return f"is unknown to the driver. {_advice(name, known)}"
    if not isinstance(value, str) and name not in _MAY_REPEAT:
        return "is given more than once. Give it once"
    if name in _ENCRYPTION and options.tls is not None:
        return "says what the argument tls says too. Give one of them"
    if name == "options" and options.profile == "pooler":
        return "sets up a session, which a pooler hands on to others. Leave it out with profile='pooler'"
    return None


def _advice(name: str, known: frozenset[str]) -> str:
    if name in _ENCRYPTION:
        return "Use the argument tls"
    near = difflib.get_close_matches(name, known, n=1)
    return f"Did you mean {near[0]}?" if near else "Remove it"


def _known_to(driver: str) -> frozenset[str]:
    """Return the names that the installed release of *driver* reads."""
    if driver == "psycopg":
        from psycopg.pq import Conninfo  # noqa: PLC0415 - an extra

        return frozenset(each.keyword.decode() for each in Conninfo.get_defaults())
    from asyncpg import connect  # type: ignore[import-untyped]  # noqa: PLC0415 - an extra, without types

    return _OF_ASYNCPG & {*inspect.signature(connect).parameters, "prepared_statement_cache_size"}
