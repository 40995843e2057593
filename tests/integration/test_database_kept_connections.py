"""Connections that are kept between units: nothing of one unit is left for the next, and none is lost, however units end."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import date
from typing import Any

import pytest
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from controlroom.clock import deadline
from controlroom.database import AsyncDatabase
from controlroom.database.sources import Source
from controlroom.errors import ControlRoomError, DatabaseUnavailableError, DeadlineExceededError, QueryError
from controlroom.testing import FaultPlan, SimulatedCrash
from tests.integration.database_colours import Place

SERVERS = ("psycopg-sync", "psycopg-async", "asyncpg")
NAME = "kept"
SESSIONS = f"SELECT count(*) FROM pg_stat_activity WHERE application_name = '{NAME}'"
PID = "SELECT pg_backend_pid()"

servers = pytest.mark.parametrize("kind", SERVERS, indirect=True)


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "item"
    id: Mapped[int] = mapped_column(primary_key=True)


class Stop(Exception):
    pass


def source_of(db: Any) -> Any:
    return getattr(db, "_target", db)._source


def free_turns(source: Any) -> int:
    return int(source._turns.qsize() if isinstance(source, Source) else source._turns._value)


def one(db: Any, sql: str) -> Any:
    with db.unit_of_work() as uow:
        return uow.scalar(sql)


def ended(place: Place, pid: int) -> None:
    """End the session *pid* from outside; return when the server has."""
    place.look(f"SELECT pg_terminate_backend({pid})")
    nobody_is(place, f"pid = {pid}")


def nobody_is(place: Place, which: str) -> None:
    """Wait until the server has no session *which*: it takes a moment to end one."""
    for _ in range(2_000):
        if not place.look(f"SELECT 1 FROM pg_stat_activity WHERE {which}"):
            return
        place.look("SELECT pg_sleep(0.01)")
    pytest.fail(f"there still is a session {which}")


def everything_is_back(db: Any, size: int) -> None:
    """Every turn is free, nobody is noted, and as many units as there are turns may be open at once."""
    source = source_of(db)
    assert (free_turns(source), len(source._checkouts)) == (size, 0)
    assert len(source.idle) <= size
    with ExitStack() as stack:
        units = [stack.enter_context(db.unit_of_work(read_only=True)) for _ in range(size)]
        assert [unit.scalar("SELECT 1") for unit in units] == [1] * size


class TestNothingIsLeftForTheNextUnit:
    def test_every_unit_uses_the_connection_that_was_kept(self, place: Place) -> None:
        with place.opened() as db:
            with db.unit_of_work():
                pass
            kept = list(source_of(db).idle)
            for _ in range(3):
                with db.unit_of_work() as uow:
                    uow.execute("SELECT 1")
                    assert source_of(db).idle == []
                assert source_of(db).idle == kept

    @servers
    def test_settings_of_a_unit_end_with_it(self, place: Place) -> None:
        shown = ("transaction_isolation", "transaction_read_only", "statement_timeout", "lock_timeout", "search_path")
        with place.opened(pool_size=1) as db:

            def settings() -> list[Any]:
                with db.unit_of_work() as uow:
                    return [uow.scalar(f"SHOW {name}") for name in shown]

            before = settings()
            with db.unit_of_work(isolation="SERIALIZABLE", read_only=True), deadline(5):
                pass
            with deadline(5), db.unit_of_work(isolation="SERIALIZABLE") as uow:
                uow.execute("SET LOCAL search_path TO pg_catalog")
                uow.execute("SET LOCAL lock_timeout TO '7ms'")
            with suppress(Stop), db.unit_of_work() as uow:
                uow.scalar("SELECT set_config('search_path', 'pg_catalog', false)")  # undone with the unit
                raise Stop
            assert settings() == before

    def test_a_unit_that_only_reads_leaves_no_unit_that_cannot_write(self, place: Place) -> None:
        place.look("CREATE TABLE item (id int)")
        with place.opened(pool_size=1) as db:
            for number in range(3):
                with db.unit_of_work(read_only=True) as uow:
                    assert uow.scalar("SELECT count(*) FROM item") == number
                with db.unit_of_work() as uow:
                    uow.insert("item", [{"id": number}])
        assert place.column("SELECT id FROM item ORDER BY id") == [0, 1, 2]

    @pytest.mark.parametrize("kind", ["psycopg-sync", "psycopg-async"], indirect=True)
    def test_what_was_prepared_for_tables_that_were_undone_is_forgotten(self, place: Place) -> None:
        """psycopg forgets by the tag of ROLLBACK, which it has to see for that."""
        with place.opened(pool_size=1) as db:
            with suppress(Stop), db.unit_of_work() as uow:
                uow.execute("CREATE TABLE shape (a int)")
                for _ in range(8):
                    uow.execute("SELECT * FROM shape")
                raise Stop
            with db.unit_of_work() as uow:
                with uow.savepoint() as savepoint:
                    uow.execute("CREATE TABLE shape (a text, b int)")
                    for _ in range(8):
                        assert list(uow.execute("SELECT * FROM shape").keys()) == ["a", "b"]
                    savepoint.rollback()
                uow.execute("CREATE TABLE shape (c text)")
                assert list(uow.execute("SELECT * FROM shape").keys()) == ["c"]

    def test_merging_by_way_of_a_temporary_table_again_and_again(self, place: Place) -> None:
        place.look("CREATE TABLE item (id int PRIMARY KEY, name text)")
        with place.opened(pool_size=1) as db:
            for turn in range(3):
                rows = [{"id": number, "name": f"{turn}"} for number in range(2_500)]
                with suppress(Stop), db.unit_of_work() as uow:
                    uow.upsert("item", rows, key=["id"])
                    if turn == 1:
                        raise Stop
                with db.unit_of_work() as uow:
                    uow.upsert("item", [{"name": f"{turn}", "id": number} for number in range(2_500)], key=["id"])
            assert one(db, "SELECT count(*) FROM item WHERE name = '2'") == 2_500

    def test_a_stream_that_was_left_in_the_middle(self, place: Place) -> None:
        place.look("CREATE TABLE item (id int)")
        numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) SELECT i FROM n"
        with place.opened(pool_size=1) as db:
            for number in range(3):
                rows = iter(db.stream(numbers, chunk=10))
                assert next(rows)[0] == 1
                rows.close()
                with db.unit_of_work() as uow:
                    uow.insert("item", [{"id": number}])
            everything_is_back(db, 1)
        assert place.column("SELECT count(*) FROM item") == [3]

    @servers
    def test_a_load_whose_rows_broke_off(self, place: Place) -> None:
        place.look("CREATE TABLE item (id int)")

        def rows() -> Iterator[dict[str, int]]:
            for number in range(25_000):
                if number == 21_000:
                    raise Stop
                yield {"id": number}

        with place.opened(pool_size=1) as db:
            for _ in range(2):
                with suppress(Stop), db.unit_of_work() as uow:
                    uow.load("item", rows())
                assert one(db, "SELECT count(*) FROM item") == 0

    def test_a_unit_whose_error_was_swallowed(self, place: Place) -> None:
        place.look("CREATE TABLE item (id int PRIMARY KEY)")
        with place.opened(pool_size=1) as db:
            with pytest.raises(ControlRoomError), db.unit_of_work() as uow, suppress(ControlRoomError):
                uow.insert("item", [{"id": 1}, {"id": 1}])
            with db.unit_of_work() as uow:
                uow.insert("item", [{"id": 2}])
            everything_is_back(db, 1)
        assert place.column("SELECT id FROM item") == [2]

    def test_the_sessions_objects(self, place: Place) -> None:
        place.look("CREATE TABLE item (id int PRIMARY KEY)")
        with place.opened(pool_size=1) as db:
            for number in range(3):
                with suppress(Stop), db.unit_of_work() as uow:
                    session = uow.session
                    session.add(Item(id=number))
                    session.flush()
                    if number == 1:
                        raise Stop
            everything_is_back(db, 1)
        assert place.column("SELECT id FROM item ORDER BY id") == [0, 2]

    @servers
    def test_what_a_session_keeps_is_kept_as_ever(self, place: Place) -> None:
        """Locks and settings that the user made for the session outlive the unit: they are the session's."""
        with place.opened(pool_size=1) as db:
            with db.unit_of_work() as uow:
                uow.scalar("SELECT pg_advisory_lock(7)")
                uow.scalar("SELECT set_config('search_path', 'pg_catalog', false)")
            assert one(db, "SHOW search_path") == "pg_catalog"
            assert one(db, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 7") == 1


@servers
class TestALostConnection:
    @pytest.mark.parametrize("times", [1, 3])
    def test_that_the_server_ended_is_replaced(self, place: Place, times: int) -> None:
        with place.opened(pool_size=1, application_name=NAME) as db:
            for _ in range(times):
                pid = one(db, PID)
                ended(place, pid)
                assert one(db, PID) != pid
            everything_is_back(db, 1)
            assert place.column(SESSIONS) == [1]

    def test_that_the_server_ended_for_idling(self, place: Place) -> None:
        with place.opened(pool_size=1) as db:
            with db.unit_of_work() as uow:
                pid = uow.scalar(PID)
                uow.scalar("SELECT set_config('idle_session_timeout', '1ms', false)")
            nobody_is(place, f"pid = {pid}")
            assert one(db, PID) != pid

    def test_inside_a_unit_is_an_error_and_no_lie(self, place: Place) -> None:
        place.look("CREATE TABLE item (id int)")
        with place.opened(pool_size=1) as db:
            one(db, "SELECT 1")
            with pytest.raises(DatabaseUnavailableError), db.unit_of_work() as uow:
                uow.insert("item", [{"id": 1}])
                ended(place, uow.scalar(PID))
                uow.scalar("SELECT 1")
            with pytest.raises(DatabaseUnavailableError), db.unit_of_work() as uow:
                uow.insert("item", [{"id": 2}])
                ended(place, uow.scalar(PID))
            everything_is_back(db, 1)
        assert place.column("SELECT count(*) FROM item") == [0]

    def test_met_by_a_statement_takes_those_of_its_age_with_it(self, place: Place) -> None:
        """As SQLAlchemy's pool does: a firewall that forgot one has forgotten all, and each would cost a wait."""
        with place.opened(pool_size=2) as db:
            with db.unit_of_work() as uow, db.unit_of_work() as other:
                pids = {uow.scalar(PID), other.scalar(PID)}
            with pytest.raises(DatabaseUnavailableError), db.unit_of_work() as uow:
                ended(place, uow.scalar(PID))
                uow.scalar("SELECT 1")
            assert one(db, PID) not in pids

    def test_is_closed_without_a_word(self, place: Place) -> None:
        with place.opened(pool_size=2) as db:
            with db.unit_of_work() as uow, db.unit_of_work() as other:
                pids = [uow.scalar(PID), other.scalar(PID)]
            for pid in pids:
                ended(place, pid)


class TestEveryEnd:
    def test_gives_the_turn_back(self, place: Place) -> None:
        with place.opened(pool_size=2) as db:
            for raised in (Stop, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError, SystemExit):
                with pytest.raises(raised), db.unit_of_work() as uow:
                    uow.execute("SELECT 1")
                    raise raised
            with db.unit_of_work() as uow:
                uow.rollback()
            with pytest.raises(QueryError), db.unit_of_work() as uow:
                uow.execute("SELEKT")
            with deadline(0), pytest.raises(DeadlineExceededError), db.unit_of_work():
                pass
            assert len(source_of(db).idle) == 1
            everything_is_back(db, 2)

    @pytest.mark.parametrize("when", ["before", "after"])
    def test_a_crash_at_commit_loses_no_connection(self, place: Place, when: Any) -> None:
        with place.opened(pool_size=1) as db:
            one(db, "SELECT 1")  # to connect has steps, too
            with pytest.raises(SimulatedCrash), FaultPlan.crash(1, when=when), db.unit_of_work() as uow:
                uow.execute("SELECT 1")
            assert len(source_of(db).idle) == 1
            everything_is_back(db, 1)

    def test_closing_is_final_and_twice_is_once(self, place: Place) -> None:
        with place.opened(pool_size=2) as db:
            with db.unit_of_work() as uow:
                db.close()
                uow.execute("SELECT 1")
                with pytest.raises(QueryError, match="closed"):
                    one(db, "SELECT 1")
            assert source_of(db).idle == []
            db.close()
            with pytest.raises(QueryError, match="closed"):
                one(db, "SELECT 1")

    def test_interrupted_at_any_line_between_the_units(self, place: Place) -> None:
        """Ctrl-C while a turn and a connection are taken: neither is lost, nobody stays noted."""
        if place.is_async:
            pytest.skip("asyncio makes a cancellation of Ctrl-C")
        size = 2
        with place.opened(pool_size=size) as db:
            one(db, "SELECT 1")
            source = source_of(db)
            work = db.unit_of_work()._work
            at = 0
            while interrupted(lambda: source.check_out(work), at):
                assert (free_turns(source), len(source._checkouts)) == (size, 0), f"line {at}"
                at += 1
            gc.collect()
            assert at > 10


def interrupted(fn: Callable[[], Any], at: int) -> bool:
    """Call *fn*, with a KeyboardInterrupt at its line number *at*, counted as they run; tell whether it has so many."""
    lines = 0

    def trace(frame: Any, event: str, _: Any) -> Any:
        nonlocal lines
        if not frame.f_code.co_filename.endswith(("/database/sources.py", "/database/checkouts.py")):
            return None
        if event == "line":
            lines += 1
            if lines > at:
                raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        fn()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False


class TestManyAtOnce:
    def test_threads_never_have_more_connections_than_the_pool(self, place: Place) -> None:
        if place.is_async:
            pytest.skip("of threads")
        size, most, broken = 3, [0], list[BaseException]()
        place.look("CREATE TABLE item (id int)")
        with place.opened(pool_size=size, application_name=NAME, pool_timeout_s=60, lock_timeout_s=60) as db:
            busy, lock = [0], threading.Lock()

            def work(seed: int) -> None:
                dice = random.Random(seed)
                for _ in range(12):
                    with suppress(Stop), db.unit_of_work(read_only=dice.random() < 0.5) as uow:
                        with lock:
                            busy[0] += 1
                            most[0] = max(most[0], busy[0])
                        try:
                            uow.scalar("SELECT count(*) FROM item")
                            if dice.random() < 0.3:
                                raise Stop
                        finally:
                            with lock:
                                busy[0] -= 1

            def guarded(seed: int) -> None:
                try:
                    work(seed)
                except BaseException as error:
                    broken.append(error)

            threads = [threading.Thread(target=guarded, args=(seed,)) for seed in range(16)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(60)
            assert broken == []
            assert most[0] <= size
            if not place.is_sqlite:
                assert place.column(SESSIONS)[0] <= size
            everything_is_back(db, size)

    def test_tasks_that_are_cancelled_anywhere_lose_nothing(self, place: Place) -> None:  # noqa: C901 - one story
        if not place.is_async:
            pytest.skip("of tasks")
        size = 4
        place.look("CREATE TABLE item (id int)")

        async def main() -> None:
            dice = random.Random(6)
            sleep: Any = asyncio.sleep
            options: dict[str, Any] = {"pool_timeout_s": 60, "lock_timeout_s": 60}
            async with AsyncDatabase(place.url, pool_size=size, application_name=NAME, **options) as db:
                committed: set[int] = set()

                async def unit(number: int) -> None:
                    try:
                        await written(number)
                    except asyncio.CancelledError as error:
                        if "it is committed" not in "".join(getattr(error, "__notes__", [])):
                            raise
                    committed.add(number)

                async def written(number: int) -> None:
                    async with db.unit_of_work(read_only=number % 3 == 0) as uow:
                        await uow.scalar("SELECT count(*) FROM item")
                        if number % 3:
                            await uow.execute("INSERT INTO item VALUES (:id)", {"id": number})

                tasks = [asyncio.create_task(unit(number)) for number in range(200)]
                while not all(task.done() for task in tasks):
                    for _ in range(dice.randrange(4)):
                        await sleep(0)
                    if not place.is_sqlite and dice.random() < 0.1:
                        assert place.column(SESSIONS)[0] <= size
                    open_ones = [task for task in tasks if not task.done()]
                    if open_ones and dice.random() < 0.5:
                        dice.choice(open_ones).cancel()
                outcomes = await asyncio.gather(*tasks, return_exceptions=True)
                wrong = [each for each in outcomes if each is not None and not isinstance(each, asyncio.CancelledError)]
                assert wrong == []
                source = db._source
                assert (free_turns(source), len(source._checkouts)) == (size, 0)
                assert len(source.idle) <= size
                assert {*place.column("SELECT id FROM item")} == {number for number in committed if number % 3}
                async with asyncio.timeout(60):
                    async with db.unit_of_work(read_only=True) as uow, db.unit_of_work(read_only=True) as other:
                        assert await uow.scalar("SELECT 1") == await other.scalar("SELECT 1") == 1

        asyncio.run(main())


@contextmanager
def child(body: Callable[[], None]) -> Iterator[int]:
    """Have *body* run in a forked process that then ends."""
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
    yield pid
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_a_unit_of_the_parents_that_ends_in_its_child_brings_the_child_no_connection(place: Place) -> None:
    if place.is_async:
        pytest.skip("a loop does not cross a fork")
    with place.opened(pool_size=2) as db, ExitStack() as stack:
        stack.enter_context(db.unit_of_work(read_only=True)).scalar("SELECT 1")

        def body() -> None:
            one(db, "SELECT 1")
            with suppress(QueryError):
                stack.close()
            everything_is_back(db, 2)

        with child(body):
            pass
        one(db, "SELECT 1")


def test_many_threads_that_come_first_in_a_child_share_one_pool(place: Place) -> None:
    if place.is_async:
        pytest.skip("a loop does not cross a fork")
    with place.opened(pool_size=2) as db:
        one(db, "SELECT 1")

        def body() -> None:
            together = threading.Barrier(8)

            def begin() -> None:
                together.wait(60)
                for _ in range(5):
                    with db.unit_of_work(read_only=True) as uow:
                        uow.scalar("SELECT 1")

            threads = [threading.Thread(target=begin) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(60)
            everything_is_back(db, 2)

        with child(body):
            pass
        everything_is_back(db, 2)


class TestAnAsynchronousDatabase:
    @pytest.fixture(autouse=True)
    def _of_asyncio(self, place: Place) -> None:
        if not place.is_async:
            pytest.skip("of asyncio")

    def test_closed_by_two_tasks_at_once(self, place: Place) -> None:
        async def main() -> None:
            db = AsyncDatabase(place.url)
            async with db.unit_of_work(), db.unit_of_work(read_only=True):
                pass
            await asyncio.gather(db.aclose(), db.aclose())
            assert db._source.idle == []

        asyncio.run(main())

    def test_whose_closing_is_cancelled_is_closed(self, place: Place) -> None:
        async def main() -> None:
            sleep: Any = asyncio.sleep
            db = AsyncDatabase(place.url, application_name=NAME)
            async with db.unit_of_work(), db.unit_of_work(read_only=True):
                pass
            closing = asyncio.create_task(db.aclose())
            await sleep(0)
            closing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await closing
            assert db._source.idle == []
            if not place.is_sqlite:
                nobody_is(place, f"application_name = '{NAME}'")

        asyncio.run(main())

    @pytest.mark.parametrize("loop_is_closed", [True, False])
    def test_that_nobody_closed_and_nobody_has_is_no_matter_for_everybody(
        self, place: Place, loop_is_closed: bool
    ) -> None:
        """SQLAlchemy's warning would be seen by all; a ResourceWarning is by those who look for leaks."""

        async def used(db: AsyncDatabase) -> None:
            async with db.unit_of_work(), db.unit_of_work(read_only=True):
                pass

        loop = asyncio.new_event_loop()
        db = AsyncDatabase(place.url)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", ResourceWarning)
            loop.run_until_complete(used(db))
            if loop_is_closed:
                loop.close()
            del db
            gc.collect()
            if not loop_is_closed:
                loop.run_until_complete(loop.shutdown_asyncgens())
                loop.close()
            gc.collect()

    def test_in_one_loop_after_the_other(self, place: Place) -> None:
        db = AsyncDatabase(place.url, pool_size=2)

        async def main() -> None:
            for _ in range(2):
                async with db.unit_of_work() as uow, db.unit_of_work(read_only=True) as other:
                    assert await uow.scalar("SELECT 1") == await other.scalar("SELECT 1") == 1

        for _ in range(3):
            asyncio.run(main())
        asyncio.run(db.aclose())
        assert db._source.idle == []


class TestALoadedValueThatTheDriverCannotSend:
    @servers
    @pytest.mark.parametrize(
        ("column", "value"),
        [("id", 2**40), ("on_day", "2024-13-45"), ("named", 7), ("named", "a\0b"), ("raw", 3.5)],
    )
    def test_names_its_row_and_its_column(self, place: Place, column: str, value: object) -> None:
        place.look("CREATE TABLE item (id int, big bigint, share float8, on_day date, named text, raw bytea)")
        if value == 7 and place.kind != "asyncpg":
            pytest.skip("psycopg makes a text of it, as INSERT does")
        good = {"id": 1, "big": 2**40, "share": 1, "on_day": date(2024, 1, 2), "named": "x", "raw": bytearray(b"y")}
        with place.opened() as db:
            for rows in ([good, {**good, column: value}], [good] * 12_000 + [{**good, column: value}]):
                with pytest.raises(ControlRoomError) as caught, db.unit_of_work() as uow:
                    uow.load("item", rows)
                found: Any = caught.value
                assert (found.row_index, found.column) == (len(rows) - 1, column)


def test_a_body_that_cannot_be_called_is_refused(place: Place) -> None:
    with place.opened() as db, pytest.raises(QueryError, match="takes a function"):
        db.transact(7)
