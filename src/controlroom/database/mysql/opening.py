"""Opening a connection: within a limit of time, with a password that is asked for now, under the name of the run."""

from __future__ import annotations

from typing import Any, Final

from controlroom.clock import current_deadline
from controlroom.database.application_names import application_name
from controlroom.database.credentials import AskForPassword, Connect, ConnectStep, Credentials, connecting
from controlroom.database.mysql.meanings import number_of
from controlroom.database.options import Options
from controlroom.errors import ConfigError
from controlroom.policy.flow import drive, drive_async

__all__ = ["Opening"]

_BAD_LOGIN: Final = (1045, 1698)
_NAMES_IN_AIOMYSQL: Final = {"database": "db"}


class Opening:
    """Opens connections in both colours."""

    def __init__(self, options: Options) -> None:
        self.options = options

    def open(self, **parameters: Any) -> Any:
        """Return a connection of PyMySQL.

        Raises:
            DeadlineExceededError: The ambient deadline has passed. Nothing was opened.
        """
        from controlroom.database.mysql.pymysql_connections import LimitedConnection  # noqa: PLC0415 - an extra

        limit_s = self._limit_s()

        def perform(step: ConnectStep) -> Any:
            match step:
                case AskForPassword():
                    return _of(self.options).now()
                case Connect(password):
                    limits = {"connect_timeout": limit_s, "read_timeout": limit_s, "write_timeout": limit_s}
                    return LimitedConnection(**limits, **self._parameters(parameters, password))

        return drive(connecting(self.options.credentials, _was_refused), perform)

    async def open_async(self, **parameters: Any) -> Any:
        """Return a connection of aiomysql.

        Raises:
            DeadlineExceededError: The ambient deadline has passed. Nothing was opened.
        """
        from controlroom.database.mysql.aiomysql_connections import connected  # noqa: PLC0415 - an extra

        limit_s = self._limit_s()

        async def perform(step: ConnectStep) -> Any:
            match step:
                case AskForPassword():
                    return await _of(self.options).now_async()
                case Connect(password):
                    chosen = self._parameters(parameters, password)
                    return await connected(
                        limit_s=limit_s, **{_NAMES_IN_AIOMYSQL.get(name, name): each for name, each in chosen.items()}
                    )

        return await drive_async(connecting(self.options.credentials, _was_refused), perform)

    def _limit_s(self) -> float:
        deadline = current_deadline()
        if deadline is None:
            return self.options.connect_timeout_s
        deadline.require("a database connection")
        return deadline.fit(self.options.connect_timeout_s)

    def _parameters(self, parameters: dict[str, Any], password: str | None) -> dict[str, Any]:
        """Return what the driver takes."""
        options = self.options
        encryption = {} if options.encryption is None else {"ssl": options.encryption.for_asyncio() or None}
        return {
            **parameters,
            **encryption,
            **({} if password is None else {"password": password}),
            "charset": "utf8mb4",
            "program_name": application_name(options.application_name),
        }


def _of(options: Options) -> Credentials:
    if options.credentials is None:  # pragma: no cover - `connecting` asks for a password only where there are some
        message = "There is no password to ask for. Nothing was opened."
        raise ConfigError(message)
    return options.credentials


def _was_refused(error: BaseException) -> bool:
    """Tell whether the server did not take the login."""
    return number_of(error) in _BAD_LOGIN
