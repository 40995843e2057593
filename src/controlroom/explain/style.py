"""How text reaches a terminal: signs it can show, lines that fit, and nothing in it that could command it."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

__all__ = ["WIDTH", "Style", "counted", "many", "seconds"]

WIDTH: Final = 80
_LONGEST_TEXT: Final = 400
_LEAST_WIDTH: Final = 20  # of text, however deep it is indented
_MOST_COUNTED: Final = 8


@dataclass(frozen=True, slots=True)
class Style:
    """What the reader's terminal can do.

    Attributes:
        is_ascii: It shows ASCII only.
        is_coloured: It is a terminal, and understands colours.
    """

    is_ascii: bool = False
    is_coloured: bool = False

    def sign(self, sign: str) -> str:
        """Return a sign of ours, or what stands for it in ASCII."""
        return _IN_ASCII[sign] if self.is_ascii else sign

    def clean(self, text: str, longest: int = _LONGEST_TEXT) -> str:
        """Return *text*, which anybody may have written, as one line of printable characters, cut where it gets long."""
        begin = text[:longest].replace("\n", " ").replace("\t", " ")
        shown = "".join(character if character.isprintable() else self.sign("�") for character in begin)
        return shown + self.sign("…") if len(text) > longest else shown

    def lines(self, text: str, first: str, further: str | None = None, *, colour: str = "") -> Iterator[str]:
        """Yield *text* as lines that fit, the first one behind *first*, the others behind *further*."""
        further = first if further is None else further
        lead = first
        for line in _wrapped(self.clean(text), max(_LEAST_WIDTH, WIDTH - max(len(first), len(further)))):
            yield self.painted(f"{lead}{line}".rstrip(), colour)
            lead = further

    def painted(self, line: str, colour: str) -> str:
        """Return *line* in a colour, where there are colours."""
        return f"\x1b[{_COLOURS[colour]}m{line}\x1b[0m" if colour and self.is_coloured else line


_IN_ASCII: Final = {
    "✗": "!!", "├─ ": "|- ", "└─ ": "`- ", "│  ": "|  ", "…": "...", "�": "?", "→": "->",
}  # fmt: skip
_COLOURS: Final = {"bad": "1;31", "warned": "33", "title": "1", "faint": "2"}


def many(number: int, what: str) -> str:
    """Return a number of things, with their plural."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def counted(counts: Mapping[str, Any]) -> str:
    """Return names with how often each was there, the most frequent first."""
    shown = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    rest = len(shown) - _MOST_COUNTED
    further = [f"{rest} more"] if rest > 0 else []
    return ", ".join(
        [*(f"{name or 'no reason given'} x{number:,}" for name, number in shown[:_MOST_COUNTED]), *further]
    )


def seconds(value: float) -> str:
    """Return a duration as a person says it."""
    if value < 60:  # noqa: PLR2004 - a minute
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes:02} min {rest:02} s" if hours else f"{minutes} min {rest:02} s"


def _wrapped(text: str, width: int) -> Iterator[str]:
    line, used = "", 0
    for word in text.split():
        cells = _cells(word)
        if line and used + 1 + cells > width:
            yield line
            line, used = "", 0
        for piece, piece_cells in _broken(word, cells, width):
            if line and used + 1 + piece_cells > width:
                yield line
                line, used = "", 0
            line, used = (f"{line} {piece}", used + 1 + piece_cells) if line else (piece, piece_cells)
    yield line


def _broken(word: str, cells: int, width: int) -> Iterator[tuple[str, int]]:
    """Yield the pieces of a word that is longer than a line."""
    if cells <= width:
        yield word, cells
        return
    piece, used = "", 0
    for character in word:
        size = _cells(character)
        if used + size > width:
            yield piece, used
            piece, used = "", 0
        piece, used = piece + character, used + size
    yield piece, used


def _cells(text: str) -> int:
    """Return how many columns a terminal needs for *text*: two for what is wide in East Asia, none for a combining mark."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(character) else 1 + (unicodedata.east_asian_width(character) in "WF")
        for character in text
    )
