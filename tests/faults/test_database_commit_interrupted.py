"""Interrupted during COMMIT, by Ctrl-C or by a cancelled task: whoever is interrupted learns what became of the unit."""

from __future__ import annotations

import asyncio
import signal
import threading
from types import SimpleNamespace

import psycopg
import pytest

from controlroom.database import AsyncDatabase, Database
from controlroom.errors import CommitInDoubtError
from controlroom.testing import CommitProxy

LIMIT_S = 20
SLOW_COMMIT = """
CREATE TABLE effects (work text NOT NULL);
CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.5); RETURN NULL; END';
CREATE CONSTRAINT TRIGGER dawdles AFTER INSERT ON effects DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.work = 'slow') EXECUTE FUNCTION dawdle();
"""
COMMITTING = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query = 'COMMIT'"
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
DRIVERS = ["psycopg", "asyncpg"]


@pytest.fixture
def place(postgres_url):
    with (
        psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as look,
        Database(postgres_url) as db,
    ):
        look.execute(SLOW_COMMIT)
        db.create_control_tables()
        yield SimpleNamespace(
            url=postgres_url,
            look=look,
            effects=lambda: look.execute("SELECT count(*) FROM effects").fetchone()[0],
            driven_by=lambda driver, url=postgres_url: url.replace("+psycopg:", f"+{driver}:"),
        )


def until(condition):
    """Wait for *condition*, in a thread of its own."""
    pause = threading.Event()
    while not condition():
        pause.wait(0.01)


def interrupted_once(condition, fn):
    """Call *fn* in this thread, with SIGINT as soon as *condition* holds."""
    main = threading.main_thread().ident

    def interrupt():
        until(condition)
        signal.pthread_kill(main, signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    with pytest.raises(KeyboardInterrupt) as caught:
        thread.start()
        fn()
    thread.join(LIMIT_S)
    return caught.value.__notes__[0]


def test_ctrl_c_during_a_slow_commit_cancels_it_and_says_so(place):
    """psycopg asks the server to cancel; the session is idle after that as it is after COMMIT, and is asked."""

    def unit():
        with Database(place.url) as db, db.unit_of_work() as uow:
            uow.insert("effects", [{"work": "slow"}])

    note = interrupted_once(lambda: place.look.execute(COMMITTING).fetchone() == (1,), unit)

    assert (note.endswith("it is rolled back."), place.effects()) in [(True, 0), (False, 1)]
    assert note.endswith(("it is rolled back.", "it is committed."))


def test_ctrl_c_during_a_commit_that_nobody_answers_is_in_doubt_and_does_not_hang(place):
    with CommitProxy(place.url) as proxy:

        def unit():
            with Database(proxy.url, commit_timeout_s=0.5) as db, db.unit_of_work() as uow:
                uow.insert("effects", [{"work": "lost"}])
                proxy.cut("blackhole")

        note = interrupted_once(lambda: proxy.seen[-1:] == ["blackhole"], unit)

    assert note.endswith("it is in doubt.")


@pytest.mark.parametrize(("landed", "outcome"), [(True, "committed"), (False, "rolled back")])
def test_ctrl_c_at_either_end_of_commit_is_told_the_truth(place, landed, outcome):
    with pytest.raises(KeyboardInterrupt) as caught, Database(place.url) as db, db.unit_of_work() as uow:
        uow.insert("effects", [{"work": "quick"}])
        link = uow._work.link
        run = link.run

        def interrupted(sql):
            if sql == "COMMIT" and landed:
                run(sql)
            if sql == "COMMIT":
                raise KeyboardInterrupt
            return run(sql)

        link.run = interrupted

    assert caught.value.__notes__[0].endswith(f"it is {outcome}.")
    assert place.effects() == int(landed)


async def cancelled_once(condition, work):
    """Await *work* in a task that is cancelled as soon as *condition* holds; return what its CancelledError says."""
    task = asyncio.ensure_future(work)
    await asyncio.get_running_loop().run_in_executor(None, until, condition)
    task.cancel()
    with pytest.raises(asyncio.CancelledError) as caught:
        await asyncio.wait_for(task, LIMIT_S)
    return caught.value


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_task_cancelled_during_a_slow_commit_finds_it_committed(place, driver):
    hooks = []

    async def unit():
        async with AsyncDatabase(place.driven_by(driver)) as db, db.unit_of_work() as uow:
            uow.on_commit(lambda: hooks.append("ran"))
            await uow.insert("effects", [{"work": "slow"}])

    error = asyncio.run(cancelled_once(lambda: place.look.execute(COMMITTING).fetchone() == (1,), unit()))

    assert error.__notes__[0].endswith("it is committed.")
    assert (place.effects(), hooks) == (1, ["ran"])


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_task_cancelled_during_a_commit_that_nobody_answers_finds_it_in_doubt(place, driver):
    with CommitProxy(place.driven_by(driver)) as proxy:

        async def unit():
            async with AsyncDatabase(proxy.url, commit_timeout_s=0.5) as db, db.unit_of_work() as uow:
                await uow.insert("effects", [{"work": "lost"}])
                proxy.cut("blackhole")

        error = asyncio.run(cancelled_once(lambda: proxy.seen[-1:] == ["blackhole"], unit()))

    assert error.__notes__[0].endswith("it is in doubt.")
    assert isinstance(error.__cause__, CommitInDoubtError)
    assert error.__cause__.xid is not None


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_task_cancelled_while_a_lost_commit_is_settled_knows_of_the_doubt(place, driver):
    with CommitProxy(place.driven_by(driver)) as proxy:

        async def body(uow):
            await uow.insert("effects", [{"work": "lost"}])
            proxy.cut("half_open")

        async def unit():
            async with AsyncDatabase(proxy.url, lock_timeout_s=LIMIT_S) as db:
                await db.transact(body, key="k")

        error = asyncio.run(cancelled_once(lambda: place.look.execute(WAITING).fetchone() == (1,), unit()))

    assert "an earlier attempt is in doubt" in error.__notes__[-1]
    assert "'k' in controlroom_ledger" in error.__notes__[-1]
