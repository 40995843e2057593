"""Named texts that processes change in turns: the count of a shared rate limit, a token."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Literal, TypeVar

from sqlalchemy import Table, update

from controlroom import clock
from controlroom.database.control import limits, tokens
from controlroom.database.marks import stored
from controlroom.database.unit import Unit
from controlroom.errors import TransactionConflictError

if TYPE_CHECKING:
    from controlroom.database.unit_of_work_async import AsyncUnitOfWork

__all__ = ["changed", "changed_async"]

T = TypeVar("T")
Part = Literal["limits", "tokens"]

_TABLES: Final[dict[Part, Table]] = {"limits": limits, "tokens": tokens}
_TRIES: Final = 8


def changed(unit: Unit, *, part: Part, name: str, change: Callable[[str | None], tuple[str | None, T]]) -> T:
    """Change what stands under *name*, and return what *change* says beside.

    Args:
        unit: A unit of its own.
        part: Which table.
        name: Which row; made where it is missing.
        change: Returns the new text (None: leave it) for the old one (None: there is none). Without effects: called
            again where another process was faster, on a server whose units do not lock what they read.

    Raises:
        TransactionConflictError: Others were faster each time. Nothing was changed.
        QueryError: The control tables are missing.
    """
    for _ in range(_TRIES):
        before = stored(unit._work, _TABLES[part], name)  # noqa: SLF001 - one floor, two files
        after, outcome = change(before)
        if after is None or after == before or _replaced(unit, _TABLES[part], name, before, after):
            return outcome
    message = f"{name!r} was changed by others {_TRIES} times while it was read. Nothing was changed. Try again."
    raise TransactionConflictError(message)


async def changed_async(
    unit: AsyncUnitOfWork, *, part: Part, name: str, change: Callable[[str | None], tuple[str | None, T]]
) -> T:
    """Change what stands under *name*; see `changed`."""
    outcome: T = await unit._run(lambda: changed(unit._unit, part=part, name=name, change=change))  # noqa: SLF001 - one floor, two files
    return outcome


def _replaced(unit: Unit, table: Table, name: str, before: str | None, after: str) -> bool:
    values = {"value": after, "updated_at": clock.utcnow().isoformat()}
    if before is None:
        statement = unit._work.backend.insert_unless_there(table, {"name": name, **values})  # noqa: SLF001 - one floor, two files
        # psycopg's cursor forgets the count when it is closed, which SQLAlchemy does for an INSERT.
        return unit.execute(statement.execution_options(preserve_rowcount=True)).rowcount == 1
    seen = (table.c.name == name) & (table.c.value == before)
    return unit.execute(update(table).where(seen).values(**values)).rowcount == 1
