"""Messages that commit with the data they speak of, and how a later unit takes them. Once for both colours.

The order of ids is no order of commits: a unit that asked for its id early may commit late, and a reader that remembers
"all up to 7" never sees its 6. So nobody remembers a place: a message is deleted by the transaction that handed it on. Where
order matters too, only messages are taken whose transactions all earlier ones have ended: ``xid`` below the snapshot's xmin
(postgresql.org/docs/current/functions-info.html#FUNCTIONS-PG-SNAPSHOT).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Generic, TypeVar

from sqlalchemy import (
    BigInteger,
    CursorResult,
    Executable,
    Row,
    Text,
    cast,
    delete,
    func,
    insert,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.sql.elements import ColumnElement

from controlroom.database.control import ADVISORY_CLASS, outbox, received
from controlroom.database.ledger import new_owner
from controlroom.database.plain import json_of
from controlroom.database.transaction import Transaction
from controlroom.errors import DataError, QueryError
from controlroom.redaction import redact_text

__all__ = ["Message", "Outbox", "Taken", "claim_next", "keep_failed", "message_from", "receive", "remove"]

U = TypeVar("U")

_LONGEST_REASON: Final = 500
_IN_TURN: Final = text(f"SELECT pg_try_advisory_xact_lock({ADVISORY_CLASS}, 1)")


@dataclass(frozen=True, slots=True)
class Message(Generic[U]):
    """A message on its way.

    Attributes:
        id: Its name, which no other message has: what a receiver tells duplicates by (`UnitOfWork.received`).
        topic: What it is about.
        key: Whom or what it concerns, where that was given.
        payload: What was put, from JSON.
        put_at: When, by the server's clock.
        attempt: The how manieth try this is, from 1.
        uow: The unit that deletes it. What is written through it commits with that: exactly once, in this database.
    """

    id: str
    topic: str
    key: str | None
    payload: Any
    put_at: datetime
    attempt: int
    uow: U = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Taken:
    """The row of a message that this unit has locked."""

    row: Row[Any]

    @property
    def id(self) -> int:
        """Its place in the table."""
        place: int = self.row.id
        return place

    @property
    def attempt(self) -> int:
        """The how manieth try this is, from 1."""
        count: int = self.row.attempts + 1
        return count


class Outbox:
    """Messages to others; they commit with the data. ``uow.outbox``."""

    def __init__(self, work: Transaction) -> None:
        self._work = work

    def put(self, topic: str, payload: Any, key: str | None = None) -> str:
        """Put a message, to be handed on by `Database.relay` once this unit has committed; return its id.

        Args:
            topic: What it is about.
            payload: JSON-ready: what the receiver gets is equal to it, but for tuples, which come back as lists.
            key: Whom or what it concerns; handed on as it is.

        Raises:
            QueryError: *topic* or *key* is no text, or empty; *payload* is not JSON-ready. Nothing was put.
        """
        for what, given in (("topic", topic), ("key", key)):
            if (given is not None or what == "topic") and (not isinstance(given, str) or not given):
                message = f"The {what} of a message is a text that is not empty, not {given!r}. Nothing was put."
                raise QueryError(message)
        values = {
            "message_id": new_owner(),
            "topic": topic,
            "key": key,
            "payload": json_of(payload, f"A message about {topic!r}", "Nothing was put."),
            "put_at": self._work.backend.now_s(),
            "attempts": 0,
        }
        if _is_postgresql(self._work):
            values["xid"] = cast(cast(func.pg_current_xact_id(), Text), BigInteger)
        _run(self._work, insert(outbox).values(values).inline())
        return str(values["message_id"])


def claim_next(work: Transaction, topic: str | None, after: int, *, ordered: bool) -> Taken | None:
    """Lock and return the next message; None where there is none, or where another relay keeps the order.

    Args:
        work: The unit that is to hand it on.
        topic: Only messages about this.
        after: Only messages with a greater id, unless *ordered*.
        ordered: The first of all, and only if none can come before it any more.
    """
    query = select(outbox).where(outbox.c.set_aside_at.is_(None)).limit(1)
    if topic is not None:
        query = query.where(outbox.c.topic == topic)
    if not ordered:
        query = query.where(outbox.c.id > after).order_by(outbox.c.id).with_for_update(skip_locked=True)
    elif not _is_postgresql(work):
        query = query.order_by(outbox.c.id)  # under SQLite's write lock
    elif _run(work, _IN_TURN).scalar():
        query = query.where(_is_settled()).order_by(outbox.c.xid, outbox.c.id).with_for_update()
    else:
        return None
    row = _run(work, query).first()
    return None if row is None else Taken(row)


def _is_settled() -> ColumnElement[bool]:
    """Say that no transaction is open that could still put a message before this one.

    At the snapshot's xmax or above is no number of this server: those rows were restored from another one.
    """
    snapshot = func.pg_current_snapshot()
    oldest, next_one = func.pg_snapshot_xmin(snapshot), func.pg_snapshot_xmax(snapshot)
    return or_(
        outbox.c.xid < cast(cast(oldest, Text), BigInteger), outbox.c.xid >= cast(cast(next_one, Text), BigInteger)
    )


def message_from(taken: Taken, uow: U) -> Message[U]:
    """Return the message in a row.

    Raises:
        DataError: Its payload is not JSON: somebody else wrote it.
    """
    row = taken.row
    try:
        payload = json.loads(row.payload)
    except ValueError as error:
        message = f"Message {row.message_id} about {row.topic!r} holds no JSON: controlroom did not write it."
        raise DataError(message) from error
    put_at = datetime.fromtimestamp(row.put_at, UTC)
    return Message(row.message_id, row.topic, row.key, payload, put_at, taken.attempt, uow)


def remove(work: Transaction, taken: Taken) -> None:
    """Delete a message: it was handed on."""
    _run(work, delete(outbox).where(outbox.c.id == taken.id))


def keep_failed(work: Transaction, taken: Taken, error: BaseException, *, set_aside: bool) -> None:
    """Keep a message that could not be handed on: for another try, or for a person to look at."""
    reason = redact_text(f"{type(error).__name__}: {error}")[:_LONGEST_REASON].replace("\0", "")
    values: dict[str, Any] = {"attempts": taken.attempt, "reason": reason}
    if set_aside:
        values["set_aside_at"] = work.backend.now_s()
    _run(work, update(outbox).where(outbox.c.id == taken.id).values(values))


def receive(work: Transaction, message_id: object) -> bool:
    """Take note of a message; tell whether it was received before.

    Raises:
        QueryError: *message_id* is no text, or an empty one.
    """
    with work.guarded():
        if not isinstance(message_id, str) or not message_id:
            message = f"The id of a message is a text that is not empty, not {message_id!r}. Nothing was run."
            raise QueryError(message)
        values = {"message_id": message_id, "received_at": work.backend.now_s()}
        return _run(work, work.backend.insert_unless_there(received, values)).rowcount != 1


def _is_postgresql(work: Transaction) -> bool:
    return work.connection.dialect.name == "postgresql"


def _run(work: Transaction, statement: Executable) -> CursorResult[Any]:
    # psycopg's cursor forgets the count when it is closed, which SQLAlchemy does for an INSERT.
    counted = statement.execution_options(preserve_rowcount=True)
    result: CursorResult[Any] = work.run("the outbox", lambda: work.connection.execute(counted), outbox.name)
    return result
