"""Which names announce a secret: ``apiKey``, ``DB_PASSWORD``, ``X-Auth-Token``, but not ``page_token`` or ``monkey``."""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import pairwise

__all__ = ["is_sensitive_name"]

_LONGEST_NAME = 200  # of a longer one the end is judged; nobody names a field so

_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+")

_SECRETS = frozenset(
    [
        *["password", "passwords", "passwd", "pwd", "pw", "pass", "passphrase", "passcode", "secret", "secrets"],
        *["token", "apikey", "jwt", "bearer"],
        *["authorization", "credential", "credentials", "cookie", "cookies", "signature", "sig"],
    ]
)
_SECRET_PAIRS = frozenset(
    f"{kind} key"
    for kind in ["api", "access", "private", "secret", "account", "shared", "auth", "signing", "encryption", "master"]
)
# One word in small letters: PGPASSWORD, authtoken, clientsecret.
_SECRET_ENDINGS = (
    *["password", "passwd", "passphrase", "secret", "token", "apikey", "accesskey", "secretkey", "privatekey"],
    *["accountkey", "credentials", "authorization", "cookie"],
)
# What is said about a secret may be read: where tokens are fetched, how many there are, until when they hold.
_ABOUT = frozenset(
    [
        *["url", "uri", "endpoint", "path", "file", "dir", "directory", "name", "id", "arn", "version", "type", "kind"],
        *["count", "length", "limit", "bytes", "s", "ms", "at", "in", "age", "ttl", "expiry", "expires", "expiration"],
        *["policy", "status", "provider", "manager", "field", "header", "param", "used", "seconds", "present"],
    ]
)
# Tokens that name a position or an owner and open no door.
_POSITIONS = (
    *["page", "next", "cursor", "continuation", "pagination", "resume", "starting", "sync"],
    *["fencing", "commit", "max", "public"],
)


@lru_cache(maxsize=2048)  # the same few names stand in every log line
def is_sensitive_name(name: str) -> bool:
    """Tell whether a key called *name* usually holds a secret: ``apiKey``, ``DB_PASSWORD``, ``X-Auth-Token`` and so on.

    Not promised: names in other languages or scripts.
    """
    words = [word.lower() for word in _WORD.findall(name[-_LONGEST_NAME:])]
    if not words or words[-1] in _ABOUT:
        return False
    pairs = [*pairwise(["", *words])]
    return any(f"{before} {word}" in _SECRET_PAIRS or _is_secret(before, word) for before, word in pairs)


def _is_secret(before: str, word: str) -> bool:
    if word == "token":
        return before not in _POSITIONS
    if word in _SECRETS:
        return True
    return word.endswith(_SECRET_ENDINGS) and not word.removesuffix("token").endswith(_POSITIONS)
