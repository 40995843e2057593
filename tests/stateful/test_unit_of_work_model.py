"""A unit of work against a model: a dict, copied at every savepoint and put in place at COMMIT."""

from __future__ import annotations

import copy
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from controlroom.database import Database, UnitOfWork
from controlroom.errors import DoomedTransactionError, IntegrityViolationError, QueryError

KEYS = st.integers(0, 5)
VALUES = st.sampled_from([None, "", "a", "b", 0, 1.5])
ROWS = st.lists(st.tuples(KEYS, VALUES), max_size=6)


@dataclass
class World:
    """All that a unit can change."""

    rows: dict[int, Any] = field(default_factory=dict)
    claimed: set[str] = field(default_factory=set)
    checkpoint: Any = None
    watermark: int | None = None
    hooks: list[str] = field(default_factory=list)


@dataclass
class Level:
    """A savepoint: where to go back to, and whether an error has been swallowed since."""

    before: World
    context: Any
    doomed_before: bool


class Undo(Exception):
    pass


class UnitOfWorkModel(RuleBasedStateMachine):
    url = "sqlite://"
    table = "CREATE TABLE t (id INTEGER PRIMARY KEY, v)"
    refuses_after_an_error = False
    """Whether no statement runs any more until the error has been undone."""

    def __init__(self) -> None:
        super().__init__()
        self.db = Database(self.url)
        self.committed = World()
        self.now = World()
        self.levels: list[Level] = []
        self.doomed = False
        self.unit: UnitOfWork | None = None
        self.ran: list[str] = []
        self.expected_hooks: list[str] = []

    @initialize()
    def create(self) -> None:
        self.db.create_control_tables()
        with self.db.unit_of_work() as uow:
            uow.execute(self.table)

    def is_open(self) -> bool:
        return self.unit is not None and not (self.refuses_after_an_error and self.doomed)

    def stored(self, rows: list[tuple[int, Any]]) -> list[tuple[int, Any]]:
        """The rows, with values that the column takes."""
        return rows

    @precondition(lambda self: self.unit is None)
    @rule()
    def begin(self) -> None:
        self.unit = self.db.unit_of_work().__enter__()
        self.now, self.levels, self.doomed = copy.deepcopy(self.committed), [], False
        self.now.hooks = []

    @precondition(is_open)
    @rule(rows=ROWS)
    def upsert(self, rows: list[tuple[int, Any]]) -> None:
        rows = self.stored(rows)
        latest = dict(rows)
        inserted = len(latest.keys() - self.now.rows.keys())
        # By type as well: SQLite tells 0 from "" and None; Python's 0 == 0.0 does not occur in VALUES.
        updated = sum(key in self.now.rows and self.now.rows[key] != value for key, value in latest.items())

        count = self.unit.upsert("t", rows, key=["id"], columns=["id", "v"])

        assert (count.inserted, count.updated, count.unchanged) == (inserted, updated, len(latest) - inserted - updated)
        self.now.rows.update(latest)

    @precondition(is_open)
    @rule(rows=ROWS)
    def insert(self, rows: list[tuple[int, Any]]) -> None:
        refused, rows = None, self.stored(rows)
        for index, (key, value) in enumerate(rows):
            if key in self.now.rows:
                refused = index
                break
            self.now.rows[key] = value
        if refused is None:
            assert self.unit.insert("t", rows, columns=["id", "v"]) == len(rows)
            return
        with pytest.raises(IntegrityViolationError) as caught:
            self.unit.insert("t", rows, columns=["id", "v"])
        assert caught.value.row_index == refused
        self.doomed = True

    @precondition(is_open)
    @rule(key=KEYS)
    def delete(self, key: int) -> None:
        gone = self.unit.execute("DELETE FROM t WHERE id = :id", {"id": key}).rowcount
        assert gone == (self.now.rows.pop(key, self) is not self)

    @precondition(lambda self: self.levels and self.is_open())
    @rule()
    def swallow(self) -> None:
        with pytest.raises(QueryError):
            self.unit.execute("SELECT nonsense")
        self.doomed = True

    @precondition(is_open)
    @rule(key=st.sampled_from(["k", "l"]))
    def once(self, key: str) -> None:
        assert self.unit.once(key) is (key not in self.now.claimed)
        self.now.claimed.add(key)

    @precondition(is_open)
    @rule(value=st.none() | st.integers() | st.dictionaries(st.text(max_size=3), st.booleans()))
    def remember(self, value: Any) -> None:
        self.unit.checkpoints.set("c", value)
        self.now.checkpoint = value

    @precondition(is_open)
    @rule(by=st.integers(0, 2**70))
    def advance(self, by: int) -> None:
        self.now.watermark = (self.now.watermark or 0) + by
        self.unit.watermarks.advance("w", self.now.watermark)

    @precondition(is_open)
    @rule()
    def hook(self) -> None:
        name = f"hook {len(self.now.hooks)} of {len(self.ran)}"
        self.unit.on_commit(lambda: self.ran.append(name))
        self.now.hooks.append(name)

    @precondition(is_open)
    @rule()
    def open_savepoint(self) -> None:
        context = ExitStack()
        context.enter_context(self.unit.savepoint())
        self.levels.append(Level(copy.deepcopy(self.now), context, self.doomed))

    @precondition(lambda self: self.levels)
    @rule()
    def leave_savepoint(self) -> None:
        level = self.levels.pop()
        swallowed_inside = self.doomed and not level.doomed_before
        if not swallowed_inside:
            level.context.close()
            return
        with pytest.raises(DoomedTransactionError):
            level.context.close()
        self.now, self.doomed = level.before, False

    @precondition(lambda self: self.levels)
    @rule()
    def undo_savepoint(self) -> None:
        level = self.levels.pop()
        error = Undo()
        with suppress(Undo):
            level.context.__exit__(Undo, error, None)
        self.now, self.doomed = level.before, level.doomed_before

    @precondition(lambda self: self.unit is not None and not self.levels)
    @rule(how=st.sampled_from(["clean", "clean", "clean", "raise", "roll back"]))
    def end(self, how: str) -> None:
        if how == "roll back":
            self.unit.rollback()
        error = Undo() if how == "raise" else None
        with pytest.raises(DoomedTransactionError) if how == "clean" and self.doomed else nullcontext():
            self.unit.__exit__(type(error) if error else None, error, None)
        if how == "clean" and not self.doomed:
            self.expected_hooks += self.now.hooks
            self.committed = self.now
        self.unit = None

    @precondition(lambda self: len(self.levels) > 1)
    @rule()
    def roll_back_from_deep_inside(self) -> None:
        self.unit.rollback()
        for level in reversed(self.levels):
            level.context.close()
        self.unit.__exit__(None, None, None)
        self.levels, self.unit = [], None

    @invariant()
    def what_the_unit_sees_is_the_model(self) -> None:
        if self.is_open():
            found = self.unit.execute("SELECT id, v FROM t").all()
            assert dict(map(tuple, found)) == self.now.rows
            assert self.unit.checkpoints.get("c") == self.now.checkpoint
            assert self.unit.watermarks.get("w") == self.now.watermark

    @invariant()
    def what_has_committed_is_the_model(self) -> None:
        assert self.ran == self.expected_hooks
        if self.unit is None:
            assert dict(map(tuple, self.db.rows("SELECT id, v FROM t"))) == self.committed.rows
            keys = {key for (key,) in self.db.rows("SELECT key FROM controlroom_ledger")}
            assert keys == self.committed.claimed

    def teardown(self) -> None:
        if self.unit is not None:
            self.unit.__exit__(Undo, Undo(), None)
        self.db.close()


TestUnitOfWork = UnitOfWorkModel.TestCase
TestUnitOfWork.settings = settings(max_examples=60, stateful_step_count=50, deadline=None)


@pytest.mark.integration
def test_a_unit_of_work_on_postgresql_is_the_same(postgres_cluster: Any) -> None:
    name = postgres_cluster.new_database()
    with psycopg.connect(postgres_cluster.url(name), autocommit=True) as connection:

        class PostgresModel(UnitOfWorkModel):
            url = postgres_cluster.sqlalchemy_url(name)
            table = "CREATE TABLE t (id integer PRIMARY KEY, v text)"
            refuses_after_an_error = True

            def __init__(self) -> None:
                connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
                super().__init__()

            def stored(self, rows: list[tuple[int, Any]]) -> list[tuple[int, Any]]:
                return [(key, None if value is None else str(value)) for key, value in rows]

        run_state_machine_as_test(
            PostgresModel, settings=settings(max_examples=10, stateful_step_count=40, deadline=None)
        )
    postgres_cluster.drop(name)
