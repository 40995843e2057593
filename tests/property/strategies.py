"""Values to state laws over: seconds, errors of every disposition, schedules, and flows of any shape."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from controlroom.errors import APIConnectionError, ControlRoomError, Disposition, ShutdownRequested
from controlroom.policy.backoff import Backoff
from controlroom.policy.flow import Flow, StepFailed

if TYPE_CHECKING:
    from collections.abc import Callable

seconds = st.floats(min_value=0, max_value=1e6, allow_nan=False)
short_waits = st.floats(min_value=0, max_value=100, allow_nan=False)
draws = st.floats(min_value=0, max_value=1, exclude_max=True)
attempt_numbers = st.integers(min_value=1, max_value=2_000)

backoffs = st.builds(
    Backoff,
    initial_s=short_waits,
    factor=st.floats(min_value=1, max_value=10),
    cap_s=short_waits,
    jitter=st.sampled_from(["full", "none"]),
)
steady_backoffs = backoffs.map(lambda b: Backoff(b.initial_s, b.factor, b.cap_s, "none"))

repeatable_errors = st.builds(APIConnectionError, st.just("refused"), retry_after_s=st.none() | short_waits)
our_errors = st.builds(
    ControlRoomError,
    st.just("something"),
    disposition=st.sampled_from(Disposition),
    retry_after_s=st.none() | short_waits,
)
errors: st.SearchStrategy[BaseException] = st.one_of(
    repeatable_errors,
    our_errors,
    st.builds(ShutdownRequested, st.just("SIGTERM")),
    st.sampled_from([KeyError, OSError, TimeoutError, KeyboardInterrupt, SystemExit]).map(lambda kind: kind()),
)


@dataclass(frozen=True, slots=True)
class Script:
    """A flow of three acts: steps, undo steps where one of them fails, and then: go on, re-raise or translate."""

    steps: tuple[int, ...]
    undo: tuple[int, ...]
    then: str

    def flow(self) -> Flow[int, Any]:
        answers = []
        try:
            for step in self.steps:
                answers.append((yield step))  # noqa: PERF401 - a comprehension cannot yield
        except StepFailed as failed:
            for step in self.undo:
                yield step
            if self.then == "translate":
                raise LookupError from failed.error
            if self.then == "raise":
                raise
        return answers


numbers = st.integers(min_value=0, max_value=9)
scripts = st.builds(
    Script,
    steps=st.lists(numbers, max_size=6).map(tuple),
    undo=st.lists(numbers, max_size=3).map(tuple),
    then=st.sampled_from(["raise", "go on", "translate"]),
)


class World:
    """Performs steps and fails at those that are broken, each with an error of its own."""

    def __init__(self, broken: dict[int, type[BaseException]]) -> None:
        self.errors = {step: kind() for step, kind in broken.items()}
        self.performed: list[int] = []

    def perform(self, step: int) -> int:
        if step in self.errors:
            raise self.errors[step]
        self.performed.append(step)
        return step * step

    async def aperform(self, step: int) -> int:
        return self.perform(step)

    def outcome_of(self, run: Callable[[], Any]) -> tuple[str, Any]:
        """Return what *run* gives: a value, or the step whose error came out, or the kind of a new error."""
        try:
            return "value", run()
        except BaseException as error:
            mine = [step for step, planned in self.errors.items() if planned is error]
            return "error", mine or type(error)


broken_steps = st.dictionaries(numbers, st.sampled_from([OSError, KeyError, KeyboardInterrupt, SystemExit]), max_size=3)
