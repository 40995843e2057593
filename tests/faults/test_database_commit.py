"""COMMIT refused, interrupted or unanswered: what is reported is what happened."""

from __future__ import annotations

import asyncio
import resource
import sqlite3
import subprocess
import sys
import threading

import pytest

from controlroom.database import AsyncDatabase, Database
from controlroom.database.sqlite.backend import Sqlite
from controlroom.errors import (
    CommitInDoubtError,
    DatabaseError,
    Disposition,
    ShutdownRequested,
    TransactionConflictError,
)
from controlroom.retrying import Backoff, RetryPolicy
from controlroom.testing import FaultPlan, SimulatedCrash

QUICK = RetryPolicy(attempts=3, backoff=Backoff(initial_s=0))


@pytest.fixture
def path(tmp_path):
    connection = sqlite3.connect(tmp_path / "data.db")
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
    connection.close()
    return tmp_path / "data.db"


@pytest.fixture
def db(path):
    with Database(f"sqlite:///{path}", lock_timeout_s=0.2) as database:
        database.create_control_tables()
        yield database


def committed(path):
    connection = sqlite3.connect(path)
    try:
        return [number for (number,) in connection.execute("SELECT id FROM t ORDER BY id")]
    finally:
        connection.close()


def io_error():
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
    return error


class Torn:
    """The driver's connection, with one COMMIT that raises: before it was done, or after."""

    def __init__(self, dbapi, error, *, landed):
        self._dbapi = dbapi
        self._error = error
        self._landed = landed

    def __getattr__(self, name):
        return getattr(self._dbapi, name)

    def commit(self):
        if self._landed:
            self._dbapi.commit()
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        self._dbapi.commit()


def tear(uow, error, *, landed):
    """Let the COMMIT of *uow* raise *error*."""
    link = uow._work.link
    link.dbapi = Torn(link.dbapi, error, landed=landed)


@pytest.mark.parametrize("landed", [True, False])
@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit])
def test_ctrl_c_during_commit_is_told_whether_it_committed(db, path, interruption, landed):
    ran = []
    with pytest.raises(interruption) as caught, db.unit_of_work() as uow:
        uow.on_commit(lambda: ran.append("hook"))
        uow.insert("t", [{"id": 1}])
        tear(uow, interruption(), landed=landed)

    assert committed(path) == ([1] if landed else [])
    assert ran == (["hook"] if landed else [])
    outcome = "committed" if landed else "rolled back"
    assert caught.value.__notes__ == [f"controlroom: interrupted while the unit of work ended; it is {outcome}."]
    db.transact(lambda uow: uow.insert("t", [{"id": 2}]))


@pytest.mark.parametrize("landed", [True, False])
def test_an_io_error_at_commit_is_in_doubt_and_neither_success_nor_failure(db, landed, caplog):
    ran = []
    with pytest.raises(CommitInDoubtError, match="may or may not have committed") as caught, db.unit_of_work() as uow:
        assert uow.once("the key")
        uow.on_commit(lambda: ran.append("hook"))
        uow.insert("t", [{"id": 1}])
        tear(uow, io_error(), landed=landed)

    assert caught.value.disposition is Disposition.RECONCILE
    assert caught.value.token == "the key"  # the evidence: look it up in the ledger
    assert isinstance(caught.value.__cause__, sqlite3.OperationalError)
    assert ran == []
    assert "commit_left_in_doubt" in caplog.text
    db.transact(lambda uow: uow.insert("t", [{"id": 2}]))  # on another connection: that one is not used again


@pytest.mark.parametrize("landed", [True, False])
def test_with_a_key_a_commit_in_doubt_is_settled_by_the_ledger(db, path, landed):
    calls = []

    def body(uow):
        calls.append(1)
        uow.insert("t", [{"id": 1}])
        if len(calls) == 1:
            tear(uow, io_error(), landed=landed)
        return f"call {len(calls)}"

    assert db.transact(body, key="k", retry=QUICK) == ("call 1" if landed else "call 2")
    assert committed(path) == [1]
    assert len(calls) == (1 if landed else 2)


@pytest.mark.parametrize("landed", [True, False])
def test_with_a_key_a_commit_in_doubt_is_settled_in_the_other_colour_too(db, path, landed):
    calls = []

    async def body(uow):
        calls.append(1)
        await uow.insert("t", [{"id": 1}])
        if len(calls) == 1:
            tear(uow, io_error(), landed=landed)
        return f"call {len(calls)}"

    async def main():
        async with AsyncDatabase(f"sqlite:///{path}") as there:
            return await there.transact(body, key="k", retry=QUICK)

    assert asyncio.run(main()) == ("call 1" if landed else "call 2")
    assert committed(path) == [1]


def test_without_a_key_a_commit_in_doubt_is_not_repeated(db):
    calls = []

    def body(uow):
        calls.append(1)
        tear(uow, io_error(), landed=True)

    with pytest.raises(CommitInDoubtError):
        db.transact(body, retry=QUICK)
    assert calls == [1]


def test_a_doubt_that_no_attempt_settles_is_what_is_raised(db):
    """Not the conflict of the later attempt, which would read as: nothing has happened."""

    rival = sqlite3.connect(db._source.backend.path, isolation_level=None)

    class LockedFromThenOn(Torn):
        def commit(self):
            try:
                super().commit()
            finally:
                rival.execute("BEGIN IMMEDIATE")

    def body(uow):
        uow.insert("t", [{"id": 1}])
        uow._work.link.dbapi = LockedFromThenOn(uow._work.link.dbapi, io_error(), landed=True)

    try:
        with pytest.raises(CommitInDoubtError) as caught:
            db.transact(body, key="k", retry=QUICK)
    finally:
        rival.close()

    assert caught.value.disposition is Disposition.RECONCILE
    assert isinstance(caught.value.__cause__, TransactionConflictError)
    assert "could not be settled" in caught.value.__notes__[0]


def test_a_full_database_is_said_to_be_full_and_nothing_of_the_unit_is_left(db, path):
    with pytest.raises(DatabaseError, match="the disk is full") as caught, db.unit_of_work() as uow:
        uow.execute("PRAGMA max_page_count = 20")
        uow.insert("t", ({"id": number, "v": "x" * 1_000} for number in range(1_000)))

    assert caught.value.disposition is Disposition.STOP
    assert committed(path) == []


FULL_DISK = """
import resource, sys
from controlroom.database import Database
from controlroom.errors import ControlRoomError

with Database(sys.argv[1]) as db:
    with db.unit_of_work() as uow:
        uow.insert("t", [{"id": 1}])
    try:
        with db.unit_of_work() as uow:
            uow.insert("t", ({"id": number, "v": "x" * 100} for number in range(2, 2_000)))
            resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, resource.RLIM_INFINITY))
    except ControlRoomError as error:
        print(type(error).__name__)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    with db.unit_of_work() as uow:
        print(uow.scalar("SELECT count(*) FROM t"))
"""


def test_a_disk_that_refuses_the_commit_leaves_it_in_doubt_and_the_file_intact(path):
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, f"sqlite:///{path}"], capture_output=True, text=True, timeout=60, check=True
    )

    assert done.stdout.split() == ["CommitInDoubtError", "1"]
    assert committed(path) == [1]
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


@pytest.fixture
def old_journal(monkeypatch):
    """A file system without shared memory: SQLite keeps its rollback journal, and COMMIT waits for readers."""
    monkeypatch.setattr(Sqlite, "_use_wal", lambda *_: None)


def reader_of(path):
    reader = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM t").fetchone()
    return reader


@pytest.mark.parametrize("colour", ["sync", "async"])
def test_a_commit_that_waits_for_a_reader_is_a_conflict_in_the_end_and_rolled_back(old_journal, path, colour):
    reader = reader_of(path)
    url = f"sqlite:///{path}"

    async def unit():
        async with AsyncDatabase(url, lock_timeout_s=0.1) as db, db.unit_of_work() as uow:
            await uow.insert("t", [{"id": 1}])

    try:
        with pytest.raises(TransactionConflictError, match=r"COMMIT.*The whole unit was rolled back"):
            if colour == "async":
                asyncio.run(unit())
            else:
                with Database(url, lock_timeout_s=0.1) as db, db.unit_of_work() as uow:
                    uow.insert("t", [{"id": 1}])
    finally:
        reader.close()
    assert committed(path) == []


def test_a_commit_succeeds_once_the_reader_has_gone(old_journal, path):
    reader = reader_of(path)
    threading.Timer(0.2, reader.close).start()
    with Database(f"sqlite:///{path}", lock_timeout_s=10) as db, db.unit_of_work() as uow:
        uow.insert("t", [{"id": 1}])
    assert committed(path) == [1]


def test_a_busy_answer_that_comes_without_waiting_is_asked_again(db, path):
    busy = sqlite3.OperationalError("database is locked")
    busy.sqlite_errorcode = sqlite3.SQLITE_BUSY
    with db.unit_of_work() as uow:
        uow.insert("t", [{"id": 1}])
        tear(uow, busy, landed=False)

    assert committed(path) == [1]


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_simulated_crash_at_commit_leaves_what_a_real_one_would(db, path, when):
    ran = []
    with pytest.raises(SimulatedCrash), FaultPlan.crash(1, when=when), db.unit_of_work() as uow:
        uow.on_commit(lambda: ran.append("hook"))
        uow.insert("t", [{"id": 1}])

    assert committed(path) == ([1] if when == "after" else [])
    assert ran == []
    db.transact(lambda uow: uow.insert("t", [{"id": 2}]))


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_crash_at_commit_is_simulated_in_the_other_colour_too(path, when):
    async def main():
        async with AsyncDatabase(f"sqlite:///{path}") as db:
            with pytest.raises(SimulatedCrash), FaultPlan.crash(1, when=when):
                async with db.unit_of_work() as uow:
                    await uow.insert("t", [{"id": 1}])
            async with db.unit_of_work() as uow:
                await uow.insert("t", [{"id": 2}])

    asyncio.run(main())
    assert committed(path) == ([1, 2] if when == "after" else [2])


def test_an_error_during_rollback_does_not_hide_why_it_was_rolled_back(db, path):
    class Broken(Torn):
        def rollback(self):
            raise sqlite3.OperationalError("disk I/O error")

    with pytest.raises(ValueError, match="mine"), db.unit_of_work() as uow:
        uow.insert("t", [{"id": 1}])
        uow._work.link.dbapi = Broken(uow._work.link.dbapi, None, landed=False)
        raise ValueError("mine")

    db.transact(lambda uow: uow.insert("t", [{"id": 2}]))
    assert committed(path) == [2]


def test_a_shutdown_while_a_lock_is_waited_for_ends_the_wait(path, monkeypatch):
    def asked_to_stop(_seconds):
        raise ShutdownRequested("SIGTERM")

    rival = sqlite3.connect(path, isolation_level=None)
    rival.execute("BEGIN EXCLUSIVE")
    monkeypatch.setattr("controlroom.clock.sleep", asked_to_stop)
    try:
        with (
            Database(f"sqlite:///{path}", lock_timeout_s=1) as db,
            pytest.raises((ShutdownRequested, TransactionConflictError)),
        ):
            db.unit_of_work().__enter__()
    finally:
        rival.close()
