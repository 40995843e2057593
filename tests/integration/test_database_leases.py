"""Leases: one holder at a time, epochs that only grow, and a late holder that writes nothing."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from controlroom.clock import deadline, monotonic_s
from controlroom.database import AsyncDatabase, Database
from controlroom.errors import (
    ConfigError,
    DeadlineExceededError,
    DoomedTransactionError,
    LeaseLostError,
    QueryError,
    TransactionConflictError,
)
from controlroom.testing import CommitProxy, ManualClock
from tests.integration.coordination_places import EVERYWHERE, POSTGRES_KINDS, Place, empty_place

# Time passes for the database: what expires at an instant expires so much sooner. No test waits for a lease to run out.
EXPIRE = "UPDATE controlroom_leases SET expires_at = expires_at - 1000 WHERE name <> ''"


@pytest.fixture(params=EVERYWHERE)
def place(request, tmp_path):
    return empty_place(request.param, request, tmp_path)


@pytest.fixture
def other(place):
    """Another client, with the control tables and a table of data."""
    with place.beside(lock_timeout_s=0.3) as db:
        db.create_control_tables()
        with db.unit_of_work() as uow:
            uow.execute("CREATE TABLE written (epoch INTEGER)")
        yield db


@pytest.fixture
def db(place, other):
    with place.opened(lock_timeout_s=0.3) as db:
        yield db


def plain(lease):
    """The lease itself, without the face that makes its coroutines block."""
    return getattr(lease, "_target", lease)


def write(db, lease):
    with db.unit_of_work() as uow:
        uow.require_lease(plain(lease))
        uow.execute("INSERT INTO written VALUES (:epoch)", {"epoch": lease.epoch})


def written(db):
    return [row.epoch for row in db.rows("SELECT epoch FROM written")]


def expire(db):
    with db.unit_of_work() as uow:
        uow.execute(EXPIRE)


def test_one_holder_at_a_time_and_each_later_one_has_a_higher_epoch(db, other):
    with db.lease("nightly", renew=False) as lease:
        write(db, lease)
        lease.renew()
        lease.require()
        with pytest.raises(TransactionConflictError, match=f"held by {lease.owner}, for [56]"), other.lease("nightly"):
            pass
        with other.lease("hourly", renew=False) as unrelated:
            assert unrelated.epoch == 1
    with other.lease("nightly", renew=False) as second:
        write(other, second)
    with pytest.raises(ValueError, match="given back"), db.lease("nightly", renew=False):
        raise ValueError("given back, although it failed")
    with other.lease("nightly", renew=False) as fourth:
        assert fourth.epoch == 4

    assert written(db) == [1, 2]


def test_an_expired_lease_is_taken_over_and_its_late_owner_writes_nothing(db, other):
    with pytest.raises(LeaseLostError, match="epoch 1 is over") as raised, db.lease("nightly", renew=False) as late:
        write(db, late)
        expire(other)
        write(db, late)  # nobody has it yet: to write is still right
        with other.lease("nightly", renew=False) as new:
            assert new.epoch == 2
            with pytest.raises(LeaseLostError):
                write(db, late)
            late.require()  # it cannot know
            with pytest.raises(LeaseLostError):
                late.renew()
            with pytest.raises(LeaseLostError):
                late.require()
            assert late.is_lost
            with pytest.raises(LeaseLostError):
                write(db, late)
            write(other, new)
    assert raised.value.lease == "nightly"

    assert written(db) == [1, 1, 2]
    with db.lease("nightly", renew=False) as third:
        assert third.epoch == 3


def test_a_late_owner_gives_back_nothing_that_is_anothers(db, other):
    with pytest.raises(LeaseLostError), db.lease("nightly", renew=False):
        expire(other)
        new = other.lease("nightly", renew=False)
        new.__enter__()
    with pytest.raises(TransactionConflictError), db.lease("nightly", renew=False):
        pass
    write(other, new)
    new.__exit__(None, None, None)


def test_an_error_in_the_block_is_not_hidden_by_a_lost_lease(db, other):
    with pytest.raises(ValueError, match="the work's own"), db.lease("nightly", renew=False):
        expire(other)
        with other.lease("nightly", renew=False):
            pass
        raise ValueError("the work's own")


def test_who_takes_it_over_waits_for_the_unit_that_it_guards(db, other):
    with pytest.raises(LeaseLostError), db.lease("nightly", renew=False) as late:
        expire(other)
        with db.unit_of_work() as uow:
            uow.require_lease(plain(late))
            with pytest.raises(TransactionConflictError), other.lease("nightly", renew=False):
                pass
            uow.execute("INSERT INTO written VALUES (1)")
        with other.lease("nightly", renew=False) as new:
            write(other, new)
        with pytest.raises(LeaseLostError):
            write(db, late)

    assert written(db) == [1, 2]


@pytest.mark.parametrize("kind", POSTGRES_KINDS)
def test_a_renewal_does_not_wait_for_the_unit_that_the_lease_guards(postgres_url, kind):
    place = Place(kind, postgres_url)
    with place.beside() as beside, place.opened(lock_timeout_s=0.3) as db:
        beside.create_control_tables()
        with db.lease("nightly", renew=False) as lease, db.unit_of_work() as uow:
            uow.require_lease(plain(lease))
            lease.renew()
            lease.renew()
            with beside.unit_of_work() as other:  # the lock is on the renewed row as well
                other.execute("SET LOCAL lock_timeout = 100")
                with pytest.raises(TransactionConflictError), other.savepoint():
                    other.execute("SELECT 1 FROM controlroom_leases WHERE name = 'nightly' FOR UPDATE")


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
@pytest.mark.parametrize("kind", [*POSTGRES_KINDS, "mariadb"])
def test_a_unit_with_an_older_snapshot_does_not_write_after_a_takeover_either(request, tmp_path, kind, level):
    if (kind, level) == ("mariadb", "SERIALIZABLE"):
        pytest.skip("who reads there locks: nobody takes the lease over before that unit has ended")
    place = empty_place(kind, request, tmp_path)
    with place.beside(lock_timeout_s=0.3) as other, place.opened(lock_timeout_s=0.3) as db:
        other.create_control_tables()
        late = db.lease("nightly", renew=False)
        refused = pytest.raises(TransactionConflictError)
        with pytest.raises(LeaseLostError), late as lease, refused, db.unit_of_work(isolation=level) as uow:
            uow.scalar("SELECT 1 FROM controlroom_leases")  # the snapshot
            expire(other)
            with other.lease("nightly", renew=False):
                uow.require_lease(plain(lease))


def test_of_many_racers_one_takes_it_over(place, other):
    holder = other.lease("nightly", renew=False)
    holder.__enter__()
    expire(other)
    start = threading.Barrier(6)

    def race() -> int | None:
        with place.opened(lock_timeout_s=30) as db:
            lease = db.lease("nightly", ttl_s=600, renew=False)
            start.wait()
            try:
                return lease.__enter__().epoch
            except TransactionConflictError:
                return None

    with ThreadPoolExecutor(6) as pool:
        epochs = [each.result(timeout=60) for each in [pool.submit(race) for _ in range(6)]]

    assert sorted(epochs, key=str) == [2, None, None, None, None, None]


def test_of_many_racers_one_takes_a_lease_that_never_was(place, other):
    start = threading.Barrier(6)

    def race(_: int) -> int | None:
        with place.opened(lock_timeout_s=30) as db:
            lease = db.lease("new", ttl_s=600, renew=False)
            start.wait()
            try:
                return lease.__enter__().epoch
            except TransactionConflictError:
                return None

    with ThreadPoolExecutor(6) as pool:
        assert sorted(pool.map(race, range(6)), key=str) == [1, None, None, None, None, None]


def test_who_waits_for_it_gets_it_when_it_is_given_back(db, other):
    held, waiter = threading.Event(), ThreadPoolExecutor(1)

    def hold() -> None:
        with other.lease("nightly", renew=False):
            held.set()
            assert looked.wait(30)

    looked = threading.Event()
    future = waiter.submit(hold)
    assert held.wait(30)
    threading.Timer(0.1, looked.set).start()
    with db.lease("nightly", wait_s=60, renew=False) as lease:
        assert lease.epoch == 2
    future.result(timeout=30)
    waiter.shutdown()


def test_waiting_ends_with_the_deadline(db, other):
    with other.lease("nightly", renew=False), ManualClock() as clock:
        began_s = monotonic_s()
        refused = pytest.raises((TransactionConflictError, DeadlineExceededError))
        with deadline(5), refused, db.lease("nightly", wait_s=3_600, renew=False):
            pass

        assert monotonic_s() - began_s <= 5
        assert clock.sleeps


def test_it_is_renewed_while_the_block_runs(db, other):
    seen: set[float] = set()
    with db.lease("nightly", ttl_s=0.6) as lease:
        while len(seen) < 3:
            seen.add(db.rows("SELECT expires_at FROM controlroom_leases WHERE name = 'nightly'")[0][0])
        lease.renew()
    assert other.rows("SELECT owner FROM controlroom_leases WHERE name = 'nightly'")[0].owner is None


def test_the_renewals_notice_the_loss(db, other):
    with pytest.raises(LeaseLostError), db.lease("nightly", ttl_s=0.3) as lease:
        with other.unit_of_work() as uow:
            uow.execute("UPDATE controlroom_leases SET owner = 'another', epoch = epoch + 1 WHERE name = 'nightly'")
        while not lease.is_lost:
            db.rows("SELECT 1")


def test_a_clock_of_a_client_that_jumps_changes_nothing(db, other, place):
    if place.is_sqlite:
        pytest.skip("SQLite has no other clock than the machine's")
    with db.lease("nightly", renew=False), ManualClock() as clock:
        clock.advance(10 * 365 * 86_400)
        with pytest.raises(TransactionConflictError, match=r"for [56]"), other.lease("nightly"):
            pass


def test_it_is_given_back_after_the_deadline_too(db, other):
    late = pytest.raises(DeadlineExceededError)
    with ManualClock() as clock, late, deadline(5), db.lease("nightly", renew=False):
        clock.advance(10)
        db.rows("SELECT 1")
    with other.lease("nightly", renew=False) as lease:
        assert lease.epoch == 2


def test_where_the_database_does_not_answer_at_the_end_it_is_left_to_expire(place, other):
    with place.opened() as db, db.lease("nightly", renew=False):
        db.close()
    with pytest.raises(TransactionConflictError), other.lease("nightly"):
        pass
    expire(other)
    with other.lease("nightly", renew=False) as lease:
        assert lease.epoch == 2


def test_epochs_grow_over_what_is_pruned(db, other):
    for _ in range(3):
        with db.lease("nightly", renew=False):
            pass
    with db.lease("held", renew=False) as held:
        expire(other)
        held.renew()
        assert db.prune(500).leases == 1
        assert [row.name for row in other.rows("SELECT name FROM controlroom_leases ORDER BY name")] == ["", "held"]
        write(db, held)
    with db.lease("nightly", renew=False) as lease:
        assert lease.epoch == 4


def test_a_lease_is_used_once_and_only_as_one(db):
    lease = db.lease("nightly", renew=False)
    with pytest.raises(QueryError, match="has not been taken"):
        lease.renew()
    with lease:
        pass
    with pytest.raises(QueryError, match="used once"), lease:
        pass
    for name in ("", None, 7):
        with pytest.raises(QueryError, match="A lease needs a text"):
            db.lease(name)
    for options in ({"ttl_s": 0}, {"ttl_s": -1}, {"ttl_s": float("inf")}, {"wait_s": -1}, {"ttl_s": "1"}):
        with pytest.raises(ConfigError, match="not possible"):
            db.lease("nightly", **options)
    with pytest.raises(QueryError, match="is no lease"), db.unit_of_work() as uow:
        uow.require_lease("nightly")


def test_who_swallows_the_loss_does_not_commit(db, other):
    with db.lease("nightly", renew=False) as lease:
        hold = lease.hold
    with pytest.raises(DoomedTransactionError), db.unit_of_work() as uow:
        uow.execute("INSERT INTO written VALUES (0)")
        with pytest.raises(LeaseLostError):
            uow.require_lease(hold)
    assert written(db) == []


def test_without_control_tables_the_next_act_is_named(place):
    with place.opened() as db, pytest.raises(QueryError, match="create_control_tables"), db.lease("nightly"):
        pass


@pytest.mark.parametrize("kind", ["sqlite async", "psycopg async", "asyncpg"])
def test_cancelled_at_any_await_a_lease_is_given_back_or_was_never_taken(request, tmp_path, kind):
    url = f"sqlite:///{tmp_path}/leases.db" if kind.startswith("sqlite") else request.getfixturevalue("postgres_url")
    place = Place(kind, url)
    with place.beside() as other:
        other.create_control_tables()

    async def used(db: AsyncDatabase) -> None:
        async with db.lease("nightly"):
            await db.rows("SELECT 1")

    async def cancelled_after(db: AsyncDatabase, turns: int) -> bool:
        task = asyncio.create_task(used(db))
        for _ in range(turns):
            if task.done():
                break
            await asyncio.wait([asyncio.create_task(nothing())])
        task.cancel()
        await asyncio.wait([task])
        return task.cancelled()

    async def main() -> int:
        count = 0
        async with AsyncDatabase(place.url) as db:
            await used(db)
            for turns in range(0, 120, 3):
                count += await cancelled_after(db, turns)
                (row,) = await db.rows("SELECT owner FROM controlroom_leases WHERE name = 'nightly'")
                assert row.owner is None, turns
        return count

    assert asyncio.run(main()) > 5


async def nothing() -> None:
    pass


def test_a_worker_that_dies_blocks_the_others_until_its_lease_expires(place, other):
    with Database(place.sync_url) as dying:
        dying.lease("nightly", renew=False).__enter__()  # it never comes to the end of the block
    with place.opened() as db:
        with pytest.raises(TransactionConflictError), db.lease("nightly"):
            pass
        expire(other)
        with db.lease("nightly", renew=False) as lease:
            assert lease.epoch == 2


@pytest.mark.parametrize("how", ["pre", "fwd_close", "post", "late"])
@pytest.mark.parametrize("kind", POSTGRES_KINDS)
def test_a_lease_whose_commit_was_lost_is_taken_once_or_again(postgres_url, kind, how):
    with Place(kind, postgres_url).beside() as other, CommitProxy(postgres_url, late_by_s=0.1) as proxy:
        other.create_control_tables()
        with Place(kind, proxy.url).opened(lock_timeout_s=10, commit_timeout_s=1) as db:
            db.rows("SELECT 1")  # it is connected
            proxy.cut(how)
            with db.lease("nightly", renew=False) as lease:
                assert lease.epoch == 1
                (row,) = other.rows("SELECT owner, epoch FROM controlroom_leases WHERE name <> ''")
                assert (row.owner, row.epoch) == (lease.owner, 1)
        assert how in proxy.seen
