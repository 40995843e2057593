"""The ledger on every database and in both colours: one key, one piece of work, one result."""

from __future__ import annotations

import copy
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from controlroom import clock
from controlroom.database import Database, WriteCount
from controlroom.database.control import ledger
from controlroom.errors import (
    ConfigError,
    DoomedTransactionError,
    IntegrityViolationError,
    LeaseLostError,
    QueryError,
    TransactionConflictError,
)
from controlroom.retrying import RetryPolicy
from controlroom.testing import ManualClock

ONCE = RetryPolicy(attempts=1)


@pytest.fixture
def db(place):
    with place.opened(lock_timeout_s=0.3) as db:
        db.create_control_tables()
        yield db


@pytest.fixture
def returning(place):
    """Bodies in the colour of the database, and how often they were called."""

    def make(value):
        def body(_uow):
            body.calls += 1
            return value

        async def body_async(_uow):
            body_async.calls += 1
            return value

        made = body_async if place.is_async else body
        made.calls = 0
        return made

    return make


@pytest.mark.parametrize("value", [None, 0, "", [], {"count": [1, 2, 3], "é": None}, WriteCount(1, 2, 3), "\0 \ud800"])
def test_a_second_call_with_the_key_returns_what_the_first_one_did(db, returning, value):
    body = returning(value)
    assert [db.transact(body, key="k"), db.transact(body, key="k")] == [value, value]
    assert body.calls == 1


def test_a_result_that_cannot_be_kept_is_refused_and_nothing_is_left(db, returning):
    with pytest.raises(QueryError, match=r"result of a unit with a key.*rolled back"):
        db.transact(returning(object()), key="k")
    assert db.transact(returning("fine"), key="k") == "fine"


def test_the_same_key_for_another_payload_is_refused_everywhere(db, returning):
    body = returning("done")
    assert db.transact(body, key="k", payload={"order": 7, "lines": [1, 2]}) == "done"
    assert db.transact(body, key="k", payload={"lines": [1, 2], "order": 7}) == "done"
    assert db.transact(body, key="k") == "done"

    with pytest.raises(IntegrityViolationError, match="another payload"):
        db.transact(body, key="k", payload={"order": 8, "lines": [1, 2]})
    with pytest.raises(IntegrityViolationError, match="another payload"), db.unit_of_work() as uow:
        uow.once("k", {"order": 8})
    with pytest.raises(IntegrityViolationError, match="another payload"):
        db.claim("k", {"order": 8})
    assert body.calls == 1


def test_who_swallows_the_refusal_of_a_payload_does_not_commit(db):
    with db.unit_of_work() as uow:
        assert uow.once("k", 1)
    with pytest.raises(DoomedTransactionError), db.unit_of_work() as uow:
        uow.checkpoints.set("position", 1)
        with pytest.raises(IntegrityViolationError):
            uow.once("k", 2)
    with db.unit_of_work() as uow:
        assert uow.checkpoints.get("position") is None


def test_rows_of_version_1_are_done_and_have_no_result(db, returning):
    body = returning("again")
    with db.unit_of_work() as uow:
        uow.execute("INSERT INTO controlroom_ledger (key, claimed_at) VALUES ('old', '2026-01-05T00:00:00+00:00')")

    assert db.transact(body, key="old", payload={"any": 1}) is None
    assert db.claim("old").done
    with db.unit_of_work() as uow:
        assert not uow.once("old", "any")
    assert body.calls == 0


def test_a_unit_that_the_body_rolled_back_leaves_its_key_free(place, db):

    def rolled_back(uow):
        uow.rollback()
        return "nothing"

    async def rolled_back_async(uow):
        await uow.rollback()
        return "nothing"

    body = rolled_back_async if place.is_async else rolled_back
    assert db.transact(body, key="k") == "nothing"
    with db.unit_of_work() as uow:
        assert uow.once("k")


def test_a_claim_that_a_savepoint_undid_is_no_evidence(db):
    with db.unit_of_work() as uow:
        with pytest.raises(KeyError), uow.savepoint():
            uow.once("k")
            raise KeyError
        assert uow._work.token is None
        assert uow.once("k")
        assert uow._work.token == "k"


@pytest.mark.parametrize("isolation", [None, "REPEATABLE READ", "SERIALIZABLE"])
def test_two_who_come_at_once_do_it_once_and_both_get_the_result(postgres_url, isolation):
    """The second waits for the first at the unique index, and finds its result."""
    inside, go_on = threading.Event(), threading.Event()
    calls = []

    def body(_uow):
        calls.append(1)
        inside.set()
        assert go_on.wait(20)
        return {"by": len(calls)}

    with Database(postgres_url, lock_timeout_s=20) as db, ThreadPoolExecutor(2) as pool:
        db.create_control_tables()
        first = pool.submit(db.transact, body, key="k", isolation=isolation)
        assert inside.wait(20)
        second = pool.submit(db.transact, body, key="k", isolation=isolation)
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        while db.rows(waiting) != [(1,)]:
            assert not second.done()
        go_on.set()
        assert (first.result(20), second.result(20)) == ({"by": 1}, {"by": 1})
    assert calls == [1]


def test_a_longer_claim_keeps_others_away_until_it_is_finished(db, returning):
    body = returning("again")
    claim = db.claim("k", {"order": 7})

    assert (claim.key, claim.epoch, claim.done) == ("k", 1, False)
    with pytest.raises(TransactionConflictError, match="in other hands"):
        db.claim("k")
    with pytest.raises(TransactionConflictError, match="in other hands"):
        db.transact(body, key="k", retry=ONCE)
    with pytest.raises(TransactionConflictError), db.unit_of_work() as uow:
        uow.once("k")
    with db.unit_of_work() as uow:
        uow.hold(claim)
        uow.checkpoints.set("step", 1)
    with db.unit_of_work() as uow:
        uow.finish(claim, {"sent": 3})

    assert db.transact(body, key="k", payload={"order": 7}) == {"sent": 3}
    done = db.claim("k")
    assert (done.done, done.result) == (True, {"sent": 3})
    assert body.calls == 0


def test_what_a_finished_or_lost_claim_still_wants_to_write_is_refused_and_rolled_back(db):
    claim = db.claim("k")
    with db.unit_of_work() as uow:
        uow.finish(claim)
    for use in ("hold", "finish"):
        with pytest.raises(LeaseLostError) as caught, db.unit_of_work() as uow:
            uow.checkpoints.set("late", use)
            getattr(uow, use)(claim)
        assert caught.value.lease == "k"
    with db.unit_of_work() as uow:
        assert uow.checkpoints.get("late") is None
    assert not db.release(claim)


def expire(db):
    """As if the time of every claim were over, by whichever clock it is measured."""
    with db.unit_of_work() as uow:
        uow.execute("UPDATE controlroom_ledger SET expires_at = 1 WHERE expires_at IS NOT NULL")


def test_the_claim_of_an_owner_that_died_goes_to_the_next_and_the_dead_cannot_write_any_more(db):
    dead = db.claim("k")
    expire(db)
    with db.unit_of_work() as uow:
        uow.hold(dead)  # nobody has taken it: it is still its own, and for ttl_s again
    with pytest.raises(TransactionConflictError):
        db.claim("k")
    expire(db)

    heir = db.claim("k")

    assert (heir.epoch, heir.done) == (2, False)
    for use in ("hold", "finish"):
        with pytest.raises(LeaseLostError), db.unit_of_work() as uow:
            getattr(uow, use)(dead)
    assert not db.release(dead)
    with db.unit_of_work() as uow:
        uow.finish(heir, "by the heir")
    assert db.claim("k").result == "by the heir"


@pytest.mark.parametrize("other", [{"epoch": 2}, {"owner": "somebody else"}])
def test_a_claim_is_its_owner_and_its_epoch(db, other):
    forged = replace(db.claim("k"), **other)
    with pytest.raises(LeaseLostError), db.unit_of_work() as uow:
        uow.hold(forged)
    assert not db.release(forged)


def test_of_two_heirs_who_see_it_expired_at_once_one_gets_the_key(postgres_url):
    def claimed(db):
        try:
            return db.claim("k").epoch
        except TransactionConflictError:
            return None

    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    with Database(postgres_url, lock_timeout_s=20) as db, ThreadPoolExecutor(2) as pool:
        db.create_control_tables()
        db.claim("k")
        expire(db)
        with db.unit_of_work() as uow:  # both have read the row when this ends
            uow.execute("SELECT * FROM controlroom_ledger FOR UPDATE")
            heirs = [pool.submit(claimed, db) for _ in range(2)]
            while db.rows(waiting) != [(2,)]:
                assert not any(each.done() for each in heirs)
        assert sorted(each.result(20) or 0 for each in heirs) == [0, 2]


def test_one_unit_may_take_over_an_expired_claim_as_well(db, returning):
    dead = db.claim("k")
    expire(db)
    assert db.transact(returning("by transact"), key="k") == "by transact"
    with pytest.raises(LeaseLostError), db.unit_of_work() as uow:
        uow.finish(dead)
    assert db.claim("k").result == "by transact"


def test_a_released_claim_is_free_at_once_and_its_epoch_goes_on(db):
    first = db.claim("k")
    assert db.release(first)
    assert not db.release(first)
    assert db.claim("k").epoch == 2


def test_a_claim_can_be_handed_to_another_process(db):
    claim = db.claim("k", ttl_s=60)
    handed = pickle.loads(pickle.dumps(claim))
    assert handed == copy.deepcopy(claim) == claim
    with db.unit_of_work() as uow:
        uow.finish(handed)


def test_a_claim_for_no_length_of_time_is_refused(db):
    for ttl_s in (0, -1, float("nan"), float("inf"), None, "60"):
        with pytest.raises(ConfigError, match="Nothing was claimed"):
            db.claim("k", ttl_s=ttl_s)


def test_a_claim_expires_by_the_time_of_the_machine_that_has_the_file(tmp_path):
    with ManualClock() as time, Database(f"sqlite:///{tmp_path / 'data.db'}") as db:
        db.create_control_tables()
        db.claim("k", ttl_s=60)
        time.advance(59)
        with pytest.raises(TransactionConflictError):
            db.claim("k")
        time.advance(1)
        assert db.claim("k").epoch == 2


def test_a_claim_expires_by_the_servers_time_not_by_ours(postgres_url):
    """Two machines disagree by an hour: nobody loses a claim by that."""
    with Database(postgres_url) as db:
        db.create_control_tables()
        db.claim("k", ttl_s=600)
        with ManualClock(start=clock.utcnow()) as time:
            time.advance(3_600)
            with pytest.raises(TransactionConflictError):
                db.claim("k")


def test_the_row_says_who_and_when(db):
    db.claim("k", payload=[1])
    (row,) = db.rows(ledger.select())
    assert len(row.owner) == 24
    assert len(row.fingerprint) == 64
    assert row.claimed_at.endswith("+00:00")
    assert row.expires_at > clock.utcnow().timestamp()
