"""The ORM inside a unit of work: a session whose statements are the unit's, and whose end is the unit's too.

Imported when ``uow.session`` is first asked for: SQLAlchemy's ORM is half of what the import of this package would cost.

* The session has a SQLAlchemy connection of its own over the unit's driver connection. What SQLAlchemy calls its transaction
  there begins and ends nothing: `_Kept` swallows its COMMIT and ROLLBACK, since both are the unit's.
* Each statement, whoever sends it (flush, lazy load, refresh), goes through the unit: its limits, and its doom.
* A savepoint of the unit is a nested transaction of the session, so that objects are what they were before it.
"""

from __future__ import annotations

from typing import Any, NoReturn
from weakref import WeakSet

from sqlalchemy import Connection, Engine, event
from sqlalchemy.orm import ORMExecuteState, Session, SessionTransaction

from controlroom.database.classify import Situation
from controlroom.database.ending import Outcome
from controlroom.database.grammar import grammar_for
from controlroom.database.statements import executable
from controlroom.database.transaction import Transaction
from controlroom.errors import ControlRoomError, QueryError

__all__ = ["UnitSession"]

_WHAT = "a statement of the session"


class _Kept:
    """The unit's driver connection as the session's transaction gets to see it: nothing there ends the unit's.

    Its own attributes have names that no driver's connection has: the others are passed on.
    """

    def __init__(self, connection: Any, work: Transaction) -> None:
        self._unit_connection = connection
        self._unit_work = work
        self.is_silent: bool = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._unit_connection, name)

    @property
    def is_valid(self) -> bool:
        """Whether SQLAlchemy may send what ends a transaction or savepoint of its own."""
        if self.is_silent:
            return False
        try:
            self._unit_work.require_open()
        except ControlRoomError:
            return False
        return bool(self._unit_connection.is_valid)

    def cursor(self, *args: Any, **kwargs: Any) -> Any:
        """Return a cursor, while the unit is open."""
        self._unit_work.require_open()
        return self._unit_connection.cursor(*args, **kwargs)

    def commit(self) -> None:
        """Leave COMMIT to the unit."""
        _refuse("commit")

    def rollback(self) -> None:
        """Leave ROLLBACK to the unit, which a failed flush dooms; whoever asks for one otherwise has to be told."""
        if self._unit_work.outcome is Outcome.OPEN and self._unit_work.swallowed is None:
            _refuse("rollback")

    def close(self) -> None:
        """Leave the connection to the unit."""


# Not event.contains: it knows an engine by its id, which another one may have had.
_translating: WeakSet[Engine] = WeakSet()


class _SessionConnection(Connection):
    """The session's connection: each statement is one of *work*."""

    def __init__(self, work: Transaction) -> None:
        unit = work.connection
        self.kept: _Kept = _Kept(unit.connection, work)
        self.work: Transaction = work
        kept: Any = self.kept
        super().__init__(unit.engine, connection=kept)
        event.listen(self, "before_cursor_execute", self._start)
        event.listen(self, "after_cursor_execute", self._stop)
        if unit.engine not in _translating:
            event.listen(unit.engine, "handle_error", _translate)
            _translating.add(unit.engine)

    def commit(self) -> NoReturn:
        """Refuse: the unit commits."""
        _refuse("commit")

    def rollback(self) -> NoReturn:
        """Refuse: the unit rolls back."""
        _refuse("rollback")

    def close(self) -> NoReturn:
        """Refuse: the unit closes it."""
        _refuse("close")

    def _start(self, *_: Any) -> None:
        self.work.link.start(_WHAT)

    def _stop(self, *_: Any) -> None:
        self.work.link.stop()


def _translate(context: Any) -> BaseException | None:
    """Return one of our errors for one that a session met; SQLAlchemy raises it instead."""
    connection = context.connection
    if not isinstance(connection, _SessionConnection):
        return None
    work = connection.work
    error = context.sqlalchemy_exception or context.original_exception
    ours = work.link.verdict(error, _WHAT) or work.translated(error, Situation(_WHAT, read_only=work.read_only))
    work.link.stop()
    work.doom(ours)
    return ours if ours is not error else None


def _refuse(what: str) -> NoReturn:
    message = (
        f"{what}() is not for the session of a unit of work, which begins, commits, rolls back and closes "
        "itself. Nothing was run. Leave the block, or use uow.rollback(), uow.savepoint(), session.flush()."
    )
    raise QueryError(message)


class UnitSession(Session):
    """An ORM session inside a unit of work; see `UnitOfWork.session`."""

    def __init__(self, work: Transaction) -> None:
        self._own = _SessionConnection(work)
        super().__init__(bind=self._own, expire_on_commit=False)
        self._unit = work
        self._nested: list[tuple[str, SessionTransaction]] = []
        self._grammar = grammar_for(work.backend.url.drivername)
        event.listen(self, "do_orm_execute", self._look_at)

    def _look_at(self, asked: ORMExecuteState) -> None:
        executable(asked.statement, self._grammar)  # refuses what no unit runs

    def flush(self, objects: Any = None) -> None:
        """Write what has changed. What fails there dooms the unit, or its savepoint.

        Raises:
            DatabaseError: As `UnitOfWork.execute`.
        """
        self._unit.require_open()
        try:
            super().flush(objects)
        except BaseException as error:
            self._unit.doom(error)
            raise

    def enter_savepoint(self, name: str) -> None:
        """Remember what every object is like, for savepoint *name*."""
        self._nested.append((name, Session.begin(self, nested=True)))

    def keep_savepoint(self, name: str) -> None:
        """Keep what was done since savepoint *name*, once it is written."""
        self.flush()
        if self._nested and self._nested[-1][0] == name:
            self._nested.pop()[1].commit()

    def undo_savepoint(self, name: str) -> None:
        """Make every object what it was at savepoint *name*; what the database has is for the unit to undo."""
        self._own.kept.is_silent = True
        try:
            if any(known == name for known, _ in self._nested):
                self._roll_back_to(name)
            else:  # the session did not exist then
                self._nested.clear()
                Session.rollback(self)
        finally:
            self._own.kept.is_silent = False

    def _roll_back_to(self, name: str) -> None:
        while self._nested:
            known, nested = self._nested.pop()
            nested.rollback()
            if known == name:
                return

    def end(self, *, committed: bool) -> None:
        """Let go of every object: as it was committed, or as it was before."""
        self._own.kept.is_silent = True
        self._nested.clear()
        if not committed:
            Session.rollback(self)
        Session.close(self)

    def commit(self) -> NoReturn:
        """Refuse: the unit commits."""
        self._refuse("commit")

    def rollback(self) -> NoReturn:
        """Refuse: the unit rolls back."""
        self._refuse("rollback")

    def close(self) -> NoReturn:
        """Refuse: the unit closes it."""
        self._refuse("close")

    def begin(self, nested: bool = False) -> NoReturn:  # noqa: ARG002, FBT001, FBT002 - SQLAlchemy's signature
        """Refuse: the unit has begun."""
        self._refuse("begin")

    def reset(self) -> NoReturn:
        """Refuse: the unit closes it."""
        self._refuse("reset")

    def invalidate(self) -> NoReturn:
        """Refuse: the connection is the unit's."""
        self._refuse("invalidate")

    def connection(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse: the connection is the unit's."""
        self._refuse("connection")

    def prepare(self) -> NoReturn:
        """Refuse: the unit commits."""
        self._refuse("prepare")

    def begin_nested(self) -> NoReturn:
        """Refuse: savepoints are the unit's."""
        self._refuse("begin_nested")

    def _refuse(self, what: str) -> NoReturn:
        _refuse(f"session.{what}")
