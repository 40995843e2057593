"""The ORM session of a unit, if anybody asked for one. Nothing of the ORM is loaded before."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from controlroom.database.transaction import SavepointState, Transaction

if TYPE_CHECKING:
    from controlroom.database.orm import UnitSession

__all__ = ["Objects"]


class Objects:
    """What a unit has to do for its session, where there is one."""

    def __init__(self, work: Transaction) -> None:
        self._work = work
        self._session: UnitSession | None = None

    @property
    def session(self) -> UnitSession:
        """The session, made on first use.

        Raises:
            QueryError: The unit has not begun, or has ended.
        """
        self._work.require_own()
        if self._session is None:
            from controlroom.database.orm import UnitSession  # noqa: PLC0415 - half of the time that this package loads in

            self._session = UnitSession(self._work)
        return self._session

    def flush(self) -> None:
        """Write what the session has changed."""
        if self._session is not None:
            self._session.flush()

    def enter(self, savepoint: SavepointState) -> None:
        """Remember what the objects are like at *savepoint*, which was set."""
        if self._session is not None:
            self._session.enter_savepoint(savepoint.name)

    def keep(self, savepoint: SavepointState) -> None:
        """Write and keep what was done since *savepoint*, unless it will be undone."""
        if self._session is not None and self._work.swallowed is savepoint.swallowed:
            self._session.keep_savepoint(savepoint.name)
        else:
            self.undo(savepoint)

    def undo(self, savepoint: SavepointState) -> None:
        """Make the objects what they were at *savepoint*."""
        if self._session is not None:
            with suppress(Exception):  # the unit undoes what counts, and tells what stands in its way
                self._session.undo_savepoint(savepoint.name)

    def end(self, *, committed: bool) -> None:
        """Let go of the objects."""
        if self._session is not None:
            self._session.end(committed=committed)
