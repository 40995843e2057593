"""A crash or a failure before and after every step of every operation, in both colours."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from controlroom.errors import FileOperationError
from controlroom.storage import write_bytes
from controlroom.testing import FaultPlan
from controlroom.testing.faults import SimulatedCrash, When
from tests.faults.storage_worlds import ASYNC, SYNC, Operation, published, run, staged

OPERATIONS = pytest.mark.parametrize("operation", [*SYNC, *ASYNC], ids=lambda operation: operation.name)


class Worlds:
    """A fresh folder for every trial, set up for *operation*."""

    def __init__(self, tmp_path: Path, operation: Operation) -> None:
        self._tmp_path, self._operation, self._numbers = tmp_path, operation, count()

    def new(self) -> Path:
        folder = self._tmp_path / str(next(self._numbers))
        folder.mkdir()
        self._operation.set_up(folder)
        return folder

    def points(self) -> Iterator[tuple[int, When]]:
        folder = self.new()
        with FaultPlan() as counting:
            run(self._operation, folder)
        assert published(folder) == self._operation.after
        assert staged(folder) == []
        assert counting.steps >= 3
        yield from counting.points


@OPERATIONS
def test_after_a_crash_at_any_step_readers_see_the_old_or_the_whole_new_and_the_next_writer_sweeps(
    tmp_path: Path, operation: Operation
) -> None:
    worlds = Worlds(tmp_path, operation)
    for point in worlds.points():
        folder = worlds.new()
        with FaultPlan.crash(point[0], when=point[1]) as plan, pytest.raises(SimulatedCrash):
            run(operation, folder)
        assert plan.crashed
        seen = published(folder)
        assert seen in operation.allowed, point
        for place in {folder, *(path.parent for path in folder.rglob("*"))}:
            write_bytes(place / "next", b"")
            (place / "next").unlink()
        assert staged(folder) == [], point
        assert published(folder) == seen, point


@OPERATIONS
def test_after_a_crash_at_any_step_the_same_operation_again_ends_it(tmp_path: Path, operation: Operation) -> None:
    worlds = Worlds(tmp_path, operation)
    for step, when in worlds.points():
        folder = worlds.new()
        with FaultPlan.crash(step, when=when), pytest.raises(SimulatedCrash):
            run(operation, folder)
        if published(folder) != operation.after:
            run(operation, folder)
        assert published(folder) == operation.after, (step, when)


def raised_by(operation: Operation, folder: Path) -> FileOperationError | None:
    """None where the operation went on: a second name that stays is swept by the next writer."""
    try:
        run(operation, folder)
    except FileOperationError as raised:
        return raised
    return None


@OPERATIONS
def test_a_failure_at_any_step_leaves_the_old_or_the_whole_new_and_nothing_staged(
    tmp_path: Path, operation: Operation
) -> None:
    worlds = Worlds(tmp_path, operation)
    for step, when in worlds.points():
        folder = worlds.new()
        failure = FileOperationError(os.strerror(errno.EIO))
        with FaultPlan.fail(step, failure, when=when) as plan:
            raised = raised_by(operation, folder)
        assert raised is None or failure in (raised, raised.__cause__)
        assert plan.struck
        assert published(folder) in operation.allowed, plan.struck
        assert staged(folder) == [] or "RemoveStaged" in plan.struck or "RemoveLocks" in plan.struck


@pytest.mark.parametrize("operation", SYNC, ids=lambda operation: operation.name)
def test_an_interrupt_at_any_step_leaves_the_old_or_the_whole_new_and_nothing_staged(
    tmp_path: Path, operation: Operation
) -> None:
    """In async code an interrupt is a cancellation: test_storage_cancellation.py."""
    worlds = Worlds(tmp_path, operation)
    for step, when in worlds.points():
        folder = worlds.new()
        with FaultPlan.fail(step, KeyboardInterrupt(), when=when) as plan, pytest.raises(KeyboardInterrupt):
            run(operation, folder)
        assert published(folder) in operation.allowed, plan.struck
        assert staged(folder) == [] or "Remove" in str(plan.struck)


@OPERATIONS
def test_no_descriptor_outlives_a_crash_or_a_success(tmp_path: Path, operation: Operation) -> None:
    worlds = Worlds(tmp_path, operation)
    points = list(worlds.points())
    before = len(os.listdir("/proc/self/fd"))
    for step, when in points:
        folder = worlds.new()
        with FaultPlan.crash(step, when=when), pytest.raises(SimulatedCrash):
            run(operation, folder)
        assert len(os.listdir("/proc/self/fd")) == before, (step, when)
