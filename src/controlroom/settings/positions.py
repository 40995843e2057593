"""What a file of settings says, and where: the shape that TOML, JSON and YAML are read into."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Broken", "Document", "Lines", "first_lines", "line_of", "unquoted"]

Lines = Mapping[tuple[str, ...], int]

_QUOTED = re.compile(r"(['\"])(?:\w.*|.{2,})\1")  # what a parser quotes, it quotes from the file; ':' is grammar


class Broken(Exception):  # noqa: N818 - no error of ours: the report is made of it, and it goes no further
    """The text is not of its format; *line* and *column* are 1-based, and *what* quotes nothing from it."""

    def __init__(self, line: int, column: int, what: str) -> None:
        super().__init__(what)
        self.line = line
        self.column = column
        self.what = what


@dataclass(frozen=True, slots=True)
class Document:
    """A file of settings.

    Attributes:
        data: What it says.
        lines: The 1-based line of each key, by its path; worked out when it is asked for.
        repeated: Lines with a key that its table already has, each with the line of the first.
    """

    data: Mapping[str, Any] = field(repr=False)
    lines: Callable[[], Lines]
    repeated: tuple[tuple[int, int], ...] = ()


def line_of(path: tuple[str, ...], lines: Lines) -> int | None:
    """Return the line of *path*, or of what it stands in."""
    return next((lines[path[:end]] for end in range(len(path), 0, -1) if path[:end] in lines), None)


def unquoted(message: str) -> str:
    """Return a parser's *message* without what it quotes."""
    return _QUOTED.sub("…", message)


def first_lines(
    keys: Iterable[tuple[tuple[str, ...], int]],
) -> tuple[dict[tuple[str, ...], int], tuple[tuple[int, int], ...]]:
    """Return the line on which each of *keys* stands first, and the lines that repeat one."""
    lines: dict[tuple[str, ...], int] = {}
    repeated: list[tuple[int, int]] = []
    for path, line in keys:
        if path in lines:
            repeated.append((line, lines[path]))
        else:
            lines[path] = line
    return lines, tuple(repeated)
