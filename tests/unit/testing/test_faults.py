from __future__ import annotations

import asyncio
import inspect
import select
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from controlroom.errors import ConfigError
from controlroom.policy.flow import Flow, StepFailed, drive, drive_async
from controlroom.redaction import register_secret
from controlroom.retrying import Backoff, RetryPolicy
from controlroom.testing import FaultPlan, SimulatedCrash

if TYPE_CHECKING:
    from collections.abc import Callable

    from controlroom.testing.faults import When


@dataclass(frozen=True, slots=True)
class Do:
    name: str


def three_steps() -> Flow[Do, str]:
    try:
        yield Do("stage")
        yield Do("sync")
        yield Do("rename")
    except StepFailed:
        yield Do("undo")
        raise
    return "published"


class Sync:
    """Drives in the sync colour and notes what was really performed."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def perform(self, step: Do) -> None:
        self.done.append(step.name)

    def run(self, flow: Flow[Do, Any], plan: FaultPlan) -> Any:
        return drive(flow, plan.wrap(self.perform))

    def run_ambient(self, flow: Flow[Do, Any]) -> Any:
        return drive(flow, self.perform)


class Async(Sync):
    """The same in the async colour."""

    async def aperform(self, step: Do) -> None:
        await asyncio.sleep(0)
        self.perform(step)

    def run(self, flow: Flow[Do, Any], plan: FaultPlan) -> Any:
        return asyncio.run(drive_async(flow, plan.wrap(self.aperform)))

    def run_ambient(self, flow: Flow[Do, Any]) -> Any:
        return asyncio.run(drive_async(flow, self.aperform))


@pytest.fixture(params=[Sync, Async])
def world(request: pytest.FixtureRequest) -> Sync:
    return request.param()


def test_a_plain_plan_disturbs_nothing_and_counts(world: Sync) -> None:
    plan = FaultPlan()

    assert world.run(three_steps(), plan) == "published"
    assert world.done == ["stage", "sync", "rename"]
    assert (plan.steps, plan.struck, plan.crashed) == (3, None, False)


def test_the_step_that_fails_is_not_performed_and_is_undone(world: Sync) -> None:
    error = OSError("disk full")

    with pytest.raises(OSError, match="disk full") as caught:
        world.run(three_steps(), FaultPlan.fail(2, error))

    assert caught.value is error
    assert world.done == ["stage", "undo"]


def test_a_step_whose_answer_was_lost_was_performed_all_the_same(world: Sync) -> None:
    plan = FaultPlan.fail(2, TimeoutError("no answer"), when="after")

    with pytest.raises(TimeoutError):
        world.run(three_steps(), plan)

    assert world.done == ["stage", "sync", "undo"]
    assert plan.struck == "Do(name='sync')"


def test_a_fault_strikes_once_so_that_a_retry_gets_through(world: Sync) -> None:
    plan = FaultPlan.fail(2, OSError("disk full"))

    with suppress(OSError):
        world.run(three_steps(), plan)

    assert world.run(three_steps(), plan) == "published"
    assert plan.steps == 6  # stage, sync, undo; and three more


@pytest.mark.parametrize(("when", "done"), [("before", ["stage"]), ("after", ["stage", "sync"])])
def test_after_a_crash_nothing_is_performed_not_even_the_undo(world: Sync, when: When, done: list[str]) -> None:
    plan = FaultPlan.crash(2, when=when)

    with pytest.raises(SimulatedCrash, match=r"the simulated process died at Do\(name='sync'\)"):
        world.run(three_steps(), plan)
    assert plan.crashed
    with pytest.raises(SimulatedCrash):
        world.run(three_steps(), plan)

    assert world.done == done
    assert plan.steps == 2


def test_what_catches_every_exception_does_not_catch_a_crash() -> None:
    assert not issubclass(SimulatedCrash, Exception)


def test_a_crash_is_not_retried() -> None:
    world, plan = Sync(), FaultPlan.crash(1)

    with pytest.raises(SimulatedCrash):
        RetryPolicy(backoff=Backoff(initial_s=0)).call(world.run, three_steps(), plan)

    assert plan.steps == 1


def test_a_stalled_step_is_performed_after_the_stall(world: Sync) -> None:
    plan = FaultPlan.stall(2, lambda: world.done.append("stalled"))

    assert world.run(three_steps(), plan) == "published"
    assert world.done == ["stage", "stalled", "sync", "rename"]


def test_a_step_can_be_stalled_before_its_answer_arrives(world: Sync) -> None:
    world.run(three_steps(), FaultPlan.stall(2, lambda: world.done.append("stalled"), when="after"))

    assert world.done == ["stage", "sync", "stalled", "rename"]


def test_an_asynchronous_stall_is_awaited() -> None:
    world = Async()

    async def stall() -> None:
        await asyncio.sleep(0)
        world.done.append("stalled")

    world.run(three_steps(), FaultPlan.stall(1, stall))

    assert world.done == ["stalled", "stage", "sync", "rename"]


def test_a_stalled_task_can_be_cancelled_in_its_step() -> None:
    world = Async()

    async def main() -> None:
        stalled = asyncio.Event()

        async def stall() -> None:
            stalled.set()
            await asyncio.Event().wait()

        task = asyncio.create_task(drive_async(three_steps(), FaultPlan.stall(2, stall).wrap(world.aperform)))
        await stalled.wait()
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()

    asyncio.run(main())

    assert world.done == ["stage", "undo"]


def test_a_step_that_fails_by_itself_still_meets_the_crash_after_it(world: Sync) -> None:
    def fails(step: Do) -> None:
        raise OSError

    with pytest.raises(SimulatedCrash):
        drive(three_steps(), FaultPlan.crash(1, when="after").wrap(fails))


def test_a_plan_in_a_with_block_stands_before_every_flow_of_the_process(world: Sync) -> None:
    with FaultPlan() as plan:
        world.run_ambient(three_steps())
        with ThreadPoolExecutor(1) as pool:
            pool.submit(world.run_ambient, three_steps()).result(timeout=30)
    world.run_ambient(three_steps())

    assert plan.steps == 6


def test_a_flow_inside_a_step_of_a_flow_is_counted_too() -> None:
    world = Sync()

    def outer() -> Flow[Do, None]:
        yield Do("outer")

    with FaultPlan.crash(4, when="after") as plan, pytest.raises(SimulatedCrash):
        drive(outer(), lambda _: world.run_ambient(three_steps()))

    assert world.done == ["stage", "sync", "rename"]
    assert plan.struck == "Do(name='rename')"


def test_the_outer_step_ends_after_those_inside_it() -> None:
    world = Sync()

    def outer() -> Flow[Do, None]:
        yield Do("outer")

    with FaultPlan.crash(1, when="after") as plan, pytest.raises(SimulatedCrash):
        drive(outer(), lambda _: world.run_ambient(three_steps()))

    assert world.done == ["stage", "sync", "rename"]
    assert plan.struck == "Do(name='outer')"


def test_a_step_in_the_midst_of_which_another_thread_crashed_does_not_return() -> None:
    plan = FaultPlan.crash(2)
    begun, crashed = threading.Event(), threading.Event()

    def slow(_: Do) -> None:
        begun.set()
        crashed.wait(timeout=30)

    with ThreadPoolExecutor(1) as pool:
        in_flight = pool.submit(plan.wrap(slow), Do("slow"))
        begun.wait(timeout=30)
        with pytest.raises(SimulatedCrash):
            plan.wrap(slow)(Do("fatal"))
        crashed.set()
        assert isinstance(in_flight.exception(timeout=30), SimulatedCrash)


def test_threads_do_not_lose_count() -> None:
    class Hesitant(FaultPlan):
        @property
        def crashed(self) -> bool:
            select.select([], [], [], 0)  # lets another thread run between reading the count and writing it
            return False

        @crashed.setter
        def crashed(self, _: bool) -> None:
            """Stay alive."""

    plan = Hesitant()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(plan.wrap(lambda _: None), range(400)))

    assert plan.steps == 400


def test_any_callable_can_be_a_step_and_keeps_its_name_colour_and_arguments() -> None:
    def publish(key: str, *, data: bytes) -> str:
        return f"{key}: {len(data)}"

    async def apublish(key: str, *, data: bytes) -> str:
        return f"{key}: {len(data)}"

    plan = FaultPlan()
    wrapped, awrapped = plan.wrap(publish), plan.wrap(apublish)

    assert wrapped("a", data=b"123") == "a: 3"
    assert wrapped.__name__ == "publish"
    assert inspect.iscoroutinefunction(awrapped)
    assert awrapped.__name__ == "apublish"
    assert asyncio.run(awrapped("b", data=b"")) == "b: 0"
    assert plan.steps == 2


def test_the_step_is_named_without_its_secrets_and_without_its_body() -> None:
    register_secret("correct-horse-battery")
    plan = FaultPlan.stall(1, lambda: None)

    plan.wrap(lambda *_: None)(f"token=correct-horse-battery {'x' * 10_000}")

    assert plan.struck is not None
    assert "correct-horse" not in plan.struck
    assert len(plan.struck) <= 200


def test_a_step_of_several_arguments_is_named_by_all_of_them() -> None:
    plan = FaultPlan.stall(1, lambda: None)

    plan.wrap(lambda *_: None)("a.csv", 7)

    assert plan.struck == "'a.csv', 7"


@pytest.mark.parametrize(("step", "when"), [(0, "before"), (-1, "after"), (1, "during")])
def test_a_point_that_does_not_exist_is_refused_rather_than_never_reached(step: int, when: Any) -> None:
    for make in (
        lambda: FaultPlan.crash(step, when=when),
        lambda: FaultPlan.fail(step, OSError(), when=when),
        lambda: FaultPlan.stall(step, print, when=when),
    ):
        with pytest.raises(ConfigError, match="steps count from 1"):
            make()


POINTS = FaultPlan.every(three_steps)


def test_every_point_of_a_flow_is_enumerated_without_performing_anything() -> None:
    assert POINTS == ((1, "before"), (1, "after"), (2, "before"), (2, "after"), (3, "before"), (3, "after"))


def test_a_flow_that_looks_at_its_answers_is_given_some() -> None:
    def pages() -> Flow[str, None]:
        page: int | None = 1
        while page is not None:
            page = yield f"page {page}"

    answers = iter([2, 3, None])

    assert len(FaultPlan.every(pages, lambda _: next(answers))) == 6


@pytest.mark.parametrize(("step", "when"), POINTS)
def test_the_enumeration_parametrizes_a_test_in_both_colours(world: Sync, step: int, when: When) -> None:
    with pytest.raises(SimulatedCrash):
        world.run(three_steps(), FaultPlan.crash(step, when=when))

    assert len(world.done) == (step if when == "after" else step - 1)


def test_subclasses_make_plans_of_their_own_kind() -> None:
    class Loud(FaultPlan):
        pass

    makers: list[Callable[[], FaultPlan]] = [lambda: Loud.crash(1), lambda: Loud.fail(1, OSError())]

    assert all(isinstance(make(), Loud) for make in makers)
