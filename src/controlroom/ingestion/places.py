"""Where files stand: landing, archive, quarantine; and what is written beside them. Pure: keys in, keys out."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import PurePosixPath

from controlroom.errors import ConfigError

__all__ = ["Places"]

_LONGEST_NAME_BYTES = 255  # NAME_MAX of every common filesystem; an object store allows more
_LONGEST_SUFFIX_BYTES = 32  # a longer one is no suffix but a name with a dot in it


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

    def reason(self, key: str) -> str:
        """Return the key of the report beside the file *key* in quarantine."""
        return self.quarantine + _beside(key.removeprefix(self.landing), ending=".reason.json")

    def rejects(self, key: str) -> str:
        """Return the key of the rejected records of the file *key*."""
        return self.quarantine + _beside(key.removeprefix(self.landing), ending=".rejects.jsonl")

    def _in(self, prefix: str, key: str, content: str | None) -> str:
        name = key.removeprefix(self.landing)
        return prefix + (name if content is None else _beside(name, mark=f"~{content[:12]}"))


def _beside(name: str, *, mark: str = "", ending: str = "") -> str:
    """Return *name* with *mark* before its suffix, or *ending* behind it; a stem too long for that is cut.

    A cut stem is followed by a digest of the whole name, so that two long names stay two.
    """
    path = PurePosixPath(name)
    suffix = path.suffix if len(path.suffix.encode()) <= _LONGEST_SUFFIX_BYTES else ""
    stem = path.name.removesuffix(suffix)
    tail = f"{mark}{suffix}{ending}"
    if len(f"{stem}{tail}".encode()) > _LONGEST_NAME_BYTES:
        tail = f"~{sha256(path.name.encode('utf-8', 'surrogatepass')).hexdigest()[:12]}{tail}"
        stem = stem.encode()[: _LONGEST_NAME_BYTES - len(tail.encode())].decode("utf-8", "ignore")
    return str(path.with_name(f"{stem}{tail}"))
