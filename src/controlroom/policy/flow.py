"""A flow is a conversation with clean-up, written as a generator: it yields steps as data and receives their results.

The two drivers below perform the steps, one for each colour. They know no domain fact: every decision, undo included,
stands in the flow and is tested there without I/O. (The shape is that of ``httpx.Auth.auth_flow`` and of psycopg's
``transaction.py``.)

Rules for flows:

* A failed step arrives as `StepFailed`, also when it failed by cancellation or KeyboardInterrupt; ``raise`` hands the
  original on.
* Undo belongs in ``except StepFailed``, never in ``finally``: after a crash nobody performs steps, and a generator that
  yields while it is being closed is an error.
* A step that was interrupted may or may not have happened: undo steps are idempotent.
* Where an undo step fails too, its error goes up with the first one as its context: nothing is lost.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

__all__ = ["Crash", "Flow", "Interceptor", "StepFailed", "drive", "drive_async", "intercepted"]

T = TypeVar("T")
StepT = TypeVar("StepT")

Flow = Generator[StepT, Any, T]
"""``Flow[Step, Result]``: yields steps, receives what performing them returned, returns the result."""


class StepFailed(Exception):  # noqa: N818 - a signal inside flows, never an outcome
    """Raised inside a flow where the step that it yielded failed.

    Attributes:
        step: The step, as it was yielded.
        error: What performing it raised.
    """

    def __init__(self, step: object, error: BaseException) -> None:
        super().__init__(f"{step!r} failed: {type(error).__name__}")
        self.step = step
        self.error = error


class Crash(BaseException):
    """Stands for the end of the process. A flow is not told: after a crash nobody is left to undo anything."""


# A coroutine that is closed is not told either: awaiting an undo step while closing is a RuntimeError.
_NOBODY_IS_LEFT = (Crash, GeneratorExit)


class Interceptor(Protocol):
    """Stands between every flow and whoever performs its steps: counts them, or breaks some on purpose."""

    def wrap(self, perform: Callable[[Any], Any], /) -> Callable[[Any], Any]:
        """Return what is called in place of *perform*."""

    def wrap_async(self, perform: Callable[[Any], Awaitable[Any]], /) -> Callable[[Any], Awaitable[Any]]:
        """Return what is awaited in place of *perform*."""


_interceptor: Interceptor | None = None


@contextmanager
def intercepted(interceptor: Interceptor) -> Iterator[None]:
    """Let *interceptor* stand before every flow that begins while the block runs. For tests.

    In the whole process, not in one context: what it simulates, a crash, ends all threads at once.
    """
    global _interceptor  # noqa: PLW0603 - one process, one crash
    before, _interceptor = _interceptor, interceptor
    try:
        yield
    finally:
        _interceptor = before


def drive(flow: Flow[StepT, T], perform: Callable[[StepT], Any]) -> T:
    """Run *flow* to its end, performing each step with *perform*.

    Raises:
        BaseException: What a step raised, unless the flow dealt with it; whatever the flow itself raised.
    """
    perform = perform if _interceptor is None else _interceptor.wrap(perform)
    resume: Callable[[Any], StepT] = flow.send
    outcome: Any = None
    try:
        while True:
            step = resume(outcome)
            outcome = None  # a result is not kept alive while the next step is performed
            try:
                resume, outcome = flow.send, perform(step)
            except _NOBODY_IS_LEFT:
                raise
            except BaseException as error:  # noqa: BLE001 - the flow decides, also about cancellation
                resume, outcome = flow.throw, StepFailed(step, error)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]  # typeshed types StopIteration.value as Any
    except StepFailed as failed:
        original = _original(failed)
    finally:
        del resume, outcome  # they, and below *original*, would close a cycle: error, traceback, this frame, error
    try:
        raise original
    finally:
        del original


async def drive_async(flow: Flow[StepT, T], perform: Callable[[StepT], Awaitable[Any]]) -> T:
    """Run *flow* to its end, awaiting *perform* for each step; see `drive`."""
    perform = perform if _interceptor is None else _interceptor.wrap_async(perform)
    resume: Callable[[Any], StepT] = flow.send
    outcome: Any = None
    try:
        while True:
            step = resume(outcome)
            outcome = None
            try:
                resume, outcome = flow.send, await perform(step)
            except _NOBODY_IS_LEFT:
                raise
            except BaseException as error:  # noqa: BLE001 - the flow decides, also about cancellation
                resume, outcome = flow.throw, StepFailed(step, error)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]  # typeshed types StopIteration.value as Any
    except StepFailed as failed:
        original = _original(failed)
    finally:
        del resume, outcome
    try:
        raise original
    finally:
        del original


def _original(failed: StepFailed) -> BaseException:
    """Return what the step raised, with the error that it was undoing, if any, at the end of its chain."""
    if isinstance(failed.__context__, StepFailed):
        first, last = _original(failed.__context__), failed.error
        passed = {id(first)}
        while (link := last.__cause__ or last.__context__) is not None and id(link) not in passed:
            passed.add(id(link))
            last = link
        if link is None and last is not first:
            last.__context__ = first
    return failed.error
