"""What both drivers' connections have in common here: which values are sent, and how an answer is counted."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, Final
from uuid import UUID

from pymysql.constants import CLIENT, SERVER_STATUS  # type: ignore[import-untyped]  # the driver has no types
from pymysql.err import ProgrammingError  # type: ignore[import-untyped]  # the driver has no types

from controlroom.database.mysql.statements import told

__all__ = ["OurConnection"]

_SENT_AS_THEY_ARE: Final = (bool, int, float, str, Decimal, date, datetime, time, timedelta, type(None))


class OurConnection:
    """Comes before the driver's own class.

    * The count of an UPDATE is that of the rows it found, as other databases say it; that of an upsert tells new rows from
      changed ones and from those that were like this already.
    * An aware datetime is sent in UTC: the drivers drop its offset, whatever it is. What has no form of its own is refused:
      they would send its ``str()``.
    * One statement at a time.
    """

    updated: int = 0
    """How many rows were updated by upserts, added up; whoever wants to know sets it to 0 first."""

    @staticmethod
    def flags(wanted: int) -> int:
        """Return the capabilities to ask the server for."""
        return wanted & ~int(CLIENT.FOUND_ROWS | CLIENT.MULTI_STATEMENTS)

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction was open when the server last said so, which it does not with an error."""
        status: int = getattr(self, "server_status", 0)
        return bool(status & SERVER_STATUS.SERVER_STATUS_IN_TRANS)

    @property
    def is_streaming(self) -> bool:
        """Whether rows of an earlier statement are still on their way: another statement would lose them."""
        return bool(getattr(getattr(self, "_result", None), "unbuffered_active", False))

    def escape(self, obj: Any, *args: Any) -> Any:
        """Return *obj* as a literal."""
        if isinstance(obj, bytes | bytearray | memoryview):
            return f"X'{bytes(obj).hex()}'"
        return super().escape(_plain(obj), *args)  # type: ignore[misc]  # of the driver's class, which comes next

    def counted(self, result: Any) -> int:
        """Return how many rows the statement of *result* touched."""
        affected = int(result.affected_rows or 0)
        about = told(result.message, affected)
        self.updated += about.updated
        if about.matched is not None:
            result.affected_rows = affected = about.matched
        return affected


def _plain(value: Any) -> Any:
    if isinstance(value, datetime) and value.utcoffset() is not None:
        return value.astimezone(UTC).replace(tzinfo=None)
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, Enum) and isinstance(value, int | float | str):
        return value.value
    if not isinstance(value, _SENT_AS_THEY_ARE):
        message = f"a {type(value).__name__} cannot be sent"
        raise ProgrammingError(0, message)
    return value
