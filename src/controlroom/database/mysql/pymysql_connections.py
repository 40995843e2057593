"""PyMySQL's connections as this package needs them."""

from __future__ import annotations

from typing import Any

from pymysql.connections import Connection  # type: ignore[import-untyped]  # the driver has no types

from controlroom.database.mysql.connections import OurConnection

__all__ = ["LimitedConnection"]


class LimitedConnection(OurConnection, Connection):  # type: ignore[misc]  # the driver has no types
    """A connection that leaves a silent server; see `limit`."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(defer_connect=True, **arguments)
        self.client_flag: int = self.flags(self.client_flag)
        self.connect()

    def limit(self, seconds: float) -> None:
        """Leave the server where it says nothing for *seconds*, closing the connection.

        The driver's own arguments are for good; it looks these up before each packet.
        """
        self._read_timeout = self._write_timeout = seconds

    def rollback(self) -> None:
        """ROLLBACK, where there is something to roll back: SQLAlchemy asks for it whenever it gives a connection back."""
        if self.in_transaction:
            super().rollback()

    def _read_query_result(self, unbuffered: bool = False) -> int:  # noqa: FBT001, FBT002 - the driver's signature
        super()._read_query_result(unbuffered=unbuffered)
        return self.counted(self._result)
