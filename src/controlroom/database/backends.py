"""From a URL and options to a backend: which database it is, and what is refused before anything is opened."""

from __future__ import annotations

from sqlite3 import SQLITE_CANTOPEN
from typing import Any

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from controlroom.database.classify import Situation, translated
from controlroom.database.options import Options
from controlroom.database.sqlite import Sqlite
from controlroom.database.sqlite_url import require_a_place, require_known_parameters
from controlroom.errors import ConfigError
from controlroom.redaction import register_secret

__all__ = ["backend_for", "not_connected"]


def backend_for(url: str | URL, **options: Any) -> Sqlite:
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
    if parsed.get_backend_name() != "sqlite":
        message = (
            f"{parsed.render_as_string(hide_password=True)}: this version supports SQLite only. Nothing was opened. "
            "Give a URL like sqlite:///folder/file.db."
        )
        raise ConfigError(message)
    require_a_place(parsed)
    require_known_parameters(parsed)
    return Sqlite(parsed, Options(**options))


def not_connected(error: BaseException, backend: Sqlite) -> BaseException:
    """Return *error*, raised while a connection was opened, as one of ours."""
    ours = translated(error, Situation(f"opening {backend.path or backend.url.database or 'the database'}", "connect"))
    cannot_open = getattr(getattr(error, "orig", error), "sqlite_errorcode", None) == SQLITE_CANTOPEN
    if cannot_open and (why := backend.why_it_cannot_open()) is not None:
        message = f"The database cannot be opened: {why}. Nothing was begun. Create it, or correct the URL."
        ours = ConfigError(message)
        ours.__cause__ = error
    return ours
