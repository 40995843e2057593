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
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from functools import partial
from typing import Any, TypeVar

__all__ = ["Flow", "StepFailed", "drive", "drive_async"]

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


def drive(flow: Flow[StepT, T], perform: Callable[[StepT], Any]) -> T:
    """Run *flow* to its end, performing each step with *perform*.

    Raises:
        BaseException: What a step raised, unless the flow dealt with it; whatever the flow itself raised.
    """
    resume: Callable[[], StepT] = partial(next, flow)
    while True:
        try:
            step = resume()
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]  # typeshed types StopIteration.value as Any
        except StepFailed as failed:
            original = failed.error
            break
        try:
            resume = partial(flow.send, perform(step))
        except BaseException as error:  # noqa: BLE001 - the flow decides, also about cancellation; nothing is swallowed
            resume = partial(flow.throw, StepFailed(step, error))
    raise original


async def drive_async(flow: Flow[StepT, T], perform: Callable[[StepT], Awaitable[Any]]) -> T:
    """Run *flow* to its end, awaiting *perform* for each step; see `drive`."""
    resume: Callable[[], StepT] = partial(next, flow)
    while True:
        try:
            step = resume()
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]  # typeshed types StopIteration.value as Any
        except StepFailed as failed:
            original = failed.error
            break
        try:
            resume = partial(flow.send, await perform(step))
        except BaseException as error:  # noqa: BLE001 - the flow decides, also about cancellation; nothing is swallowed
            resume = partial(flow.throw, StepFailed(step, error))
    raise original
