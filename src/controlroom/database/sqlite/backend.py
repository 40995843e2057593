"""Everything that is SQLite's own: how it is opened, begun and stopped, and what it can store.

* ``isolation_level=None``: the driver begins nothing by itself. Its default begins at the first write only, and a
  read-modify-write then loses updates without a word; write units therefore start with BEGIN IMMEDIATE.
* WAL, so that readers and the writer do not wait for each other (sqlite.org/wal.html).
* ``synchronous=FULL``: with NORMAL, WAL does not sync on COMMIT, and a power cut may undo what was acknowledged
  (sqlite.org/pragma.html#pragma_synchronous). It costs one fsync a unit.
* ``foreign_keys=ON``: off by default, for compatibility only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from sqlite3 import SQLITE_CANTOPEN, SQLITE_READONLY
from typing import Any, Final

from sqlalchemy import URL, Column, ColumnElement, Connection, DateTime, Dialect, Table, UpdateBase, literal, text
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.pool import AsyncAdaptedQueuePool, NullPool, QueuePool, StaticPool
from sqlalchemy.types import TypeEngine

from controlroom import clock
from controlroom.clock import current_deadline
from controlroom.database.meanings import Meanings
from controlroom.database.options import Options
from controlroom.database.rows import RowShape
from controlroom.database.sqlite.link import KEY, SqliteLink
from controlroom.database.sqlite.meanings import SqliteMeanings
from controlroom.database.sqlite.storable import as_written, in_utc, storable, storable_parameters
from controlroom.database.sqlite.writing import insert_rows, upsert_rows
from controlroom.database.transaction import Transaction
from controlroom.database.writes import WriteCount
from controlroom.errors import ConfigError
from controlroom.logs import get_logger

__all__ = ["Sqlite"]

_OPS_BETWEEN_LOOKS: Final = 10_000  # of SQLite's virtual machine: well under a millisecond of work

_log = get_logger(__name__)


_UNIQUES = text("""
    SELECT i.name, c.name FROM pragma_index_list(:table_name, :schema) AS i, pragma_index_info(i.name, :schema) AS c
    WHERE i."unique" AND NOT i.partial AND i.origin <> 'pk' ORDER BY i.seq DESC, c.seqno
""")


class Sqlite:
    """The SQLite backend of a `Database`."""

    def __init__(self, url: URL, options: Options) -> None:
        self.options = options
        database = url.database or ":memory:"
        self.in_memory: bool = ":memory:" in database or url.query.get("mode") == "memory"
        is_uri = database.startswith("file:")
        self.path: Path | None = None if self.in_memory or is_uri else Path(database).absolute()
        self.url = url
        self.pool_size: int = 1 if self.in_memory else options.pool_size
        self.meanings: Meanings = SqliteMeanings()

    @property
    def belongs_to_one_process(self) -> bool:
        """Whether a forked child cannot open it again."""
        return self.in_memory

    @property
    def belongs_to_one_loop(self) -> bool:
        """Whether connections of one event loop are of no use in another: aiosqlite's have threads of their own."""
        return False

    @property
    def serializes_writers(self) -> bool:
        """Whether a second write unit of the same thread would wait for the first."""
        return True

    def require_driver(self, *, asynchronous: bool) -> None:
        """Refuse to begin without the driver.

        Raises:
            ConfigError: It is not installed; the text names the extra.
        """
        if asynchronous and find_spec("aiosqlite") is None:
            message = "AsyncDatabase needs aiosqlite for SQLite. Nothing was opened. Install controlroom[aiosqlite]."
            raise ConfigError(message)

    def engine_arguments(self, *, asynchronous: bool) -> dict[str, Any]:
        """Return the arguments of ``create_engine``, its URL included."""
        driver = "sqlite+aiosqlite" if asynchronous else "sqlite+pysqlite"
        return {
            "url": self.url.set(drivername=driver),
            "hide_parameters": True,
            "connect_args": {
                "isolation_level": None,
                "timeout": self.options.lock_timeout_s,
                "check_same_thread": False,  # a connection serves one thread at a time, but not always the same
                **({"async_creator_fn": connected} if asynchronous else {}),
            },
            "pool_reset_on_return": None,  # every unit ends its own transaction, and looks whether it has
            **self._pool(asynchronous=asynchronous),
        }

    def _pool(self, *, asynchronous: bool) -> dict[str, Any]:
        if self.in_memory:
            return {"poolclass": StaticPool}
        if self.options.profile == "serverless":
            return {"poolclass": NullPool}
        pool = AsyncAdaptedQueuePool if asynchronous else QueuePool
        return {"poolclass": pool, "pool_size": self.pool_size, "max_overflow": 0}

    def listen(self, engine: Any, on: Callable[..., None]) -> None:
        """Have a link kept for each new connection of *engine*."""
        on(engine, "connect", self._attach)

    def _attach(self, dbapi: Any, record: Any) -> None:
        """Keep a link for a new connection; `begin`, which may have to wait for a lock, sets it up."""
        record.info[KEY] = SqliteLink(dbapi, self.options.lock_timeout_s, self.options.statement_timeout_s)

    def _set_up(self, link: SqliteLink) -> None:
        if hasattr(link.dbapi, "run_async"):
            link.dbapi.run_async(lambda driver: driver.set_progress_handler(link.stopwatch.look, _OPS_BETWEEN_LOOKS))
        else:
            link.dbapi.set_progress_handler(link.stopwatch.look, _OPS_BETWEEN_LOOKS)
        self._use_wal(link)
        link.run("PRAGMA synchronous = FULL")
        link.run("PRAGMA foreign_keys = ON")
        link.is_set_up = True

    def _use_wal(self, link: SqliteLink) -> None:
        mode = link.persist(lambda: link.run("PRAGMA journal_mode"))
        if mode in ("wal", "memory"):
            return
        try:
            mode = link.persist(lambda: link.run("PRAGMA journal_mode = WAL"))
        except Exception as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF != SQLITE_READONLY:
                raise  # a file that is only read keeps the mode it has
        if mode not in ("wal", "memory"):
            _log.warning("wal_refused", database=str(self.path or self.url.database), journal_mode=mode)

    def link_of(self, connection: Connection) -> SqliteLink:
        """Return the link below a SQLAlchemy connection."""
        link: SqliteLink = connection.info[KEY]
        return link

    @property
    def stops_when_cancelled(self) -> bool:
        """Whether a driver for asyncio stops a statement by itself where its task is cancelled, at the server, too."""
        return False

    @property
    def keeps_connections(self) -> bool:
        """Whether a connection may wait for the next unit as it is."""
        return self.options.profile != "serverless"

    def still_serves(self, link: SqliteLink) -> bool:  # noqa: ARG002 - there is no network to lose it
        """Tell whether *link*, which was kept, may serve again."""
        return True

    def begin(self, link: SqliteLink, *, read_only: bool, isolation: str | None) -> None:  # noqa: ARG002 - see below
        """Begin a transaction. SQLite knows one isolation level, SERIALIZABLE, which satisfies every other.

        Once it has the lock, a write unit waits for nothing but COMMIT; a unit that only reads waits in its statements.
        """
        deadline = current_deadline()
        if deadline is not None:
            deadline.require("a unit of work")
        limit_s = link.lock_timeout_s if deadline is None else deadline.fit(link.lock_timeout_s)
        if not link.is_set_up:
            link.wait_at_most(limit_s, in_slices=True)
            self._set_up(link)
        link.wait_at_most(limit_s, in_slices=not read_only)
        link.only_read(read_only)
        if read_only:
            link.run("BEGIN")
        else:
            link.take_the_lock()

    def now_s(self) -> ColumnElement[float]:
        """Return the time of this machine, seconds since 1970: SQLite has no other."""
        return literal(clock.utcnow().timestamp())

    def may_begin_again(self, link: SqliteLink) -> bool:  # noqa: ARG002 - there is no network to lose it
        """Whether BEGIN, which failed, may be said on another connection."""
        return False

    def end_session(self, work: Transaction, pid: int, xid: str) -> bool:  # noqa: ARG002 - there are none
        """End nothing: SQLite has no sessions that outlive their connection."""
        return False

    def why_it_cannot_open(self, error: BaseException) -> str | None:
        """Return what is wrong with the path, where that can be seen from here."""
        code = getattr(getattr(error, "orig", error), "sqlite_errorcode", None)
        if self.path is None or code != SQLITE_CANTOPEN:
            return None
        if self.path.is_dir():
            return f"{self.path} is a folder, not a file"
        if not self.path.parent.is_dir():
            return f"the folder {self.path.parent} does not exist"
        return None

    @property
    def title(self) -> str:
        """What to call it where it cannot be opened."""
        return str(self.path or self.url.database or "the database")

    def parameters(self, given: Any) -> Any:
        """Return the parameters of a statement given as text, each in a form that the driver takes."""
        return storable_parameters(given)

    def converter(self, column: Column[Any], dialect: Dialect) -> Callable[[Any], Any]:
        """Return what makes a Python value of *column* one of the driver's."""
        convert: Callable[[Any], Any] = column.type.dialect_impl(dialect).bind_processor(dialect) or storable
        if isinstance(column.type, DateTime):
            return lambda value: convert(in_utc(value))
        return convert

    def as_written(self, declared: TypeEngine[Any]) -> TypeEngine[Any]:
        """Return the type to write with, for a column of a table that is known by name only."""
        return as_written(declared)

    def uniques(self, table: str, schema: str | None, connection: Connection) -> list[tuple[str, ...]]:
        """Return the columns of each unique constraint and unique index of *table*, but for its primary key.

        Not by SQLAlchemy's inspector, which reads the text of CREATE TABLE and warns of indexes on expressions. An index
        on an expression or on part of the rows says nothing about columns, and is left out.
        """
        found: dict[str, list[str | None]] = {}
        for index, column in connection.execute(_UNIQUES, {"table_name": table, "schema": schema or "main"}):
            found.setdefault(index, []).append(column)
        return [tuple(str(each) for each in columns) for columns in found.values() if None not in columns]

    def insert_unless_there(self, table: Table, values: Mapping[str, Any]) -> UpdateBase:
        """Return an INSERT of one row that touches nothing where the row's key is taken."""
        return insert(table).values(**values).on_conflict_do_nothing().inline()

    def insert_or_replace(self, table: Table, values: Mapping[str, Any], key: str) -> UpdateBase:
        """Return an INSERT of one row that replaces what stands under *key*."""
        statement = insert(table).values(**values).inline()
        new = {name: statement.excluded[name] for name in values if name != key}
        return statement.on_conflict_do_update(index_elements=[key], set_=new)

    def insert(self, work: Transaction, shape: RowShape, rows: Iterable[Any]) -> int:
        """Insert rows, in chunks; return how many."""
        return insert_rows(work, shape, rows)

    def load(self, work: Transaction, shape: RowShape, rows: Iterable[Any]) -> int:
        """Insert rows the fastest way there is; return how many."""
        return insert_rows(work, shape, rows)

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
        return upsert_rows(work, shape, rows, key=key, update=update)


async def connected(*arguments: Any, **options: Any) -> Any:
    """Return a connection of aiosqlite; where it cannot be opened, leave no thread of it behind.

    aiosqlite does not wait for the thread of a failed connection, whose last word then meets a closed event loop.
    """
    import aiosqlite  # noqa: PLC0415 - an extra

    connection = aiosqlite.connect(*arguments, **options)
    thread: Any = getattr(connection, "_thread", connection)  # before 0.22 it was a thread itself
    thread.daemon = True  # as SQLAlchemy does: a connection that nobody closed does not keep the process alive
    try:
        return await connection
    except BaseException:
        thread.join()
        raise
