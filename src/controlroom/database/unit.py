"""What a unit of work can do, written once: `UnitOfWork` offers it as it is, `AsyncUnitOfWork` awaited."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, LiteralString, TypeVar, overload

from sqlalchemy import Connection, CursorResult, Executable, Result, Row, Table, UpdateBase
from sqlalchemy.schema import DDLElement

from controlroom.database.claims import Claim, finish, hold
from controlroom.database.classify import converting
from controlroom.database.ending import Ended, Outcome, conclude
from controlroom.database.grammar import grammar_for
from controlroom.database.identifiers import Sql, Statement
from controlroom.database.lease_rows import Hold, guard
from controlroom.database.lease_state import LeaseState, hold_of
from controlroom.database.ledger import claim
from controlroom.database.mapping import Mapper, require_makes
from controlroom.database.marks import Checkpoints, Watermarks
from controlroom.database.objects import Objects
from controlroom.database.outbox import Outbox, receive
from controlroom.database.statements import executable, parameters_of
from controlroom.database.tables import Catalog
from controlroom.database.transaction import Transaction
from controlroom.database.writes import WriteCount, insert_rows, load_rows, upsert_rows
from controlroom.errors import QueryError
from controlroom.policy.flow import drive

__all__ = ["Unit"]

T = TypeVar("T")

_DDL = ("CREATE", "ALTER", "DROP")


def _buffered(result: CursorResult[Any]) -> Result[Any]:
    """Read every row at once: what can fail fails here, and no open cursor stands in the way of COMMIT."""
    if not result.returns_rows:
        return result
    with converting():
        return result.freeze()()


def _all_rows(result: CursorResult[Any]) -> tuple[tuple[str, ...], Sequence[Row[Any]]]:
    with converting():
        return tuple(result.keys()), result.all()


def _first_value(result: CursorResult[Any]) -> Any:
    if not result.returns_rows:
        return None
    with converting():
        return result.scalar()


class Unit:
    """The statements of one unit of work; see `UnitOfWork`."""

    def __init__(self, work: Transaction, catalog: Catalog) -> None:
        self._work = work
        self._catalog = catalog
        self._grammar = grammar_for(work.backend.url.drivername)
        self._objects = Objects(work)
        self._checkpoints = Checkpoints(work)
        self._watermarks = Watermarks(work)
        self._outbox = Outbox(work)

    def _end(self, error: BaseException | None) -> Ended:
        """Commit, or roll back because of *error*, which left the block, or because of one that did not."""
        work = self._work
        if work.outcome is not Outcome.OPEN:  # rolled back inside the block
            return Ended(work.outcome)
        failure = error or self._failure_of_flush()
        ended = drive(conclude(failure, work.swallowed), work.perform)
        work.outcome = ended.outcome
        return ended if failure is error else Ended(ended.outcome, failure)

    def _failure_of_flush(self) -> BaseException | None:
        """Write what the session has changed, unless nothing will be committed; return what was raised."""
        try:
            if self._work.will_commit:
                self._objects.flush()
        except BaseException as error:  # noqa: BLE001 - whatever it is: it ends the unit, and is raised behind that
            return error
        return None

    def _let_go(self) -> Connection | None:
        """Let go of the objects and the connection; return it where it can be kept for another unit."""
        try:
            self._objects.end(committed=self._work.outcome is Outcome.COMMITTED)
        finally:
            kept = self._work.close()
        return kept

    @property
    def checkpoints(self) -> Checkpoints:
        """Resumable positions, by name: ``get(name)``, ``set(name, value)``. They commit with the data."""
        return self._checkpoints

    @property
    def watermarks(self) -> Watermarks:
        """How far the data is complete, by name: ``get(name)``, ``advance(name, value)``. They never go back."""
        return self._watermarks

    @property
    def outbox(self) -> Outbox:
        """Messages to others: ``put(topic, payload)``. They commit with the data; `Database.relay` hands them on."""
        return self._outbox

    @overload
    def execute(self, statement: Statement, params: Any = None, *, into: Callable[..., T]) -> list[T]: ...
    @overload
    def execute(self, statement: LiteralString | Sql | UpdateBase, params: Any = None) -> CursorResult[Any]: ...
    @overload
    def execute(self, statement: Executable, params: Any = None) -> Result[Any]: ...
    def execute(
        self,
        statement: Statement,
        params: Any = None,
        *,
        into: Callable[..., Any] | None = None,
    ) -> Result[Any] | list[Any]:
        """Run one statement and return its result, with all rows in memory.

        Args:
            statement: A SQLAlchemy construct, or text with ``:name`` parameters. Colons inside quotes and comments of a
                text are no parameters, nor is ``::``; ``%`` and ``?`` are what they are for the database. A text that
                does not stand in the source is given as ``sql(text)``, which also quotes names.
            params: Values by name; a list of such mappings runs the statement once for each. For a text, dates, instants
                (in UTC), decimals and UUIDs are stored as text.
            into: What to make of each row: a dataclass, named tuple, pydantic model or ``dict``, by the names of the
                columns; or a function of the row.

        Returns:
            A SQLAlchemy result; with *into*, a list. That of a statement that returns no rows has ``rowcount``. It can be read after the
            unit has ended; for more rows than fit into memory use `Database.stream`.

        Raises:
            QueryError: The statement or its parameters are wrong; it holds several statements; it would end the
                transaction, or outlive it; its columns are not those of *into*.
            DataError: A value does not fit *into*; the text names row and column, never the value.
            IntegrityViolationError: A constraint refused the data.
            DeadlineExceededError: It was stopped at the ambient deadline.
            DoomedTransactionError: The database has already rolled the unit back, after an error that was swallowed.
        """
        if into is None:
            return self._run(statement, params, _buffered)
        require_makes(into)
        names, rows = self._run(statement, params, _all_rows)
        return list(Mapper(into, names)(rows))

    def _rows(self, statement: Statement, params: Any, into: Callable[..., Any] | None) -> list[Any]:
        """Return all rows, of a statement that has to return some."""
        if into is not None:
            return self.execute(statement, params, into=into)
        return list(self._run(statement, params, _all_rows)[1])

    def _run(self, statement: Statement, params: Any, read: Callable[[CursorResult[Any]], T]) -> T:
        prepared, what = executable(statement, self._grammar)
        parameters = parameters_of(prepared, params, self._work.backend)
        if isinstance(prepared, DDLElement) or what in _DDL:
            self._catalog.forget()
        target = getattr(prepared, "table", None)
        table = target.name if isinstance(target, Table) else None
        try:
            return self._work.run(what, lambda: read(self._work.connection.execute(prepared, parameters)), table)
        finally:
            if what == "PRAGMA":
                self._work.link.touched()

    def scalar(self, statement: Statement, params: Any = None) -> Any:
        """Run one statement and return the first value of its first row; None where there is no row."""
        return self._run(statement, params, _first_value)

    def insert(self, table: Any, rows: Any, columns: Sequence[str] | None = None) -> int:
        """Insert rows and return how many.

        Args:
            table: A `sqlalchemy.Table`, a mapped class, or a name (looked up in the database once).
            rows: Mappings, all with the keys of the first, or tuples with *columns*; any iterable. A generator is
                consumed in chunks of 2,000 rows, so that memory stays flat. One mapping is one row.
            columns: Names of the columns, for tuples; of mappings, only these are taken.

        Raises:
            IntegrityViolationError: A row was refused; ``.table`` and ``.row_index`` (0-based) say which.
            QueryError: An unknown table or column; a row with other columns than the first.
        """
        count: int = self._writing(insert_rows, table, rows, columns)
        return count

    def upsert(
        self,
        table: Any,
        rows: Any,
        key: Sequence[str],
        update: Sequence[str] | None = None,
        columns: Sequence[str] | None = None,
    ) -> WriteCount:
        """Insert the rows whose key is new and update those that differ.

        Args:
            table: As in `insert`.
            rows: As in `insert`. Where a key comes more than once, the last row wins and is the only one counted.
            key: Columns of the primary key or of a unique constraint. Their values may not be NULL.
            update: Columns to update in rows that are there already; all that are given, when not said. ``[]`` leaves
                those rows alone and counts them as unchanged.
            columns: As in `insert`.

        Returns:
            How many rows were inserted, updated, and left alone because nothing differs (NULL is the same as NULL).

        Raises:
            IntegrityViolationError: A row was refused; ``.table`` and ``.row_index`` (0-based) say which.
            QueryError: As in `insert`; *key* names no unique constraint.

        Guarantees:
            The counts are those of rows of the table. Memory is flat: above 2,000 rows (200 on PostgreSQL) they go by way of
            a temporary table and are merged by one statement or two, for each of which ``statement_timeout_s`` holds.
            Not promised: that keys which only a collation makes equal ("a" and "A" under NOCASE) are counted once; they are
            applied in order.
        """
        count: WriteCount = self._writing(upsert_rows, table, rows, key=key, update=update, columns=columns)
        return count

    def load(
        self, table: Any, rows: Any, key: Sequence[str] | None = None, columns: Sequence[str] | None = None
    ) -> WriteCount:
        """Write many rows the fastest way this database has, inside this transaction.

        Args:
            table: As in `insert`.
            rows: As in `insert`.
            key: Merge by this key, as `upsert` does; without it, rows are only added.
            columns: As in `insert`.

        Raises:
            IntegrityViolationError: A row was refused; ``.table`` and ``.row_index`` (0-based) say which.
            QueryError: As in `insert`.
        """
        if key is None:
            return WriteCount(inserted=self._writing(load_rows, table, rows, columns))
        return self.upsert(table, rows, key, columns=columns)

    def once(self, key: str, payload: Any = None) -> bool:
        """Claim *key* in the ledger: True the first time it commits, else False.

        Call it before the work that *key* stands for, and skip that work on False. The claim commits with the work, or
        not at all; another unit with the same key waits for this one.

        Args:
            key: What the work is called, once and for all.
            payload: What the work is done with, JSON-ready. Its SHA-256 is kept; 1 and 1.0 are not the same.

        Raises:
            IntegrityViolationError: The key has committed with another payload. Where one of the two gave none, they are
                not compared.
            TransactionConflictError: Another unit has claimed it and did not end within ``lock_timeout_s``.
            QueryError: The control tables are missing (`Database.create_control_tables`); the payload is not JSON-ready.
        """
        return claim(self._work, key, payload) is None

    def hold(self, claim: Claim) -> None:
        """Make sure that *claim*, of `Database.claim`, is still ours, and keep it ours until this unit has ended.

        It expires ``ttl_s`` from now, should nobody look again.

        Raises:
            LeaseLostError: It has expired and somebody else has it, or the work is done.
        """
        hold(self._work, claim)

    def finish(self, claim: Claim, result: Any = None) -> None:
        """Have the work of *claim* done once this unit commits: nobody gets the key any more.

        Args:
            claim: Of `Database.claim`.
            result: What later calls of `Database.claim` and `Database.transact` with this key return; as for `transact`.

        Raises:
            LeaseLostError: It has expired and somebody else has it, or the work is done.
            QueryError: The ledger cannot keep *result*.
        """
        finish(self._work, claim, result)

    def received(self, message_id: str) -> bool:
        """Take note of a message, and tell whether it had been received before.

        Whoever hands messages on does it at least once; this makes the effects in this database exactly once. Call it before
        the work, and skip the work on True. The note commits with the work, or not at all; another unit with the same
        message waits for this one. `Database.prune` forgets old ones.

        Args:
            message_id: What the sender calls it, `Message.id` say; with the sender's name in it where there are several.

        Raises:
            TransactionConflictError: Another unit is at the same message and did not end within ``lock_timeout_s``.
            QueryError: The control tables are missing (`Database.create_control_tables`).
        """
        return receive(self._work, message_id)

    def require_lease(self, lease: LeaseState | Hold) -> None:
        """Commit this unit only under *lease*: nobody takes it over before the unit ends.

        Args:
            lease: What ``with db.lease(…) as lease:`` gives; or ``lease.hold``, which can be handed to another process.

        Raises:
            LeaseLostError: Another worker has taken it over. Nothing of this unit will be written.
            TransactionConflictError: Another worker is taking it over now.
            QueryError: The control tables are missing (`Database.create_control_tables`).

        Guarantees:
            Of two holders of one lease, the earlier one writes nothing after the later one has it. Whoever wants to take the
            lease over waits for this unit. Renewals do not, on PostgreSQL.
        """
        with self._work.guarded():
            hold = hold_of(lease)
        guard(self._work, hold)

    def _writing(self, write: Callable[..., Any], table: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return write(self._work, partial(self._table, table), *args, **kwargs)
        except QueryError:
            self._catalog.forget()
            raise

    def _table(self, given: Any) -> Table:
        return self._work.run("looking a table up", lambda: self._catalog.resolve(given, self._work.connection))
