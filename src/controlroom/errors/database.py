"""What a database can do to us."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

from controlroom.errors.root import ControlRoomError, ErrorContext, common_context
from controlroom.errors.text import kept
from controlroom.errors.values import EX_DATAERR, EX_IOERR, EX_SOFTWARE, Disposition


class DatabaseErrorContext(ErrorContext, total=False):
    """Keyword arguments that every `DatabaseError` takes."""

    sqlstate: str | None
    table: str | None
    column: str | None
    constraint: str | None
    row_index: int | None


class DatabaseError(ControlRoomError):
    """A database operation failed.

    ``.sqlstate``, ``.table``, ``.column``, ``.constraint`` and ``.row_index`` (0-based) where known.
    """

    final_exit_code = EX_IOERR

    def __init__(self, message: str, **context: Unpack[DatabaseErrorContext]) -> None:
        sqlstate, table = context.pop("sqlstate", None), context.pop("table", None)
        column, constraint = context.pop("column", None), context.pop("constraint", None)
        row_index = context.pop("row_index", None)
        super().__init__(message, **common_context(context))
        self.sqlstate: str | None = kept(sqlstate)
        self.table: str | None = kept(table)
        self.column: str | None = kept(column)
        self.constraint: str | None = kept(constraint)
        self.row_index: int | None = kept(row_index)


class DatabaseUnavailableError(DatabaseError):
    """No connection, or it was lost before COMMIT was sent: nothing was written."""

    default_disposition = Disposition.RETRY


class TransactionConflictError(DatabaseError):
    """Deadlock, serialization failure or lock timeout: the transaction was rolled back and can be run again."""

    default_disposition = Disposition.RETRY


class IntegrityViolationError(DatabaseError):
    """A constraint refused the data."""

    default_disposition = Disposition.QUARANTINE
    final_exit_code = EX_DATAERR


class QueryError(DatabaseError):
    """The statement itself is wrong: syntax, unknown table or column, wrong parameters."""

    final_exit_code = EX_SOFTWARE


class DoomedTransactionError(DatabaseError):
    """An error inside the unit was swallowed; the server would have rolled back silently. It was rolled back."""

    final_exit_code = EX_SOFTWARE


class PoolExhaustedError(DatabaseError):
    """No connection became free in time. ``.holders`` names who has them, and for how long."""

    default_disposition = Disposition.RETRY

    def __init__(self, message: str, *, holders: Sequence[str] = (), **context: Unpack[DatabaseErrorContext]) -> None:
        super().__init__(message, **context)
        self.holders: tuple[str, ...] = tuple(kept(holder) for holder in holders)


class CommitInDoubtError(DatabaseError):
    """COMMIT was sent and not answered. ``.token``, ``.pid`` and ``.xid`` are the evidence to settle it with."""

    default_disposition = Disposition.RECONCILE

    def __init__(
        self,
        message: str,
        *,
        token: str | None = None,
        pid: int | None = None,
        xid: str | None = None,
        **context: Unpack[DatabaseErrorContext],
    ) -> None:
        super().__init__(message, **context)
        self.token: str | None = kept(token)
        self.commit_token: str | None = self.token  # under this name a log shows it: it is evidence and opens no door
        self.pid: int | None = kept(pid)
        self.xid: str | None = kept(xid)
