"""Behind PgBouncer in transaction mode, where each transaction may meet another session: everything that the library does."""

from __future__ import annotations

import asyncio
import contextlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from controlroom.database import AsyncDatabase, Database
from controlroom.errors import ConfigError, QueryError, TransactionConflictError
from controlroom.retrying import RetryPolicy
from tests.integration.database_colours import opened
from tests.servers.pgbouncer import Bouncer, pgbouncer

__all__ = ["pgbouncer"]

KINDS = ("psycopg-sync", "psycopg-async", "asyncpg")


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class Behind:
    """A database, as it is seen through PgBouncer and past it."""

    def __init__(self, bouncer: Bouncer, module_database: Any) -> None:
        self._bouncer = bouncer
        self._cluster, self._name, self.at = module_database
        self.at.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        self.at.execute("CREATE TABLE account (id int PRIMARY KEY, balance int, note jsonb, day date[])")

    def wake(self) -> None:
        """Have all four sessions there, so that each transaction meets another one."""
        with contextlib.ExitStack() as stack:
            for _ in range(4):
                raw = stack.enter_context(psycopg.connect(self.url("psycopg").replace("+psycopg", "")))
                raw.execute("SELECT 1")

    def url(self, kind: str) -> str:
        return self._bouncer.url(self._cluster.sqlalchemy_url(self._name, kind.partition("-")[0]))

    def opened(self, kind: str, **options: Any) -> Any:
        return opened(kind, self.url(kind), **{"profile": "pooler", **options})


@pytest.fixture
def behind(pgbouncer: Bouncer, module_database: Any) -> Behind:
    behind = Behind(pgbouncer, module_database)
    behind.wake()
    return behind


def test_units_meet_more_than_one_session(behind: Behind, kind: str) -> None:
    with behind.opened(kind) as db:
        met = {db.rows("SELECT pg_backend_pid()")[0][0] for _ in range(12)}
    assert len(met) == 4


def test_statements_with_parameters_and_types_of_every_kind(behind: Behind, kind: str) -> None:
    with behind.opened(kind, pool_size=3) as db:
        for number in range(30):
            with db.unit_of_work() as uow:
                uow.insert("account", [{"id": number, "balance": number, "note": {"n": number}}])
                row = uow.execute("SELECT balance, note FROM account WHERE id = :id", {"id": number}).one()
                assert (row.balance, row.note) == (number, {"n": number})
    assert behind.at.execute("SELECT sum(balance) FROM account").fetchone() == (sum(range(30)),)


def test_nothing_outlives_a_transaction(behind: Behind, kind: str) -> None:
    with behind.opened(kind, statement_timeout_s=7, lock_timeout_s=3) as db:
        for number in range(20):
            with db.unit_of_work() as uow:
                assert uow.scalar("SHOW statement_timeout") == "7s"
                uow.scalar("SELECT count(*) FROM account WHERE id = :id", {"id": number})
            db.rows("SELECT count(*) FROM account WHERE balance = :id", {"id": number})
    with psycopg.connect(behind.url("psycopg").replace("+psycopg", ""), autocommit=True, prepare_threshold=None) as raw:
        for _ in range(8):
            shown = raw.execute(
                "SELECT current_setting('statement_timeout'), current_setting('lock_timeout')"
            ).fetchone()
            assert shown == ("0", "0")
            assert raw.execute("SELECT count(*) FROM pg_prepared_statements").fetchone() == (0,)
            assert raw.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").fetchone() == (0,)


def test_a_key_is_done_once(behind: Behind, kind: str) -> None:
    with behind.opened(kind) as db:
        db.create_control_tables()
        if kind == "psycopg-sync":
            results = [
                db.transact(lambda uow: uow.insert("account", [{"id": 1, "balance": 5}]), key="k") for _ in range(3)
            ]
        else:

            async def insert(uow: Any) -> int:
                return int(await uow.insert("account", [{"id": 1, "balance": 5}]))

            results = [db.transact(insert, key="k") for _ in range(3)]
    assert results == [1, 1, 1]
    assert behind.at.execute("SELECT count(*) FROM account").fetchone() == (1,)


def test_a_stream_beside_units(behind: Behind, kind: str) -> None:
    with behind.opened(kind) as db:
        seen = 0
        for row in db.stream("SELECT generate_series(1, 5000) AS n", chunk=500):
            seen += 1
            if row.n % 1000 == 0:
                assert db.rows("SELECT :n + 1 AS m", {"n": row.n})[0].m == row.n + 1
    assert seen == 5000


def test_load_and_upsert(behind: Behind, kind: str) -> None:
    with behind.opened(kind) as db:
        for start in (0, 500):
            with db.unit_of_work() as uow:
                uow.load(
                    "account", [(number, start) for number in range(start, start + 1000)], ["id"], ["id", "balance"]
                )
        with db.unit_of_work() as uow:
            count = uow.upsert(
                "account", [{"id": 1, "balance": 0}, {"id": 2, "balance": 7}, {"id": 9999, "balance": 1}], ["id"]
            )
    assert (count.inserted, count.updated, count.unchanged) == (1, 1, 1)
    assert behind.at.execute("SELECT count(*) FROM account").fetchone() == (1501,)


def test_a_statement_that_takes_too_long_is_stopped(behind: Behind, kind: str) -> None:
    with behind.opened(kind, statement_timeout_s=0.2) as db:
        with pytest.raises(QueryError, match="statement_timeout_s"), db.unit_of_work() as uow:
            uow.execute("SELECT pg_sleep(60)")
        assert db.rows("SELECT 1")[0][0] == 1


def test_sixteen_threads_over_four_sessions(behind: Behind) -> None:
    behind.at.execute("INSERT INTO account SELECT n, 100 FROM generate_series(0, 7) AS n")
    retry = RetryPolicy(attempts=50)

    with Database(behind.url("psycopg"), profile="pooler", pool_size=16) as db, ThreadPoolExecutor(16) as threads:

        def transfer(number: int) -> None:
            def body(uow: Any) -> None:
                uow.execute("UPDATE account SET balance = balance - 1 WHERE id = :id", {"id": number % 8})
                uow.execute("UPDATE account SET balance = balance + 1 WHERE id = :id", {"id": (number * 3 + 1) % 8})

            db.transact(body, retry=retry)

        list(threads.map(transfer, range(160)))
    assert behind.at.execute("SELECT sum(balance) FROM account").fetchone() == (800,)


@pytest.mark.parametrize("driver", ["psycopg", "asyncpg"])
def test_sixteen_tasks_over_four_sessions(behind: Behind, driver: str) -> None:
    """All of them connect at once: what SQLAlchemy and asyncpg ask then goes to more than one session, too."""
    behind.at.execute("INSERT INTO account SELECT n, 100 FROM generate_series(0, 7) AS n")

    async def main() -> None:
        async with AsyncDatabase(behind.url(driver), profile="pooler", pool_size=16) as db:

            async def transfer(number: int) -> None:
                async def body(uow: Any) -> None:
                    await uow.execute("UPDATE account SET balance = balance - 1 WHERE id = :id", {"id": number % 8})
                    await uow.execute(
                        "UPDATE account SET balance = balance + 1 WHERE id = :id", {"id": (number + 1) % 8}
                    )

                await db.transact(body, retry=RetryPolicy(attempts=50))

            async with asyncio.TaskGroup() as group:
                for number in range(96):
                    group.create_task(transfer(number))

    asyncio.run(main())
    assert behind.at.execute("SELECT sum(balance) FROM account").fetchone() == (800,)


def test_locks_end_with_the_transaction(behind: Behind, kind: str) -> None:
    behind.at.execute("INSERT INTO account VALUES (1, 0)")
    with behind.opened(kind, lock_timeout_s=0.2) as db:
        with db.unit_of_work() as one:
            one.execute("UPDATE account SET balance = 1 WHERE id = 1")
            with pytest.raises(TransactionConflictError), db.unit_of_work() as two:
                two.execute("UPDATE account SET balance = 2 WHERE id = 1")
        with db.unit_of_work() as three:
            three.execute("UPDATE account SET balance = balance + 1 WHERE id = 1")
    assert behind.at.execute("SELECT balance FROM account").fetchone() == (2,)


@pytest.mark.parametrize("profile", ["server", "serverless"])
def test_a_profile_that_sets_up_sessions_is_told_that_a_pooler_is_there(
    behind: Behind, kind: str, profile: str
) -> None:
    with behind.opened(kind, profile=profile) as db, pytest.raises(ConfigError, match="profile='pooler'"):
        db.rows("SELECT 1")
