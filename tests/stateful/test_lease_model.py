"""Leases against a model: workers that take, renew, lose, give back, die and write, while time passes for the server."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from controlroom.database import Database, Hold, Lease
from controlroom.errors import LeaseLostError, TransactionConflictError

TTL_S = 100.0
NAMES = st.sampled_from(["a", "b"])
WORKERS = st.integers(0, 2)


@dataclass
class Stands:
    """What the model knows of one lease."""

    epoch: int = 0
    holder: Hold | None = None
    left_s: float = 0.0

    @property
    def is_free(self) -> bool:
        return self.holder is None or self.left_s <= 0


class LeaseModel(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.db = Database("sqlite://")
        self.stands: dict[str, Stands] = {}
        self.leases: dict[tuple[int, str], Lease] = {}
        self.writes: dict[str, list[int]] = {}
        self.numbers = itertools.count()

    @initialize()
    def create(self) -> None:
        self.db.create_control_tables()
        with self.db.unit_of_work() as uow:
            uow.execute("CREATE TABLE written (number INTEGER PRIMARY KEY, name TEXT, epoch INTEGER)")

    def of(self, name: str) -> Stands:
        return self.stands.setdefault(name, Stands())

    @rule(worker=WORKERS, name=NAMES)
    def take(self, worker: int, name: str) -> None:
        stands = self.of(name)
        lease = self.db.lease(name, ttl_s=TTL_S, renew=False)
        if not stands.is_free:
            with pytest.raises(TransactionConflictError):
                lease.__enter__()
            return
        lease.__enter__()
        stands.epoch += 1
        stands.holder, stands.left_s = lease.hold, TTL_S
        assert lease.epoch == stands.epoch
        self.leases[worker, name] = lease  # what the worker had before under this name it forgets, like one that died

    @rule(worker=WORKERS, name=NAMES)
    def renew(self, worker: int, name: str) -> None:
        if (lease := self.leases.get((worker, name))) is None:
            return
        if self.of(name).holder == lease.hold:
            lease.renew()
            self.of(name).left_s = TTL_S
        else:
            with pytest.raises(LeaseLostError):
                lease.renew()
            assert lease.is_lost

    @rule(worker=WORKERS, name=NAMES, by_plain_data=st.booleans())
    def write(self, worker: int, name: str, *, by_plain_data: bool) -> None:
        if (lease := self.leases.get((worker, name))) is None:
            return

        def attempt() -> None:
            with self.db.unit_of_work() as uow:
                uow.execute(
                    "INSERT INTO written VALUES (:number, :name, :epoch)",
                    {"number": next(self.numbers), "name": name, "epoch": lease.epoch},
                )
                uow.require_lease(lease.hold if by_plain_data else lease)

        if self.of(name).holder == lease.hold:
            attempt()
            self.writes.setdefault(name, []).append(lease.epoch)
        else:
            with pytest.raises(LeaseLostError):
                attempt()

    @rule(worker=WORKERS, name=NAMES)
    def give_back(self, worker: int, name: str) -> None:
        if (lease := self.leases.pop((worker, name), None)) is None:
            return
        if self.of(name).holder == lease.hold:
            lease.__exit__(None, None, None)
            self.of(name).holder = None
        else:
            with pytest.raises(LeaseLostError):
                lease.__exit__(None, None, None)

    @rule(worker=WORKERS, name=NAMES)
    def die(self, worker: int, name: str) -> None:
        self.leases.pop((worker, name), None)

    @rule(seconds=st.sampled_from([1.0, 60.0, 150.0]))
    def time_passes(self, seconds: float) -> None:
        for stands in self.stands.values():
            stands.left_s -= seconds
        self._sql("UPDATE controlroom_leases SET expires_at = expires_at - :s WHERE name <> ''", s=seconds)

    @rule()
    def prune(self) -> None:
        self.db.prune(older_than_s=40.0)

    def _sql(self, statement: Any, **params: Any) -> None:
        with self.db.unit_of_work() as uow:
            uow.execute(statement, params)

    @invariant()
    def what_was_written_is_what_holders_wrote_and_epochs_never_go_back(self) -> None:
        for name, epochs in self.writes.items():
            rows = self.db.rows("SELECT epoch FROM written WHERE name = :name ORDER BY number", {"name": name})
            assert [row.epoch for row in rows] == epochs == sorted(epochs)

    def teardown(self) -> None:
        self.db.close()


TestLeaseModel = LeaseModel.TestCase
TestLeaseModel.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
