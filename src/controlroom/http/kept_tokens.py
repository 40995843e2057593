"""What a token store holds for one sign-in, as a text: written by one process, read by all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from controlroom.errors import ConfigError
from controlroom.policy.quantities import is_finite, is_whole
from controlroom.redaction import register_secret

__all__ = ["KeptToken", "fingerprint", "kept_in"]

_KIND: Final = "controlroom token"
_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class KeptToken:
    """One sign-in as it stands.

    Attributes:
        owner: The `fingerprint` of the credentials.
        serial: How often it was renewed; tells two writers which of them is late.
        access_token: None where there is none.
        renew_at: From when on it is to be renewed, seconds since 1970.
        refresh_token: What it is renewed with; None for client credentials.
        given: Fingerprints of the refresh tokens that people gave at first: one that is new here begins anew.
        busy_by: Who is renewing it now, in a store without locks …
        busy_from: … since when, seconds since 1970 …
        busy_until: … and until when at most.
    """

    owner: str
    serial: int = 0
    access_token: str | None = None
    renew_at: float = 0.0
    refresh_token: str | None = None
    given: tuple[str, ...] = ()
    busy_by: str | None = None
    busy_from: float = 0.0
    busy_until: float = 0.0

    def __post_init__(self) -> None:
        """Have the tokens masked in all output from now on."""
        for secret in (self.access_token, self.refresh_token):
            if secret is not None:
                register_secret(secret)

    def __repr__(self) -> str:
        return f"KeptToken({self.owner}, serial={self.serial})"

    @property
    def text(self) -> str:
        """What is written."""
        return json.dumps({"kind": _KIND, "version": _VERSION, **asdict(self)}, indent=1) + "\n"

    def is_busy(self, now: float) -> bool:
        """Tell whether somebody may be renewing it. A clock that was set back ends all claims: one too many renews once."""
        return self.busy_by is not None and self.busy_from <= now < self.busy_until


def fingerprint(*parts: object) -> str:
    """Return what tells *parts* from others, without telling them."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def kept_in(text: str | None, owner: str, where: str) -> KeptToken:
    """Return what *text* tells; a sign-in without tokens where there is none.

    Raises:
        ConfigError: It was written by something else, by a newer release, or for other credentials.
    """
    if text is None or not text.strip():
        return KeptToken(owner)
    found = _facts(text)
    if found is None:
        raise ConfigError(_refused(where, "it holds something else than tokens of this release"))
    if found.get("owner") != owner:
        raise ConfigError(_refused(where, "its tokens belong to other credentials"))
    return KeptToken(
        owner,
        found["serial"],
        found["access_token"],
        found["renew_at"],
        found["refresh_token"],
        tuple(found["given"]),
        found["busy_by"],
        found["busy_from"],
        found["busy_until"],
    )


def _refused(where: str, why: str) -> str:
    return f"{where} cannot keep the token: {why}. Nothing was changed or sent. Name another place, or remove it."


def _facts(text: str) -> Mapping[str, Any] | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or (found.get("kind"), found.get("version")) != (_KIND, _VERSION):
        return None
    texts = all(isinstance(found.get(name), str | None) for name in ("access_token", "refresh_token", "busy_by"))
    numbers = all(is_finite(found.get(name)) for name in ("renew_at", "busy_from", "busy_until"))
    given = found.get("given")
    whole = is_whole(found.get("serial")) and isinstance(given, list) and all(isinstance(one, str) for one in given)
    return (
        found if texts and numbers and whole and {"access_token", "refresh_token", "busy_by"} <= found.keys() else None
    )
