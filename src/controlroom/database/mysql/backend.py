"""Everything that is MySQL's and MariaDB's own: how they are reached, begun and limited.

* The drivers begin nothing by themselves (autocommit); the unit sends START TRANSACTION and COMMIT itself.
* Strict mode, whatever the server's is: without it, what does not fit is cut off and stored.
* READ COMMITTED for units that write: at the server's own default (REPEATABLE READ) a unit reads an old snapshot and writes
  over what is newer.
* What defines tables commits by itself. A unit that has worked already is not allowed to; see `MysqlLink.before`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.util import find_spec
from secrets import token_hex
from typing import Any, Final

from sqlalchemy import (
    URL,
    Column,
    ColumnElement,
    Connection,
    Dialect,
    Double,
    Table,
    UpdateBase,
    inspect,
    literal_column,
)
from sqlalchemy.dialects.mysql import insert
from sqlalchemy.pool import AsyncAdaptedQueuePool, NullPool, QueuePool
from sqlalchemy.types import TypeEngine

from controlroom.clock import current_deadline
from controlroom.database.meanings import Meanings
from controlroom.database.mysql.link import GRACE_S, KEY, MysqlLink, seconds
from controlroom.database.mysql.meanings import MysqlMeanings
from controlroom.database.mysql.merging import untouched
from controlroom.database.mysql.opening import Opening
from controlroom.database.mysql.settling import end_session
from controlroom.database.mysql.writing import insert_rows, upsert_rows
from controlroom.database.options import Options
from controlroom.database.rows import RowShape
from controlroom.database.transaction import Transaction
from controlroom.database.writes import WriteCount
from controlroom.errors import ConfigError

__all__ = ["Mysql"]

_DRIVERS: Final = {False: "pymysql", True: "aiomysql"}
_PACKAGES: Final = {"pymysql": "PyMySQL", "aiomysql": "aiomysql"}
_MODES: Final = "STRICT_TRANS_TABLES,STRICT_ALL_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"
_SESSION: Final = {
    "sql_mode": f"'{_MODES}'",
    "time_zone": "'+00:00'",
    "character_set_client": "utf8mb4",
    "character_set_results": "utf8mb4",
    "character_set_connection": "utf8mb4",
    "lc_messages": "'en_US'",  # counts are read from what the server says
    "default_storage_engine": "InnoDB",  # others have no transactions
}


class Mysql:
    """The backend of a `Database` on MySQL or MariaDB."""

    def __init__(self, url: URL, options: Options) -> None:
        kind, _, name = url.drivername.partition("+")
        self.kind: str = kind
        if name not in ("", *_DRIVERS.values()):
            message = f"{url.drivername}: this driver is not supported. Nothing was opened. Use pymysql or aiomysql."
            raise ConfigError(message)
        self.driver = name
        self.url = url
        self.options = options
        self.pool_size: int = options.pool_size
        self.meanings: Meanings = MysqlMeanings()

    @property
    def belongs_to_one_process(self) -> bool:
        """Whether a forked child cannot open it again."""
        return False

    @property
    def belongs_to_one_loop(self) -> bool:
        """Whether connections of one event loop are of no use in another."""
        return True

    @property
    def serializes_writers(self) -> bool:
        """Whether a second write unit of the same thread would wait for the first."""
        return False

    @property
    def title(self) -> str:
        """What to call it where it cannot be opened."""
        return self.url.render_as_string(hide_password=True)

    def require_driver(self, *, asynchronous: bool) -> None:
        """Refuse to begin without the driver; a URL with either serves both colours.

        Raises:
            ConfigError: It is not installed; the text names the extra.
        """
        driver = _DRIVERS[asynchronous]
        if find_spec(driver) is None:
            message = f"MySQL needs {_PACKAGES[driver]}. Nothing was opened. Install controlroom[mysql]."
            raise ConfigError(message)
        if self.options.credentials is not None and not asynchronous:
            self.options.credentials.require_synchronous()

    def engine_arguments(self, *, asynchronous: bool) -> dict[str, Any]:
        """Return the arguments of ``create_engine``, its URL included."""
        arguments: dict[str, Any] = {
            "url": self.url.set(drivername=f"{self.kind}+{_DRIVERS[asynchronous]}"),
            "hide_parameters": True,
            "isolation_level": "AUTOCOMMIT",
            "paramstyle": "format",  # by place, so that rows are tuples on their way to the driver
            "connect_args": {"async_creator_fn": Opening(self.options).open_async} if asynchronous else {},
            "pool_reset_on_return": None,  # every unit ends its own transaction, and looks whether it has
        }
        if self.options.profile == "serverless":
            return {**arguments, "poolclass": NullPool}
        pool = AsyncAdaptedQueuePool if asynchronous else QueuePool
        return {**arguments, "poolclass": pool, "pool_size": self.pool_size, "max_overflow": 0, "pool_pre_ping": True}

    def listen(self, engine: Any, on: Callable[..., None]) -> None:
        """Have connections made and attached, and their statements looked at."""
        on(engine, "connect", self._attach)
        on(engine, "do_connect", self._connect)
        on(engine, "before_cursor_execute", self._before)
        on(engine, "after_cursor_execute", self._after)

    def _connect(self, _dialect: Any, _record: Any, _arguments: Any, parameters: Any) -> Any:
        if "async_creator_fn" in parameters:
            return None  # SQLAlchemy goes on by itself, and awaits
        return Opening(self.options).open(**parameters)

    def _attach(self, dbapi: Any, record: Any) -> None:
        """Keep a link for a new connection; `begin` sets it up."""
        record.info[KEY] = MysqlLink(dbapi, self.options)

    def _before(
        self, connection: Connection, _cursor: Any, sql: str, _parameters: Any, context: Any, _many: Any
    ) -> None:
        if (link := connection.info.get(KEY)) is not None:  # none while SQLAlchemy asks a new server about itself
            streams = context is not None and bool(context.execution_options.get("stream_results"))
            link.before(sql, streams=streams)

    def _after(self, connection: Connection, *_: Any) -> None:
        if (link := connection.info.get(KEY)) is not None:
            link.after()

    def link_of(self, connection: Connection) -> MysqlLink:
        """Return the link below a SQLAlchemy connection."""
        link: MysqlLink = connection.info[KEY]
        return link

    @property
    def stops_when_cancelled(self) -> bool:
        """Whether a driver for asyncio stops a statement by itself where its task is cancelled, at the server, too."""
        return False

    @property
    def keeps_connections(self) -> bool:
        """Whether a connection may wait for the next unit as it is: the pool asks the server before each (a "ping")."""
        return False

    def still_serves(self, link: MysqlLink) -> bool:  # noqa: ARG002 - none is kept
        """Tell whether *link*, which was kept, may serve again."""
        return False

    def begin(self, link: MysqlLink, *, read_only: bool, isolation: str | None) -> None:
        """Begin a transaction. A unit that only reads sees one snapshot (REPEATABLE READ), unless it asks for another level."""
        deadline = current_deadline()
        if deadline is not None:
            deadline.require("a unit of work")
        link.limit(self.options.statement_timeout_s + GRACE_S)
        try:
            if self.options.profile == "pooler":
                link.touched()
            link.have(self._session(link))
            if link.session is None:
                link.session = f"controlroom_{token_hex(12)}"
                link.run(f"SELECT GET_LOCK('{link.session}', 0)")
            snapshot = ", WITH CONSISTENT SNAPSHOT" if read_only and isolation in (None, "REPEATABLE READ") else ""
            level = isolation or ("REPEATABLE READ" if read_only else "READ COMMITTED")
            link.begin(f"START TRANSACTION {'READ ONLY' if read_only else 'READ WRITE'}{snapshot}", level)
        finally:
            link.stop()

    def _session(self, link: MysqlLink) -> dict[str, str]:
        """Return the session's settings; the server counts locks in whole seconds."""
        options, deadline = self.options, current_deadline()
        lock_s = seconds(options.lock_timeout_s if deadline is None else deadline.fit(options.lock_timeout_s))
        settings = {
            **_SESSION,
            "innodb_lock_wait_timeout": lock_s,
            "lock_wait_timeout": lock_s,
            "net_write_timeout": seconds(
                max(60, options.idle_timeout_s)
            ),  # for as long as a reader of a stream may pause
            **link.statement_limit(options.statement_timeout_s),
        }
        if link.is_maria:
            settings["idle_transaction_timeout"] = seconds(options.idle_timeout_s)
        return settings

    def now_s(self) -> ColumnElement[float]:
        """Return the server's own time, seconds since 1970, as it is when a statement looks."""
        return literal_column("(UNIX_TIMESTAMP(SYSDATE(6)) + 0e0)", Double())

    def may_begin_again(self, link: MysqlLink) -> bool:  # noqa: ARG002 - each connection is asked before it serves again
        """Whether BEGIN, which failed, may be said on another connection."""
        return False

    def end_session(self, work: Transaction, pid: int, xid: str) -> bool:
        """End the session *pid*, if it is still the one called *xid*; tell whether it was."""
        return end_session(work, pid, xid)

    def why_it_cannot_open(self, error: BaseException) -> str | None:
        """Return what is wrong with the configuration, where *error*, of a connection that failed, shows that."""
        return self.meanings.misconfigured(error)

    def parameters(self, given: Any) -> Any:
        """Return the parameters of a statement given as text, each in a form that the driver takes."""
        return given

    def converter(self, column: Column[Any], dialect: Dialect) -> Callable[[Any], Any]:
        """Return what makes a Python value of *column* one of the driver's."""
        return column.type.dialect_impl(dialect).bind_processor(dialect) or _as_it_is

    def as_written(self, declared: TypeEngine[Any]) -> TypeEngine[Any]:
        """Return the type to write with, for a column of a table that is known by name only."""
        return declared

    def uniques(self, table: str, schema: str | None, connection: Connection) -> list[tuple[str, ...]]:
        """Return the columns of each unique constraint and unique index of *table*, but for its primary key."""
        return [
            tuple(str(name) for name in each["column_names"])
            for each in inspect(connection).get_indexes(table, schema=schema)
            if each["unique"]
            and None not in each["column_names"]
            and not each.get("dialect_options", {}).get("mysql_length")
        ]

    def insert_unless_there(self, table: Table, values: Mapping[str, Any]) -> UpdateBase:
        """Return an INSERT of one row that touches nothing where the row's key is taken."""
        return untouched(insert(table).values(**values), next(iter(table.primary_key.columns))).inline()

    def insert_or_replace(self, table: Table, values: Mapping[str, Any], key: str) -> UpdateBase:
        """Return an INSERT of one row that replaces what stands under *key*."""
        statement = insert(table).values(**values)
        new = {name: statement.inserted[name] for name in values if name != key}
        return statement.on_duplicate_key_update(new).inline()

    def insert(self, work: Transaction, shape: RowShape, rows: Iterable[Any]) -> int:
        """Insert rows, in chunks; return how many."""
        return insert_rows(work, shape, rows)

    def load(self, work: Transaction, shape: RowShape, rows: Iterable[Any]) -> int:
        """Insert rows the fastest way there is; return how many. LOAD DATA would read files of whoever asks for it."""
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


def _as_it_is(value: Any) -> Any:
    return value
