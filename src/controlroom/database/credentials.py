"""The password of a database: given once, or asked for at each new connection, as tokens that expire are."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from controlroom.errors import ConfigError, ControlRoomError, DatabaseUnavailableError
from controlroom.policy.flow import Flow, StepFailed
from controlroom.redaction import register_secret

__all__ = ["AskForPassword", "Connect", "ConnectStep", "Credentials", "Password", "Secret", "connecting"]


class Secret(Protocol):
    """A text that does not show itself, like pydantic's ``SecretStr``."""

    def get_secret_value(self) -> str:
        """Return the text."""


Password = str | Secret | Callable[[], "str | Secret | Awaitable[str | Secret]"]


@dataclass(frozen=True, slots=True)
class AskForPassword:
    """Have the password at hand."""


@dataclass(frozen=True, slots=True)
class Connect:
    """Open a connection with *password*; None: the URL and the driver know."""

    password: str | None

    def __repr__(self) -> str:
        return "Connect()"


ConnectStep = AskForPassword | Connect


def connecting(credentials: Credentials | None, was_refused: Callable[[BaseException], bool]) -> Flow[ConnectStep, Any]:
    """Open a connection; where the server refuses the login, ask for the password once more: it may have expired meanwhile."""
    if credentials is None:
        return (yield Connect(None))
    password = yield AskForPassword()
    try:
        return (yield Connect(password))
    except StepFailed as failed:
        refused = failed.error
    if not credentials.may_change or not was_refused(refused):
        raise refused
    fresh = yield AskForPassword()
    if fresh == password:
        raise refused
    return (yield Connect(fresh))


class Credentials:
    """Where a password comes from. What it says is masked from then on, in every log line and error of this process.

    Raises:
        ConfigError: It is neither a text, nor a secret, nor callable.
    """

    def __init__(self, password: Password) -> None:
        self._ask: Callable[[], Any] | None = None
        self._fixed = ""
        if callable(password) and not hasattr(password, "get_secret_value"):
            self._ask = password
        else:
            self._fixed = _revealed(password, "The argument password")

    @property
    def may_change(self) -> bool:
        """Whether asking once more can help."""
        return self._ask is not None

    def require_synchronous(self) -> None:
        """Refuse a coroutine function.

        Raises:
            ConfigError: It is one.
        """
        if self._ask is not None and _is_coroutine_function(self._ask):
            raise _must_not_be_awaited()

    def now(self) -> str:
        """Return the password.

        Raises:
            ConfigError: What was given returned no text.
            DatabaseUnavailableError: What was given failed.
        """
        if self._ask is None:
            return self._fixed
        try:
            said = self._ask()
        except Exception as error:  # noqa: BLE001 - it is the caller's own
            raise _failed(error) from None  # its text may show the token
        if inspect.isawaitable(said):
            if inspect.iscoroutine(said):
                said.close()
            raise _must_not_be_awaited()
        return _revealed(said, "What the argument password returned")

    async def now_async(self) -> str:
        """Return the password: awaited, or, where the callable is a plain one, asked for in a thread.

        Raises:
            ConfigError: What was given returned no text.
            DatabaseUnavailableError: What was given failed.
        """
        if self._ask is None:
            return self._fixed
        try:
            said = self._ask() if _is_coroutine_function(self._ask) else await asyncio.to_thread(self._ask)
            if inspect.isawaitable(said):
                said = await said
        except Exception as error:  # noqa: BLE001 - it is the caller's own
            raise _failed(error) from None  # as above
        return _revealed(said, "What the argument password returned")


def _is_coroutine_function(ask: Any) -> bool:
    return inspect.iscoroutinefunction(ask) or inspect.iscoroutinefunction(getattr(ask, "__call__", None))  # noqa: B004 - an object may be async too


def _must_not_be_awaited() -> ConfigError:
    message = (
        "The argument password is a coroutine function, and Database does not await. Nothing was opened. "
        "Give a plain function, or use AsyncDatabase."
    )
    return ConfigError(message)


def _failed(error: Exception) -> ControlRoomError:
    if isinstance(error, ControlRoomError):
        return error
    message = (
        f"The password could not be had: {_place(error)} raised {type(error).__name__} (its text is not shown). "
        "Nothing was opened. Try again; look at that function if it goes on."
    )
    return DatabaseUnavailableError(message)


def _place(error: Exception) -> str:
    """Return where *error* was raised: all that can be said of it without its text."""
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    return "what was given" if at is None else f"{at.tb_frame.f_code.co_name}, line {at.tb_lineno},"


def _revealed(secret: Any, what: str) -> str:
    text = secret.get_secret_value() if hasattr(secret, "get_secret_value") else secret
    if not isinstance(text, str) or "\0" in text:
        fault = f"a {type(text).__name__}" if not isinstance(text, str) else "a text with a NUL character"
        message = f"{what} is {fault}. Nothing was opened. Give a str, a SecretStr, or a function that returns one."
        raise ConfigError(message)
    register_secret(text)
    return text
