"""COMMITs that are lost on the way, in six ways: what is claimed afterwards agrees with what is in the database."""

from __future__ import annotations

import asyncio
import concurrent.futures
import itertools
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import psycopg
import pytest

from controlroom.database import AsyncDatabase, Database
from controlroom.errors import (
    CommitInDoubtError,
    ControlRoomError,
    DatabaseUnavailableError,
    DoomedTransactionError,
    TransactionConflictError,
)
from controlroom.retrying import Backoff, RetryPolicy
from controlroom.testing import CommitProxy
from tests.servers.pgbouncer import pgbouncer

__all__ = ["pgbouncer"]

LIMIT_S = 20  # far beyond every limit below: what takes longer hangs
LIMITS = {"commit_timeout_s": 0.3, "lock_timeout_s": 0.4, "statement_timeout_s": 5, "pool_size": 2}
QUICK = RetryPolicy(attempts=3, backoff=Backoff(initial_s=0))
CUTS = {"pre": 0, "fwd_close": 1, "post": 1, "late": 1, "half_open": 0, "blackhole": 0}  # effects of an unkeyed unit
ENDED = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = %s"
CLIENTS = ["psycopg", "psycopg async", "asyncpg"]
WORKER = Path(__file__).with_name("commit_worker.py")
names = map("work {}".format, itertools.count())


@pytest.fixture(scope="module")
def place(postgres_cluster):
    """One database for all of them: each test has keys and names of its own."""
    name = postgres_cluster.new_database()
    url = postgres_cluster.sqlalchemy_url(name)
    with Database(url) as db:
        db.create_control_tables()
        db.transact(lambda uow: uow.execute("CREATE TABLE effects (work text NOT NULL)"))
    with psycopg.connect(postgres_cluster.url(name), autocommit=True) as look:
        yield SimpleNamespace(
            url=url,
            effects=lambda work: look.execute("SELECT count(*) FROM effects WHERE work = %s", [work]).fetchone()[0],
            look=look,
            plain=postgres_cluster.url(name),
        )
    postgres_cluster.drop(name)


@pytest.fixture
def proxy(place):
    with CommitProxy(place.url, late_by_s=0.1) as proxy:
        yield proxy


def within_the_limit(fn):
    """Return what *fn* returns or raises; fail where it hangs."""
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        return pool.submit(fn).result(LIMIT_S)


def claim_of(fn):
    """What is said to whoever calls *fn*, and what it returned or raised."""
    try:
        return "returned", within_the_limit(fn)
    except CommitInDoubtError as error:
        return "in doubt", error
    except ControlRoomError as error:
        return "failed", error


class Sync:
    def __init__(self, url, proxy=None, how="pre", commits=0, **limits):
        self.url, self.limits = url, {**LIMITS, **limits}
        self.bodies = 0
        self.arm = lambda: proxy and self.bodies == 1 and proxy.cut(how, commits)

    def body(self, work):
        def fn(uow):
            self.bodies += 1
            self.arm()  # only now: drivers commit while they connect, too
            uow.insert("effects", [{"work": work}])
            return {"body": self.bodies}

        return fn

    def unit(self, work):
        with Database(self.url, **self.limits) as db, db.unit_of_work() as uow:
            return self.body(work)(uow)

    def once(self, work):
        with Database(self.url, **self.limits) as db, db.unit_of_work() as uow:
            if uow.once(work):
                self.body(work)(uow)

    def transact(self, work, retry=QUICK, **options):
        with Database(self.url, **self.limits) as db:
            return db.transact(self.body(work), retry=retry, **options)


class Async(Sync):
    def body(self, work):
        async def fn(uow):
            self.bodies += 1
            self.arm()
            await uow.insert("effects", [{"work": work}])
            return {"body": self.bodies}

        return fn

    def run(self, use):
        async def main():
            async with AsyncDatabase(self.url, **self.limits) as db:
                return await asyncio.wait_for(use(db), LIMIT_S)

        return asyncio.run(main())

    def unit(self, work):
        async def use(db):
            async with db.unit_of_work() as uow:
                return await self.body(work)(uow)

        return self.run(use)

    def once(self, work):
        async def use(db):
            async with db.unit_of_work() as uow:
                if await uow.once(work):
                    await self.body(work)(uow)

        return self.run(use)

    def transact(self, work, retry=QUICK, **options):
        return self.run(lambda db: db.transact(self.body(work), retry=retry, **options))


def client(kind, url, **options):
    if kind == "psycopg":
        return Sync(url, **options)
    return Async(url.replace("+psycopg:", f"+{kind.split()[0]}:"), **options)


def through(proxy, kind, how, commits=1, **limits):
    """A client whose first *commits* COMMITs are cut."""
    return client(kind, proxy.url, proxy=proxy, how=how, commits=commits, **limits)


@pytest.mark.parametrize("kind", CLIENTS)
@pytest.mark.parametrize("how", CUTS)
@pytest.mark.parametrize("way", ["unit", "transact", "once"])
def test_a_lost_commit_without_a_key_to_settle_it_is_reported_as_in_doubt(place, proxy, kind, how, way):
    work = next(names)

    claim, error = claim_of(lambda: getattr(through(proxy, kind, how), way)(work))

    assert proxy.wait(LIMIT_S)
    assert (claim, place.effects(work)) == ("in doubt", CUTS[how]), error
    assert [each for each in proxy.seen if each] == [how]
    assert proxy.seen[-1] == how  # never repeated
    assert error.token == (work if way == "once" else None)
    assert error.pid > 0
    status = {0: ("aborted", "in progress"), 1: ("committed",)}[CUTS[how]]
    assert place.look.execute("SELECT pg_xact_status(%s::xid8)", [error.xid]).fetchone()[0] in status
    assert f"pg_xact_status('{error.xid}')" in str(error)


@pytest.mark.parametrize("kind", CLIENTS)
@pytest.mark.parametrize("how", CUTS)
def test_a_lost_commit_with_a_key_is_settled_and_its_effect_is_there_once(place, proxy, kind, how):
    work = next(names)
    used = through(proxy, kind, how)

    claim, result = claim_of(lambda: used.transact(work, key=work))

    assert proxy.wait(LIMIT_S)
    assert (claim, place.effects(work)) == ("returned", 1)
    assert result == {"body": used.bodies}  # of the one that committed
    if how != "late":  # which may be waited for, or ended
        assert used.bodies == (1 if CUTS[how] else 2)
    again = client(kind, place.url)
    assert (again.transact(work, key=work), again.bodies) == (result, 0)


@pytest.mark.parametrize("kind", CLIENTS)
@pytest.mark.parametrize("how", ["post", "half_open", "blackhole"])
def test_behind_a_pooler_the_lost_transaction_is_found_all_the_same(place, pgbouncer, kind, how):
    """Number and time of start of a session say nothing there: it serves one client after the other."""
    work = next(names)
    with CommitProxy(pgbouncer.url(place.url)) as proxy:
        claim, _ = claim_of(lambda: through(proxy, kind, how, profile="pooler").transact(work, key=work))

    assert (claim, place.effects(work)) == ("returned", 1)


@pytest.mark.parametrize("kind", CLIENTS)
def test_a_commit_later_than_anybody_waits_has_no_effect_any_more(place, kind):
    work = next(names)
    with CommitProxy(place.url, late_by_s=1.0) as proxy:
        claim, _ = claim_of(lambda: through(proxy, kind, "late", lock_timeout_s=0.1).transact(work, key=work))
        assert proxy.wait(LIMIT_S)  # until it has arrived, where nobody takes it any more

    assert (claim, place.effects(work)) == ("returned", 1)


@pytest.mark.parametrize("kind", CLIENTS)
@pytest.mark.parametrize(("how", "bodies"), [("pre", 3), ("post", 1)])
def test_one_lost_commit_after_the_other_is_settled_each_time(place, proxy, kind, how, bodies):
    work = next(names)
    used = through(proxy, kind, how, commits=2)

    assert claim_of(lambda: used.transact(work, key=work))[0] == "returned"
    assert (used.bodies, place.effects(work)) == (bodies, 1)


def test_where_attempts_are_over_the_settled_unit_is_said_to_be_rolled_back(place, proxy):
    """Not in doubt any more: whoever reads it knows that nothing was written."""
    work = next(names)
    used = through(proxy, "psycopg", "pre")

    claim, error = claim_of(lambda: used.transact(work, key=work, retry=RetryPolicy(attempts=1)))

    assert (claim, place.effects(work)) == ("failed", 0)
    assert isinstance(error, DatabaseUnavailableError)
    assert "did not happen" in str(error)
    assert isinstance(error.__cause__, CommitInDoubtError)


@pytest.mark.parametrize("kind", CLIENTS)
def test_who_may_not_end_the_lost_session_says_so_within_the_limits(place, kind):
    work = next(names)
    role = f"clerk_{work.replace(' ', '_')}"
    place.look.execute(f"CREATE ROLE {role} LOGIN")
    place.look.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}")
    place.look.execute("REVOKE EXECUTE ON FUNCTION pg_terminate_backend FROM PUBLIC")
    try:
        with CommitProxy(place.url.replace("tests@", f"{role}@")) as proxy:
            claim, error = claim_of(lambda: through(proxy, kind, "half_open").transact(work, key=work))
    finally:
        place.look.execute("GRANT EXECUTE ON FUNCTION pg_terminate_backend TO PUBLIC")
        place.look.execute(f"DROP OWNED BY {role}")
        place.look.execute(f"DROP ROLE {role}")

    assert (claim, place.effects(work)) == ("in doubt", 0)
    assert error.token == work
    assert error.__cause__.sqlstate == "42501"
    assert "could not be settled" in error.__notes__[0]


def test_only_the_session_that_still_has_the_transaction_is_ended(place):
    with (
        psycopg.connect(place.plain) as bystander,
        Database(place.url) as db,
        db.unit_of_work() as uow,
    ):
        pid, xid = bystander.execute("SELECT pg_backend_pid(), pg_current_xact_id()::text").fetchone()
        work = uow._work
        assert not work.backend.end_session(work, pid, str(int(xid) + 1))
        assert bystander.execute("SELECT 1").fetchone() == (1,)
        assert work.backend.end_session(work, pid, xid)
        with pytest.raises(psycopg.OperationalError):
            for _ in range(1_000):
                bystander.execute("SELECT pg_sleep(0.01)")


@pytest.mark.parametrize("kind", CLIENTS)
def test_an_error_that_never_passed_through_the_unit_fails_the_commit_all_the_same(place, kind):
    """The server answers COMMIT with ROLLBACK, and every driver passes that over."""
    work = next(names)

    class Behind(Sync if kind == "psycopg" else Async):
        def body(self, work):
            if kind == "psycopg":

                def fn(uow):
                    uow.insert("effects", [{"work": work}])
                    with pytest.raises(psycopg.Error):
                        uow._work.link.driver.execute("SELECT 1/0")

                return fn

            async def fn_async(uow):
                await uow.insert("effects", [{"work": work}])
                with pytest.raises(Exception, match="division by zero"):
                    await uow._work.link.driver.execute("SELECT 1/0")

            return fn_async

    url = place.url if kind == "psycopg" else place.url.replace("+psycopg:", f"+{kind.split()[0]}:")
    with pytest.raises(DoomedTransactionError):
        Behind(url).unit(work)
    with pytest.raises(DoomedTransactionError):
        Behind(url).transact(work, key=work)
    assert place.effects(work) == 0


@pytest.mark.parametrize("kind", CLIENTS)
def test_a_connection_lost_before_commit_was_sent_is_no_doubt(place, kind):
    """The whole unit may run again, without any key: nothing was committed."""
    work = next(names)
    used = client(kind, place.url, application_name=work)
    used.arm = lambda: used.bodies > 1 or place.look.execute(ENDED, [work]).fetchone()

    assert used.transact(work) == {"body": 2}
    assert place.effects(work) == 1


@pytest.mark.parametrize("kind", CLIENTS)
def test_a_connection_lost_behind_the_last_statement_is_no_doubt_either(place, kind):
    work = next(names)
    used = client(kind, place.url, application_name=work)
    plain = used.body

    def body(work):
        fn = plain(work)
        if kind == "psycopg":

            def then_lost(uow):
                result = fn(uow)
                assert used.bodies > 1 or place.look.execute(ENDED, [work]).fetchone()
                return result

            return then_lost

        async def then_lost_async(uow):
            result = await fn(uow)
            assert used.bodies > 1 or place.look.execute(ENDED, [work]).fetchone()
            return result

        return then_lost_async

    used.body = body
    assert used.transact(work) == {"body": 2}
    assert place.effects(work) == 1


@pytest.mark.parametrize("kind", CLIENTS)
def test_a_serialization_failure_is_definite_and_the_unit_runs_again(place, kind):
    """Two units that each read what the other writes: one of them fails, at COMMIT or before, and is repeated."""
    work = next(names)
    used = client(kind, place.url)
    rival = psycopg.connect(place.plain)
    rival.isolation_level = psycopg.IsolationLevel.SERIALIZABLE
    plain = used.body

    def seen(work):
        fn = plain(work)

        def interfere():
            if used.bodies == 1:
                rival.execute("SELECT count(*) FROM effects").fetchone()
                rival.execute("INSERT INTO effects VALUES (%s)", [f"rival of {work}"])
                rival.commit()

        if kind == "psycopg":

            def body(uow):
                uow.scalar("SELECT count(*) FROM effects")
                result = fn(uow)
                interfere()
                return result

            return body

        async def body_async(uow):
            await uow.scalar("SELECT count(*) FROM effects")
            result = await fn(uow)
            interfere()
            return result

        return body_async

    used.body = seen
    try:
        assert used.transact(work, isolation="SERIALIZABLE") == {"body": 2}
    finally:
        rival.close()
    assert place.effects(work) == 1


def worker(*arguments):
    return subprocess.Popen(
        [sys.executable, str(WORKER), *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize(("point", "landed"), [("in fn", False), ("post", True), ("late", True), ("pre", False)])
def test_a_process_killed_at_its_work_or_at_its_commit_leaves_the_truth_to_the_next(place, proxy, point, landed):
    work = next(names)
    with worker(proxy.url, work) as process:
        assert process.stdout.readline() == "claimed\n"
        if point == "in fn":
            process.kill()
        else:
            proxy.cut(point)
        process.communicate("go on\n", timeout=LIMIT_S)  # it kills itself where it hears of its COMMIT
    assert process.returncode == -signal.SIGKILL

    used = client("psycopg", place.url, lock_timeout_s=10)
    assert used.transact(work, key=work) == {"body": 1}
    assert (used.bodies, place.effects(work)) == (0 if landed else 1, 1)


def test_the_key_of_a_process_that_died_half_open_is_free_again_after_idle_timeout_s(place, proxy):
    """Nobody knows its session any more, and the server does not know that it is dead: it ends what idles too long."""
    work = next(names)
    with worker(proxy.url, work) as process:
        assert process.stdout.readline() == "claimed\n"
        proxy.cut("half_open")
        process.communicate("go on\n", timeout=LIMIT_S)

    with pytest.raises(TransactionConflictError):
        client("psycopg", place.url, lock_timeout_s=0.01).transact(work, key=work)
    used = client("psycopg", place.url, lock_timeout_s=10)
    assert used.transact(work, key=work) == {"body": 1}
    assert place.effects(work) == 1
