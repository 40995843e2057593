"""aiomysql's connections as this package needs them."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

from aiomysql.connection import Connection  # type: ignore[import-untyped]  # the driver has no types
from aiomysql.cursors import Cursor  # type: ignore[import-untyped]  # the driver has no types
from pymysql.constants import CR  # type: ignore[import-untyped]  # the driver has no types
from pymysql.err import OperationalError  # type: ignore[import-untyped]  # the driver has no types

from controlroom.database.mysql.connections import OurConnection

__all__ = ["connected"]


class _QuietCursor(Cursor):  # type: ignore[misc]  # the driver has no types
    """A cursor that does not ask for the server's warnings: in strict mode, what goes wrong is an error."""

    async def _show_warnings(self, conn: Any) -> None: ...


class _LimitedAsyncConnection(OurConnection, Connection):  # type: ignore[misc]  # the driver has no types
    """A connection that leaves a silent server; see `limit`."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(cursorclass=_QuietCursor, **arguments)
        self.client_flag: int = self.flags(self.client_flag)  # the driver asks for several statements in one
        self._alarm: asyncio.TimerHandle | None = None

    def limit(self, seconds: float | None) -> None:
        """Leave the server where it says nothing for *seconds*, closing the connection; None: wait."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if seconds is not None and self._writer is not None:
            # The loop's own timer: a sleeping task for every statement would cost more than the statement. Whoever reads
            # meets the end of the stream.
            self._alarm = asyncio.get_running_loop().call_later(seconds, self._writer.transport.abort)

    async def rollback(self) -> None:
        """ROLLBACK, where there is something to roll back: SQLAlchemy asks for it whenever it gives a connection back."""
        if self.in_transaction and not self.closed:
            await super().rollback()

    async def _read_query_result(self, unbuffered: bool = False) -> None:  # noqa: FBT001, FBT002 - the driver's signature
        await super()._read_query_result(unbuffered=unbuffered)
        self._affected_rows = self.counted(self._result)


async def connected(*, limit_s: float, **arguments: Any) -> Any:
    """Return a new connection; the driver limits how long TCP may take, but not what the server may say then."""
    if isinstance(arguments.get("ssl"), dict):  # as SQLAlchemy reads it from a URL
        files = arguments["ssl"]
        arguments["ssl"] = context = ssl.create_default_context(cafile=files.get("ca"), capath=files.get("capath"))
        if "cert" in files:
            context.load_cert_chain(files["cert"], files.get("key"))
    connection = _LimitedAsyncConnection(**arguments)
    try:
        async with asyncio.timeout(limit_s):
            await connection._connect()  # noqa: SLF001 - the driver's own connect() makes its own class
    except TimeoutError as error:
        message = f"no answer in {limit_s:g} s"
        raise OperationalError(CR.CR_CONN_HOST_ERROR, message) from error
    except BaseException:
        connection.close()
        raise
    return connection
