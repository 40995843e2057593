"""What a driver's errors mean to whoever has to act: the shape of the tables that the backends keep as data."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from controlroom.errors import DatabaseError

__all__ = ["Facts", "Meaning", "Meanings", "Phrases"]


@dataclass(frozen=True, slots=True)
class Meaning:
    """The class to raise, the fact and the next act, as clauses of a message."""

    kind: type[DatabaseError]
    fact: str
    next_act: str


class Facts(NamedTuple):
    """What an error names, and no more: never what stands in a row.

    *row* is the place of the row that was refused, counted from 0, among those that the failed statement was given.
    """

    sqlstate: str | None = None
    table: str | None = None
    column: str | None = None
    constraint: str | None = None
    row: int | None = None


class Phrases:
    """What a server may be quoted with: texts that name things, not what stands in them.

    Any text of a server may hold a value, those of triggers too; so what may be shown is listed, and not what may not.
    """

    def __init__(self, patterns: Iterable[str]) -> None:
        self._patterns = [re.compile(each) for each in patterns]

    def in_(self, text: str) -> str | None:
        """Return *text* where it is one of them, or its named groups, which are what may be shown; None where it is none."""
        for pattern in self._patterns:
            if match := pattern.fullmatch(text):
                return " … ".join(filter(None, match.groupdict().values())) or text
        return None


class Meanings(Protocol):
    """The errors of one kind of database."""

    def driver_error(self, error: BaseException) -> BaseException | None:
        """Return the driver's own exception, whether SQLAlchemy wrapped it or not; None where it is another's."""

    def meaning_of(self, error: BaseException) -> Meaning:
        """Return what *error*, an exception of the driver, means."""

    def leaves_commit_in_doubt(self, error: BaseException) -> bool:
        """Tell whether COMMIT, having raised *error*, may or may not have happened."""

    def misconfigured(self, error: BaseException) -> str | None:
        """Return what is wrong with the configuration, where *error*, of a connection that failed, shows that."""

    def facts_of(self, error: BaseException) -> Facts:
        """Return what *error* names."""

    def refused_write(self, error: BaseException) -> bool:
        """Tell whether *error* says that a unit that only reads tried to write."""

    def said(self, error: BaseException) -> str:
        """Return the text of *error*, without any value of a row."""

    def stand_in(self, error: BaseException) -> BaseException:
        """Return an exception of the class of *error*, a driver's, that holds what `said` and `facts_of` do, and no more."""
