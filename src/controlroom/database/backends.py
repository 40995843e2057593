"""From a URL and options to a backend: which database it is, and what is refused before anything is opened."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from controlroom.database.backend import Backend
from controlroom.database.classify import Situation, translated
from controlroom.database.options import Options
from controlroom.errors import ConfigError
from controlroom.redaction import register_secret

__all__ = ["backend_for", "not_connected"]


def backend_for(url: str | URL, **options: Any) -> Backend:
    """Return the backend for *url*.

    Raises:
        ConfigError: The URL is none, names a database that is not supported, or an option is not possible.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        message = "The database URL cannot be read. Nothing was opened. Write it like sqlite:///folder/file.db."
        raise ConfigError(message) from None  # its text may show the whole URL, password included
    if parsed.password:
        register_secret(str(parsed.password))
    if (hidden := parsed.query.get("sslpassword")) is not None:
        register_secret(hidden if isinstance(hidden, str) else hidden[0])
    if parsed.drivername.split("+")[0] == "postgres":  # as libpq takes it, and hosts of databases hand it out
        parsed = parsed.set(drivername=parsed.drivername.replace("postgres", "postgresql", 1))
    open_backend = _BACKENDS.get(parsed.get_backend_name())
    if open_backend is None:
        message = (
            f"{parsed.render_as_string(hide_password=True)}: this kind of database is not supported. Nothing was opened. "
            f"Give a URL of {', '.join(_BACKENDS)}, like sqlite:///folder/file.db."
        )
        raise ConfigError(message)
    return open_backend(parsed, Options(**options))


def _sqlite(url: URL, options: Options) -> Backend:
    from controlroom.database.sqlite.backend import Sqlite  # noqa: PLC0415 - each database loads its own
    from controlroom.database.sqlite.url import require_a_place, require_known_parameters  # noqa: PLC0415 - as above

    require_a_place(url)
    require_known_parameters(url)
    for name in ("password", "tls"):
        if getattr(options, name) is not None:
            message = f"The argument {name} is for servers; SQLite opens a file. Nothing was opened. Leave it out."
            raise ConfigError(message)
    return Sqlite(url, options)


def _postgres(url: URL, options: Options) -> Backend:
    from controlroom.database.postgres.backend import Postgres  # noqa: PLC0415 - each database loads its own

    return Postgres(url, options)


def _mysql(url: URL, options: Options) -> Backend:
    from controlroom.database.mysql.backend import Mysql  # noqa: PLC0415 - each database loads its own

    return Mysql(url, options)


_BACKENDS: Final[dict[str, Callable[[URL, Options], Backend]]] = {
    "sqlite": _sqlite,
    "postgresql": _postgres,
    "mysql": _mysql,
    "mariadb": _mysql,
}


def not_connected(error: BaseException, backend: Backend) -> BaseException:
    """Return *error*, raised while a connection was opened, as one of ours."""
    ours = translated(error, Situation(f"opening {backend.title}", "connect"), backend.meanings)
    if (why := backend.why_it_cannot_open(error)) is not None:
        message = (
            f"The database cannot be opened: {why}. Nothing was begun. Create it, or correct the URL or the arguments."
        )
        cause, ours = ours, ConfigError(message)
        ours.__cause__ = cause  # with its SQLSTATE: a refused password may have been rotated meanwhile
    return ours
