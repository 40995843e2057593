"""Where a token outlives its process: a file, or a row of a database. One process at a time renews it.

A file is claimed by a lock beside it, which the kernel frees when its holder dies. A row has no lock that could be held
while a server is asked, so a claim is written into it, and ends by itself.
"""

from __future__ import annotations

import os
import uuid
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

from controlroom.clock import utcnow
from controlroom.errors import ConfigError
from controlroom.http.coordination import FileWork, RowWork, Work, is_path
from controlroom.http.kept_tokens import KeptToken, kept_in
from controlroom.http.locked_files import LockedFile

__all__ = ["Claim", "TokenStore", "token_store"]

_PRIVATE: Final = 0o600
_LONGEST_BYTES: Final = 2**20


class Claim(Protocol):
    """The right to renew one token. `close` it on every way out."""

    def acquire(self) -> Work:
        """Return the work of claiming; it returns what is kept now, or None where somebody else has claimed it."""

    def keep(self, renewed: KeptToken) -> Work:
        """Return the work of replacing what is kept; it returns what then stands there, which may be another's."""

    def release(self) -> Work:
        """Return the work of letting others claim."""

    def close(self) -> None:
        """Let go of what this process holds."""


class TokenStore(Protocol):
    """One place for one token."""

    @property
    def place(self) -> object:
        """The path, or the database."""

    def read(self) -> Work:
        """Return the work of reading; it returns a `KeptToken`."""

    def claim(self, within_s: float) -> Claim:
        """Return a claim that is to be acquired; where it has to end by itself, after so many seconds."""


def token_store(place: Any, owner: str, name: str) -> TokenStore | None:
    """Return the store at *place*, the path of a file or a database; None for None.

    Args:
        place: As a user gave it.
        owner: The fingerprint of the credentials.
        name: Of the row in a database.

    Raises:
        ConfigError: It is no such place.
    """
    if place is None:
        return None
    if is_path(place) and os.fspath(place) and "://" not in os.fsdecode(place):
        return _FileStore(Path(os.fsdecode(place)).absolute(), owner)
    if not hasattr(place, "transact"):
        shown = repr(place) if is_path(place) else f"a {type(place).__name__}"
        message = f"store is {shown}: give the path of a file, a Database or an AsyncDatabase."
        raise ConfigError(message)
    return _RowStore(place, owner, name)


class _FileStore:
    def __init__(self, path: Path, owner: str) -> None:
        self.place = path
        self.owner = owner

    def read(self) -> Work:
        return FileWork(self.kept)

    def kept(self) -> KeptToken:
        """Return what the file holds: it is replaced as a whole, so no lock is needed."""
        from controlroom.storage.classify import translating  # noqa: PLC0415 - only those who keep tokens pay for files

        with translating(str(self.place), "reading a token"):
            try:
                with self.place.open(encoding="utf-8", errors="replace") as file:
                    text = file.read(_LONGEST_BYTES)
            except FileNotFoundError:
                text = ""
        return kept_in(text, self.owner, str(self.place))

    def claim(self, within_s: float) -> Claim:  # noqa: ARG002 - a lock ends with its holder
        return _FileClaim(self)


class _FileClaim:
    def __init__(self, store: _FileStore) -> None:
        self._store = store
        self._lock = LockedFile(store.place.with_name(f"{store.place.name}.lock"), _PRIVATE)

    def acquire(self) -> Work:
        return FileWork(self._acquire)

    def _acquire(self) -> KeptToken | None:
        from controlroom.storage.classify import translating  # noqa: PLC0415 - as above

        with translating(str(self._lock.path), "locking a token"):
            return self._store.kept() if self._lock.acquire() else None

    def keep(self, renewed: KeptToken) -> Work:
        return FileWork(partial(self._keep, renewed))

    def _keep(self, renewed: KeptToken) -> KeptToken:
        from controlroom.storage import write_text  # noqa: PLC0415 - as above

        write_text(self._store.place, renewed.text, permissions=_PRIVATE)
        return renewed

    def release(self) -> Work:
        return FileWork(self.close)

    def close(self) -> None:
        self._lock.close()


class _RowStore:
    def __init__(self, database: Any, owner: str, name: str) -> None:
        self.place = database
        self._owner = owner
        self._name = name

    def read(self) -> Work:
        return RowWork(self.place, "tokens", self._name, lambda text: (None, self.kept(text)))

    def kept(self, text: str | None) -> KeptToken:
        """Return what the row holds."""
        return kept_in(text, self._owner, f"Row {self._name!r} of {self.place!r}")

    def claim(self, within_s: float) -> Claim:
        return _RowClaim(self, self.place, self._name, within_s)


class _RowClaim:
    def __init__(self, store: _RowStore, database: Any, name: str, within_s: float) -> None:
        self._store = store
        self._within_s = within_s
        self._by = uuid.uuid4().hex
        self._work = partial(RowWork, database, "tokens", name)

    def acquire(self) -> Work:
        return self._work(self._acquired)

    def _acquired(self, text: str | None) -> tuple[str | None, KeptToken | None]:
        kept, now = self._store.kept(text), utcnow().timestamp()
        if kept.is_busy(now) and kept.busy_by != self._by:
            return None, None
        claimed = replace(kept, busy_by=self._by, busy_from=now, busy_until=now + self._within_s)
        return claimed.text, kept

    def keep(self, renewed: KeptToken) -> Work:
        return self._work(partial(self._kept, renewed))

    def _kept(self, renewed: KeptToken, text: str | None) -> tuple[str | None, KeptToken]:
        present = self._store.kept(text)
        if present.serial >= renewed.serial:  # this claim had ended, and another one was faster
            return None, present
        kept = replace(renewed, busy_by=None, busy_from=0.0, busy_until=0.0)
        return kept.text, kept

    def release(self) -> Work:
        return self._work(self._released)

    def _released(self, text: str | None) -> tuple[str | None, None]:
        present = self._store.kept(text)
        if present.busy_by != self._by:
            return None, None
        return replace(present, busy_by=None, busy_from=0.0, busy_until=0.0).text, None

    def close(self) -> None:
        """Nothing of it is held here."""
