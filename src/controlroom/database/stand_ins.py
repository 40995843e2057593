"""What stands in for an exception that shows a row: one of the same class, with its traceback and without the values.

Drivers and servers quote what they could not store: "Key (email)=(…) already exists", "Failing row contains (…)", the input
that is no number, the line of COPY. Whoever prints the cause of our error would print that. So the cause is never the
exception that was caught: it is built anew, of the same classes, from what `Meanings` lets through. The statement is shown
without its literals, and the parameters are gone.
"""

from __future__ import annotations

import re
from typing import Final

from sqlalchemy import exc

from controlroom.database.meanings import Meanings

__all__ = ["without_literals", "without_values"]

_QUOTED: Final = re.compile(r"'(?:[^']|'')*(?:'|$)|\$(?P<tag>\w*)\$.*?(?:\$(?P=tag)\$|$)", re.DOTALL)
_NUMBER: Final = re.compile(r"(?<![\w$:%.\"])\d[\w.]*")


def without_values(error: BaseException, meanings: Meanings) -> BaseException:
    """Return what stands in for *error*, of SQLAlchemy or of a driver; *error* itself where it is another's."""
    origin = meanings.driver_error(error)
    stand_in = error if origin is None else meanings.stand_in(origin).with_traceback(origin.__traceback__)
    if isinstance(error, exc.StatementError):
        stand_in = _rewrapped(error, error.orig if origin is None else stand_in)
    return stand_in


def without_literals(sql: str | None) -> str | None:
    """Return *sql* with an ellipsis for each literal."""
    return sql if sql is None else _NUMBER.sub("…", _QUOTED.sub("'…'", sql))


def _rewrapped(error: exc.StatementError, origin: BaseException | None) -> exc.StatementError:
    statement = without_literals(error.statement)
    wrapper: exc.StatementError
    if isinstance(error, exc.DBAPIError) and origin is not None:
        lost = error.connection_invalidated
        wrapper = type(error)(
            statement, None, origin, hide_parameters=True, connection_invalidated=lost, code=error.code
        )
    else:
        text = str(origin.args[0]) if isinstance(origin, exc.SQLAlchemyError) and origin.args else type(origin).__name__
        wrapper = exc.StatementError(text, statement, None, origin, hide_parameters=True, code=error.code)
    wrapper.__cause__ = origin
    return wrapper.with_traceback(error.__traceback__)
