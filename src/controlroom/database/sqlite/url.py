"""What a SQLite URL may say. Refused here is what SQLAlchemy or the driver would pass over, misread or fail on later."""

from __future__ import annotations

from typing import Final

from sqlalchemy import URL

from controlroom.errors import ConfigError

__all__ = ["require_a_place", "require_known_parameters"]

_INSTEAD: Final = {
    "timeout": "Use the argument lock_timeout_s",
    "isolation_level": "Leave it out: units of work begin and end transactions",
    "check_same_thread": "Leave it out: connections may change threads between units",
    "detect_types": "Leave it out: SQLAlchemy column types convert values",
}
_DRIVERS: Final = ("cached_statements", "uri")
_SWITCHES: Final = ("true", "1", "yes", "on", "false", "0", "no", "off")


def require_a_place(url: URL) -> None:
    """Refuse what is no path: a host, a login, a NUL. No part of a login is shown.

    Raises:
        ConfigError: That is so.
    """
    database = url.database or ""
    if url.username is not None or url.password is not None or url.port is not None:
        message = (
            "The SQLite URL has a user, a password or a port. SQLite opens a file and knows none. Nothing was opened. "
            "Write the path after three slashes, sqlite:///folder/file.db."
        )
        raise ConfigError(message)
    if url.host:
        meant = "/".join(part for part in (url.host, database) if part)
        message = (
            f"sqlite://{meant} has two slashes, which makes {url.host!r} a host; SQLite opens files. Nothing was opened. "
            f"sqlite:///{meant} has three slashes (four, sqlite:////folder/file.db, for an absolute path)."
        )
        raise ConfigError(message)
    if "\0" in database:
        message = (
            "The path in the database URL has a NUL character, as no file's name has. Nothing was opened. "
            "Write it like sqlite:///folder/file.db."
        )
        raise ConfigError(message)


def require_known_parameters(url: URL) -> None:
    """Refuse parameters that nobody would read.

    Raises:
        ConfigError: There are such, or one has an impossible value. Values are not shown.
    """
    is_uri = str(url.query.get("uri", "")).lower() in _SWITCHES[:4]
    if is_uri and not (url.database or "").startswith("file:"):
        message = (
            "uri=true needs a path that begins with file:, or SQLite takes the parameters as part of the file's name. "
            "Nothing was opened. Write it like sqlite:///file:folder/file.db?mode=ro&uri=true."
        )
        raise ConfigError(message)
    for name, value in url.query.items():
        if (fault := _fault(name, value, is_uri=is_uri)) is not None:
            message = f"The parameter {name!r} of the database URL {fault}. Nothing was opened."
            raise ConfigError(message)


def _fault(name: str, value: str | tuple[str, ...], *, is_uri: bool) -> str | None:
    if not isinstance(value, str):
        return "is given more than once. Give it once"
    if name in _INSTEAD:
        return f"is not for you to set there. {_INSTEAD[name]}"
    if name not in _DRIVERS and not is_uri:
        return "would be ignored. Remove it, or, for a parameter of SQLite's own, write sqlite:///file:PATH?…&uri=true"
    return _impossible(name, value)


def _impossible(name: str, value: str) -> str | None:
    if "\0" in value:
        return "has a NUL character. Remove it"
    if name == "uri" and value.lower() not in _SWITCHES:
        return "is neither true nor false. Write uri=true"
    if name == "cached_statements" and not (value.isascii() and value.isdigit() and len(value) < len("1000000000")):
        return "is no number of statements. Write cached_statements=128, say"
    return None
