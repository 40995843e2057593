"""Checkpoints and watermarks under concurrent units: nothing goes back, and of two that expect the same one goes on."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from controlroom.database import Database
from controlroom.database.registers import changed
from controlroom.errors import DataError, DoomedTransactionError, QueryError, TransactionConflictError
from tests.integration.coordination_places import EVERYWHERE, POSTGRES_KINDS, empty_place


@pytest.fixture(params=EVERYWHERE)
def place(request, tmp_path):
    return empty_place(request.param, request, tmp_path)


@pytest.fixture
def db(place):
    with place.opened(lock_timeout_s=30) as db:
        db.create_control_tables()
        yield db


def watermark(db):
    with db.unit_of_work(read_only=True) as uow:
        return uow.watermarks.get("orders")


@pytest.mark.parametrize("kind", [*POSTGRES_KINDS, "mariadb"])
@pytest.mark.parametrize("stands", [None, 1])
def test_a_later_unit_that_waited_does_not_take_a_watermark_back(request, tmp_path, kind, stands):
    place = empty_place(kind, request, tmp_path)
    with place.beside() as other, place.opened(lock_timeout_s=30) as db, ThreadPoolExecutor(1) as pool:
        db.create_control_tables()
        if stands is not None:
            with db.unit_of_work() as uow:
                uow.watermarks.advance("orders", stands)
        began = threading.Event()

        def late() -> None:
            with other.unit_of_work() as uow:
                assert uow.watermarks.get("orders") == stands  # it has seen the old one
                began.set()
                uow.watermarks.advance("orders", 5)

        with db.unit_of_work() as uow:
            uow.watermarks.advance("orders", 9)
            waiting = pool.submit(late)
            assert began.wait(30)
            while not waits(db, kind):
                pass
        with pytest.raises(DataError, match="cannot go back"):
            waiting.result(timeout=30)
        assert watermark(db) == 9


def waits(db, kind):
    """Whether somebody waits for a lock there."""
    if kind == "mariadb":  # the server looks again every tenth of a second (INNODB_LOCK_WAITS)
        return db.rows("SELECT count(*) FROM information_schema.INNODB_LOCK_WAITS")[0][0] > 0
    return db.rows("SELECT count(*) FROM pg_locks WHERE NOT granted")[0][0] > 0


@pytest.mark.parametrize("kind", ["sqlite", "psycopg", "asyncpg", "mariadb"])
def test_many_workers_that_advance_one_watermark_leave_it_at_the_highest(request, tmp_path, kind):
    place = empty_place(kind, request, tmp_path)
    with place.opened() as db:
        db.create_control_tables()
    start = threading.Barrier(4)

    def advance(worker: int) -> None:
        with place.opened(lock_timeout_s=60) as db:
            start.wait()
            for number in range(worker, 40, 4):
                try:
                    with db.unit_of_work() as uow:
                        uow.watermarks.advance("orders", number)
                except DataError:
                    pass

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(advance, range(4)))
    with place.opened() as db:
        assert watermark(db) == 39


def test_what_is_expected_must_stand_there(db):
    with db.unit_of_work() as uow:
        uow.checkpoints.set("walk", {"page": (1, 2)}, expected=None)
        uow.checkpoints.set("walk", {"page": 3}, expected={"page": (1, 2)})
        uow.watermarks.advance("orders", 5, expected=None)
        uow.watermarks.advance("orders", 6, expected=5)
        uow.watermarks.advance("orders", 6, expected=6)
    refused = [
        lambda uow: uow.checkpoints.set("walk", 1, expected=None),
        lambda uow: uow.checkpoints.set("walk", 1, expected={"page": 4}),
        lambda uow: uow.checkpoints.set("other", 1, expected={"page": 3}),
        lambda uow: uow.watermarks.advance("orders", 9, expected=None),
        lambda uow: uow.watermarks.advance("orders", 9, expected=5),
        lambda uow: uow.watermarks.advance("orders", 6, expected=5),
        lambda uow: uow.watermarks.advance("other", 9, expected=5),
    ]
    for attempt in refused:
        with pytest.raises(TransactionConflictError, match="where it was expected"), db.unit_of_work() as uow:
            attempt(uow)
        doomed = pytest.raises(DoomedTransactionError)
        with doomed, db.unit_of_work() as uow, pytest.raises(TransactionConflictError):
            attempt(uow)
    with pytest.raises(QueryError, match="JSON"), db.unit_of_work() as uow:
        uow.checkpoints.set("walk", 1, expected=object())
    with db.unit_of_work() as uow:
        assert uow.checkpoints.get("walk") == {"page": 3}
    assert watermark(db) == 6


@pytest.mark.parametrize("kind", ["sqlite", "psycopg", "asyncpg", "mariadb"])
@pytest.mark.parametrize("begins_with", [None, 0])
def test_of_many_units_that_go_on_from_one_checkpoint_one_commits(request, tmp_path, kind, begins_with):
    place = empty_place(kind, request, tmp_path)
    with place.opened() as db:
        db.create_control_tables()
        if begins_with is not None:
            with db.unit_of_work() as uow:
                uow.checkpoints.set("walk", begins_with)
    start = threading.Barrier(6)

    def go_on(worker: int) -> bool:
        with place.opened(lock_timeout_s=60) as db:
            start.wait()
            try:
                with db.unit_of_work() as uow:
                    uow.checkpoints.set("walk", worker + 1, expected=begins_with)
            except TransactionConflictError:
                return False
            return True

    with ThreadPoolExecutor(6) as pool:
        assert sorted(pool.map(go_on, range(6))) == [False] * 5 + [True]


@pytest.mark.parametrize("kind", ["sqlite", "psycopg", "mariadb"])
def test_no_change_of_a_shared_count_is_lost(request, tmp_path, kind):
    url = empty_place(kind, request, tmp_path).sync_url
    with Database(url) as db:
        db.create_control_tables()
    start = threading.Barrier(4)

    def count(_: int) -> int:
        done = 0
        with Database(url, lock_timeout_s=60) as db:
            start.wait()
            while done < 10:
                try:
                    with db.unit_of_work() as uow:
                        changed(uow, part="limits", name="api", change=lambda text: (str(int(text or 0) + 1), None))
                    done += 1
                except TransactionConflictError:
                    pass
        return done

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(count, range(4))) == 40
    with Database(url) as db:
        assert db.rows("SELECT value FROM controlroom_limits")[0].value == "40"
