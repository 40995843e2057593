"""What differs between databases: what a backend has to offer, and nothing of how it does.

A `Backend` is chosen once by URL (`controlroom.database.backends`); everything above asks it and no driver. A `Link` is one
connection of its driver, sync or adapted by SQLAlchemy for asyncio: the code that uses it is written once for both colours.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy import URL, Column, ColumnElement, Connection, Dialect, Table, UpdateBase
from sqlalchemy.types import TypeEngine

from controlroom.database.meanings import Meanings
from controlroom.database.options import Options

if TYPE_CHECKING:
    from controlroom.database.rows import RowShape
    from controlroom.database.transaction import Transaction
    from controlroom.database.writes import WriteCount

__all__ = ["Backend", "Link"]


class Link(Protocol):
    """One connection of the driver, and what was set on it last."""

    def has_committed(self) -> bool | None:
        """Tell whether a COMMIT that was interrupted has happened; None where nobody here knows."""

    def run(self, sql: str) -> Any:
        """Execute *sql*, which the caller of the package did not write; return its first value."""

    def is_open(self) -> bool:
        """Tell whether a transaction is open on it, failed or not; a closed connection has none."""

    @property
    def status_query(self) -> str | None:
        """What a person asks the server about ``{xid}`` after a COMMIT without an answer; None where it cannot say."""

    @property
    def pid(self) -> int | None:
        """The server's process that had the transaction, as far as `take_evidence` found out; None where there is none."""

    @property
    def xid(self) -> str | None:
        """The server's number of the transaction, as far as `take_evidence` found out; None where there is none."""

    def take_evidence(self) -> None:
        """Find out what a COMMIT that nobody answers can be settled with. Nothing is committed by that.

        Raises:
            Exception: The driver's own: COMMIT was not sent, the unit is rolled back.
        """

    def commit(self) -> None:
        """COMMIT, within a limit of time.

        Raises:
            Exception: The driver's own; see `Meanings.leaves_commit_in_doubt`.
            DoomedTransactionError: The server rolled back instead.
        """

    def roll_back(self) -> None:
        """ROLLBACK."""

    def start(self, what: str) -> None:
        """Give the statement that follows its time.

        Raises:
            DeadlineExceededError: The ambient deadline has passed. The statement was not begun.
            CancelledError: Whoever waits for it has been cancelled meanwhile. The statement was not begun.
        """

    def stop(self) -> None:
        """Let what follows take the time it takes."""

    def cancel(self, statement: asyncio.Future[Any] | None) -> None:
        """Stop the statement that runs, in the task *statement*, and refuse those that follow, until `go_on`."""

    def go_on(self) -> None:
        """Let statements run again."""

    def verdict(self, error: BaseException, what: str) -> BaseException | None:
        """Return what to raise for a statement that one of our limits stopped; None where none did."""

    def touched(self) -> None:
        """Set everything up again before the next unit: somebody ran a statement that outlives the unit it was run in."""


class Backend(Protocol):
    """A database of one kind at one place."""

    url: URL
    options: Options
    pool_size: int
    meanings: Meanings

    def __hash__(self) -> int:
        """Tell it apart from others: what was compiled for one is not used for another."""

    @property
    def belongs_to_one_process(self) -> bool:
        """Whether a forked child cannot open it again."""

    @property
    def belongs_to_one_loop(self) -> bool:
        """Whether connections of one event loop are of no use in another."""

    @property
    def serializes_writers(self) -> bool:
        """Whether a second write unit of the same thread would wait for the first."""

    @property
    def title(self) -> str:
        """What to call it where it cannot be opened."""

    def require_driver(self, *, asynchronous: bool) -> None:
        """Refuse to begin without the driver.

        Raises:
            ConfigError: It is not installed; the text names the extra.
        """

    def engine_arguments(self, *, asynchronous: bool) -> dict[str, Any]:
        """Return the arguments of ``create_engine``, its URL included."""

    def listen(self, engine: Any, on: Callable[..., None]) -> None:
        """Have a link kept for each new connection of *engine*: ``on(engine, event, function)`` listens.

        Nothing waits there: SQLAlchemy lets one thread at a time through the ``connect`` event at first.
        """

    def link_of(self, connection: Connection) -> Link:
        """Return the link below a SQLAlchemy connection."""

    @property
    def stops_when_cancelled(self) -> bool:
        """Whether a driver for asyncio stops a statement by itself where its task is cancelled, at the server, too."""

    @property
    def keeps_connections(self) -> bool:
        """Whether a connection may wait for the next unit as it is, rather than in SQLAlchemy's pool."""

    def still_serves(self, link: Any) -> bool:
        """Tell whether *link*, which was kept, may serve again; nothing is sent, and nobody is waited for."""

    def begin(self, link: Any, *, read_only: bool, isolation: str | None) -> None:
        """Begin a transaction within the limits of time."""

    def now_s(self) -> ColumnElement[float]:
        """Return the server's own time, seconds since 1970, as it is when a statement looks."""

    def may_begin_again(self, link: Any) -> bool:
        """Whether BEGIN, which failed, may be said on another connection: *link* was lost, and nothing had begun on it."""

    def end_session(self, work: Transaction, pid: int, xid: str) -> bool:
        """End the session *pid*, if it still has the transaction *xid*; tell whether it had."""

    def why_it_cannot_open(self, error: BaseException) -> str | None:
        """Return what is wrong with the configuration, where *error*, of a connection that failed, shows that."""

    def parameters(self, given: Any) -> Any:
        """Return the parameters of a statement given as text, each in a form that the driver takes."""

    def converter(self, column: Column[Any], dialect: Dialect) -> Callable[[Any], Any]:
        """Return what makes a Python value of *column* one of the driver's."""

    def as_written(self, declared: TypeEngine[Any]) -> TypeEngine[Any]:
        """Return the type to write with, for a column of a table that is known by name only."""

    def uniques(self, table: str, schema: str | None, connection: Connection) -> Iterable[tuple[str, ...]]:
        """Return the columns of each unique constraint and unique index of *table*, but for its primary key."""

    def insert_unless_there(self, table: Table, values: Mapping[str, Any]) -> UpdateBase:
        """Return an INSERT of one row that touches nothing where the row's key is taken."""

    def insert_or_replace(self, table: Table, values: Mapping[str, Any], key: str) -> UpdateBase:
        """Return an INSERT of one row that replaces what stands under *key*."""

    def insert(self, work: Transaction, shape: RowShape, rows: Iterable[Any]) -> int:
        """Insert rows, in chunks; return how many."""

    def load(self, work: Transaction, shape: RowShape, rows: Iterable[Any]) -> int:
        """Insert rows the fastest way there is; return how many."""

    def upsert(
        self,
        work: Transaction,
        shape: RowShape,
        rows: Iterable[Any],
        *,
        key: Sequence[str],
        update: Sequence[str] | None,
    ) -> WriteCount:
        """Insert the rows whose key is new, update those that differ."""
