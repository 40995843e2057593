"""Faults on purpose: fail, crash or stall at the k-th step; or crash at every step, and look each time at what is left.

A step is what the flows of the package yield (`controlroom.policy.flow`): a rename, a request, a COMMIT.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from functools import update_wrapper
from threading import Lock
from types import TracebackType
from typing import Any, Literal, NoReturn, ParamSpec, Self, TypeVar

from controlroom.errors import ConfigError
from controlroom.policy.flow import Crash, Flow, drive, intercepted
from controlroom.redaction import redact_text

__all__ = ["FaultPlan", "SimulatedCrash", "When"]

P = ParamSpec("P")
T = TypeVar("T")
When = Literal["before", "after"]

_LONGEST_NAME = 200


class SimulatedCrash(Crash):
    """The process ended here. Not an `Exception`: what catches widely does not catch the end of a process either."""


class FaultPlan:
    """Counts steps, and does one thing wrong at one of them: made by `fail`, `crash` or `stall`; plain, it only counts.

    As a context manager it stands before every flow of the process that begins in the block, in both colours and in all
    threads. `wrap` puts it before one callable instead: your own ``perform``, or ``store.publish``.

    Attributes:
        steps: Steps begun so far.
        struck: The step at which the fault happened, as text with secrets masked; None until then.
        crashed: Whether the simulated process is dead.

    Guarantees:
        After a crash every step raises `SimulatedCrash` and performs nothing, clean-up included; a step that another
        thread or task was in the midst of raises it on its return. Thread-safe. Not promised: what the code under test
        does outside of steps, in ``finally`` say, is still done; a process that was killed would not do it.
    """

    def __init__(self) -> None:
        self.steps: int = 0
        self.struck: str | None = None
        self.crashed: bool = False
        self._point: tuple[int, When] | None = None
        self._fault: Callable[[FaultPlan], object] = FaultPlan._die
        self._lock = Lock()
        self._installation = ExitStack()

    @classmethod
    def fail(cls, step: int, error: BaseException, *, when: When = "before") -> Self:
        """Return a plan whose step number *step* (1-based) raises *error*, unperformed or *after* it was performed."""

        def fault(_: FaultPlan) -> NoReturn:
            raise error

        return cls._at(step, when, fault)

    @classmethod
    def crash(cls, step: int, *, when: When = "before") -> Self:
        """Return a plan that ends the simulated process before or after step number *step* (1-based)."""
        return cls._at(step, when, FaultPlan._die)

    @classmethod
    def stall(cls, step: int, call: Callable[[], object], *, when: When = "before") -> Self:
        """Return a plan that calls *call* before or after step number *step* (1-based); in an async flow, awaits it.

        ``lambda: clock.advance(60)`` makes the step slow; `controlroom.shutdown.request` asks the process to stop there.
        """
        return cls._at(step, when, lambda _: call())

    @classmethod
    def _at(cls, step: int, when: When, fault: Callable[[FaultPlan], object]) -> Self:
        if step < 1 or when not in ("before", "after"):
            message = f"No fault can strike {when!r} step {step}: steps count from 1; choose 'before' or 'after'."
            raise ConfigError(message)
        plan = cls()
        plan._point, plan._fault = (step, when), fault
        return plan

    @staticmethod
    def every(
        flow: Callable[[], Flow[Any, Any]], answer: Callable[[Any], Any] = lambda _: None
    ) -> tuple[tuple[int, When], ...]:
        """Return every point, ``(step, when)``, at which a flow can be struck: what to parametrize a test over.

        Args:
            flow: Makes the flow. It is driven to its end once; nothing is performed.
            answer: Returns what the flow receives for a step, where it looks at that.
        """
        counting = FaultPlan()
        drive(flow(), counting.wrap(answer))
        return counting.points

    @property
    def points(self) -> tuple[tuple[int, When], ...]:
        """Every ``(step, when)`` of the steps counted so far."""
        return tuple((step, when) for step in range(1, self.steps + 1) for when in ("before", "after"))

    def __enter__(self) -> Self:
        self._installation.enter_context(intercepted(self))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._installation.close()

    def wrap(self, perform: Callable[P, T], /) -> Callable[P, T]:
        """Return *perform*, each call of which is a step of this plan. A coroutine function stays one."""
        if inspect.iscoroutinefunction(perform):
            return self.wrap_async(perform)  # type: ignore[return-value]  # T is awaitable: see the test above

        def performed(*args: P.args, **kwargs: P.kwargs) -> T:
            number = self._begin()
            self._strike(number, "before", args)
            try:
                return perform(*args, **kwargs)
            finally:
                self._strike(number, "after", args)

        return update_wrapper(performed, perform)

    def wrap_async(self, perform: Callable[P, Awaitable[T]], /) -> Callable[P, Awaitable[T]]:
        """Return *perform*, each awaited call of which is a step of this plan."""

        async def performed(*args: P.args, **kwargs: P.kwargs) -> T:
            number = self._begin()
            await _settled(self._strike(number, "before", args))
            try:
                return await perform(*args, **kwargs)
            finally:
                await _settled(self._strike(number, "after", args))

        return update_wrapper(performed, perform)

    def _begin(self) -> int:
        with self._lock:
            self.steps += not self.crashed
            return self.steps

    def _strike(self, number: int, when: When, args: tuple[object, ...]) -> object:
        """Do here what the plan says about this point, if anything."""
        if self.crashed:
            self._die()
        if self._point != (number, when):
            return None
        self.struck = redact_text(", ".join(map(repr, args)))[:_LONGEST_NAME]
        return self._fault(self)

    def _die(self) -> NoReturn:
        self.crashed = True
        message = f"the simulated process died at {self.struck}"
        raise SimulatedCrash(message)


async def _settled(outcome: object) -> None:
    if inspect.isawaitable(outcome):
        await outcome
