"""The ORM inside a unit of work: its statements are the unit's, and so is its end."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlalchemy.orm.exc import DetachedInstanceError

from controlroom import deadline
from controlroom.database import AsyncDatabase, Database
from controlroom.errors import DeadlineExceededError, DoomedTransactionError, IntegrityViolationError, QueryError

ENDLESS = "WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < 2000000000) SELECT count(*) FROM s"


class Base(DeclarativeBase):
    pass


class Person(Base):
    __tablename__ = "people"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    pets: Mapped[list[Pet]] = relationship(back_populates="owner")


class Pet(Base):
    __tablename__ = "pets"
    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[int] = mapped_column(sa.ForeignKey("people.id"))
    owner: Mapped[Person] = relationship(back_populates="pets")


@pytest.fixture
def db(place):
    place.look("CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)")
    place.look("CREATE TABLE pets (id INTEGER PRIMARY KEY, owner_id INTEGER NOT NULL REFERENCES people (id))")
    with place.opened(pool_size=1, pool_timeout_s=0.2, lock_timeout_s=0.5) as database:
        yield database


def names(place) -> list[str]:
    return place.column("SELECT name FROM people ORDER BY id")


def in_session(uow: Any, work: Any) -> Any:
    """Run ``work(session)`` as each colour does: AsyncSession lets synchronous code run by ``run_sync``."""
    if hasattr(uow.session, "run_sync"):
        return uow.session.run_sync(work)
    return work(uow.session)


def test_what_a_session_does_commits_with_the_rest_of_the_unit(db, place):
    with db.unit_of_work() as uow:
        uow.insert("people", [{"id": 1, "name": "ada"}])
        ada = uow.session.get(Person, 1)
        ada.name = "ada l."
        bob = Person(id=2, name="bob", pets=[Pet(id=7)])
        uow.session.add(bob)
        assert uow.session.scalar(sa.select(sa.func.count()).select_from(Person)) == 2  # flushed before it
        assert uow.scalar("SELECT count(*) FROM pets") == 1
        uow.session.add(Person(id=3, name="eve"))  # flushed before COMMIT
        assert names(place) == []

    assert names(place) == ["ada l.", "bob", "eve"]
    assert (ada.name, bob.name, bob.pets[0].id, sa.inspect(bob).detached) == ("ada l.", "bob", 7, True)


def test_lazy_loads_are_statements_of_the_unit(db):
    with db.unit_of_work() as uow:
        uow.execute("INSERT INTO people VALUES (1, 'ada')")
        uow.execute("INSERT INTO pets VALUES (7, 1)")
        ada = uow.session.get(Person, 1)
        assert in_session(uow, lambda _: [pet.id for pet in ada.pets]) == [7]
        late = uow.session.get(Pet, 7)
        uow.rollback()

    assert sa.inspect(late).detached
    with pytest.raises(DetachedInstanceError):
        print(late.owner_id)  # expired: nobody knows any more


def test_a_unit_that_is_rolled_back_leaves_objects_as_they_were_before(db, place):
    new = Person(id=1, name="ada")
    with pytest.raises(ZeroDivisionError), db.unit_of_work() as uow:
        uow.session.add(new)
        uow.session.flush()
        assert sa.inspect(new).persistent
        1 / 0  # noqa: B018 - raises

    assert names(place) == []
    assert sa.inspect(new).transient


def test_a_flush_that_fails_at_the_end_rolls_the_unit_back(db, place):
    with pytest.raises(IntegrityViolationError), db.unit_of_work() as uow:
        uow.insert("people", [{"id": 1, "name": "ada"}])
        uow.session.add(Person(id=2, name="ada"))

    assert names(place) == []
    with db.unit_of_work() as uow:
        assert uow.scalar("SELECT 1") == 1


@pytest.mark.parametrize("how", ["flush", "autoflush", "execute"])
def test_a_failure_that_is_swallowed_dooms_the_unit(db, place, how):
    with pytest.raises(DoomedTransactionError), db.unit_of_work() as uow:
        uow.insert("people", [{"id": 1, "name": "ada"}])
        with pytest.raises(IntegrityViolationError) as caught:
            if how == "execute":
                uow.session.execute(sa.insert(Person).values(id=1, name="x"))
            else:
                uow.session.add(Person(id=2, name="ada"))
                uow.session.flush() if how == "flush" else uow.session.scalars(sa.select(Person))
        assert caught.value.table in ("people", None)

    assert names(place) == []


def test_a_savepoint_is_the_sessions_too(db, place):
    with db.unit_of_work() as uow:
        ada = Person(id=1, name="ada")
        uow.session.add(ada)
        with pytest.raises(IntegrityViolationError), uow.savepoint():
            ada.name = "changed"
            uow.session.add_all([Person(id=2, name="bob"), Person(id=3, name="bob")])
            uow.session.flush()
        assert in_session(uow, lambda _: ada.name) == "ada"
        with uow.savepoint():
            uow.session.add(Person(id=4, name="kept, flushed at the end of the savepoint"))
            with uow.savepoint() as inner:
                uow.session.add(Person(id=5, name="undone"))
                uow.session.flush()
                inner.rollback()
                uow.session.add(Person(id=6, name="kept too"))
        uow.session.add(Person(id=7, name="eve"))
        ada.name = "ada l."

    assert names(place) == ["ada l.", "kept, flushed at the end of the savepoint", "kept too", "eve"]


def test_a_session_that_began_inside_a_savepoint_is_undone_with_it(db, place):
    with db.unit_of_work() as uow:
        with pytest.raises(IntegrityViolationError), uow.savepoint():
            uow.session.add_all([Person(id=2, name="bob"), Person(id=3, name="bob")])
        with uow.savepoint():
            uow.session.add(Person(id=4, name="kept"))
        with pytest.raises(DoomedTransactionError), uow.savepoint():
            uow.session.add(Person(id=5, name="kept"))
            with pytest.raises(IntegrityViolationError):
                uow.session.flush()
        uow.session.add(Person(id=6, name="kept too"))

    assert names(place) == ["kept", "kept too"]


@pytest.mark.parametrize("name", ["commit", "rollback", "close", "reset", "invalidate", "begin_nested", "begin"])
def test_a_session_cannot_end_what_is_the_units(db, place, name):
    with db.unit_of_work() as uow:
        uow.session.add(Person(id=1, name="ada"))
        with pytest.raises(QueryError, match=r"is not for the session of a unit.*Nothing was run"):
            entered = getattr(uow.session, name)()
            with entered:
                pass

    assert names(place) == ["ada"]


@pytest.mark.parametrize("text", ["COMMIT", "ROLLBACK", "DELETE FROM people; COMMIT", "/* */ ; COMMIT"])
def test_no_text_ends_the_unit_by_way_of_the_session(db, place, text):
    with db.unit_of_work() as uow:
        uow.insert("people", [{"id": 1, "name": "ada"}])
        for run in (uow.session.execute, uow.session.scalar, uow.session.scalars):
            with pytest.raises(QueryError, match=r"is not for a statement|several statements"):
                run(sa.text(text))
        with pytest.raises(QueryError, match="is not for the session"):
            uow.session.connection()
        assert names(place) == []
        with pytest.raises(QueryError, match="is not for the session"):
            in_session(uow, lambda session: session.get_bind().rollback())

    assert names(place) == ["ada"]  # what was refused was not run, so nothing is lost


def test_what_a_session_runs_has_the_limits_of_the_unit(db, place):
    with (
        pytest.raises(DeadlineExceededError, match="a statement of the session"),
        deadline(0.3),
        db.unit_of_work() as uow,
    ):
        uow.session.add(Person(id=1, name="ada"))
        uow.session.execute(sa.text(ENDLESS))

    assert names(place) == []


def test_a_session_ends_with_its_unit(db, place):
    with db.unit_of_work() as uow:
        session = uow.session
        session.add(Person(id=1, name="ada"))
    with pytest.raises(QueryError, match="has ended"):
        session.scalars(sa.select(Person))
    session.add(Person(id=2, name="late"))
    with pytest.raises(QueryError, match="has ended"):
        session.flush()
    with pytest.raises(QueryError, match="has ended"):
        uow.session  # noqa: B018 - it is what is used too late
    with pytest.raises(QueryError, match="has not begun"):
        db.unit_of_work().session  # noqa: B018 - as above, too early

    assert names(place) == ["ada"]


def test_a_unit_that_only_reads_refuses_what_a_session_writes(db, place):
    with pytest.raises(QueryError, match="only reads"), db.unit_of_work(read_only=True) as uow:
        uow.session.add(Person(id=1, name="ada"))

    assert names(place) == []


def test_a_task_that_is_cancelled_in_a_session_leaves_no_connection_behind(place, db):
    if not place.is_async:
        pytest.skip("tasks are asyncio's")

    async def main() -> Any:
        async with AsyncDatabase(place.url, pool_size=1, pool_timeout_s=5) as database:

            async def stuck(begun: asyncio.Event) -> None:
                async with database.unit_of_work() as uow:
                    uow.session.add(Person(id=1, name="ada"))
                    await uow.session.flush()
                    asyncio.get_running_loop().call_soon(begun.set)
                    await uow.session.execute(sa.text(ENDLESS))

            begun = asyncio.Event()
            task = asyncio.create_task(stuck(begun))
            await begun.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            async with database.unit_of_work() as uow:
                return await uow.scalar("SELECT count(*) FROM people")

    assert asyncio.run(main()) == 0


def test_the_orm_is_not_loaded_before_somebody_asks_for_a_session(tmp_path):
    code = """
import sys
from controlroom.database import Database
with Database("sqlite:///" + sys.argv[1]) as db:
    with db.unit_of_work() as uow:
        uow.execute("CREATE TABLE t (id INTEGER PRIMARY KEY)")
        with uow.savepoint():
            uow.insert("t", [{"id": 1}])
    assert db.rows("SELECT id FROM t") == list(db.stream("SELECT id FROM t")) == [(1,)], db.describe("t")
    assert "sqlalchemy.orm" not in sys.modules
    with db.unit_of_work() as uow:
        uow.session
    assert "sqlalchemy.orm" in sys.modules
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "data.db")], capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 0, done.stderr


def test_every_database_has_its_errors_translated_whatever_had_its_address_before():
    for _ in range(150):
        with Database("sqlite://") as db:
            with pytest.raises(IntegrityViolationError), db.unit_of_work() as uow:
                uow.execute("CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT UNIQUE)")
                uow.session.add_all([Person(id=1, name="ada"), Person(id=2, name="ada")])
            del uow
        del db
