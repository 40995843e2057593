"""How a text of SQL falls into pieces, as its database will read it: code, quoted, comment. Pure.

Where this reading and the database's could differ, a piece is taken for code: what looks like a second statement is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final

__all__ = ["MYSQL", "POSTGRESQL", "SQLITE", "STANDARD", "Grammar", "Kind", "grammar_for"]


class Kind(Enum):
    """What a piece of a text is."""

    CODE = 1
    QUOTED = 2
    COMMENT = 3


_COMMENT_EDGES: Final = re.compile(r"/\*|\*/")
_PLAIN: Final = r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|/\*"
_WITH_BACKSLASHES: Final = r"'(?:[^'\\]|\\.|'')*'"
# postgresql.org/docs/current/sql-syntax-lexical.html; a string goes on in the next line, an E string with its backslashes.
_ESCAPED: Final = rf"(?<![\w$])[eE]{_WITH_BACKSLASHES}(?:(?:\s|--[^\n]*\n)+{_WITH_BACKSLASHES})*"
_DOLLARS: Final = r"(?<![\w$])\$(?P<tag>(?:[^\W\d]\w*)?)\$.*?\$(?P=tag)\$"


@dataclass(frozen=True, eq=False)
class Grammar:
    """What one kind of database takes for quotes and comments.

    Attributes:
        name: As it stands in front of a URL.
        quote: What stands around a name, and twice for itself within.
        longest_name_bytes: What is longer would be cut without a word; None where nothing is.
    """

    name: str
    quote: str
    opening: re.Pattern[str]
    nests_comments: bool
    longest_name_bytes: int | None = None

    def pieces(self, text: str) -> Iterator[tuple[str, Kind]]:
        """Yield *text* piece by piece, nothing left out."""
        done = 0
        while match := self.opening.search(text, done):
            if match.start() > done:
                yield text[done : match.start()], Kind.CODE
            is_block = match[0] == "/*"
            is_comment = is_block or match[0].startswith(("--", "#"))
            start, done = match.start(), self._end_of_comment(text, match.end()) if is_block else match.end()
            yield text[start:done], Kind.COMMENT if is_comment else Kind.QUOTED
        if done < len(text):
            yield text[done:], Kind.CODE

    def _end_of_comment(self, text: str, start: int) -> int:
        depth = 1
        for edge in _COMMENT_EDGES.finditer(text, start):
            if edge[0] == "*/":
                depth -= 1
            elif self.nests_comments:
                depth += 1
            if depth == 0:
                return edge.end()
        return len(text)


STANDARD: Final = Grammar("standard", '"', re.compile(_PLAIN, re.DOTALL), nests_comments=False)
SQLITE: Final = Grammar(
    "sqlite", '"', re.compile(rf"{_PLAIN}|`(?:[^`]|``)*`|\[[^\]]*\]", re.DOTALL), nests_comments=False
)
POSTGRESQL: Final = Grammar(
    "postgresql",
    '"',
    re.compile(f"{_ESCAPED}|{_PLAIN}|{_DOLLARS}", re.DOTALL),
    nests_comments=True,
    longest_name_bytes=63,
)
MYSQL: Final = Grammar(
    "mysql",
    "`",
    re.compile(
        rf"{_WITH_BACKSLASHES}|\"(?:[^\"\\]|\\.|\"\")*\"|`(?:[^`]|``)*`|--(?=\s|\Z)[^\n]*|#[^\n]*|/\*(?!!)", re.DOTALL
    ),
    nests_comments=False,
    longest_name_bytes=64 * 4,
)
_GRAMMARS: Final = {"sqlite": SQLITE, "postgresql": POSTGRESQL, "mysql": MYSQL, "mariadb": MYSQL}


def grammar_for(drivername: str) -> Grammar:
    """Return the grammar of a URL's *drivername*, like "postgresql+psycopg"."""
    return _GRAMMARS.get(drivername.partition("+")[0], STANDARD)
