"""Who we are. A credential is set on each try anew, and only on requests to the client's own origin."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from controlroom.errors import ConfigError
from controlroom.http.messages import Request
from controlroom.redaction import MASK, register_secret

__all__ = ["ApiKeyAuth", "Auth", "BasicAuth", "BearerAuth", "revealed"]

Auth = Callable[[Request], Request | None]
"""Sets credentials on the `Request` it is given (or returns another). Called for each try, from any thread."""


def revealed(secret: Any, what: str) -> str:
    """Return the text of *secret* (a text, or pydantic's ``SecretStr``) and have it masked everywhere.

    Raises:
        ConfigError: It is no text, or an empty one.
    """
    reveal = getattr(secret, "get_secret_value", None)
    text = reveal() if callable(reveal) else secret
    if not isinstance(text, str) or not text.strip():
        message = f"{what} is empty or no text: is the setting that should hold it set?"
        raise ConfigError(message)
    register_secret(text)
    return text


class BearerAuth:
    """``Authorization: Bearer <token>`` (RFC 6750).

    Args:
        token: A text or a pydantic ``SecretStr``. Masked in all output from now on.

    Raises:
        ConfigError: It is empty.
    """

    def __init__(self, token: Any) -> None:
        self._token = revealed(token, "The bearer token")

    @property
    def secrets(self) -> frozenset[str]:
        """The values that must not be written anywhere."""
        return frozenset({self._token})

    def __call__(self, request: Request, /) -> Request:
        """Set the header."""
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request

    def __repr__(self) -> str:
        return f"BearerAuth({MASK})"


class BasicAuth:
    """``Authorization: Basic …`` (RFC 7617), in UTF-8.

    Args:
        username: Shown in output; has no colon.
        password: A text or a pydantic ``SecretStr``. Masked in all output from now on.

    Raises:
        ConfigError: *password* is empty, or *username* has a colon.
    """

    def __init__(self, username: str, password: Any) -> None:
        if ":" in username:
            message = "A user name with a colon cannot be sent (RFC 7617)."
            raise ConfigError(message)
        self._username = username
        self._password = revealed(password, "The password")
        self._encoded = base64.b64encode(f"{username}:{self._password}".encode()).decode()
        register_secret(self._encoded)

    @property
    def secrets(self) -> frozenset[str]:
        """The values that must not be written anywhere."""
        return frozenset({self._password, self._encoded})

    def __call__(self, request: Request, /) -> Request:
        """Set the header."""
        request.headers["Authorization"] = f"Basic {self._encoded}"
        return request

    def __repr__(self) -> str:
        return f"BasicAuth({self._username!r}, {MASK})"


class ApiKeyAuth:
    """A key in a header or in the query.

    Args:
        key: A text or a pydantic ``SecretStr``. Masked in all output from now on.
        header: The header that carries it …
        param: … or the query parameter. Prefer the header: URLs are written into logs everywhere.

    Raises:
        ConfigError: *key* is empty, or not exactly one of *header* and *param* is given.
    """

    def __init__(self, key: Any, *, header: str | None = None, param: str | None = None) -> None:
        if (header is None) == (param is None):
            message = "ApiKeyAuth sends the key in one place: give either header= or param=."
            raise ConfigError(message)
        self._key = revealed(key, "The API key")
        self._header = header
        self.param = param

    @property
    def secrets(self) -> frozenset[str]:
        """The values that must not be written anywhere."""
        return frozenset({self._key})

    def __call__(self, request: Request, /) -> Request:
        """Set the header or the parameter."""
        if self._header is not None:
            request.headers[self._header] = self._key
        if self.param is not None:
            request.params[self.param] = self._key
        return request

    def __repr__(self) -> str:
        place = f"header={self._header!r}" if self.param is None else f"param={self.param!r}"
        return f"ApiKeyAuth({MASK}, {place})"
