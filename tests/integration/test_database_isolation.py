"""What each isolation level lets happen: Hermitage's table, and histories of our own units under a checker."""

from __future__ import annotations

import asyncio
import queue
import random
import threading
from concurrent.futures import Future, ThreadPoolExecutor, wait
from itertools import count

import pytest

from controlroom.database import AsyncDatabase, Database
from controlroom.errors import TransactionConflictError
from tests.integration.database_colours import KINDS
from tests.property.histories import EXCLUDED, Append, Read, Txn, anomalies

LEVELS = ("READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE")
LIMIT_S = 60


# Hermitage (github.com/ept/hermitage, postgres.md): whose anomaly shows at which level


class Session:
    """A unit in a thread of its own, which may have to wait for a lock."""

    def __init__(self, db, place, isolation):
        self._place = place
        self._asked = queue.SimpleQueue()
        self._pid = Future()
        self._thread = threading.Thread(target=self._run, args=(db.unit_of_work(isolation=isolation),))
        self.conflict = None
        self._thread.start()
        self._pid.result(LIMIT_S)

    def _run(self, unit):
        try:
            with unit as uow:
                self._pid.set_result(uow.scalar("SELECT pg_backend_pid()"))
                while (asked := self._asked.get()) is not None:
                    sql, answer = asked
                    if sql == "ROLLBACK":
                        answer.set_result(uow.rollback())
                        return
                    try:
                        result = uow.execute(sql)
                        answer.set_result(dict(map(tuple, result)) if sql.startswith("SELECT") else None)
                    except BaseException as error:
                        answer.set_exception(error)
                        raise
        except TransactionConflictError as error:
            self.conflict = error

    def do(self, sql):
        """Run *sql*; come back when it is done, or when it waits for somebody: None then."""
        if self.conflict is not None:
            return None
        answer = Future()
        self._asked.put((sql, answer))
        waits = f"SELECT cardinality(pg_blocking_pids({self._pid.result()})) > 0"
        while not wait([answer], timeout=0.005).done:
            if not self._thread.is_alive() or self._place.column(waits) == [True]:
                return None
        if answer.exception() is not None:
            self._thread.join(LIMIT_S)
            return None
        return answer.result()

    def commit(self):
        """End it; tell whether it has committed."""
        self._asked.put(None)
        self._thread.join(LIMIT_S)
        assert not self._thread.is_alive()
        return self.conflict is None


ONE, TWO, BOTH = (f"SELECT id, value FROM test WHERE id {which}" for which in ("= 1", "= 2", "IN (1, 2)"))
THIRDS = "SELECT id, value FROM test WHERE value % 3 = 0"


def put(number, value):
    return f"UPDATE test SET value = {value} WHERE id = {number}"


def g0(one, two, _three, now):
    one.do(put(1, 11))
    two.do(put(1, 12))
    one.do(put(2, 21))
    one.commit()
    two.do(put(2, 22))
    two.commit()
    return now() not in ({1: 11, 2: 21}, {1: 12, 2: 22})


def g1a(one, two, _three, _now):
    one.do(put(1, 101))
    seen = two.do(BOTH)
    one.do("ROLLBACK")
    return 101 in {*seen.values(), *two.do(BOTH).values()}


def g1b(one, two, _three, _now):
    one.do(put(1, 101))
    seen = two.do(BOTH)
    one.do(put(1, 11))
    one.commit()
    return 101 in {*seen.values(), *two.do(BOTH).values()}


def g1c(one, two, _three, _now):
    one.do(put(1, 11))
    two.do(put(2, 22))
    return one.do(TWO) == {2: 22} or two.do(ONE) == {1: 11}


def otv(one, two, three, _now):
    one.do(put(1, 11))
    one.do(put(2, 19))
    two.do(put(1, 12))
    one.commit()
    seen = [three.do(ONE)]
    two.do(put(2, 18))
    seen.append(three.do(TWO))
    two.commit()
    seen += [three.do(TWO), three.do(ONE)]
    return seen[2] == {2: 18} and seen[3] == {1: 11}


def pmp(one, two, _three, _now):
    assert one.do("SELECT id, value FROM test WHERE value = 30") == {}
    two.do("INSERT INTO test (id, value) VALUES (3, 30)")
    two.commit()
    return one.do(THIRDS) != {}


def p4(one, two, _three, _now):
    one.do(ONE)
    two.do(ONE)
    one.do(put(1, 11))
    two.do(put(1, 12))
    return all([one.commit(), two.commit()])


def g_single(one, two, _three, _now):
    assert one.do(ONE) == {1: 10}
    two.do(put(1, 12))
    two.do(put(2, 18))
    two.commit()
    return one.do(TWO) == {2: 18}


def g2_item(one, two, _three, _now):
    one.do(BOTH)
    two.do(BOTH)
    one.do(put(1, 11))
    two.do(put(2, 21))
    return all([one.commit(), two.commit()])


def g2(one, two, _three, _now):
    one.do(THIRDS)
    two.do(THIRDS)
    one.do("INSERT INTO test (id, value) VALUES (3, 30)")
    two.do("INSERT INTO test (id, value) VALUES (4, 42)")
    return all([one.commit(), two.commit()])


HAPPENS = {  # at these levels; at the others it does not
    g0: (),
    g1a: (),
    g1b: (),
    g1c: (),
    otv: (),
    pmp: ("READ COMMITTED",),
    p4: ("READ COMMITTED",),
    g_single: ("READ COMMITTED",),
    g2_item: ("READ COMMITTED", "REPEATABLE READ"),
    g2: ("READ COMMITTED", "REPEATABLE READ"),
}


@pytest.mark.parametrize("kind", ["psycopg-sync"], indirect=True)
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("anomaly", HAPPENS, ids=lambda anomaly: anomaly.__name__)
def test_a_level_lets_happen_what_it_says_and_nothing_else(place, level, anomaly):
    place.look("CREATE TABLE test (id integer PRIMARY KEY, value integer); INSERT INTO test VALUES (1, 10), (2, 20)")
    with place.opened() as db:
        sessions = [Session(db, place, level) for _ in range(3)]
        try:
            happened = anomaly(*sessions, lambda: dict(place.look(BOTH)))
        finally:
            for session in sessions:
                session.commit()

    assert happened is (level in HAPPENS[anomaly])


@pytest.mark.parametrize("level", LEVELS)
def test_a_unit_has_the_level_that_was_asked_for_or_a_stronger_one(place, level):
    with place.opened() as db:
        for _ in range(2):  # a connection that is used again, too
            with db.unit_of_work(isolation=level) as uow:
                if not place.is_sqlite:
                    assert uow.scalar("SHOW transaction_isolation") == level.lower()
            with db.unit_of_work() as uow:
                if not place.is_sqlite:
                    assert uow.scalar("SHOW transaction_isolation") == "read committed"
            with db.unit_of_work(read_only=True) as uow:
                if not place.is_sqlite:
                    assert uow.scalar("SHOW transaction_isolation") == "repeatable read"


# Histories


LISTS = "xyz"
APPEND = "UPDATE lists SET items = items || CAST(:value AS text) || ',' WHERE name = :name"
READ = "SELECT items FROM lists WHERE name = :name"
WORKERS, TXNS = 6, 30
SERVERS = [kind for kind in KINDS if not kind.startswith("sqlite")]
# SQLite has one level; and its write units cannot be interleaved.
UNITS = [
    *((kind, level) for kind in SERVERS for level in LEVELS),
    ("sqlite-sync", "SERIALIZABLE"),
    ("sqlite-async", "SERIALIZABLE"),
]


def numbers(items):
    return tuple(map(int, items.split(",")[:-1]))


class Clients:
    """What the clients do, drawn from a seed, and what they saw."""

    def __init__(self, seed):
        self._draw = random.Random(seed)
        self._values = count(1)
        self._lock = threading.Lock()
        self.history = []

    def planned(self):
        """The steps of one transaction: a list's name, and a number to append or None to read."""
        with self._lock:
            chosen = [self._draw.choice(LISTS) for _ in range(self._draw.randrange(2, 5))]
            return [(name, next(self._values) if self._draw.random() < 0.5 else None) for name in chosen]

    def saw(self, operations, *, committed):
        """Keep what a transaction did and saw."""
        with self._lock:
            self.history.append(Txn(f"T{len(self.history)}", operations, committed))


def step(name, value):
    """What to run for one step, and what it takes."""
    return (READ, {"name": name}) if value is None else (APPEND, {"name": name, "value": str(value)})


def by_threads(place, level, clients):
    def work():
        for _ in range(TXNS):
            done, committed = [], True
            try:
                with db.unit_of_work(isolation=level) as uow:
                    for name, value in clients.planned():
                        found = uow.execute(*step(name, value))
                        done.append(Read(name, numbers(found.scalar_one())) if value is None else Append(name, value))
            except TransactionConflictError:
                committed = False
            clients.saw(done, committed=committed)

    with Database(place.url, pool_size=WORKERS, lock_timeout_s=10) as db, ThreadPoolExecutor(WORKERS) as pool:
        for future in [pool.submit(work) for _ in range(WORKERS)]:
            future.result()


def by_tasks(place, level, clients):
    async def work(db):
        for _ in range(TXNS):
            done, committed = [], True
            try:
                async with db.unit_of_work(isolation=level) as uow:
                    for name, value in clients.planned():
                        found = await uow.execute(*step(name, value))
                        done.append(Read(name, numbers(found.scalar_one())) if value is None else Append(name, value))
            except TransactionConflictError:
                committed = False
            clients.saw(done, committed=committed)

    async def main():
        async with AsyncDatabase(place.url, pool_size=WORKERS, lock_timeout_s=10) as db:
            await asyncio.gather(*(work(db) for _ in range(WORKERS)))

    asyncio.run(main())


def make_lists(place):
    place.look("CREATE TABLE lists (name text PRIMARY KEY, items text NOT NULL)")
    for name in LISTS:
        place.look(f"INSERT INTO lists VALUES ('{name}', '')")


def in_the_end(place):
    """The last transaction, which reads everything."""
    found = sorted(place.look("SELECT name, items FROM lists"))
    return Txn("end", [Read(name, numbers(items)) for name, items in found])


@pytest.mark.parametrize(("kind", "level"), UNITS, indirect=["kind"])
def test_the_history_of_many_units_shows_no_anomaly_that_their_level_excludes(place, level):
    make_lists(place)
    if not place.is_sqlite:  # they wait for each other crosswise all the time
        place.look(
            "DO $$BEGIN EXECUTE format('ALTER DATABASE %I SET deadlock_timeout = 20', current_database()); END$$"
        )
    clients = Clients(seed=20261122)

    (by_tasks if place.is_async else by_threads)(place, level, clients)

    found = anomalies([*clients.history, in_the_end(place)])
    allowed = set() if place.is_sqlite else EXCLUDED["SERIALIZABLE"] - EXCLUDED[level]
    assert found <= allowed
    landed = {value for read in in_the_end(place).operations for value in read.values}
    told = {
        each.value for txn in clients.history if txn.committed for each in txn.operations if isinstance(each, Append)
    }
    assert landed == told  # nothing that was acknowledged is missing, nothing that was refused is there


@pytest.mark.parametrize("kind", SERVERS, indirect=True)
@pytest.mark.parametrize("level", LEVELS)
def test_the_checker_finds_read_skew_where_the_level_lets_it_happen(place, level):
    make_lists(place)
    with place.opened() as db, db.unit_of_work(isolation=level) as reader:
        first = Read("x", numbers(reader.scalar(READ, {"name": "x"})))
        with db.unit_of_work(isolation=level) as writer:
            for name, value in (("x", 1), ("y", 2)):
                writer.execute(*step(name, value))
        second = Read("y", numbers(reader.scalar(READ, {"name": "y"})))
    history = [Txn("reader", [first, second]), Txn("writer", [Append("x", 1), Append("y", 2)]), in_the_end(place)]

    assert anomalies(history) == ({"G-single"} if level == "READ COMMITTED" else set())
