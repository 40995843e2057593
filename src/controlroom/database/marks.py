"""What a unit remembers beside its data: the ledger of keys, checkpoints, watermarks. Once for both colours."""

from __future__ import annotations

import json
from collections.abc import Callable
from enum import Enum
from typing import Any, Final

from sqlalchemy import CursorResult, Executable, Table, select

from controlroom import clock
from controlroom.database.control import checkpoints, watermarks
from controlroom.database.plain import json_of
from controlroom.database.transaction import Transaction
from controlroom.errors import QueryError, TransactionConflictError
from controlroom.policy.watermark import WatermarkValue, advanced, decode, encode

__all__ = ["ANY", "Checkpoints", "Unasked", "Watermarks", "stored"]

_ROUNDS: Final = 3
"""How often a row is looked for where another unit made or deleted it meanwhile."""


class Unasked(Enum):
    """The default of an argument for which None means something."""

    ANY = "whatever stands there"


ANY: Final = Unasked.ANY
"""Whatever stands there now."""


def _now() -> str:
    return clock.utcnow().isoformat()


def _named(name: object, what: str) -> str:
    if not isinstance(name, str) or not name:
        message = f"A {what} needs a text that is not empty, not {name!r}. Nothing was run."
        raise QueryError(message)
    return name


def stored(work: Transaction, table: Table, name: str) -> str | None:
    """Return what stands under *name* in *table*, one with a name and a value; None where there is no row."""
    query = select(table.c.value).where(table.c.name == name)
    value: str | None = work.run(table.name, lambda: work.connection.execute(query).scalar(), table.name)
    return value


def _run(work: Transaction, table: Table, statement: Executable) -> CursorResult[Any]:
    # psycopg's cursor forgets the count when it is closed, which SQLAlchemy does for an INSERT.
    counted = statement.execution_options(preserve_rowcount=True)
    result: CursorResult[Any] = work.run(table.name, lambda: work.connection.execute(counted), table.name)
    return result


def _row_of(name: str, value: str) -> dict[str, str]:
    return {"name": name, "value": value, "updated_at": _now()}


def _store(work: Transaction, table: Table, name: str, value: str) -> None:
    _run(work, table, work.backend.insert_or_replace(table, _row_of(name, value), key="name"))


def _change(work: Transaction, table: Table, name: str, decide: Callable[[str | None], str | None]) -> bool:
    """Store what *decide* makes of the value under *name*, with nobody changing it in between; False for None: leave it.

    A row is locked by reading it. Where there is none, the row that is inserted is the lock; whoever was faster with it is
    waited for, and then his value is read.

    Raises:
        TransactionConflictError: The row was made and deleted again each time.
    """
    for _ in range(_ROUNDS):
        query = select(table.c.value).where(table.c.name == name).with_for_update()
        before = _run(work, table, query).scalar()
        if (after := decide(before)) is None:
            return False
        if before is not None:
            _store(work, table, name, after)
            return True
        if _run(work, table, work.backend.insert_unless_there(table, _row_of(name, after))).rowcount == 1:
            return True
    message = f"{name!r} was made and deleted by others while it was read. Nothing was changed. Run the unit again."
    raise TransactionConflictError(message, table=table.name)


def _moved(work: Transaction, what: str, name: str) -> TransactionConflictError:
    error = TransactionConflictError(
        f"The {what} {name!r} does not stand where it was expected: another unit has moved it. This unit can only be rolled "
        "back. Read it again, and do the work from there."
    )
    work.doom(error)  # whoever swallows it would commit work that somebody else has done
    return error


class Checkpoints:
    """Resumable positions by name; they commit with the data. ``uow.checkpoints``."""

    def __init__(self, work: Transaction) -> None:
        self._work = work

    def get(self, name: str, default: Any = None) -> Any:
        """Return the value stored under *name*, or *default*."""
        text = stored(self._work, checkpoints, _named(name, "checkpoint"))
        return default if text is None else json.loads(text)

    def set(self, name: str, value: Any, expected: Any = ANY) -> None:
        """Store *value* under *name*, in place of what was there.

        Args:
            name: The checkpoint.
            value: JSON-ready: what `get` returns is equal to it, but for tuples, which come back as lists.
            expected: Only if this is what stands there; None for nothing. Compared in the database, with the row locked: of
                two units that read the same position, one goes on from it.

        Raises:
            QueryError: *value* or *expected* is not JSON-ready. Nothing was changed.
            TransactionConflictError: Something else than *expected* stands there. The unit can only be rolled back.
        """
        _named(name, "checkpoint")
        text = json_of(value, f"Checkpoint {name!r}", "Nothing was changed.")
        if expected is ANY:
            _store(self._work, checkpoints, name, text)
        else:
            self._replace(name, text, expected)
        self._work.marks["checkpoint", name] = (None, None)  # the value is the caller's: a position may hold a token

    def _replace(self, name: str, text: str, expected: Any) -> None:
        plain = json.loads(json_of(expected, f"What is expected of checkpoint {name!r}", "Nothing was changed."))

        def decide(before: str | None) -> str:
            if (None if before is None else json.loads(before)) != plain:
                raise _moved(self._work, "checkpoint", name)
            return text

        _change(self._work, checkpoints, name, decide)


class Watermarks:
    """How far the data is complete, by name; they commit with the data and never go back. ``uow.watermarks``."""

    def __init__(self, work: Transaction) -> None:
        self._work = work

    def get(self, name: str) -> WatermarkValue | None:
        """Return where *name* stands; None where it was never advanced.

        Raises:
            DataError: Its row was not written by controlroom.
        """
        text = stored(self._work, watermarks, _named(name, "watermark"))
        return None if text is None else decode(name, text)

    def advance(self, name: str, value: WatermarkValue, expected: WatermarkValue | Unasked | None = ANY) -> None:
        """Move *name* on to *value*. Where it stands there already, nothing is written.

        Args:
            name: The watermark.
            value: A datetime (aware ones are one instant in any zone and come back in UTC), date, whole number or text.
            expected: Only if it stands here; None for never advanced. Of two units that load from where it stood, one
                commits.

        Raises:
            DataError: *value* lies before where it stands.
            ConfigError: *value* has another type than before, or one that a watermark cannot have.
            TransactionConflictError: It does not stand at *expected*. The unit can only be rolled back.

        Guarantees:
            It never goes back, whoever advances it at the same time: its row is locked until the unit ends.
        """
        _named(name, "watermark")
        seen: list[WatermarkValue | None] = []

        def decide(text: str | None) -> str | None:
            stands = None if text is None else decode(name, text)
            if expected is not ANY and stands != expected:
                raise _moved(self._work, "watermark", name)
            seen.append(stands)
            return encode(name, value) if advanced(name, stands, value) else None

        if _change(self._work, watermarks, name, decide):
            before, _ = self._work.marks.get(("watermark", name), (seen[-1], None))
            self._work.marks["watermark", name] = (before, value)
