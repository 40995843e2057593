"""Statements that would break what a unit of work promises, and why. Data, by kind of database."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["refusal_of"]

_UNIT: Final = (
    "the unit of work commits or rolls back itself",
    "Use uow.rollback() or uow.savepoint(), or leave the block.",
)
_LEVEL: Final = (
    "the unit of work has begun with its isolation level already",
    "Use db.unit_of_work(read_only=…, isolation=…).",
)
_SESSION: Final = ("it outlives this unit, on a connection that others get", "Use SET LOCAL, which ends with the unit.")
_PREPARED: Final = (
    "prepared statements outlive this unit, on a connection that others get",
    "Run the statement itself: drivers prepare what comes often.",
)
_COPY: Final = (
    "it goes on in a protocol of its own",
    "Use uow.load(table, rows) to write, db.stream(query) to read.",
)
_LISTEN: Final = (
    "the connection goes back to the pool, and nobody would hear it",
    "Listen on a connection of the driver's own.",
)
_HOLD: Final = ("it outlives this unit, on a connection that others get", "Use db.stream(query).")
_LOCKS: Final = ("it commits what came before", "Use SELECT … FOR UPDATE.")

_ENDS: Final = (r"BEGIN|START TRANSACTION|COMMIT|END|ROLLBACK|ABORT|SAVEPOINT|RELEASE", _UNIT)
# Against the words of the statement's code, in capitals, with one blank between. What only the server can judge, and does
# (VACUUM, CREATE DATABASE, CALL of a procedure that commits), is left to it.
_RULES: Final[dict[str, tuple[tuple[str, tuple[str, str]], ...]]] = {
    "postgresql": (
        (r"PREPARE TRANSACTION", _UNIT),
        (r"PREPARE|DEALLOCATE", _PREPARED),
        (r"SET (?:LOCAL )?TRANSACTION(?:_\w+)?|SET SESSION CHARACTERISTICS", _LEVEL),
        (r"SET (?!LOCAL\b|CONSTRAINTS\b)\w+|RESET|DISCARD", _SESSION),
        (r"COPY\b.*? (?:FROM STDIN|TO STDOUT)", _COPY),
        (r"LISTEN|UNLISTEN", _LISTEN),
        (r"DECLARE\b.*? WITH HOLD", _HOLD),
    ),
    "mysql": (
        (r"XA", _UNIT),
        (r"LOCK|UNLOCK", _LOCKS),
        (r"SET (?:LOCAL |SESSION |GLOBAL )?TRANSACTION", _LEVEL),
        (r"SET (?:SESSION |LOCAL )?AUTOCOMMIT", _UNIT),
        (r"PREPARE|DEALLOCATE", _PREPARED),
    ),
}
_COMPILED: Final = {
    name: tuple((re.compile(rf"(?:{pattern})\b"), why) for pattern, why in (_ENDS, *rules))
    for name, rules in {"sqlite": (), "standard": (), **_RULES}.items()
}


def refusal_of(words: str, grammar: str) -> tuple[str, str, str] | None:
    """Return what a statement of *words* is called, why it is refused and what to do instead; None where it is not."""
    for pattern, why in _COMPILED[grammar]:
        if match := pattern.match(words):
            return " ".join(match[0].split()[:2]), *why
    return None
