"""JSON with positions: what a file says, on which line, and which key it says twice."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NoReturn

from controlroom.settings.positions import Broken, Document, first_lines, unquoted

__all__ = ["read"]

_NO_NUMBER = re.compile(r"-?Infinity|NaN|-?\d{4301,}")
_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\],:]|[^\s{}\[\],:"]+')


def read(text: str) -> Document:
    """Return what *text* says.

    Raises:
        Broken: It is not JSON (RFC 8259: no comment, no trailing comma, no NaN), or no object, or a number has more than 4300 digits.
    """
    try:
        data = json.loads(text, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        raise Broken(error.lineno, error.colno, unquoted(error.msg).rstrip(": ")) from None
    except ValueError:
        raise _no_number(text) from None
    if not isinstance(data, dict):
        raise Broken(1, 1, "It holds no object")
    lines, repeated = first_lines(_keys(text))
    return Document(data, lambda: lines, repeated)


def _refuse(constant: str) -> NoReturn:
    message = f"{constant} is no JSON number"
    raise ValueError(message)


def _no_number(text: str) -> Broken:
    """Return where the first number stands that JSON has no form for, or Python refuses to read (4300 digits)."""
    found = next(token for token in _TOKEN.finditer(text) if _NO_NUMBER.fullmatch(token[0]))
    line, column = text.count("\n", 0, found.start()) + 1, found.start() - text.rfind("\n", 0, found.start())
    return Broken(line, column, "No number that can be read")


def _keys(text: str) -> Iterator[tuple[tuple[str, ...], int]]:
    """Yield each key of a valid *text* by its path, with its line; an item of a list goes by its index."""
    around: list[Any] = []  # for each open object its last key, for each open list its last index
    line, seen, before_key = 1, 0, False
    for token in _TOKEN.finditer(text):
        line += text.count("\n", seen, token.start())
        seen = token.start()
        piece = token[0]
        if before_key and piece != "}":
            around[-1] = json.loads(piece)
            before_key = False
            yield tuple(map(str, around)), line
        elif piece in "{[":
            before_key = piece == "{"
            around.append("" if before_key else 0)
        elif piece in "}]":
            around.pop()
            before_key = False
        elif piece == ",":
            before_key = isinstance(around[-1], str)
            around[-1] = around[-1] if before_key else around[-1] + 1
