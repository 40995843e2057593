"""psycopg's connections: with a limit on how long they wait, and of no use to a forked child.

A child has its parent's socket. Whatever it said there, a goodbye included, it would say in the parent's name.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import Any, TypeVar

import psycopg

from controlroom.database.postgres.limits import GRACE_S, NoAnswerError, WaitLimit

__all__ = ["LimitedAsyncConnection", "LimitedConnection"]

T = TypeVar("T")


class LimitedConnection(psycopg.Connection[Any]):
    """A connection that leaves a silent server after a while, closed."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.limit: WaitLimit = WaitLimit()
        self._process = os.getpid()
        super().__init__(*args, **kwargs)

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
