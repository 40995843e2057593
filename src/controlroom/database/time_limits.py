"""How long a statement may take, and whose limit that is."""

from __future__ import annotations

from typing import Literal, NamedTuple

from controlroom.clock import current_deadline
from controlroom.errors import ControlRoomError, DeadlineExceededError, QueryError

__all__ = ["TimeLimit", "limit_of"]


class TimeLimit(NamedTuple):
    """The time that one statement has, seconds, and the rule that says so."""

    seconds: float
    rule: Literal["statement_timeout_s", "deadline"] = "statement_timeout_s"

    def stopped(self, what: str) -> ControlRoomError:
        """Return what to raise for a statement that this limit stopped."""
        if self.rule == "deadline":
            message = (
                f"{what}: stopped after {self.seconds:.1f} s, at the deadline. Its unit of work can only be rolled "
                "back. Run the unit again with more time."
            )
            return DeadlineExceededError(message)
        message = (
            f"{what}: stopped after statement_timeout_s={self.seconds:g} s. Its unit of work can only be rolled back. "
            "Make the statement cheaper (an index, a smaller range), or give the Database a longer statement_timeout_s."
        )
        return QueryError(message)


def limit_of(what: str, statement_timeout_s: float) -> TimeLimit:
    """Return the limit of a statement that begins now.

    Raises:
        DeadlineExceededError: The ambient deadline has passed.
    """
    deadline = current_deadline()
    if deadline is None:
        return TimeLimit(statement_timeout_s)
    deadline.require(what)
    remaining_s = deadline.remaining_s()
    return TimeLimit(remaining_s, "deadline") if remaining_s < statement_timeout_s else TimeLimit(statement_timeout_s)
