from __future__ import annotations

import asyncio
import contextlib
import gc
import traceback
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from controlroom.policy import flow as flow_module
from controlroom.policy.flow import Crash, Flow, StepFailed, drive, drive_async, intercepted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass(frozen=True, slots=True)
class Do:
    name: str


@dataclass(frozen=True, slots=True)
class Undo:
    name: str


Step = Do | Undo


def run_sync(flow: Flow[Any, Any], perform: Callable[[Any], Any]) -> Any:
    return drive(flow, perform)


def run_async(flow: Flow[Any, Any], perform: Callable[[Any], Any]) -> Any:
    async def performed(step: Any) -> Any:
        await asyncio.sleep(0)
        return perform(step)

    return asyncio.run(drive_async(flow, performed))


@pytest.fixture(params=[run_sync, run_async], ids=["sync", "async"])
def run(request: pytest.FixtureRequest) -> Callable[[Flow[Any, Any], Callable[[Any], Any]], Any]:
    return request.param


class Performer:
    """Performs what it can: raises what is planned for a step, answers its name otherwise."""

    def __init__(self, failures: dict[Step, BaseException] | None = None) -> None:
        self.failures = failures or {}
        self.done: list[Step] = []

    def __call__(self, step: Step) -> str:
        if step in self.failures:
            raise self.failures[step]
        self.done.append(step)
        return step.name.upper()


def two_steps_with_undo() -> Flow[Step, str]:
    try:
        first = yield Do("first")
        second = yield Do("second")
    except StepFailed:
        yield Undo("first")
        raise
    return f"{first}, {second}"


def test_each_step_is_answered_with_its_own_result(run) -> None:
    performer = Performer()

    assert run(two_steps_with_undo(), performer) == "FIRST, SECOND"
    assert performer.done == [Do("first"), Do("second")]


def test_a_flow_without_steps_returns_its_value(run) -> None:
    def nothing_to_do() -> Flow[Step, int]:
        return 7
        yield

    assert run(nothing_to_do(), Performer()) == 7


def test_a_flow_without_a_result_returns_none_and_not_the_last_answer(run) -> None:
    def says_nothing() -> Flow[Step, None]:
        yield Do("first")

    assert run(says_nothing(), Performer()) is None


@pytest.mark.parametrize("kind", [OSError, KeyboardInterrupt, SystemExit, asyncio.CancelledError])
def test_whatever_breaks_a_step_it_is_undone_and_the_same_object_comes_out(run, kind: type[BaseException]) -> None:
    original = kind("broken")
    performer = Performer({Do("second"): original})

    with pytest.raises(kind) as caught:
        run(two_steps_with_undo(), performer)

    assert caught.value is original
    assert performer.done == [Do("first"), Undo("first")]


def test_a_step_that_raises_stop_iteration_does_not_end_the_flow_as_if_it_had_returned() -> None:
    """Sync only: a coroutine cannot raise StopIteration, the language turns it into RuntimeError (PEP 479)."""
    original = StopIteration("broken")
    performer = Performer({Do("second"): original})

    with pytest.raises(StopIteration) as caught:
        drive(two_steps_with_undo(), performer)

    assert caught.value is original
    assert performer.done == [Do("first"), Undo("first")]


def test_the_original_comes_out_with_no_trace_of_the_signal_that_carried_it(run) -> None:
    original = OSError("disk full")

    with pytest.raises(OSError, match="disk full") as caught:
        run(two_steps_with_undo(), Performer({Do("first"): original}))

    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    assert "StepFailed" not in "".join(traceback.format_exception(caught.value))


def test_the_signal_names_the_step_and_the_kind_of_error_but_not_its_text(run) -> None:
    seen: list[StepFailed] = []
    original = OSError("password=hunter2")

    def curious() -> Flow[Step, None]:
        try:
            yield Do("first")
        except StepFailed as failed:
            seen.append(failed)

    run(curious(), Performer({Do("first"): original}))

    assert seen[0].step == Do("first")
    assert seen[0].error is original
    assert str(seen[0]) == "Do(name='first') failed: OSError"


def test_a_flow_that_copes_with_a_failure_goes_on_and_returns_its_value(run) -> None:
    def copes() -> Flow[Step, str]:
        try:
            yield Do("first")
        except StepFailed:
            answer = yield Do("instead")
        return answer

    assert run(copes(), Performer({Do("first"): OSError()})) == "INSTEAD"


def test_a_flow_that_answers_a_failure_with_an_error_of_its_own_keeps_the_cause(run) -> None:
    original = OSError("no answer")

    def translates() -> Flow[Step, None]:
        try:
            yield Do("first")
        except StepFailed as failed:
            message = "in doubt"
            raise LookupError(message) from failed.error

    with pytest.raises(LookupError, match="in doubt") as caught:
        run(translates(), Performer({Do("first"): original}))

    assert caught.value.__cause__ is original


def test_a_flow_that_fails_by_itself_is_not_mistaken_for_a_failed_step(run) -> None:
    def broken() -> Flow[Step, None]:
        yield Do("first")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(broken(), Performer())


def test_when_the_undo_fails_too_the_first_error_is_still_told(run) -> None:
    first, second = OSError("disk full"), OSError("cannot remove")

    with pytest.raises(OSError, match="cannot remove") as caught:
        run(two_steps_with_undo(), Performer({Do("second"): first, Undo("first"): second}))

    assert caught.value is second
    assert caught.value.__context__ is first


def test_the_first_error_is_told_behind_the_causes_of_the_second(run) -> None:
    first, cause, second = OSError("disk full"), OSError("EIO"), LookupError("cannot remove")
    second.__cause__ = cause

    with pytest.raises(LookupError):
        run(two_steps_with_undo(), Performer({Do("second"): first, Undo("first"): second}))

    assert second.__cause__ is cause
    assert cause.__context__ is first


def test_the_same_error_in_step_and_undo_does_not_become_its_own_context(run) -> None:
    same = OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        run(two_steps_with_undo(), Performer({Do("second"): same, Undo("first"): same}))

    assert same.__context__ is None


def test_an_error_that_already_names_the_first_one_as_its_cause_is_left_alone(run) -> None:
    root, first, second = OSError("EIO"), OSError("disk full"), LookupError("cannot remove")
    second.__cause__, first.__cause__ = first, root

    with pytest.raises(LookupError):
        run(two_steps_with_undo(), Performer({Do("second"): first, Undo("first"): second}))

    assert (second.__context__, first.__context__, root.__context__) == (None, None, None)


def test_a_loop_in_a_chain_of_causes_does_not_hang_the_driver(run) -> None:
    first, left, right = OSError("disk full"), OSError("left"), OSError("right")
    left.__context__, right.__context__ = right, left

    with pytest.raises(OSError, match="left"):
        run(two_steps_with_undo(), Performer({Do("second"): first, Undo("first"): left}))

    assert (left.__context__, right.__context__) == (right, left)


def test_three_failures_in_a_row_are_all_told(run) -> None:
    errors = [OSError("1"), OSError("2"), OSError("3")]

    def stubborn() -> Flow[Step, None]:
        try:
            yield Do("first")
        except StepFailed:
            try:
                yield Undo("first")
            except StepFailed:
                yield Undo("second")
                raise

    with pytest.raises(OSError, match="3"):
        run(stubborn(), Performer(dict(zip([Do("first"), Undo("first"), Undo("second")], errors, strict=True))))

    assert errors[2].__context__ is errors[1]
    assert errors[1].__context__ is errors[0]


def test_cancelling_the_task_in_the_midst_of_a_step_runs_the_undo() -> None:
    done: list[Step] = []
    second_began = asyncio.Event()

    async def perform(step: Step) -> None:
        if step == Do("second"):
            second_began.set()
            await asyncio.Event().wait()
        done.append(step)

    async def main() -> None:
        task = asyncio.create_task(drive_async(two_steps_with_undo(), perform))
        await second_began.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()

    asyncio.run(main())

    assert done == [Do("first"), Undo("first")]


def test_a_second_cancellation_during_the_undo_still_cancels_the_task() -> None:
    async def perform(step: Step) -> None:
        await asyncio.Event().wait()

    async def main() -> None:
        task = asyncio.create_task(drive_async(two_steps_with_undo(), perform))
        for _ in range(2):
            await asyncio.sleep(0)
            task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()

    asyncio.run(main())


def test_a_coroutine_closed_in_the_midst_of_a_step_performs_nothing_more() -> None:
    """A loop that died closes its coroutines: awaiting an undo step then would be RuntimeError (ignored GeneratorExit)."""
    done: list[Step] = []

    class Suspended:
        def __await__(self) -> Iterator[None]:
            yield

    async def perform(step: Step) -> None:
        done.append(step)
        await Suspended()

    coroutine = drive_async(two_steps_with_undo(), perform)
    coroutine.send(None)
    coroutine.close()

    assert done == [Do("first")]


def test_after_a_crash_the_flow_is_not_told_and_undoes_nothing(run) -> None:
    told: list[object] = []

    def watches() -> Flow[Step, None]:
        try:
            yield Do("first")
        except StepFailed as failed:
            told.append(failed)

    with pytest.raises(Crash):
        run(watches(), Performer({Do("first"): Crash()}))

    assert told == []


def test_a_result_is_let_go_before_the_next_step_is_performed(run) -> None:
    class Page:
        pass

    pages: list[weakref.ref[Page]] = []
    alive: list[bool] = []

    def perform(step: Step) -> Page:
        alive.extend(ref() is not None for ref in pages)
        page = Page()
        pages.append(weakref.ref(page))
        return page

    def walks() -> Flow[Step, None]:
        yield Do("first")
        yield Do("second")

    run(walks(), perform)

    assert alive == [False]


def by_hand(flow: Flow[Any, Any], perform: Callable[[Any], Any]) -> Any:
    """Drive in the async colour without a loop, which would hold references of its own."""

    async def performed(step: Any) -> Any:
        return perform(step)

    try:
        drive_async(flow, performed).send(None)
    except StopIteration as end:
        return end.value


@pytest.mark.parametrize("run", [run_sync, by_hand])
@pytest.mark.parametrize("translates", [False, True])
def test_a_failure_leaves_no_cycle_that_keeps_bodies_in_memory_until_the_collector_runs(run, translates: bool) -> None:
    class Body:
        pass

    refs: list[weakref.ref[Body]] = []

    def perform(step: Step) -> None:
        body = Body()
        refs.append(weakref.ref(body))
        raise OSError

    def fails() -> Flow[Step, None]:
        try:
            yield Do("first")
        except StepFailed:
            if translates:
                raise OSError from None
            raise

    gc.disable()
    try:
        with contextlib.suppress(OSError):
            run(fails(), perform)
        assert [ref() for ref in refs] == [None]
    finally:
        gc.enable()


class Recording:
    """An interceptor that notes the colour and the steps that pass."""

    def __init__(self) -> None:
        self.passed: list[tuple[str, Step]] = []

    def wrap(self, perform: Callable[[Any], Any], /) -> Callable[[Any], Any]:
        def performed(step: Step) -> Any:
            self.passed.append(("sync", step))
            return perform(step)

        return performed

    def wrap_async(self, perform: Callable[[Any], Any], /) -> Callable[[Any], Any]:
        async def performed(step: Step) -> Any:
            self.passed.append(("async", step))
            return await perform(step)

        return performed


def test_an_interceptor_sees_each_step_in_its_colour_and_only_while_it_is_in_place(run) -> None:
    recording = Recording()
    colour = "sync" if run is run_sync else "async"

    run(two_steps_with_undo(), Performer())
    with intercepted(recording):
        assert run(two_steps_with_undo(), Performer()) == "FIRST, SECOND"
    run(two_steps_with_undo(), Performer())

    assert recording.passed == [(colour, Do("first")), (colour, Do("second"))]


def test_the_interceptor_before_is_in_place_again_after_one_that_ended_in_an_error() -> None:
    outer, inner = Recording(), Recording()

    with intercepted(outer):
        with pytest.raises(ZeroDivisionError), intercepted(inner):
            raise ZeroDivisionError
        drive(two_steps_with_undo(), Performer())

    assert len(outer.passed) == 2
    assert inner.passed == []
    assert flow_module._interceptor is None
