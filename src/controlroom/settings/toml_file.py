"""TOML with positions: what a file says, and on which line."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from controlroom.settings.positions import Broken, Document, unquoted

__all__ = ["lines_of", "read"]

_LONGEST_STATEMENT = 500  # lines; what follows a longer one has no line number rather than a slow one

_POSITION = re.compile(r"\(at line (\d+), column (\d+)\)")


def read(text: str) -> Document:
    """Return what *text* says.

    Raises:
        Broken: It is not TOML.
    """
    try:
        return Document(tomllib.loads(text), cache(lambda: lines_of(text)))
    except tomllib.TOMLDecodeError as error:
        raise Broken(*_position_of(error, text)) from None


def _position_of(error: tomllib.TOMLDecodeError, text: str) -> tuple[int, int, str]:
    message = str(error)
    if found := _POSITION.search(message):
        line, column = int(found[1]), int(found[2])
    else:  # "(at end of document)"
        line, column = text.count("\n") + 1, len(text) - text.rfind("\n")
    return line, column, unquoted(message.partition(" (at ")[0])


def lines_of(text: str) -> dict[tuple[str, ...], int]:
    """Return the 1-based line on which each key of a valid TOML *text* stands, by its path.

    tomllib gives no positions, but every statement of a TOML file is a TOML file: the text is cut where a piece parses.
    """
    found: dict[tuple[str, ...], int] = {}
    items: dict[tuple[str, ...], int] = {}  # of each array of tables, the index of its last one
    table: tuple[str, ...] = ()
    for line, statement in _statements(text):
        paths = list(_paths(tomllib.loads(statement)))
        if statement.lstrip().startswith("["):
            entered = _entered(max(paths, key=len, default=()), items, is_item=statement.lstrip().startswith("[["))
            table = entered[-1]
            for path in entered[1:]:
                found.setdefault(path, line)
        else:
            for path in paths:
                found.setdefault((*table, *path), line)
    return found


def _entered(header: tuple[str, ...], items: dict[tuple[str, ...], int], *, is_item: bool) -> list[tuple[str, ...]]:
    """Return what *header* leads through, from the top: of an array of tables, named by its index, the last item."""
    entered: list[tuple[str, ...]] = [()]
    for depth, key in enumerate(header, 1):
        path = (*entered[-1], key)
        entered.append(path)
        if is_item and depth == len(header):
            items[path] = items.get(path, -1) + 1
        if path in items:
            entered.append((*path, str(items[path])))
    return entered


def _statements(text: str) -> Iterator[tuple[int, str]]:
    piece, start = "", 1
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), 1):
        piece = f"{piece}\n{line}" if piece else line
        if number - start > _LONGEST_STATEMENT:
            return
        if _parses(piece):
            yield start, piece
            piece, start = "", number + 1


def _parses(piece: str) -> bool:
    try:
        tomllib.loads(piece)
    except tomllib.TOMLDecodeError:
        return False
    return True


def _paths(data: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for key, value in data.items():
        yield (key,)
        below = value[0] if isinstance(value, list) and value and isinstance(value[0], dict) else value
        if isinstance(below, dict):
            yield from ((key, *path) for path in _paths(below))
