"""psycopg's connections: with a limit on how long they wait, and of no use to a forked child.

A child has its parent's socket. Whatever it said there, a goodbye included, it would say in the parent's name.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import Any, Final, TypeVar

import psycopg
from psycopg import generators
from psycopg.pq import ExecStatus

from controlroom.database.postgres.limits import GRACE_S, NoAnswerError, WaitLimit

__all__ = ["LimitedAsyncConnection", "LimitedConnection"]

T = TypeVar("T")

# By a cursor, so that psycopg forgets what it has prepared: the tables may not be there any more, or be made anew.
_ROLLBACK: Final = "ROLLBACK"
_DONE: Final = (ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK)


class LimitedConnection(psycopg.Connection[Any]):
    """A connection that leaves a silent server after a while, closed."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.limit: WaitLimit = WaitLimit()
        self._process = os.getpid()
        super().__init__(*args, **kwargs)

    def ask(self, sql: str) -> str | None:
        """Run *sql*, one query or several commands; return the first value of the query, or the last command's tag."""
        if sql.startswith(_ROLLBACK):
            return self.execute(sql, prepare=False).statusmessage
        answer: str | None = self.wait(_asked(self, sql))
        return answer

    def wait(self, gen: Generator[Any, Any, T], *args: Any, **kwargs: Any) -> T:
        """Wait for the server, within the limit."""
        _require_own(self._process)
        try:
            return super().wait(self.limit.watching(gen), *args, **kwargs)
        except NoAnswerError as error:
            self.close()
            raise psycopg.OperationalError(str(error)) from error
        except BaseException as error:
            _forsake_pipeline(self, error)
            raise

    def cancel_safe(self, *, timeout: float = GRACE_S) -> None:
        """Ask the server to stop the statement that runs; psycopg does so for whoever is interrupted, and takes 5 s."""
        super().cancel_safe(timeout=min(timeout, GRACE_S))

    def rollback(self) -> None:
        """ROLLBACK, which SQLAlchemy says of its own accord."""
        if self._process == os.getpid():
            super().rollback()

    def close(self) -> None:
        """Take leave of the server."""
        if self._process == os.getpid():
            super().close()


class LimitedAsyncConnection(psycopg.AsyncConnection[Any]):
    """A connection that leaves a silent server after a while, closed."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.limit: WaitLimit = WaitLimit()
        self._process = os.getpid()
        super().__init__(*args, **kwargs)

    async def ask(self, sql: str) -> str | None:
        """Run *sql*, one query or several commands; return the first value of the query, or the last command's tag."""
        if sql.startswith(_ROLLBACK):
            return (await self.execute(sql, prepare=False)).statusmessage
        answer: str | None = await self.wait(_asked(self, sql))
        return answer

    async def wait(self, gen: Generator[Any, Any, T], *args: Any, **kwargs: Any) -> T:
        """Wait for the server, within the limit."""
        _require_own(self._process)
        try:
            return await super().wait(self.limit.watching(gen), *args, **kwargs)
        except NoAnswerError as error:
            await self.close()
            raise psycopg.OperationalError(str(error)) from error
        except BaseException as error:
            _forsake_pipeline(self, error)
            raise

    async def cancel_safe(self, *, timeout: float = GRACE_S) -> None:  # noqa: ASYNC109 - psycopg's own signature
        """Ask the server to stop the statement that runs; psycopg does so for whoever is cancelled, and takes 5 s."""
        await super().cancel_safe(timeout=min(timeout, GRACE_S))

    async def rollback(self) -> None:
        """ROLLBACK, which SQLAlchemy says of its own accord."""
        if self._process == os.getpid():
            await super().rollback()

    async def close(self) -> None:
        """Take leave of the server."""
        if self._process == os.getpid():
            await super().close()


def _asked(connection: psycopg.Connection[Any] | psycopg.AsyncConnection[Any], sql: str) -> Generator[Any, Any, Any]:
    """Have *sql* answered, as a simple query and past psycopg's cursors: they would prepare it and take twice as long."""
    connection.pgconn.send_query(sql.encode())
    results = yield from generators.execute(connection.pgconn)
    for result in results:
        if result.status not in _DONE:
            raise psycopg.errors.error_from_result(result, encoding=connection.info.encoding)
    last = results[-1]
    if not last.ntuples:
        return last.command_status.decode()
    value = last.get_value(0, 0)
    return None if value is None else value.decode()


def _require_own(process: int) -> None:
    if process != os.getpid():
        message = "this connection belongs to the parent process"
        raise psycopg.OperationalError(message)


def _forsake_pipeline(connection: psycopg.Connection[Any] | psycopg.AsyncConnection[Any], error: BaseException) -> None:
    """Close a connection on which an executemany was interrupted.

    psycopg may leave it in pipeline mode then: whatever came next would be sent, a COMMIT included, and its answer not read.
    """
    if not isinstance(error, Exception) and connection.pgconn.pipeline_status:
        connection.pgconn.finish()
