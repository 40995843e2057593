"""How a database is used: limits, pool and profile, checked once."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Literal, get_args

from controlroom.database.credentials import Credentials, Password
from controlroom.database.tls import Tls, TlsChoice
from controlroom.errors import ConfigError
from controlroom.policy.quantities import is_finite, is_whole

__all__ = ["Isolation", "Options", "Profile", "checked_isolation"]

Profile = Literal["server", "pooler", "serverless"]
Isolation = Literal["READ UNCOMMITTED", "READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"]


@dataclass(frozen=True, slots=True)
class Options:
    """What the arguments of a `Database` say."""

    statement_timeout_s: float = 30
    lock_timeout_s: float = 5
    application_name: str | None = None
    profile: Profile = "server"
    pool_size: int = 10
    pool_timeout_s: float = 30
    commit_timeout_s: float = 15
    idle_timeout_s: float = 300
    connect_timeout_s: float = 10
    password: Password | None = field(default=None, repr=False)
    tls: TlsChoice | None = None
    credentials: Credentials | None = field(init=False, repr=False, compare=False, default=None)
    encryption: Tls | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        """Refuse limits that nothing could meet, and read what can be given in several forms."""
        for name in (each.name for each in fields(self) if each.name.endswith("_s")):
            seconds = getattr(self, name)
            if not is_finite(seconds) or seconds <= 0:
                message = f"{name}={seconds!r} is not possible: give seconds, more than zero."
                raise ConfigError(message)
        if self.profile not in get_args(Profile):
            message = f"profile={self.profile!r} is unknown: choose one of {', '.join(get_args(Profile))}."
            raise ConfigError(message)
        if not is_whole(self.pool_size) or self.pool_size < 1:
            message = f"pool_size={self.pool_size!r} is not possible: give the number of connections, 1 or more."
            raise ConfigError(message)
        if not isinstance(self.application_name, str | None):
            message = f"application_name={self.application_name!r} is not possible: give a text, or None."
            raise ConfigError(message)
        if self.password is not None:
            object.__setattr__(self, "credentials", Credentials(self.password))  # frozen, and this is still __init__
        if self.tls is not None:
            object.__setattr__(self, "encryption", Tls.from_choice(self.tls))  # as above


def checked_isolation(isolation: str | None) -> str | None:
    """Return *isolation* in the standard's own spelling.

    Raises:
        ConfigError: The SQL standard knows no such level.
    """
    if isolation is None:
        return None
    level = str(isolation).upper().replace("_", " ")
    if level not in get_args(Isolation):
        message = f"isolation={isolation!r} is unknown: choose one of {', '.join(get_args(Isolation))}, or None."
        raise ConfigError(message)
    return level
