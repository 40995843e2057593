"""What a unit remembers beside its data: the ledger of keys, checkpoints, watermarks. Once for both colours."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Table, select

from controlroom import clock
from controlroom.database.control import checkpoints, ledger, watermarks
from controlroom.database.transaction import Transaction
from controlroom.errors import QueryError
from controlroom.policy.watermark import WatermarkValue, advanced, decode, encode

__all__ = ["Checkpoints", "Watermarks", "claim", "stored"]


def _now() -> str:
    return clock.utcnow().isoformat()


def _named(name: object, what: str) -> str:
    if not isinstance(name, str) or not name:
        message = f"A {what} needs a text that is not empty, not {name!r}. Nothing was run."
        raise QueryError(message)
    return name


def claim(work: Transaction, key: str) -> bool:
    """Write *key* into the ledger; False where it stands there already."""
    values = {"key": _named(key, "ledger key"), "claimed_at": _now()}
    statement = work.backend.insert_unless_there(ledger, values)
    first = work.run("the ledger", lambda: work.connection.execute(statement).rowcount, ledger.name) == 1
    if first:
        work.token = key
    return first


def stored(work: Transaction, table: Table, name: str) -> str | None:
    """Return what stands under *name* in *table*, one with a name and a value; None where there is no row."""
    query = select(table.c.value).where(table.c.name == name)
    value: str | None = work.run(table.name, lambda: work.connection.execute(query).scalar(), table.name)
    return value


def _store(work: Transaction, table: Table, name: str, value: str) -> None:
    statement = work.backend.insert_or_replace(table, {"name": name, "value": value, "updated_at": _now()}, key="name")
    work.run(table.name, lambda: work.connection.execute(statement), table.name)


class Checkpoints:
    """Resumable positions by name; they commit with the data. ``uow.checkpoints``."""

    def __init__(self, work: Transaction) -> None:
        self._work = work

    def get(self, name: str, default: Any = None) -> Any:
        """Return the value stored under *name*, or *default*."""
        text = stored(self._work, checkpoints, _named(name, "checkpoint"))
        return default if text is None else json.loads(text)

    def set(self, name: str, value: Any) -> None:
        """Store *value* under *name*, in place of what was there.

        Args:
            name: The checkpoint.
            value: JSON-ready: what `get` returns is equal to it, but for tuples, which come back as lists.

        Raises:
            QueryError: *value* is not JSON-ready. Nothing was changed.
        """
        _named(name, "checkpoint")
        try:
            text = json.dumps(value, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise _not_json(name, str(error)) from error
        if not _keys_are_texts(value):
            raise _not_json(name, "a key is no text, and JSON would make it one")
        _store(self._work, checkpoints, name, text)
        self._work.marks["checkpoint", name] = (None, None)  # the value is the caller's: a position may hold a token


def _not_json(name: str, why: str) -> QueryError:
    message = f"Checkpoint {name!r}: the value is not JSON-ready ({why}). Nothing was changed. Give plain data."
    return QueryError(message)


def _keys_are_texts(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and _keys_are_texts(item) for key, item in value.items())
    return all(map(_keys_are_texts, value)) if isinstance(value, list | tuple) else True


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

    def advance(self, name: str, value: WatermarkValue) -> None:
        """Move *name* on to *value*. Where it stands there already, nothing is written.

        Args:
            name: The watermark.
            value: A datetime (aware ones are one instant in any zone and come back in UTC), date, whole number or text.

        Raises:
            DataError: *value* lies before where it stands.
            ConfigError: *value* has another type than before, or one that a watermark cannot have.
        """
        current = self.get(name)
        if advanced(name, current, value):
            _store(self._work, watermarks, name, encode(name, value))
            before, _ = self._work.marks.get(("watermark", name), (current, None))
            self._work.marks["watermark", name] = (before, value)
