"""Connections: under which name, for how long, in which process and loop, and who is named when there are none left."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import threading
import warnings
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from controlroom.database import AsyncDatabase, Database
from controlroom.errors import PoolExhaustedError, QueryError
from controlroom.jobs import Run, job
from controlroom.logs import bound
from tests.integration.database_colours import opened
from tests.servers.postgres import Cluster, binaries
from tests.servers.silence import SilentNetwork

KINDS = ("psycopg-sync", "psycopg-async", "asyncpg")
MY_NAME = "SELECT application_name FROM pg_stat_activity WHERE pid = pg_backend_pid()"
SESSIONS = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'counted'"


@pytest.fixture
def place(module_database: Any) -> tuple[Cluster, str, psycopg.Connection[Any]]:
    cluster, name, connection = module_database
    connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public; CREATE TABLE item (id int)")
    return cluster, name, connection


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def url_of(place: Any, kind: str) -> str:
    cluster, name, _ = place
    return str(cluster.sqlalchemy_url(name, kind.partition("-")[0]))


def scalar(db: Any, sql: str) -> Any:
    (row,) = db.rows(sql)
    return row[0]


def gone(connection: psycopg.Connection[Any], query: str = SESSIONS) -> bool:
    """Whether the server has noticed: it takes a moment to end a session."""
    for _ in range(2_000):
        if connection.execute(query).fetchone() == (0,):
            return True
        connection.execute("SELECT pg_sleep(0.01)")
    return False


class TestTheName:
    def test_of_the_run(self, place: Any, kind: str) -> None:
        run_id = "01999999-0000-7000-8000-000000000001"
        with opened(kind, url_of(place, kind)) as db, bound(run_id=run_id, job="load"):
            assert scalar(db, MY_NAME) == f"controlroom load {run_id}"

    def test_of_a_running_job_in_each_of_its_runs_on_the_same_connection(self, place: Any, kind: str) -> None:
        with opened(kind, url_of(place, kind), pool_size=1) as db:

            @job(name="nightly")
            def load(run: Run[None]) -> None:
                assert scalar(db, MY_NAME) == f"controlroom nightly {run.id}"

            load.run()
            load.run()
            assert scalar(db, MY_NAME) == "controlroom"

    def test_of_the_next_run_on_the_same_connection(self, place: Any, kind: str) -> None:
        with opened(kind, url_of(place, kind), pool_size=1) as db:
            with bound(run_id="first"):
                assert scalar(db, MY_NAME) == "controlroom first"
            with bound(run_id="it's second"):
                assert scalar(db, MY_NAME) == "controlroom it's second"
            assert scalar(db, MY_NAME) == "controlroom"

    def test_a_long_one_keeps_the_run_id_whole(self, place: Any, kind: str) -> None:
        run_id = "01999999-0000-7000-8000-000000000001"
        with opened(kind, url_of(place, kind)) as db, bound(run_id=run_id, job="lädt\\" * 50):
            name = scalar(db, MY_NAME)
        assert name.endswith(run_id)
        assert len(name.encode()) <= 63

    def test_that_was_given(self, place: Any, kind: str) -> None:
        with opened(kind, url_of(place, kind), application_name="night's " * 20) as db, bound(run_id="x"):
            assert scalar(db, MY_NAME) == ("night's " * 20)[:63].rstrip()


@pytest.mark.parametrize("profile", ["server", "pooler", "serverless"])
def test_every_unit_has_its_limits(place: Any, kind: str, profile: str) -> None:
    limits = {"statement_timeout_s": 7, "lock_timeout_s": 3, "idle_timeout_s": 11}
    with opened(kind, url_of(place, kind), profile=profile, **limits) as db:
        shown = [scalar(db, f"SHOW {name}") for name in ("statement_timeout", "lock_timeout")]
        shown.append(scalar(db, "SHOW idle_in_transaction_session_timeout"))
    assert shown == ["7s", "3s", "11s"]


def test_behind_a_pooler_nothing_is_prepared_on_the_server(place: Any, kind: str) -> None:
    with opened(kind, url_of(place, kind), profile="pooler", pool_size=1) as db, db.unit_of_work() as uow:
        for number in range(8):
            uow.execute("INSERT INTO item VALUES (:id)", {"id": number})
            uow.scalar("SELECT count(*) FROM item WHERE id < :id", {"id": number})
        assert uow.scalar("SELECT count(*) FROM pg_prepared_statements WHERE name <> ''") == 0


def test_serverless_leaves_no_connection_open(place: Any, kind: str) -> None:
    with opened(kind, url_of(place, kind), profile="serverless", application_name="counted") as db:
        assert scalar(db, SESSIONS) == 1
        assert gone(place[2])


class TestAnExhaustedPool:
    def test_names_its_holders(self, place: Any) -> None:
        with Database(url_of(place, "psycopg"), pool_size=1, pool_timeout_s=0.05) as db:
            with db.unit_of_work(), pytest.raises(PoolExhaustedError) as caught:
                thread = threading.Thread(name="the other", target=lambda: None)
                thread.start()
                thread.join()
                db.rows("SELECT 1")
            assert threading.current_thread().name in caught.value.holders[0]

    @pytest.mark.parametrize("driver", ["psycopg", "asyncpg"])
    def test_names_the_tasks(self, place: Any, driver: str) -> None:
        async def main() -> PoolExhaustedError:
            async with AsyncDatabase(url_of(place, driver), pool_size=2, pool_timeout_s=0.05) as db:
                done, begun = asyncio.Event(), asyncio.Barrier(3)

                async def hold() -> None:
                    async with db.unit_of_work():
                        await begun.wait()
                        await done.wait()

                async with asyncio.TaskGroup() as group:
                    for name in ("orders", "prices"):
                        group.create_task(hold(), name=name)
                    await begun.wait()
                    with pytest.raises(PoolExhaustedError) as caught:
                        await db.rows("SELECT 1")
                    done.set()
                assert [row[0] for row in await db.rows("SELECT 1")] == [1]
                return caught.value

        error = asyncio.run(main())
        assert [holder.partition(",")[0] for holder in error.holders] == ["task orders", "task prices"]


class TestAStaleConnection:
    def test_after_the_server_ended_every_session(self, place: Any, kind: str) -> None:
        with opened(kind, url_of(place, kind), application_name="counted", pool_size=3) as db:
            with db.unit_of_work(read_only=True) as one, db.unit_of_work(read_only=True) as two:
                assert one.scalar(SESSIONS) == two.scalar(SESSIONS) == 2
            place[2].execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'counted'"
            )
            assert gone(place[2])
            for _ in range(4):
                assert scalar(db, "SELECT 1") == 1

    @pytest.mark.parametrize("silent", [False, True])
    def test_after_a_firewall_forgot_it(self, place: Any, kind: str, silent: bool) -> None:
        """Hung up on, or without a word: the kernel knows nothing of the latter, BEGIN finds out."""
        with SilentNetwork(url_of(place, kind)) as network, opened(kind, network.url, connect_timeout_s=1) as db:
            with db.unit_of_work(read_only=True), db.unit_of_work(read_only=True):
                pass
            if silent:
                network.forget()
            else:
                network.hang_up()
            for _ in range(3):
                assert scalar(db, "SELECT 1") == 1
            assert network.opened == 3  # the one that came back last is taken first
            with db.unit_of_work(read_only=True) as one, db.unit_of_work(read_only=True) as two:
                assert one.scalar("SELECT 1") == two.scalar("SELECT 1") == 1
            assert network.opened == 4

    def test_after_a_restart_of_the_server(self, tmp_path_factory: pytest.TempPathFactory) -> None:
        folder = binaries()
        if folder is None:
            pytest.skip("there is no PostgreSQL here: nothing was restarted")
        cluster = Cluster(folder)
        try:
            cluster.start()
            for kind in KINDS:
                with opened(kind, cluster.sqlalchemy_url("postgres", kind.partition("-")[0])) as db:
                    assert scalar(db, "SELECT 1") == 1
                    cluster.stop()
                    cluster.start()
                    with db.unit_of_work() as uow:
                        assert uow.scalar("SELECT 1") == 1
        finally:
            cluster.remove()

    def test_a_connection_that_is_fresh_is_not_tried_again(self, place: Any, kind: str) -> None:
        with SilentNetwork(url_of(place, kind)) as network, opened(kind, network.url) as db:
            scalar(db, "SELECT 1")
            assert network.opened == 1


@pytest.mark.parametrize("driver", ["psycopg", "asyncpg"])
class TestEventLoops:
    def test_one_after_the_other_and_nothing_is_left_at_the_server(self, place: Any, driver: str) -> None:
        db = AsyncDatabase(url_of(place, driver), application_name="counted")

        async def main() -> None:
            async with db.unit_of_work() as one, db.unit_of_work() as two:
                assert await one.scalar(SESSIONS) == await two.scalar(SESSIONS) == 2

        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for _ in range(3):
                asyncio.run(main())
                assert gone(place[2])
                gc.collect()
            asyncio.run(db.aclose())

    def test_another_one_while_units_are_open_is_refused(self, place: Any, driver: str) -> None:
        async def main() -> None:
            async with AsyncDatabase(url_of(place, driver)) as db, db.unit_of_work():

                def elsewhere() -> QueryError:
                    with pytest.raises(QueryError, match="another event loop") as caught:
                        asyncio.run(db.rows("SELECT 1"))
                    return caught.value

                await asyncio.to_thread(elsewhere)

        asyncio.run(main())

    def test_a_loop_that_was_just_closed(self, place: Any, driver: str) -> None:
        """Without shutdown_asyncgens nobody can close its connections any more; another loop gets others."""
        db = AsyncDatabase(url_of(place, driver))
        for _ in range(2):
            loop = asyncio.new_event_loop()
            assert loop.run_until_complete(db.rows("SELECT 1"))[0][0] == 1
            loop.close()
        asyncio.run(db.aclose())

    def test_closing_while_a_unit_is_open(self, place: Any, driver: str) -> None:
        async def main() -> None:
            db = AsyncDatabase(url_of(place, driver), application_name="counted")
            async with db.unit_of_work() as uow:
                await db.aclose()
                await uow.execute("INSERT INTO item VALUES (1)")
                with pytest.raises(QueryError, match="closed"):
                    await db.rows("SELECT 1")

        asyncio.run(main())
        assert gone(place[2])
        assert place[2].execute("SELECT count(*) FROM item").fetchone() == (1,)


def test_closing_while_a_unit_is_open(place: Any) -> None:
    db = Database(url_of(place, "psycopg"), application_name="counted")
    with db.unit_of_work() as uow:
        db.close()
        uow.execute("INSERT INTO item VALUES (1)")
        with pytest.raises(QueryError, match="closed"):
            db.rows("SELECT 1")
    assert gone(place[2])
    assert place[2].execute("SELECT count(*) FROM item").fetchone() == (1,)


def in_a_child(body: Any) -> None:
    """Run *body* in a forked process; fail where it fails."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # 3.12 and later warn of threads
        pid = os.fork()
    if pid == 0:
        code = 1
        try:
            body()
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def forked(db: Database, expected: int) -> None:
    assert scalar(db, "SELECT count(*) FROM item") == expected
    db.close()


class TestFork:
    def test_a_child_has_connections_of_its_own_and_its_close_is_not_the_parents(self, place: Any) -> None:
        with Database(url_of(place, "psycopg"), pool_size=1) as db:
            mine = scalar(db, "SELECT pg_backend_pid()")

            def body() -> None:
                assert scalar(db, "SELECT pg_backend_pid()") != mine
                db.close()

            in_a_child(body)
            in_a_child(db.close)
            assert scalar(db, "SELECT pg_backend_pid()") == mine

    def test_a_unit_of_the_parent_is_not_the_childs(self, place: Any) -> None:
        with Database(url_of(place, "psycopg")) as db:
            with db.unit_of_work() as uow:
                uow.execute("INSERT INTO item VALUES (1)")

                def body() -> None:
                    with pytest.raises(QueryError, match="parent process"):
                        uow.scalar("SELECT 1")

                def commit() -> None:
                    with pytest.raises(QueryError, match="parent process"):
                        uow.__exit__(None, None, None)

                in_a_child(body)
                in_a_child(commit)
                in_a_child(lambda: uow.__exit__(ValueError, ValueError(), None))
                uow.execute("INSERT INTO item VALUES (2)")
            assert scalar(db, "SELECT count(*) FROM item") == 2

    @pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
    def test_multiprocessing(self, place: Any) -> None:
        with Database(url_of(place, "psycopg")) as db:
            scalar(db, "SELECT 1")
            processes = [
                multiprocessing.get_context("fork").Process(target=forked, args=(db, 0), daemon=True) for _ in range(3)
            ]
            for process in processes:
                process.start()
            for process in processes:
                process.join(60)
                assert process.exitcode == 0
            assert scalar(db, "SELECT 1") == 1

    @pytest.mark.parametrize("driver", ["psycopg", "asyncpg"])
    def test_a_child_of_an_asynchronous_parent(self, place: Any, driver: str) -> None:
        db = AsyncDatabase(url_of(place, driver), pool_size=1)

        def child() -> None:
            asyncio.run(_count(db))
            asyncio.run(db.aclose())

        async def main() -> None:
            mine = [row[0] for row in await db.rows("SELECT pg_backend_pid()")]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                process = multiprocessing.get_context("fork").Process(target=child, daemon=True)
                process.start()
            process.join(60)
            assert process.exitcode == 0
            assert [row[0] for row in await db.rows("SELECT pg_backend_pid()")] == mine
            await db.aclose()

        asyncio.run(main())


async def _count(db: AsyncDatabase) -> None:
    assert [row[0] for row in await db.rows("SELECT count(*) FROM item")] == [0]


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    yield
    gc.collect()
