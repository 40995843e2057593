"""What a driver's errors mean to whoever has to act: the shape of the tables that the backends keep as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from controlroom.errors import DatabaseError

__all__ = ["Meaning", "Meanings"]


@dataclass(frozen=True, slots=True)
class Meaning:
    """The class to raise, the fact and the next act, as clauses of a message."""

    kind: type[DatabaseError]
    fact: str
    next_act: str


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

    def table_of(self, error: BaseException) -> str | None:
        """Return the table that *error* names."""

    def refused_write(self, error: BaseException) -> bool:
        """Tell whether *error* says that a unit that only reads tried to write."""

    def said(self, error: BaseException) -> str:
        """Return the text of *error*, without any value of a row."""
