"""The files that a log was rotated into: ``path.1`` the youngest, ``path.<keep>`` the oldest, packed ones with ``.gz``.

The rule that every step keeps, so that a kill between two of them neither loses a line nor shows one twice:

* A number is free before a file moves to it: both kinds under one number are the same content.
* ``path.<n>.gz`` gets its name only when it is whole. Where both kinds stand under a number, it counts, and the plain
  file is a leftover: the next rotation removes it.
* ``path.part`` is nobody's content: what was being packed when somebody was killed.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from contextlib import suppress
from pathlib import Path
from typing import Final

__all__ = ["RotatedFiles", "parts_of"]

_PACKED: Final = ".gz"
_NUMBER: Final = re.compile("[1-9][0-9]{0,8}")  # run.jsonl.20261122 may be one too; only gapless numbers are ever moved


class RotatedFiles:
    """The rotated files of *path*; everything but `unpacked` is called under the lock of *path* only.

    Args:
        path: The file that is being written.
        keep: How many rotated files stay, plain and packed together.
    """

    def __init__(self, path: Path, keep: int) -> None:
        self.path: Path = path
        self.part: Path = Path(f"{path}.part")
        self._keep = keep

    def plain(self, number: int) -> Path:
        """Return the name of rotated file *number*."""
        return Path(f"{self.path}.{number}")

    def packed(self, number: int) -> Path:
        """Return the name of rotated file *number*, once it is packed."""
        return Path(f"{self.path}.{number}{_PACKED}")

    def take_in(self) -> None:
        """Make the file that is being written number 1, moving the others up; the one beyond *keep* goes.

        Raises:
            OSError: A step was refused. No file is lost, and the next call goes on from there.
        """
        taken = _kinds_by_number(self.path)
        self._sweep(taken)
        free = next(number for number in itertools.count(1) if number not in taken)
        for number in range(free - 1, self._keep - 1, -1):  # more than one after *keep* was lowered
            self._remove(number)
        for number in range(min(free, self._keep) - 1, 0, -1):
            self._move_up(number)
        self.path.replace(self.plain(1))

    def put(self, part: Path, inode: tuple[int, int]) -> bool:
        """Let *part* take the place of the plain file with *inode*, whatever its number is by now; False: it has none."""
        for number in _kinds_by_number(self.path):
            plain = self.plain(number)
            with suppress(FileNotFoundError):
                found = plain.stat()
                if (found.st_dev, found.st_ino) == inode:
                    part.replace(self.packed(number))
                    plain.unlink()
                    return True
        return False

    def unpacked(self) -> Path | None:
        """Return the oldest rotated file that is not packed."""
        numbers = [n for n, kinds in _kinds_by_number(self.path).items() if _PACKED not in kinds and n <= self._keep]
        plain = (self.plain(number) for number in sorted(numbers, reverse=True))
        return next((file for file in plain if file.is_file()), None)

    def _sweep(self, taken: Mapping[int, AbstractSet[str]]) -> None:
        for number, kinds in taken.items():
            if len(kinds) > 1:
                self.plain(number).unlink(missing_ok=True)

    def _remove(self, number: int) -> None:
        self.plain(number).unlink(missing_ok=True)
        self.packed(number).unlink(missing_ok=True)

    def _move_up(self, number: int) -> None:
        for name in (self.plain, self.packed):
            with suppress(FileNotFoundError):
                name(number).replace(name(number + 1))


def parts_of(path: Path) -> list[Path]:
    """Return the files that hold the lines of *path*, oldest first: each line stands in one of them, once.

    A rotation meanwhile moves them: ask again where one is gone.
    """
    found = sorted(_kinds_by_number(path).items(), reverse=True)
    rotated = [Path(f"{path}.{number}{max(kinds)}") for number, kinds in found]  # of both kinds, the packed one
    return [*rotated, path] if path.exists() else rotated


def _kinds_by_number(path: Path) -> dict[int, set[str]]:
    """Return the numbers that are taken, each with ``""``, ``".gz"`` or both."""
    found: dict[int, set[str]] = {}
    for name in os.listdir(path.parent):  # noqa: PTH208 - names are all that is needed
        kind = _PACKED if name.endswith(_PACKED) else ""
        number = name.removesuffix(kind).removeprefix(f"{path.name}.")
        if name == f"{path.name}.{number}{kind}" and _NUMBER.fullmatch(number):
            found.setdefault(int(number), set()).add(kind)
    return found
