"""Kill a pipeline at every step, recover, and check each time that nothing is lost, doubled or half done."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar, overload

from controlroom.testing.faults import FaultPlan

__all__ = ["crash_everywhere"]

World = TypeVar("World")


@overload
def crash_everywhere(
    run: Callable[[], object],
    *,
    recover: Callable[[], object] | None = None,
    check: Callable[[], object] | None = None,
    setup: None = None,
) -> int: ...
@overload
def crash_everywhere(
    run: Callable[[World], object],
    *,
    recover: Callable[[World], object] | None = None,
    check: Callable[[World], object] | None = None,
    setup: Callable[[], Coroutine[Any, Any, World]],
) -> int: ...
@overload
def crash_everywhere(
    run: Callable[[World], object],
    *,
    recover: Callable[[World], object] | None = None,
    check: Callable[[World], object] | None = None,
    setup: Callable[[], World],
) -> int: ...
def crash_everywhere(
    run: Callable[..., object],
    *,
    recover: Callable[..., object] | None = None,
    check: Callable[..., object] | None = None,
    setup: Callable[[], object] | None = None,
) -> int:
    """Run a pipeline, crash it before and after each of its steps, and check an invariant after each recovery.

    First *run* goes through undisturbed, which counts its steps. Then, for each step and for "before" and "after" it:
    *setup*, *run* until it dies there, *recover*, *check*. Steps are counted anywhere inside controlroom, in all
    threads and tasks; nothing has to be passed down::

        crash_everywhere(ingest, setup=lambda: World(tmp_path / str(next(numbers))), check=World.is_whole)

    Args:
        run: The pipeline. Any of the four may be a coroutine function; each is then run in an event loop of its own.
        recover: What the next start does; *run* itself when not given.
        check: Raises, or returns False, when the invariant is broken. Not given: it is enough that *recover* succeeds.
        setup: Makes the world for one trial; the others then get it as their argument. Needed wherever a finished run
            leaves less to do for the next one.

    Returns:
        How many crashes were tried.

    Raises:
        AssertionError: Names the step and "before" or "after" where recovery failed or the invariant broke; also when
            there was no step to crash at, or a run did not get as far as the first one did.
        RuntimeError: One of the four is asynchronous, and an event loop is running here already.

    Guarantees:
        See `FaultPlan` for what a crash is, and is not.
    """
    pipeline = _Pipeline(run, recover or run, check, setup)
    counted = pipeline.goes_through()
    if not counted.points:
        message = "the pipeline performed no step of controlroom: there was nothing to crash at"
        raise AssertionError(message)
    for step, when in counted.points:
        pipeline.survives(FaultPlan.crash(step, when=when), f"after a crash {when} step {step} of {counted.steps}")
    return len(counted.points)


class _Pipeline:
    """What the caller gave, run in worlds that are set up anew."""

    def __init__(
        self,
        run: Callable[..., object],
        recover: Callable[..., object],
        check: Callable[..., object] | None,
        setup: Callable[[], object] | None,
    ) -> None:
        self.run, self.recover, self.check, self.setup = run, recover, check, setup

    def new_world(self) -> tuple[object, ...]:
        return () if self.setup is None else (_settle(self.setup()),)

    def goes_through(self) -> FaultPlan:
        world = self.new_world()
        with FaultPlan() as counting:
            _settle(self.run(*world))
        self.holds(world, "without any crash")
        return counting

    def survives(self, plan: FaultPlan, where: str) -> None:
        world = self.new_world()
        try:
            with plan:
                _settle(self.run(*world))
        except KeyboardInterrupt:
            raise
        except BaseException:
            if not plan.crashed:  # an error of the pipeline's own, which is for the caller to see
                raise
        if not plan.crashed:
            message = f"{where}: this time the run did not get there. Runs must begin alike: give setup="
            raise AssertionError(message)
        where = f"{where} ({plan.struck})"
        _claim(f"{where}: recovery failed", self.recover, world)
        self.holds(world, where)

    def holds(self, world: tuple[object, ...], where: str) -> None:
        if self.check is not None and _claim(f"{where}: the invariant is broken", self.check, world) is False:
            message = f"{where}: the invariant is broken: check() returned False"
            raise AssertionError(message)


def _claim(what: str, fn: Callable[..., object], world: tuple[object, ...]) -> object:
    try:
        return _settle(fn(*world))
    except Exception as error:
        message = f"{what}: {type(error).__name__}: {error}"
        raise AssertionError(message) from error


def _settle(outcome: object) -> object:
    """Return *outcome*, or what it returns if it is a coroutine."""
    if not inspect.iscoroutine(outcome):
        return outcome
    try:
        return asyncio.run(outcome)
    finally:
        outcome.close()  # not begun, where a loop was running already
