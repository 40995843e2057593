"""Everything that is PostgreSQL's own: how it is reached, begun and limited.

* The drivers begin nothing by themselves (autocommit); the unit sends BEGIN, with its isolation level and its limits in the
  same message, and COMMIT, whose answer it reads: a server answers COMMIT of a failed transaction with ROLLBACK, and every
  driver passes that over (postgresql.org/docs/current/sql-commit.html).
* Limits are set for the session where it is ours ("server", "serverless"), and for each transaction where a pooler hands
  sessions around ("pooler"): there, nothing may outlive the transaction.
* ``idle_in_transaction_session_timeout``: whoever dies inside a unit without closing its connection holds locks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.util import find_spec
from typing import Any, Final

from sqlalchemy import (
    URL,
    Column,
    ColumnElement,
    Connection,
    Dialect,
    Double,
    LargeBinary,
    Table,
    UpdateBase,
    cast,
    extract,
    func,
    inspect,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.pool import AsyncAdaptedQueuePool, NullPool, QueuePool
from sqlalchemy.types import TypeEngine

from controlroom.clock import current_deadline
from controlroom.database.application_names import application_name
from controlroom.database.meanings import Meanings
from controlroom.database.options import Options
from controlroom.database.postgres.link import KEY, AsyncpgLink, PostgresLink, PsycopgLink, milliseconds
from controlroom.database.postgres.meanings import PostgresMeanings
from controlroom.database.postgres.opening import AsyncpgOpening, Opening
from controlroom.database.postgres.settling import end_session
from controlroom.database.postgres.upserting import upsert_rows
from controlroom.database.postgres.url import require_known_parameters
from controlroom.database.postgres.writing import insert_rows, load_rows
from controlroom.database.rows import RowShape, as_it_is
from controlroom.database.transaction import Transaction
from controlroom.database.writes import WriteCount
from controlroom.errors import ConfigError
from controlroom.redaction import redact_text

__all__ = ["Postgres"]

_EXTRAS: Final = {"psycopg": "postgres", "asyncpg": "asyncpg"}
_NO_SESSION_SETTINGS: Final = "unsupported startup parameter"  # PgBouncer's words, by all its releases


class Postgres:
    """The PostgreSQL backend of a `Database`."""

    def __init__(self, url: URL, options: Options) -> None:
        name = url.get_driver_name() if "+" in url.drivername else "psycopg"
        if name not in _EXTRAS:
            message = f"{url.drivername}: this driver is not supported. Nothing was opened. Use psycopg or asyncpg."
            raise ConfigError(message)
        self.driver = name
        self.url: URL = url.set(drivername=f"postgresql+{name}")
        self.options = options
        self.pool_size: int = options.pool_size
        self.meanings: Meanings = PostgresMeanings()
        self._generation = 0

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
        return redact_text(self.url.render_as_string(hide_password=True))

    def require_driver(self, *, asynchronous: bool) -> None:
        """Refuse to begin without the driver, or with what it cannot do.

        Raises:
            ConfigError: It is not installed; the text names the extra. Or the URL or an argument is not for it.
        """
        if self.driver == "asyncpg" and not asynchronous:
            message = "asyncpg works with AsyncDatabase only. Nothing was opened. Use postgresql+psycopg://…"
            raise ConfigError(message)
        if find_spec(self.driver) is None:
            extra = _EXTRAS[self.driver]
            message = f"PostgreSQL needs {self.driver}. Nothing was opened. Install controlroom[{extra}]."
            raise ConfigError(message)
        require_known_parameters(self.url, self.driver, self.options)
        if self.options.credentials is not None and not asynchronous:
            self.options.credentials.require_synchronous()

    def engine_arguments(self, *, asynchronous: bool) -> dict[str, Any]:
        """Return the arguments of ``create_engine``, its URL included."""
        arguments: dict[str, Any] = {
            "url": self.url,
            "hide_parameters": True,
            "isolation_level": "AUTOCOMMIT",
            "connect_args": self._asyncpg() if self.driver == "asyncpg" else self._psycopg(asynchronous=asynchronous),
            "pool_reset_on_return": None,  # every unit ends its own transaction, and looks whether it has
            "skip_autocommit_rollback": True,  # as above: SQLAlchemy's own ROLLBACK would end nothing
        }
        if self.driver == "psycopg":
            arguments["paramstyle"] = "format"  # by place, so that rows are tuples on their way to the driver
        if self.options.profile == "serverless":
            return {**arguments, "poolclass": NullPool}
        pool = AsyncAdaptedQueuePool if asynchronous else QueuePool
        return {**arguments, "poolclass": pool, "pool_size": self.pool_size, "max_overflow": 0}

    def _psycopg(self, *, asynchronous: bool) -> dict[str, Any]:
        arguments: dict[str, Any] = dict(self.options.encryption.for_libpq()) if self.options.encryption else {}
        if self.options.profile == "pooler":
            arguments["prepare_threshold"] = None
        else:
            own = str(self.url.query.get("options", ""))
            arguments["options"] = " ".join(
                (own, *(f"-c {name}={value}" for name, value in self._limits().items()))
            ).strip()
        if asynchronous:
            arguments["async_creator_fn"] = Opening(self.options, self.url.query).open_async
        return arguments

    def _asyncpg(self) -> dict[str, Any]:
        arguments: dict[str, Any] = {"async_creator_fn": AsyncpgOpening(self.options, self.url.query).open_async}
        if self.options.encryption is not None:
            arguments["ssl"] = self.options.encryption.for_asyncio()
        if self.options.profile == "pooler":
            # Statements without a name: with one, as older releases of asyncpg give, they would outlive the transaction.
            unnamed = {"prepared_statement_cache_size": 0, "prepared_statement_name_func": str}
            return {**arguments, **unnamed, "statement_cache_size": 0}
        return {**arguments, "server_settings": {name: str(value) for name, value in self._limits().items()}}

    def _limits(self) -> dict[str, int]:
        """Return the server's limits, in milliseconds."""
        options = self.options
        return {
            "statement_timeout": milliseconds(options.statement_timeout_s),
            "lock_timeout": milliseconds(options.lock_timeout_s),
            "idle_in_transaction_session_timeout": milliseconds(options.idle_timeout_s),
        }

    def listen(self, engine: Any, on: Callable[..., None]) -> None:
        """Have the pool's connections made and attached."""
        on(engine, "connect", self._attach)
        on(engine, "invalidate", self._note_loss)
        if self.driver == "psycopg":
            on(engine, "do_connect", self._connect)

    def _connect(self, _dialect: Any, _record: Any, arguments: Any, parameters: Any) -> Any:
        if "async_creator_fn" in parameters:
            return None  # SQLAlchemy goes on by itself, and awaits
        return Opening(self.options, self.url.query).open(*arguments, **parameters)

    def _attach(self, dbapi: Any, record: Any) -> None:
        """Keep a link for a new connection."""
        kind = AsyncpgLink if self.driver == "asyncpg" else PsycopgLink
        link = kind(dbapi, self.options)
        link.generation = self._generation
        link.application_name = application_name(self.options.application_name)
        record.info[KEY] = link

    def _note_loss(self, _dbapi: Any, record: Any, error: BaseException | None) -> None:
        """Have the others of its age left as well, where a statement met the loss of its connection (SQLAlchemy's pool would)."""
        link: PostgresLink | None = record.info.get(KEY)
        if error is not None and link is not None and link.generation == self._generation:
            self._generation += 1

    @property
    def stops_when_cancelled(self) -> bool:
        """Whether a driver for asyncio stops a statement by itself where its task is cancelled, at the server, too."""
        return True

    @property
    def keeps_connections(self) -> bool:
        """Whether a connection may wait for the next unit as it is."""
        return self.options.profile != "serverless"

    def still_serves(self, link: PostgresLink) -> bool:
        """Tell whether *link* is not known to be of no use: its server is gone, or those of its age were lost.

        A look at the socket, not a question to the server, which would cost a small unit a quarter more (a "ping").
        """
        if link.generation == self._generation and not link.is_lost():
            return True
        link.let_go()
        return False

    def may_begin_again(self, link: PostgresLink) -> bool:
        """Whether BEGIN, which failed, may be said on another connection: *link* was lost, and nothing had begun on it."""
        if not (link.has_served and link.is_lost()):
            return False
        if link.generation == self._generation:
            self._generation += 1  # a server that restarted, or a firewall that forgot: the others are lost as well
        return True

    def link_of(self, connection: Connection) -> PostgresLink:
        """Return the link below a SQLAlchemy connection."""
        link: PostgresLink = connection.info[KEY]
        return link

    def begin(self, link: PostgresLink, *, read_only: bool, isolation: str | None) -> None:
        """Begin a transaction, with its limits of time, by one message.

        A unit that only reads sees one snapshot (REPEATABLE READ), unless it asks for another level.
        """
        deadline = current_deadline()
        if deadline is not None:
            deadline.require("a unit of work")
        level = isolation or ("REPEATABLE READ" if read_only else "READ COMMITTED")
        begin = f"BEGIN ISOLATION LEVEL {level} {'READ ONLY' if read_only else 'READ WRITE'}"
        limits: dict[str, int | str] = {**self._limits()} if self.options.profile == "pooler" else {}
        statement_timeout_s = self.options.statement_timeout_s
        if deadline is not None and deadline.remaining_s() < statement_timeout_s:
            statement_timeout_s = deadline.remaining_s()
            limits["statement_timeout"] = milliseconds(statement_timeout_s)
        if deadline is not None and deadline.remaining_s() < self.options.lock_timeout_s:
            limits["lock_timeout"] = milliseconds(deadline.remaining_s())
        if (name := application_name(self.options.application_name)) != link.application_name:
            limits["application_name"] = "'" + name.replace("'", "''") + "'"
        link.only_reads = read_only
        settings = "".join(f"; SET LOCAL {name} = {value}" for name, value in limits.items())
        link.begin(begin + settings, statement_timeout_s, self._begin_s())

    def _begin_s(self) -> float:
        """Return how long BEGIN may take: behind a pooler it waits until a connection is free."""
        options, deadline = self.options, current_deadline()
        limit_s = options.pool_timeout_s if options.profile == "pooler" else options.connect_timeout_s
        return limit_s if deadline is None else deadline.fit(limit_s)

    def now_s(self) -> ColumnElement[float]:
        """Return the server's own time, seconds since 1970, as it is when a statement looks."""
        return cast(extract("epoch", func.clock_timestamp()), Double)

    def end_session(self, work: Transaction, pid: int, xid: str) -> bool:
        """End the session *pid*, if it still has the transaction *xid*; tell whether it had."""
        return end_session(work, pid, xid)

    def why_it_cannot_open(self, error: BaseException) -> str | None:
        """Return what is wrong with the configuration, where *error*, of a connection that failed, shows that."""
        if _NO_SESSION_SETTINGS in str(error):
            return "a pooler (PgBouncer) is there, which keeps no settings of a session; give profile='pooler'"
        return self.meanings.misconfigured(error)

    def parameters(self, given: Any) -> Any:
        """Return the parameters of a statement given as text, each in a form that the driver takes."""
        return given

    def converter(self, column: Column[Any], dialect: Dialect) -> Callable[[Any], Any]:
        """Return what makes a Python value of *column* one of the driver's."""
        if isinstance(column.type, LargeBinary):
            return as_it_is  # SQLAlchemy would wrap the bytes, for drivers that need it
        return column.type.dialect_impl(dialect).bind_processor(dialect) or as_it_is

    def as_written(self, declared: TypeEngine[Any]) -> TypeEngine[Any]:
        """Return the type to write with, for a column of a table that is known by name only."""
        return declared

    def uniques(self, table: str, schema: str | None, connection: Connection) -> list[tuple[str, ...]]:
        """Return the columns of each unique constraint and unique index of *table*, but for its primary key."""
        indexes = inspect(connection).get_indexes(table, schema=schema)
        return [
            tuple(str(name) for name in each["column_names"])
            for each in indexes
            if each["unique"]
            and None not in each["column_names"]
            and not each.get("dialect_options", {}).get("postgresql_where")
        ]

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
        return load_rows(work, shape, rows)

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
