"""Credentials that are exchanged for access tokens: fetched once for all who wait, and once more after a 401."""

from __future__ import annotations

import base64
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal
from urllib.parse import quote_plus, urlencode

from controlroom.clock import utcnow
from controlroom.errors import APIAuthError, ConfigError
from controlroom.http.auth import revealed
from controlroom.http.calls import Call
from controlroom.http.grants import error_code, granted, require_safe
from controlroom.http.kept_tokens import KeptToken, fingerprint
from controlroom.http.messages import Headers, Request, Response
from controlroom.http.token_store import TokenStore, token_store
from controlroom.redaction import MASK, register_secret

__all__ = ["TokenAuth"]

_REFUSED: Final = (400, 401, 403)


@dataclass(frozen=True, slots=True)
class _Token:
    value: str
    renew_at_s: float


class TokenAuth:
    """What all such credentials have in common; each kind says which form it sends.

    Args:
        token_url: Where tokens are given out.
        client_id: Of the client.
        client_secret: Of the client; None for a public one.
        form: Fields that do not change.
        send_in: Where the client's credentials are sent.
        store: Where the token is kept; None: in memory.
    """

    _next_act = "Renew or correct the credentials."

    def __init__(
        self,
        token_url: str,
        client_id: str,
        client_secret: Any,
        form: Mapping[str, str],
        *,
        send_in: Literal["header", "body"],
        store: object,
    ) -> None:
        if send_in not in {"header", "body"}:
            message = f'send_in={send_in!r} is not possible: give "header" or "body".'
            raise ConfigError(message)
        require_safe(token_url)
        self._token_url = token_url
        self._client_id = client_id
        self._secret = None if client_secret is None else revealed(client_secret, "The client secret")
        self._headers = Headers({"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"})
        self._form = dict(form)
        self._identify(send_in)
        owner = fingerprint(type(self).__name__, token_url, client_id, sorted(form.items()))
        self.store: TokenStore | None = token_store(store, owner, f"{client_id} {owner}")
        self.kept: KeptToken = KeptToken(owner)
        self.not_kept: KeptToken | None = None
        self._lock = threading.RLock()  # inside, an abandoned sign-in may be collected, which then lets go of its turn
        self._token: _Token | None = None
        self._rejected: str | None = None
        self._fetched_until_s = -1.0

    def _identify(self, send_in: Literal["header", "body"]) -> None:
        if self._secret is None:  # a public client says who it is, and proves nothing (RFC 6749 section 3.2.1)
            self._form["client_id"] = self._client_id
        elif send_in == "header":
            pair = base64.b64encode(f"{quote_plus(self._client_id)}:{quote_plus(self._secret)}".encode()).decode()
            register_secret(pair)
            self._headers["Authorization"] = f"Basic {pair}"
        else:
            self._form |= {"client_id": self._client_id, "client_secret": self._secret}

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

    def wanted(self, now_s: float, within_s: float) -> Literal["fetch", "wait"] | None:
        """Return "fetch" to whoever is to have a token fetched, "wait" to others meanwhile, or None: the token holds.

        Whoever is to fetch answers with `take` or `release`.

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
            return "fetch"

    def begun(self, kept: KeptToken) -> KeptToken:
        """Return *kept*, as a store had it, with what was given at first where that is needed."""
        return kept

    def call(self, kept: KeptToken) -> Call:  # noqa: ARG002 - another kind needs it
        """Return the call that fetches the token behind *kept*."""
        return Call("POST", self._token_url, self._headers, urlencode(self._form).encode(), only_reads=True)

    def renewed(self, kept: KeptToken, response: Response) -> KeptToken:
        """Return what *response* makes of *kept*.

        Raises:
            APIContractError: There is no token in it.
        """
        grant = granted(response, self._token_url)
        return replace(
            kept,
            serial=kept.serial + 1,
            access_token=grant.access_token,
            renew_at=utcnow().timestamp() + grant.use_for_s,
            refresh_token=grant.refresh_token or kept.refresh_token,
        )

    def accepts(self, kept: KeptToken) -> bool:
        """Tell whether the token in *kept* can be used: it lasts, and no server has refused it to us."""
        token = kept.access_token
        return token is not None and token != self._rejected and utcnow().timestamp() < kept.renew_at

    def take(self, kept: KeptToken, now_s: float) -> None:
        """Use what is in *kept* from now on.

        Args:
            kept: With an access token.
            now_s: The present instant of a monotonic clock.
        """
        last_s = kept.renew_at - utcnow().timestamp()
        with self._lock:
            self.kept, self.not_kept = kept, None
            self._token = None if kept.access_token is None else _Token(kept.access_token, now_s + last_s)
            self._fetched_until_s = -1.0

    def release(self) -> None:
        """Let somebody else try: the fetch failed."""
        with self._lock:
            self._fetched_until_s = -1.0

    def reject(self, token: str) -> None:
        """Forget *token*, which the server refused, unless somebody renewed it meanwhile."""
        with self._lock:
            self._rejected = token
            if self._token is not None and token == self._token.value:
                self._token = None

    def refusal(self, response: Response) -> APIAuthError | None:
        """Return the error for an answer that refuses the credentials (RFC 6749 section 5.2)."""
        if response.status_code not in _REFUSED:
            return None
        reason = error_code(response)
        message = (
            f"{self._token_url} gave no token to the client {self._client_id!r}: {response.status_code}"
            f"{f' {reason}' if reason else ''}. The request was not sent. {self._next_act}"
        )
        return APIAuthError(message, status_code=response.status_code, method="POST", url=self._token_url)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._token_url!r}, {self._client_id!r}, {MASK})"
