"""Where files stand: landing, archive, quarantine; and what is written beside them. Pure: keys in, keys out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from controlroom.errors import ConfigError

__all__ = ["Places"]


@dataclass(frozen=True, slots=True)
class Places:
    """Three prefixes of one store, each ending in ``/``, none inside another."""

    landing: str
    archive: str
    quarantine: str

    def __post_init__(self) -> None:
        """Refuse prefixes with which a file that was moved away would be found again."""
        prefixes = (self.landing, self.archive, self.quarantine)
        for prefix in prefixes:
            if not prefix.endswith("/") or prefix.startswith("/"):
                message = f"Inbox: {prefix!r} must be a prefix such as 'landing/', relative and ending in a slash."
                raise ConfigError(message)
        for prefix in prefixes:
            if sum(other.startswith(prefix) for other in prefixes) > 1:
                message = f"Inbox: landing, archive and quarantine must lie apart; {prefix!r} contains another of them."
                raise ConfigError(message)

    def archived(self, key: str, content: str | None = None) -> str:
        """Return where *key* goes when it is done.

        Args:
            key: A key in landing.
            content: The SHA-256 of its content, to tell it from another file that took the plain name before.
        """
        return self._in(self.archive, key, content)

    def quarantined(self, key: str, content: str | None = None) -> str:
        """Return where *key* goes when its content is wrong; *content* as in `archived`."""
        return self._in(self.quarantine, key, content)

    def reason(self, quarantined: str) -> str:
        """Return the key of the report beside a quarantined file."""
        return f"{quarantined}.reason.json"

    def rejects(self, key: str) -> str:
        """Return the key of the rejected records of the file *key*."""
        return f"{self._in(self.quarantine, key, None)}.rejects.jsonl"

    def _in(self, prefix: str, key: str, content: str | None) -> str:
        name = key.removeprefix(self.landing)
        if content is None:
            return prefix + name
        path = PurePosixPath(name)
        return prefix + str(path.with_name(f"{path.stem}~{content[:12]}{path.suffix}"))
