"""One call to AWS, tried as often as it makes sense: a flow that both colours drive."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from controlroom import clock
from controlroom.errors import Attempt, ControlRoomError
from controlroom.logs import get_logger
from controlroom.logs.links import new_link
from controlroom.policy.deadlines import Deadline
from controlroom.policy.flow import Flow, StepFailed
from controlroom.policy.retry import Decision, GiveUp, judge
from controlroom.settings.cloud.calls import Answer, Call
from controlroom.settings.cloud.policy import CloudPolicy

__all__ = ["Pause", "judged_by", "trying"]

_log = get_logger(__name__)

Judge = Callable[[BaseException, int], Decision]


@dataclass(frozen=True, slots=True)
class Pause:
    """A step: let *seconds* pass."""

    seconds: float


def judged_by(policy: CloudPolicy, deadline: Deadline | None) -> Judge:
    """Return what decides after the failure of an attempt whether there is another one, and when."""
    # Not RetryPolicy: retrying stands on the same floor as settings. The judgement is the same.
    began_at_s = clock.monotonic_s()

    def decide(error: BaseException, attempt: int) -> Decision:
        return judge(
            error,
            attempt=attempt,
            attempts=policy.attempts,
            backoff=policy.backoff,
            draw=random.random(),  # noqa: S311 - spreads load, keeps no secret
            elapsed_s=clock.monotonic_s() - began_at_s,
            remaining_s=None if deadline is None else deadline.remaining_s(),
        )

    return decide


def trying(call: Call, policy: CloudPolicy, decide: Judge) -> Flow[Call | Pause, Answer]:
    """Ask *call*, again where *decide* says so. What the last attempt raised goes up, with ``.attempts`` filled."""
    series = _Series(call.action, policy.attempts)
    while True:
        try:
            answer: Answer = yield call
        except StepFailed as failed:
            decision = decide(failed.error, len(series.failed) + 1)
            series.note(failed.error, decision)
            if isinstance(decision, GiveUp):
                raise
        else:
            series.succeeded()
            return answer
        yield Pause(decision.wait_s)


@dataclass(slots=True)
class _Series:
    """What is said of the tries of one call."""

    what: str
    attempts: int
    failed: list[Attempt] = field(default_factory=list)
    ref: str = ""
    began_at_s: float = field(default_factory=clock.monotonic_s)

    def note(self, error: BaseException, decision: Decision) -> None:
        wait_s = None if isinstance(decision, GiveUp) else decision.wait_s
        number = len(self.failed) + 1
        self.failed.append(Attempt(number, f"{type(error).__name__}: {error}", wait_s, decision.reason))
        if isinstance(error, ControlRoomError):
            error.attempts = tuple(self.failed)
        if wait_s is None:
            return
        self.ref = self.ref or new_link("series")
        _log.warning(
            "retry_scheduled",
            series=self.ref,
            what=self.what,
            attempt=number,
            attempts=self.attempts,
            wait_s=round(wait_s, 3),
            reason=decision.reason,
            error=self.failed[-1].error,
            code=getattr(error, "code", ""),
        )

    def succeeded(self) -> None:
        if self.failed:
            _log.info(
                "retries_ended",
                series=self.ref,
                what=self.what,
                attempt=len(self.failed) + 1,
                attempts=self.attempts,
                outcome="succeeded",
                elapsed_s=round(clock.monotonic_s() - self.began_at_s, 3),
            )
