"""Pruning: what is old is forgotten in small units, and what is in use never is."""

from __future__ import annotations

import pytest

from controlroom.database import Pruned
from controlroom.database.control import ledger, received
from controlroom.errors import ConfigError
from tests.integration.coordination_places import EVERYWHERE, empty_place

DAY_S = 86_400


@pytest.fixture(params=EVERYWHERE)
def place(request, tmp_path):
    return empty_place(request.param, request, tmp_path)


@pytest.fixture
def db(place):
    with place.opened(lock_timeout_s=0.3) as db:
        db.create_control_tables()
        yield db


def run(db, *statements):
    with db.unit_of_work() as uow:
        for each in statements:
            uow.execute(each)


def test_what_is_old_is_forgotten_and_what_is_young_or_in_use_is_not(db):
    with db.unit_of_work() as uow:
        for name in ("old", "young"):
            uow.once(name)
            uow.received(name)
            uow.outbox.put(name, 1)
            uow.outbox.put(f"{name} and waiting", 1)
            uow.checkpoints.set(name, 1)
            uow.watermarks.advance(name, 1)
        uow.insert(ledger, [{"key": "claimed", "claimed_at": "2020-01-05", "expires_at": 9e12}])
    with db.lease("held", renew=False):
        with db.lease("old", renew=False), db.lease("young", renew=False):
            pass
        run(
            db,
            "UPDATE controlroom_ledger SET claimed_at = '2020-01-05T00:00:00+00:00' WHERE controlroom_ledger.key = 'old'",
            "UPDATE controlroom_received SET received_at = 1 WHERE message_id = 'old'",
            "UPDATE controlroom_outbox SET put_at = 1",
            "UPDATE controlroom_outbox SET set_aside_at = 1 WHERE topic = 'old'",
            "UPDATE controlroom_outbox SET set_aside_at = 9e12 WHERE topic = 'young'",
            "UPDATE controlroom_leases SET expires_at = 1 WHERE name = 'old'",
        )

        assert db.prune(older_than_s=DAY_S) == Pruned(ledger=1, outbox=1, received=1, leases=1)
        assert db.prune(older_than_s=DAY_S) == Pruned()

    with db.unit_of_work() as uow:
        assert uow.once("old")
        assert not uow.once("young")
        assert not uow.received("old")
        assert uow.received("young")
        assert uow.checkpoints.get("old") == uow.watermarks.get("old") == 1
    assert {row.topic for row in db.rows("SELECT topic FROM controlroom_outbox")} == {
        "young",
        "old and waiting",
        "young and waiting",
    }
    claimed = "SELECT controlroom_ledger.key FROM controlroom_ledger WHERE expires_at > 0"
    assert [row.key for row in db.rows(claimed)] == ["claimed"]


def test_many_rows_go_in_batches(db):
    with db.unit_of_work() as uow:
        uow.insert(received, ({"message_id": str(number), "received_at": 1.0} for number in range(1_200)))
        uow.insert(ledger, ({"key": str(number), "claimed_at": "2020-01-05"} for number in range(500)))

    assert db.prune(older_than_s=DAY_S) == Pruned(ledger=500, received=1_200)


def test_what_another_unit_has_locked_is_left_for_the_next_time(place, db):
    if place.is_sqlite:
        pytest.skip("SQLite locks the whole file: whoever prunes waits")
    with db.unit_of_work() as uow:
        uow.insert(received, [{"message_id": name, "received_at": 1.0} for name in "ab"])
    with place.beside() as other:
        with other.unit_of_work() as uow:
            uow.execute("UPDATE controlroom_received SET received_at = 2 WHERE message_id = 'a'")
            assert db.prune(older_than_s=DAY_S).received == 1
        assert db.prune(older_than_s=DAY_S).received == 1


def test_nobody_prunes_by_what_is_no_length_of_time(db):
    for seconds in (-1, float("nan"), float("inf"), "1", None):
        with pytest.raises(ConfigError, match="not possible"):
            db.prune(older_than_s=seconds)
