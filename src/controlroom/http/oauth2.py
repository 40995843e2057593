"""Access tokens by client credentials (RFC 6749 section 4.4): fetched once for all who wait, and once more after a 401."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal
from urllib.parse import quote_plus, urlencode

from controlroom.errors import APIAuthError, APIContractError, ConfigError
from controlroom.http.addresses import origin_of
from controlroom.http.auth import revealed
from controlroom.http.calls import Call
from controlroom.http.messages import Headers, Request, Response
from controlroom.policy.quantities import is_finite
from controlroom.redaction import MASK, register_secret

__all__ = ["OAuth2ClientCredentials"]

_ASSUMED_S: Final = 3600.0  # of a server that does not say; a 401 tells when it was less (RFC 6749 section 5.1)
_MARGIN_S: Final = 60.0
_MARGIN_SHARE: Final = 0.1
_REFUSED: Final = (400, 401, 403)


@dataclass(frozen=True, slots=True)
class _Token:
    value: str
    renew_at_s: float


class OAuth2ClientCredentials:
    """Fetches an access token, and another one shortly before it expires or when it is refused.

    Share one instance between clients of the same credentials.

    Args:
        token_url: Where tokens are given out; https, except on this machine.
        client_id: Shown in output.
        client_secret: A text or a pydantic ``SecretStr``. Masked in all output from now on.
        scope: Scopes, separated by blanks; None: those that the server gives anyway.
        params: Further form fields (``audience``, ``resource``).
        send_in: "header" for HTTP Basic (RFC 6749 section 2.3.1), "body" for a server that knows only form fields.

    Raises:
        ConfigError: *token_url* is none, or *client_secret* is empty.

    Guarantees:
        One fetch at a time, however many threads and tasks wait for its token. A call that is answered with 401 is
        repeated once, with another token. Tokens are masked in all output, and go to the client's own origin only; the
        credentials to *token_url* only.
        Not promised: one token for several processes.
    """

    def __init__(
        self,
        token_url: str,
        client_id: str,
        client_secret: Any,
        *,
        scope: str | None = None,
        params: Mapping[str, str] | None = None,
        send_in: Literal["header", "body"] = "header",
    ) -> None:
        if send_in not in {"header", "body"}:
            message = f'send_in={send_in!r} is not possible: give "header" or "body".'
            raise ConfigError(message)
        _require_safe(token_url)
        self._token_url = token_url
        self._client_id = client_id
        self._secret = revealed(client_secret, "The client secret")
        form = {"grant_type": "client_credentials", **({} if scope is None else {"scope": scope}), **(params or {})}
        headers = Headers({"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"})
        if send_in == "header":
            pair = base64.b64encode(f"{quote_plus(client_id)}:{quote_plus(self._secret)}".encode()).decode()
            register_secret(pair)
            headers["Authorization"] = f"Basic {pair}"
        else:
            form |= {"client_id": client_id, "client_secret": self._secret}
        self._call = Call("POST", token_url, headers, urlencode(form).encode(), only_reads=True)
        self._lock = threading.Lock()
        self._token: _Token | None = None
        self._fetched_until_s = -1.0

    @property
    def token(self) -> str | None:
        """The token that was fetched last, unless it was refused since."""
        token = self._token
        return None if token is None else token.value

    @property
    def secrets(self) -> frozenset[str]:
        """The values that must not be written anywhere."""
        return frozenset(filter(None, (self._secret, self.token)))

    def __call__(self, request: Request, /) -> Request:
        """Set the header."""
        if (token := self.token) is not None:
            request.headers["Authorization"] = f"Bearer {token}"
        return request

    def owns(self, url: str | None) -> bool:
        """Tell whether a call to *url* asked for a token."""
        return url == self._token_url

    def wanted(self, now_s: float, within_s: float) -> Call | Literal["wait"] | None:
        """Return the call that fetches a token, "wait" where somebody else is making it, or None: the token holds.

        Whoever gets the call answers with `take` or `release`.

        Args:
            now_s: The present instant of a monotonic clock.
            within_s: After so many seconds somebody else may try: whoever fetches may have been stopped.
        """
        with self._lock:
            if self._token is not None and now_s < self._token.renew_at_s:
                return None
            if now_s < self._fetched_until_s:
                return "wait"
            self._fetched_until_s = now_s + within_s
            return self._call

    def take(self, response: Response, now_s: float) -> None:
        """Take the token out of the answer.

        Raises:
            APIContractError: There is none.
        """
        value, lifetime_s = _granted(response, self._token_url)
        register_secret(value)
        margin_s = min(_MARGIN_S, lifetime_s * _MARGIN_SHARE)
        with self._lock:
            self._token = _Token(value, now_s + lifetime_s - margin_s)
            self._fetched_until_s = -1.0

    def release(self) -> None:
        """Let somebody else try: the fetch failed."""
        with self._lock:
            self._fetched_until_s = -1.0

    def reject(self, token: str) -> None:
        """Forget *token*, which the server refused, unless somebody renewed it meanwhile."""
        with self._lock:
            if self._token is not None and token == self._token.value:
                self._token = None

    def refusal(self, response: Response) -> APIAuthError | None:
        """Return the error for an answer that refuses the credentials (RFC 6749 section 5.2)."""
        if response.status_code not in _REFUSED:
            return None
        reason = _error_code(response)
        message = (
            f"{self._token_url} gave no token to the client {self._client_id!r}: {response.status_code}"
            f"{f' {reason}' if reason else ''}. The request was not sent. Renew or correct the credentials."
        )
        return APIAuthError(message, status_code=response.status_code, method="POST", url=self._token_url)

    def __repr__(self) -> str:
        return f"OAuth2ClientCredentials({self._token_url!r}, {self._client_id!r}, {MASK})"


def _require_safe(token_url: str) -> None:
    try:
        origin = origin_of(token_url)
    except ValueError as error:
        message = f"The token URL cannot be used: {error}."
        raise ConfigError(message) from None
    if origin.scheme != "https" and origin.host not in {"localhost", "127.0.0.1", "::1"}:
        message = f"The token URL {token_url!r} is not https: a client secret would travel in the clear."
        raise ConfigError(message)


def _granted(response: Response, token_url: str) -> tuple[str, float]:
    body = response.json()
    found = body if isinstance(body, dict) else {}
    value, lifetime_s = found.get("access_token"), found.get("expires_in")
    if isinstance(lifetime_s, str) and lifetime_s.isascii() and lifetime_s.isdigit():
        lifetime_s = int(lifetime_s)  # RFC 6749 says a number; several servers say "3600"
    kind = found.get("token_type", "Bearer")
    if not isinstance(value, str) or not value.strip() or not isinstance(kind, str) or kind.lower() != "bearer":
        message = f"{token_url} answered {response.status_code} without a bearer token. The request was not sent."
        raise APIContractError(message, method="POST", url=token_url)
    return value, lifetime_s if is_finite(lifetime_s) and lifetime_s > 0 else _ASSUMED_S


def _error_code(response: Response) -> str:
    try:
        body = json.loads(response.content)
    except (ValueError, RecursionError):
        return ""
    code = body.get("error") if isinstance(body, dict) else None
    return code[:80] if isinstance(code, str) and code.isprintable() else ""
