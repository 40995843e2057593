"""Secrets mounted as files, as Docker (``/run/secrets``) and Kubernetes do it.

A file is named like the variable; case does not count, and ``-`` counts as ``_``, which names of Kubernetes secrets cannot
have. A folder is a level: ``app_db/password`` is ``APP_DB__PASSWORD``, and ``app/api_token`` is ``APP_API_TOKEN`` where the
prefix is ``APP_``. Kubernetes mounts a version of all keys at once, behind the symbolic link ``..data``, and swaps the link:
whoever reads file by file may get half of each version, unless the link is looked at again.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from controlroom.settings.reading import text_of
from controlroom.settings.schema import Declared, every

__all__ = ["Mounted", "mounted"]

_MOST_READINGS = 5  # kubelet swaps about once a minute; a folder that never rests is read as it is
_DEEPEST = 8  # levels of folders; a link that leads back into itself ends here


@dataclass(frozen=True, slots=True)
class Mounted:
    """What a folder holds for one settings class: texts and paths, by variable in lower case."""

    texts: dict[str, str] = field(default_factory=dict, repr=False)
    paths: dict[str, Path] = field(default_factory=dict)


def mounted(folder: Path, declared: Declared, problems: list[str]) -> Mounted:
    """Return what *folder* holds under our names; nothing else in it is read. What is wrong goes to *problems*."""
    for _ in range(_MOST_READINGS):
        reading = _Reading(declared)
        found = reading.read(folder)
        if reading.is_still_true():
            break
    problems.extend(reading.problems)
    return found


class _Reading:
    """One pass over a folder."""

    def __init__(self, declared: Declared) -> None:
        self.problems: list[str] = []
        self._prefix = declared.prefix.lower()
        self._known = {variable.lower() for setting in every(declared.settings) for variable in setting.variables}
        self._versions: dict[Path, str | None] = {}

    def read(self, folder: Path) -> Mounted:
        found = Mounted()
        for variable, path in self._files(folder, "", 0):
            text = text_of(path, self.problems) if self._is_known(variable) else ""  # of a stray the name is enough
            if text is None:
                if path.is_symlink() and not path.exists():
                    self.problems.append(f"{path} is a link that leads nowhere.")
                continue
            if found.texts.setdefault(variable, text.strip()) != text.strip():
                self.problems.append(f"{found.paths[variable]} and {path} set the same, differently; remove one.")
            found.paths.setdefault(variable, path)
        return found

    def is_still_true(self) -> bool:
        """Tell whether every folder is still at the version that was read."""
        return all(_version(folder) == version for folder, version in self._versions.items())

    def _files(self, folder: Path, stem: str, depth: int) -> Iterator[tuple[str, Path]]:
        self._versions[folder] = _version(folder)
        try:
            entries = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
        except FileNotFoundError:
            return  # swapped away; the version tells
        except OSError as error:
            self.problems.append(f"{folder} cannot be read: {error.strerror}.")
            return
        for path in entries:
            name = stem + path.name.lower().replace("-", "_")
            if not os.path.isdir(path):  # noqa: PTH112 - Path.is_dir raises where a folder may not be entered
                if self._is_ours(name):
                    yield name, path
            elif depth < _DEEPEST and self._leads_to_ours(below := self._below(name)):
                yield from self._files(path, below, depth + 1)

    def _below(self, name: str) -> str:
        return self._prefix if name in (self._prefix, self._prefix.rstrip("_")) else f"{name}__"

    def _is_ours(self, name: str) -> bool:
        return self._is_known(name) or self._prefixed(name)

    def _is_known(self, name: str) -> bool:
        return name in self._known or name.startswith(tuple(f"{known}__" for known in self._known))

    def _leads_to_ours(self, stem: str) -> bool:
        return any(known.startswith(stem) for known in self._known) or self._is_ours(stem)

    def _prefixed(self, name: str) -> bool:
        return bool(self._prefix) and name.startswith(self._prefix)


def _version(folder: Path) -> str | None:
    try:
        return str((folder / "..data").readlink())
    except OSError:
        return None  # no Kubernetes volume
