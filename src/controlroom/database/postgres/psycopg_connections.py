"""psycopg's connections, with a limit on how long they wait."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, TypeVar

import psycopg

from controlroom.database.postgres.limits import NoAnswerError, WaitLimit

__all__ = ["LimitedAsyncConnection", "LimitedConnection"]

T = TypeVar("T")


class LimitedConnection(psycopg.Connection[Any]):
    """A connection that leaves a silent server after a while, closed."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.limit: WaitLimit = WaitLimit()
        super().__init__(*args, **kwargs)

    def wait(self, gen: Generator[Any, Any, T], *args: Any, **kwargs: Any) -> T:
        """Wait for the server, within the limit."""
        try:
            return super().wait(self.limit.watching(gen), *args, **kwargs)
        except NoAnswerError as error:
            self.close()
            raise psycopg.OperationalError(str(error)) from error


class LimitedAsyncConnection(psycopg.AsyncConnection[Any]):
    """A connection that leaves a silent server after a while, closed."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.limit: WaitLimit = WaitLimit()
        super().__init__(*args, **kwargs)

    async def wait(self, gen: Generator[Any, Any, T], *args: Any, **kwargs: Any) -> T:
        """Wait for the server, within the limit."""
        try:
            return await super().wait(self.limit.watching(gen), *args, **kwargs)
        except NoAnswerError as error:
            await self.close()
            raise psycopg.OperationalError(str(error)) from error
