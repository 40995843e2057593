"""Work on what processes share, as a step of a flow: on a file, or on a row of a database, in both colours."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, Protocol, TypeGuard, TypeVar

from controlroom.draining import drained
from controlroom.errors import ConfigError

__all__ = ["FileWork", "RowWork", "Work", "is_path", "require_colour"]

T = TypeVar("T")
Change = Callable[[str | None], tuple[str | None, Any]]


class Work(Protocol):
    """Something short, to be done while nobody else does it."""

    def run(self) -> Any:
        """Do it and return what came of it."""

    async def arun(self) -> Any:
        """Do it without blocking the event loop."""


@dataclass(frozen=True, slots=True)
class FileWork:
    """Calls *act*; asyncio has it done by a thread."""

    act: Callable[[], Any]

    def run(self) -> Any:
        """Call it here."""
        return self.act()

    async def arun(self) -> Any:
        """Call it in a thread, to its end."""
        from controlroom.storage.threads import in_thread  # noqa: PLC0415 - only those who share pay for files

        return await in_thread(self.act)


@dataclass(frozen=True, slots=True)
class RowWork:
    """Changes row *name* of a control table *part* by *change*, a function without effects, which may be called again."""

    database: Any
    part: Literal["limits", "tokens"]
    name: str
    change: Change

    def run(self) -> Any:
        """Change it in a unit of its own."""
        from controlroom.database.registers import changed  # noqa: PLC0415 - only those who share pay for a database

        return self.database.transact(partial(changed, part=self.part, name=self.name, change=self.change))

    async def arun(self) -> Any:
        """Change it in a unit of its own, seen through: a token that was not written because a task was cancelled is lost."""
        from controlroom.database.registers import changed_async  # noqa: PLC0415 - as above

        change = partial(changed_async, part=self.part, name=self.name, change=self.change)
        return await drained(self.database.transact(change))


def is_path(place: object) -> TypeGuard[str | os.PathLike[str]]:
    """Tell whether *place* is a path, and so no database."""
    return isinstance(place, str | os.PathLike)


def require_colour(what: str, place: object, colour: Literal["sync", "async"]) -> None:
    """Refuse a database whose units a client of *colour* cannot run.

    Raises:
        ConfigError: It is of the other colour.
    """
    if place is None or is_path(place):
        return
    if inspect.iscoroutinefunction(getattr(place, "transact", None)) != (colour == "async"):
        mine, wanted = type(place).__name__, "AsyncDatabase" if colour == "async" else "Database"
        client = "AsyncApiClient" if colour == "async" else "ApiClient"
        article = "an" if mine.startswith("A") else "a"
        message = f"{what} is {article} {mine}, and {client} cannot use it: give {wanted}(url), or the path of a file."
        raise ConfigError(message)
