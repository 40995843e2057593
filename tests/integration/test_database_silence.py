"""A server that says nothing any more: whatever is waited for then ends, within its limit, with the truth."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from controlroom.clock import deadline
from controlroom.database import AsyncDatabase
from controlroom.database.postgres import asyncpg_connections, limits, link
from controlroom.errors import (
    CommitInDoubtError,
    ControlRoomError,
    DatabaseUnavailableError,
    DeadlineExceededError,
)
from tests.integration.database_colours import opened
from tests.servers.silence import SilentNetwork

KINDS = ("psycopg-sync", "psycopg-async", "asyncpg")
SHORT = {"statement_timeout_s": 0.3, "commit_timeout_s": 0.3, "connect_timeout_s": 0.3, "pool_size": 2}
PATIENCE_S = 60  # of the test, with what ought to take less than three seconds


class Meant(Exception):
    """Raised by a body on purpose."""


def ends(scenario: Callable[[], Any]) -> Any:
    """Return what *scenario* returns or raises; fail where it hangs."""
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.append(scenario())
        except BaseException as error:
            outcome.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(PATIENCE_S)
    assert not thread.is_alive(), "it hangs"
    return outcome[0]


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "GRACE_S", 0.1)
    monkeypatch.setattr(limits, "OTHERWISE_S", 0.3)
    monkeypatch.setattr(asyncpg_connections, "_CLOSE_S", 0.1)


@pytest.fixture
def network(module_database: Any) -> Iterator[SilentNetwork]:
    cluster, name, connection = module_database
    connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public; CREATE TABLE item (id int, text text)")
    with SilentNetwork(cluster.sqlalchemy_url(name)) as between:
        yield between


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def database(kind: str, network: SilentNetwork, **options: Any) -> Any:
    return opened(kind, network.url.replace("psycopg", kind.partition("-")[0]), **{**SHORT, **options})


def test_connecting(kind: str, network: SilentNetwork) -> None:
    network.fall_silent()

    def scenario() -> None:
        with database(kind, network) as db:
            db.rows("SELECT 1")

    error = ends(scenario)
    assert isinstance(error, DatabaseUnavailableError), error
    assert "Nothing was begun" in error.message


def test_what_sqlalchemy_asks_a_new_connection(kind: str, network: SilentNetwork) -> None:
    network.fall_silent_after_the_login()

    def scenario() -> None:
        with database(kind, network) as db:
            db.rows("SELECT 1")

    error = ends(scenario)
    assert isinstance(error, DatabaseUnavailableError), error


def test_connecting_under_a_deadline(kind: str, network: SilentNetwork) -> None:
    network.fall_silent()

    def scenario() -> None:
        with database(kind, network, connect_timeout_s=600) as db, deadline(0.2):
            db.rows("SELECT 1")

    error = ends(scenario)
    assert isinstance(error, DatabaseUnavailableError | DeadlineExceededError), error


def test_begin_on_a_connection_of_the_pool(kind: str, network: SilentNetwork) -> None:
    def scenario() -> None:
        with database(kind, network) as db:
            db.rows("SELECT 1")
            network.fall_silent()
            db.rows("SELECT 1")

    error = ends(scenario)
    assert isinstance(error, DatabaseUnavailableError), error
    assert "Nothing was begun" in error.message


def _statement(uow: Any) -> None:
    uow.scalar("SELECT 1")


def _savepoint(uow: Any) -> None:
    with uow.savepoint():
        pass


def _load(uow: Any) -> None:
    uow.load("item", [(number, "x" * 1000) for number in range(20_000)], columns=["id", "text"])


@pytest.mark.parametrize("what", [_statement, _savepoint, _load])
def test_statements(kind: str, network: SilentNetwork, what: Callable[[Any], None]) -> None:
    def scenario() -> None:
        with database(kind, network) as db, db.unit_of_work() as uow:
            uow.scalar("SELECT count(*) FROM item")
            if what is _load:
                uow.load("item", [(1, "x")], columns=["id", "text"])  # it has looked at the table
            network.fall_silent()
            what(uow)

    error = ends(scenario)
    assert isinstance(error, DatabaseUnavailableError), error
    assert "rolled back" in error.message


def test_the_end_of_a_savepoint(kind: str, network: SilentNetwork) -> None:
    def scenario() -> None:
        with database(kind, network) as db, db.unit_of_work() as uow, uow.savepoint():
            uow.scalar("SELECT 1")
            network.fall_silent()

    error = ends(scenario)
    assert isinstance(error, DatabaseUnavailableError), error


def test_rows_that_are_being_copied(kind: str, network: SilentNetwork) -> None:
    def rows() -> Iterator[tuple[int, str]]:
        for number in range(200_000):
            if number == 1_000:
                network.fall_silent()
            yield number, "x" * 1_000

    def scenario() -> None:
        with database(kind, network, statement_timeout_s=1) as db, db.unit_of_work() as uow:
            uow.load("item", rows(), columns=["id", "text"])

    error = ends(scenario)
    assert isinstance(error, DatabaseUnavailableError), error


def test_a_stream(kind: str, network: SilentNetwork) -> None:
    def scenario() -> None:
        with database(kind, network) as db:
            for row in db.stream("SELECT generate_series(1, 100000) AS n", chunk=10):
                if row.n == 5:
                    network.fall_silent()

    error = ends(scenario)
    assert isinstance(error, DatabaseUnavailableError), error


@pytest.mark.filterwarnings("ignore:.*ServerCursor:ResourceWarning")  # psycopg's: its CLOSE was not answered
def test_leaving_a_stream(kind: str, network: SilentNetwork) -> None:
    def scenario() -> str:
        with database(kind, network) as db:
            stream = db.stream("SELECT generate_series(1, 100000) AS n", chunk=10)
            with contextlib.closing(iter(stream)) as rows:
                next(rows)
                network.fall_silent()
        return "left"

    assert ends(scenario) == "left"
    gc.collect()


def test_rollback(kind: str, network: SilentNetwork) -> None:
    def scenario() -> None:
        with database(kind, network) as db, db.unit_of_work() as uow:
            uow.execute("INSERT INTO item VALUES (1, 'a')")
            network.fall_silent()
            raise Meant

    assert isinstance(ends(scenario), Meant)


def test_commit_that_was_not_sent(kind: str, network: SilentNetwork) -> None:
    def scenario() -> None:
        with database(kind, network) as db, db.unit_of_work() as uow:
            uow.execute("INSERT INTO item VALUES (1, 'a')")
            network.fall_silent()

    error = ends(scenario)
    assert isinstance(error, DatabaseUnavailableError), error
    assert "rolled back" in error.message


def test_commit_of_a_unit_that_read(kind: str, network: SilentNetwork) -> None:
    def scenario() -> None:
        with database(kind, network) as db, db.unit_of_work(read_only=True) as uow:
            uow.scalar("SELECT 1")
            network.fall_silent()

    assert isinstance(ends(scenario), CommitInDoubtError | DatabaseUnavailableError)


def test_closing_idle_connections(kind: str, network: SilentNetwork) -> None:
    def scenario() -> str:
        with database(kind, network) as db:
            with db.unit_of_work(read_only=True), db.unit_of_work(read_only=True):
                pass
            network.fall_silent()
        return "closed"

    assert ends(scenario) == "closed"


@pytest.mark.parametrize("driver", ["psycopg", "asyncpg"])
def test_a_cancelled_task(driver: str, network: SilentNetwork) -> None:
    async def main() -> None:
        async with AsyncDatabase(network.url.replace("psycopg", driver), **SHORT) as db:  # type: ignore[arg-type]  # numbers all
            begun = asyncio.Event()

            async def work() -> None:
                async with db.unit_of_work() as uow:
                    await uow.scalar("SELECT 1")
                    network.fall_silent()
                    begun.set()
                    await uow.scalar("SELECT 2")

            task = asyncio.create_task(work())
            await begun.wait()
            task.cancel()
            await task

    error = ends(lambda: asyncio.run(main()))
    assert isinstance(error, asyncio.CancelledError | ControlRoomError), error
