"""A document's prose as comments and docstrings, in which nothing of it is a command to any tool."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from typing import Final

from controlroom.generate.literals import LINE_LENGTH

__all__ = ["comment", "docstring", "paragraphs", "sentence", "shortened"]

# "# fmt: off", "# type: ignore", "# mypy: ignore-errors", "# -*- coding: utf-7 -*-": some tools look at every line.
_COMMAND: Final = re.compile(
    r"(?i)\b(coding|fmt|yapf|black|isort|ruff|flake8|noqa|nosec|type|mypy|pyright|pyre|pylint|pragma|vim?|ex)(\s*)[:=]"
)
_SENTENCE: Final = re.compile(r"(?<=[.!?])\s")


def paragraphs(text: object, *, most_signs: int = 600) -> list[str]:
    """Return the paragraphs of *text*, each one line of printable signs; what is longer is cut, and shows it."""
    if not isinstance(text, str):
        return []
    found = (shortened(part, most_signs) for part in re.split(r"\n\s*\n", text[: most_signs * 4]))
    kept: list[str] = []
    for paragraph in filter(None, found):
        if sum(map(len, kept)) + len(paragraph) > most_signs:
            break
        kept.append(paragraph)
    return kept


def shortened(text: str, most_signs: int) -> str:
    """Return *text* as one line of printable signs, at most *most_signs* of them."""
    visible = text if text.isprintable() else "".join(sign if sign.isprintable() else " " for sign in text)
    line = " ".join(visible.split())
    return line if len(line) <= most_signs else f"{line[: most_signs - 1].rstrip()}…"


def sentence(text: object, *, most_signs: int = 200) -> str:
    """Return the first sentence of *text*, or ""."""
    found = paragraphs(text, most_signs=most_signs)
    return _SENTENCE.split(found[0], maxsplit=1)[0] if found else ""


def comment(lines: Sequence[str], indent: int) -> list[str]:
    """Return *lines* as comments, wrapped."""
    margin = " " * indent
    return [f"{margin}# {line}" for text in lines for line in _wrapped(text, LINE_LENGTH - indent - 2)]


def docstring(parts: Sequence[str], indent: int) -> list[str]:
    """Return *parts* as the lines of a docstring, one paragraph each. *parts* must not be empty."""
    margin = " " * indent
    width = LINE_LENGTH - indent - 6  # the quotes on both sides
    wrapped = [[_in_quotes(line) for line in _wrapped(part, width)] for part in parts]
    lines = [line for part in wrapped for line in ["", *part]][1:]
    if len(lines) == 1:
        return [f'{margin}"""{lines[0]}"""']
    return [f'{margin}"""{lines[0]}', *(f"{margin}{line}" if line else "" for line in lines[1:]), f'{margin}"""']


def _wrapped(text: str, width: int) -> list[str]:
    """Break *text*, which no word may make longer than *width*."""
    lines = textwrap.wrap(text, width, break_on_hyphens=False) or [""]
    return [_COMMAND.sub(r"\1\2;", line).strip() for line in lines]


def _in_quotes(line: str) -> str:
    """Return *line* as it stands in a docstring: quotes only where they cannot end it, backslashes doubled."""
    line = re.sub(r'^"|"$|"(?=")|(?<=")"', "'", line)
    return line.replace("\\", "\\\\")
