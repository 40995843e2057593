"""OAuth 2 (RFC 6749): access tokens by client credentials (section 4.4), and by refresh tokens (section 6)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias
from urllib.parse import urlencode

from controlroom.http.auth import revealed
from controlroom.http.calls import Call
from controlroom.http.kept_tokens import KeptToken, fingerprint
from controlroom.http.token_auth import TokenAuth

if TYPE_CHECKING:
    from controlroom.database import AsyncDatabase, Database

__all__ = ["OAuth2ClientCredentials", "OAuth2RefreshToken", "TokenPlace"]

TokenPlace: TypeAlias = "str | os.PathLike[str] | Database | AsyncDatabase | None"
"""Where a token is kept."""

_REMEMBERED = 16


class OAuth2ClientCredentials(TokenAuth):
    """Fetches an access token, and another one shortly before it expires or when it is refused.

    Share one instance between clients of the same credentials.

    Args:
        token_url: Where tokens are given out; https, except on this machine.
        client_id: Shown in output.
        client_secret: A text or a pydantic ``SecretStr``. Masked in all output from now on.
        scope: Scopes, separated by blanks; None: those that the server gives anyway.
        params: Further form fields (``audience``, ``resource``).
        send_in: "header" for HTTP Basic (RFC 6749 section 2.3.1), "body" for a server that knows only form fields.
        store: Where processes share one token: the path of a file, for those of one machine; a `Database` (for asyncio's
            clients an `AsyncDatabase`) with its control tables. None: each process fetches its own.

    Raises:
        ConfigError: *token_url* is none, *client_secret* is empty, or *store* is no place for a token.

    Guarantees:
        One fetch at a time, however many threads and tasks wait for its token; with *store*, however many processes. A
        call that is answered with 401 is repeated once, with another token. Tokens are masked in all output, and go to
        the client's own origin only; the credentials to *token_url* only.
        In a store a token stands as it is, not encrypted: a file is written whole and with mode 0600; who reads the
        database's table ``controlroom_tokens`` has the token.
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
        store: TokenPlace = None,
    ) -> None:
        secret = revealed(client_secret, "The client secret")
        form = {"grant_type": "client_credentials", **_scope(scope), **(params or {})}
        super().__init__(token_url, client_id, secret, form, send_in=send_in, store=store)


class OAuth2RefreshToken(TokenAuth):
    """Fetches access tokens with a refresh token, and goes on with the new refresh token where the server gives one.

    Share one instance between clients of the same sign-in.

    Args:
        token_url: Where tokens are given out; https, except on this machine.
        client_id: Shown in output.
        client_secret: A text or a pydantic ``SecretStr``, masked in all output from now on; None for a public client.
        refresh_token: The one that signing in gave, a text or a ``SecretStr``; it begins the series. What *store* has of
            this series wins; a token that *store* never saw begins a new one.
        scope: Scopes, separated by blanks; None: those of the sign-in.
        params: Further form fields.
        send_in: As for `OAuth2ClientCredentials`.
        store: As for `OAuth2ClientCredentials`. None: in memory; then a server whose refresh tokens work once lets no
            second process, and no restart, sign in.

    Raises:
        ConfigError: *token_url* is none, a secret is empty, or *store* is no place for a token.

    Guarantees:
        Those of `OAuth2ClientCredentials`. A new refresh token is in the store, and synced, before the access token that
        came with it is used. Whoever refreshes has looked into the store under its claim: a refresh token that another
        process has used up is not sent. A task that is cancelled takes the answer, and keeps it, before it goes.
        Not promised: that a process that is killed between the server's answer and the write leaves a refresh token that
        works; the server decides that. Where a row's claim has ended by itself (its holder was stopped for longer than
        a fetch may take), two may ask at once.
    """

    _next_act = "The refresh token has been used up, has expired or was revoked: sign in again, and give its new one."

    def __init__(
        self,
        token_url: str,
        client_id: str,
        client_secret: Any,
        refresh_token: Any,
        *,
        scope: str | None = None,
        params: Mapping[str, str] | None = None,
        send_in: Literal["header", "body"] = "header",
        store: TokenPlace = None,
    ) -> None:
        form = {"grant_type": "refresh_token", **_scope(scope), **(params or {})}
        super().__init__(token_url, client_id, client_secret, form, send_in=send_in, store=store)
        self._given = revealed(refresh_token, "The refresh token")
        self._given_mark = fingerprint(self._given)
        self.kept: KeptToken = self.begun(self.kept)

    @property
    def secrets(self) -> frozenset[str]:
        """The values that must not be written anywhere."""
        return super().secrets | frozenset(filter(None, (self._given, self.kept.refresh_token)))

    def begun(self, kept: KeptToken) -> KeptToken:
        """Return *kept*, or the begin of a new series where the refresh token that was given is new to it."""
        if self._given_mark in kept.given:
            return kept
        given = (*kept.given, self._given_mark)[-_REMEMBERED:]
        return replace(kept, access_token=None, refresh_token=self._given, given=given)

    def call(self, kept: KeptToken) -> Call:
        """Return the call that uses the refresh token of *kept*."""
        form = {**self._form, "refresh_token": str(kept.refresh_token)}
        return replace(super().call(kept), content=urlencode(form).encode())


def _scope(scope: str | None) -> dict[str, str]:
    return {} if scope is None else {"scope": scope}
