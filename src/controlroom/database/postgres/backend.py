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

from sqlalchemy import URL, Column, Connection, Dialect, Table, UpdateBase, inspect
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.pool import AsyncAdaptedQueuePool, NullPool, QueuePool
from sqlalchemy.types import TypeEngine

from controlroom.clock import current_deadline
from controlroom.database.meanings import Meanings
from controlroom.database.options import Options
from controlroom.database.postgres.link import KEY, AsyncpgLink, PostgresLink, PsycopgLink, milliseconds
from controlroom.database.postgres.meanings import PostgresMeanings
from controlroom.database.postgres.writing import insert_rows, load_rows, upsert_rows
from controlroom.database.rows import RowShape
from controlroom.database.transaction import Transaction
from controlroom.database.writes import WriteCount
from controlroom.errors import ConfigError

__all__ = ["Postgres"]

_EXTRAS: Final = {"psycopg": "postgres", "asyncpg": "asyncpg"}
_CONNECT_S: Final = 10
_KEEPALIVES: Final = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}


class Postgres:
    """The PostgreSQL backend of a `Database`."""

    def __init__(self, url: URL, options: Options) -> None:
        name = url.get_driver_name() if "+" in url.drivername else "psycopg"
        if name not in _EXTRAS:
            message = f"{url.drivername}: this driver is not supported. Nothing was opened. Use psycopg or asyncpg."
            raise ConfigError(message)
        self.driver = name
        self.url = url.set(drivername=f"postgresql+{name}")
        self.options = options
        self.pool_size: int = options.pool_size
        self.meanings: Meanings = PostgresMeanings()

    @property
    def belongs_to_one_process(self) -> bool:
        """Whether a forked child cannot open it again."""
        return False

    @property
    def serializes_writers(self) -> bool:
        """Whether a second write unit of the same thread would wait for the first."""
        return False

    @property
    def title(self) -> str:
        """What to call it where it cannot be opened."""
        return self.url.render_as_string(hide_password=True)

    def require_driver(self, *, asynchronous: bool) -> None:
        """Refuse to begin without the driver.

        Raises:
            ConfigError: It is not installed; the text names the extra.
        """
        if self.driver == "asyncpg" and not asynchronous:
            message = "asyncpg works with AsyncDatabase only. Nothing was opened. Use postgresql+psycopg://…"
            raise ConfigError(message)
        if find_spec(self.driver) is None:
            extra = _EXTRAS[self.driver]
            message = f"PostgreSQL needs {self.driver}. Nothing was opened. Install controlroom[{extra}]."
            raise ConfigError(message)

    def engine_arguments(self, *, asynchronous: bool) -> dict[str, Any]:
        """Return the arguments of ``create_engine``, its URL included."""
        arguments: dict[str, Any] = {
            "url": self.url,
            "hide_parameters": True,
            "isolation_level": "AUTOCOMMIT",
            "connect_args": self._asyncpg() if self.driver == "asyncpg" else self._psycopg(asynchronous=asynchronous),
            "pool_reset_on_return": None,  # every unit ends its own transaction, and looks whether it has
        }
        if self.driver == "psycopg":
            arguments["paramstyle"] = "format"  # by place, so that rows are tuples on their way to the driver
        if self.options.profile == "serverless":
            return {**arguments, "poolclass": NullPool}
        pool = AsyncAdaptedQueuePool if asynchronous else QueuePool
        return {**arguments, "poolclass": pool, "pool_size": self.pool_size, "max_overflow": 0, "pool_pre_ping": True}

    def _psycopg(self, *, asynchronous: bool) -> dict[str, Any]:
        from controlroom.database.postgres.psycopg_connections import (  # noqa: PLC0415 - an extra
            LimitedAsyncConnection,
        )

        arguments: dict[str, Any] = {"connect_timeout": _CONNECT_S, "keepalives": 1, **_KEEPALIVES}
        if self.options.application_name:
            arguments["application_name"] = self.options.application_name
        if self.options.profile == "pooler":
            arguments["prepare_threshold"] = None
        else:
            arguments["options"] = " ".join(f"-c {name}={value}" for name, value in self._limits().items())
        if asynchronous:
            arguments["async_creator_fn"] = LimitedAsyncConnection.connect
        return arguments

    def _asyncpg(self) -> dict[str, Any]:
        arguments: dict[str, Any] = {"timeout": _CONNECT_S}
        settings = {"application_name": self.options.application_name} if self.options.application_name else {}
        if self.options.profile == "pooler":
            arguments |= {"statement_cache_size": 0, "prepared_statement_cache_size": 0}
        else:
            settings |= {name: str(value) for name, value in self._limits().items()}
        return {**arguments, "server_settings": settings}

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
        if self.driver == "psycopg":
            on(engine, "do_connect", self._connect)

    def _connect(self, _dialect: Any, _record: Any, arguments: Any, options: Any) -> Any:
        if "async_creator_fn" in options:
            return None  # SQLAlchemy goes on by itself, and awaits
        from controlroom.database.postgres.psycopg_connections import LimitedConnection  # noqa: PLC0415 - an extra

        return LimitedConnection.connect(*arguments, **options)

    def _attach(self, dbapi: Any, record: Any) -> None:
        """Keep a link for a new connection."""
        kind = AsyncpgLink if self.driver == "asyncpg" else PsycopgLink
        record.info[KEY] = kind(dbapi, self.options)

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
        limits = self._limits() if self.options.profile == "pooler" else {}
        statement_timeout_s = self.options.statement_timeout_s
        if deadline is not None and deadline.remaining_s() < statement_timeout_s:
            statement_timeout_s = deadline.remaining_s()
            limits["statement_timeout"] = milliseconds(statement_timeout_s)
        if deadline is not None and deadline.remaining_s() < self.options.lock_timeout_s:
            limits["lock_timeout"] = milliseconds(deadline.remaining_s())
        link.only_reads = read_only
        settings = "".join(f"; SET LOCAL {name} = {value}" for name, value in limits.items())
        link.begin(begin + settings, statement_timeout_s)

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


def _as_it_is(value: Any) -> Any:
    return value
