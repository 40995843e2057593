"""Answers of a server of tokens (RFC 6749 section 5), and where such a server may be."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Final

from controlroom.errors import APIContractError, ConfigError
from controlroom.http.addresses import origin_of
from controlroom.http.messages import Response
from controlroom.policy.quantities import is_finite
from controlroom.redaction import register_secret

__all__ = ["Grant", "error_code", "granted", "require_safe"]

_ASSUMED_S: Final = 3600.0  # of a server that does not say; a 401 tells when it was less (RFC 6749 section 5.1)
_MARGIN_S: Final = 60.0
_MARGIN_SHARE: Final = 0.1


@dataclass(frozen=True, slots=True)
class Grant:
    """What was given.

    Attributes:
        access_token: The token.
        use_for_s: Seconds from now after which another one is to be fetched: shortly before it expires.
        refresh_token: A new one in the place of the last; None where that still holds (section 6).
    """

    access_token: str = field(repr=False)
    use_for_s: float
    refresh_token: str | None = field(repr=False)


def granted(response: Response, token_url: str) -> Grant:
    """Return what *response* gives.

    Raises:
        APIContractError: There is no bearer token in it.
    """
    body = response.json()
    found = body if isinstance(body, dict) else {}
    value, lifetime_s, refresh_token = (found.get(name) for name in ("access_token", "expires_in", "refresh_token"))
    if isinstance(lifetime_s, str) and lifetime_s.isascii() and lifetime_s.isdigit():
        lifetime_s = int(lifetime_s)  # RFC 6749 says a number; several servers say "3600"
    kind = found.get("token_type", "Bearer")
    if not isinstance(value, str) or not value.strip() or not isinstance(kind, str) or kind.lower() != "bearer":
        message = f"{token_url} answered {response.status_code} without a bearer token. The request was not sent."
        raise APIContractError(message, method="POST", url=token_url)
    lifetime_s = lifetime_s if is_finite(lifetime_s) and lifetime_s > 0 else _ASSUMED_S
    given_anew = refresh_token if isinstance(refresh_token, str) and refresh_token.strip() else None
    for secret in filter(None, (value, given_anew)):
        register_secret(secret)
    return Grant(value, lifetime_s - min(_MARGIN_S, lifetime_s * _MARGIN_SHARE), given_anew)


def error_code(response: Response) -> str:
    """Return the code of an error answer ("invalid_grant"), or nothing."""
    try:
        body = json.loads(response.content)
    except (ValueError, RecursionError):
        return ""
    code = body.get("error") if isinstance(body, dict) else None
    return code[:80] if isinstance(code, str) and code.isprintable() else ""


def require_safe(token_url: str) -> None:
    """Refuse a URL to which no secret may be sent.

    Raises:
        ConfigError: It is none, or not https and not on this machine.
    """
    try:
        origin = origin_of(token_url)
    except ValueError as error:
        message = f"The token URL cannot be used: {error}."
        raise ConfigError(message) from None
    if origin.scheme != "https" and origin.host not in {"localhost", "127.0.0.1", "::1"}:
        message = f"The token URL {token_url!r} is not https: a client secret would travel in the clear."
        raise ConfigError(message)
