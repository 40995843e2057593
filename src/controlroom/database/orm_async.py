"""The ORM inside a unit of work, for asyncio."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, NoReturn

from sqlalchemy.ext.asyncio import AsyncSession

from controlroom.database.orm import UnitSession
from controlroom.errors import QueryError

__all__ = ["AsyncUnitSession"]

SeenThrough = Callable[[Callable[[], Awaitable[Any]]], Coroutine[Any, Any, Any]]

# `scalars` goes by way of `execute`.
_STATEMENTS = ("execute", "scalar", "get", "get_one", "flush", "refresh", "merge", "delete", "run_sync")


class AsyncUnitSession(AsyncSession):
    """An ORM session inside a unit of work; see `AsyncUnitOfWork.session`.

    What it awaits is seen through to its end, like a statement of the unit, also where the task is cancelled.
    """

    def __init__(self, session: UnitSession, seen_through: SeenThrough) -> None:
        made: Any = lambda **_: session  # noqa: E731 - AsyncSession wants to make it
        super().__init__(sync_session_class=made)
        self._seen_through = seen_through

    async def stream(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse: a cursor that stays open would stand in the way of COMMIT."""
        self._refuse("stream")

    async def stream_scalars(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse: a cursor that stays open would stand in the way of COMMIT."""
        self._refuse("stream_scalars")

    async def connection(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse: the connection is the unit's."""
        self._refuse("connection")

    def _refuse(self, what: str) -> NoReturn:
        message = (
            f"session.{what}() is not for the session of a unit of work. Nothing was run. Use db.stream, uow.execute."
        )
        raise QueryError(message)


def _guarded(name: str) -> Callable[..., Coroutine[Any, Any, Any]]:
    plain = getattr(AsyncSession, name)

    async def method(self: AsyncUnitSession, *args: Any, **kwargs: Any) -> Any:
        return await self._seen_through(lambda: plain(self, *args, **kwargs))

    method.__name__, method.__doc__ = name, plain.__doc__
    return method


for _name in _STATEMENTS:
    setattr(AsyncUnitSession, _name, _guarded(_name))
