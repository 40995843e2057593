"""Opening a connection: within a limit of time, with a password that is asked for now, under the name of the run."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from controlroom.clock import current_deadline
from controlroom.database.application_names import application_name
from controlroom.database.credentials import AskForPassword, Connect, ConnectStep, Credentials, connecting
from controlroom.database.options import Options
from controlroom.errors import ConfigError
from controlroom.policy.flow import drive, drive_async

__all__ = ["AsyncpgOpening", "Opening"]

_KEEPALIVES: Final = {"keepalives": 1, "keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
_USER_TIMEOUT_MS: Final = 30_000
_BAD_LOGIN: Final = ("28000", "28P01")


class Opening:
    """Opens psycopg's connections, in both colours."""

    def __init__(self, options: Options, given: Mapping[str, Any]) -> None:
        self.options = options
        self._given = given  # by the URL: whoever says how the network is to be watched knows why

    def open(self, *arguments: Any, **parameters: Any) -> Any:
        """Return a connection.

        Raises:
            DeadlineExceededError: The ambient deadline has passed. Nothing was opened.
        """
        from controlroom.database.postgres.psycopg_connections import LimitedConnection  # noqa: PLC0415 - an extra

        limit_s = self._limit_s()

        def perform(step: ConnectStep) -> Any:
            match step:
                case AskForPassword():
                    return _of(self.options).now()
                case Connect(password):
                    return LimitedConnection.connect(*arguments, **self._parameters(parameters, password, limit_s))

        return self._attended(drive(connecting(self.options.credentials, _was_refused), perform), limit_s)

    async def open_async(self, *arguments: Any, **parameters: Any) -> Any:
        """Return a connection for asyncio.

        Raises:
            DeadlineExceededError: The ambient deadline has passed. Nothing was opened.
            TimeoutError: It took too long, the password included.
        """
        limit_s = self._limit_s()

        async def perform(step: ConnectStep) -> Any:
            match step:
                case AskForPassword():
                    return await _of(self.options).now_async()
                case Connect(password):
                    return await self._connect_async(*arguments, **self._parameters(parameters, password, limit_s))

        async with _within(limit_s):
            return self._attended(
                await drive_async(connecting(self.options.credentials, _was_refused), perform), limit_s
            )

    async def _connect_async(self, *arguments: Any, **parameters: Any) -> Any:
        from controlroom.database.postgres.psycopg_connections import LimitedAsyncConnection  # noqa: PLC0415 - an extra

        return await LimitedAsyncConnection.connect(*arguments, **parameters)

    def _limit_s(self) -> float:
        deadline = current_deadline()
        if deadline is None:
            return self.options.connect_timeout_s
        deadline.require("a database connection")
        return deadline.fit(self.options.connect_timeout_s)

    def _parameters(self, parameters: dict[str, Any], password: str | None, limit_s: float) -> dict[str, Any]:
        """Return what the driver's ``connect`` takes."""
        network = {**_KEEPALIVES, "tcp_user_timeout": _USER_TIMEOUT_MS}
        return {
            **{name: value for name, value in network.items() if name not in self._given},
            **parameters,
            **({} if password is None else {"password": password}),
            "connect_timeout": max(2, round(limit_s)),  # libpq counts whole seconds, two at least
            "application_name": application_name(self.options.application_name),
        }

    def _attended(self, connection: Any, limit_s: float) -> Any:
        """Have the limit go on: SQLAlchemy asks a few things of a new connection. The unit's BEGIN lifts it."""
        connection.limit.begin(limit_s)
        return connection


class AsyncpgOpening(Opening):
    """Opens asyncpg's connections."""

    async def _connect_async(self, *arguments: Any, **parameters: Any) -> Any:
        import asyncpg  # type: ignore[import-untyped]  # noqa: PLC0415 - an extra, without types

        from controlroom.database.postgres.asyncpg_connections import (  # noqa: PLC0415 - as above
            connection_class,
        )

        connection = await asyncpg.connect(*arguments, connection_class=connection_class, **parameters)
        _watch(connection)
        return connection

    def _parameters(self, parameters: dict[str, Any], password: str | None, limit_s: float) -> dict[str, Any]:
        name = {"application_name": application_name(self.options.application_name)}
        return {
            **parameters,
            **({} if password is None else {"password": password}),
            "timeout": limit_s,
            "server_settings": {**parameters.get("server_settings", {}), **name},
        }


def _of(options: Options) -> Credentials:
    if options.credentials is None:
        message = "There is no password to ask for. Nothing was opened."
        raise ConfigError(message)
    return options.credentials


def _within(limit_s: float) -> asyncio.Timeout:
    # psycopg and asyncpg keep to the same limit by themselves, and say more; this is for the rest.
    return asyncio.timeout(limit_s + 1.0)


def _was_refused(error: BaseException) -> bool:
    """Tell whether the server did not take the password. libpq gives no SQLSTATE for that, but says whether it sent one."""
    if getattr(error, "sqlstate", None) in _BAD_LOGIN:
        return True
    lost = getattr(error, "pgconn", None)
    return bool(getattr(lost, "used_password", False) or getattr(lost, "needs_password", False))


def _watch(connection: Any) -> None:
    """Have the kernel find out that the server is gone, also where nobody waits for an answer."""
    transport = connection._transport  # noqa: SLF001 - asyncpg offers no other way to its socket
    over = None if transport is None else transport.get_extra_info("socket")
    if over is None or over.family not in (socket.AF_INET, socket.AF_INET6):
        return
    over.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    wanted = {
        "TCP_KEEPIDLE": _KEEPALIVES["keepalives_idle"],
        "TCP_KEEPINTVL": _KEEPALIVES["keepalives_interval"],
        "TCP_KEEPCNT": _KEEPALIVES["keepalives_count"],
        "TCP_USER_TIMEOUT": _USER_TIMEOUT_MS,
    }
    for name, value in wanted.items():
        with suppress(OSError, AttributeError):  # not every kernel has each
            over.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
