"""One call under a policy: its tries, what becomes of them, and what the log is told."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NoReturn, Protocol, TypeVar

from controlroom import clock
from controlroom.errors import Attempt, ControlRoomError, ShutdownRequested
from controlroom.logs import get_logger
from controlroom.logs.failures import is_reported
from controlroom.logs.links import new_link
from controlroom.logs.tracebacks import called_from
from controlroom.policy.deadlines import Deadline
from controlroom.policy.retry import Decision, GiveUp, RetryAfter, RetryBudget
from controlroom.retrying.callables import name_of
from controlroom.retrying.failures import raise_again, text_of, without_the_loop

if TYPE_CHECKING:
    from controlroom.retrying import RetryPolicy

__all__ = ["NO_LIMIT", "Series", "what_of"]

T = TypeVar("T")

_LONGEST_MEMORY: Final = 100  # a series may be long; an error report may not
NO_LIMIT: Final = frozenset({"disposition", "shutdown"})
"""Rules of a `GiveUp` that are no limit: the error itself is not to be repeated."""

_log = get_logger("controlroom.retrying")


def what_of(policy: RetryPolicy, fn: Callable[..., Any]) -> str:
    """Return what *policy* tries, for log lines and errors."""
    return policy.what or name_of(fn)


class Turn(Protocol):
    """What tenacity's loop tells of a try."""

    attempt_number: int
    outcome: Any


@dataclass(slots=True)
class Series:
    """One call under a policy, from its first failure to its end: what tenacity's loop asks at each turn.

    Args:
        policy: Under which …
        fn: … this is tried.
        deadline: The ambient one when the first try began …
        began_at_s: … which was then.
        first: What it raised.
    """

    policy: RetryPolicy
    fn: Callable[..., Any]
    deadline: Deadline | None
    began_at_s: float
    first: BaseException | None
    attempts: deque[Attempt] = field(default_factory=lambda: deque(maxlen=_LONGEST_MEMORY))
    decision: Decision = field(init=False)
    tries: int = 0
    pending: BaseException | None = None
    error: BaseException | None = None
    _ref: str = ""

    @property
    def what(self) -> str:
        """What is being tried."""
        return what_of(self.policy, self.fn)

    @property
    def ref(self) -> str:
        """What ties the lines of this series together; named when first asked for, since most calls never are."""
        self._ref = self._ref or new_link("series")
        return self._ref

    def fail_first(self) -> None:
        """Raise what the first try, made before there was a series, had raised; do nothing from then on."""
        error, self.first = self.first, None
        if error is not None:
            try:
                raise_again(error)
            finally:
                del error  # it would close a cycle: error, traceback, this frame, error

    def wait_s(self, state: Turn) -> float:
        """Judge the attempt that failed. Tenacity asks for the wait first, and then whether to stop."""
        error: BaseException = state.outcome.exception()
        self._judge(error, state.attempt_number)
        return self.decision.wait_s if isinstance(self.decision, RetryAfter) else 0.0

    def is_over(self, _: Turn) -> bool:
        """Tell whether the attempt that failed was the last one."""
        return isinstance(self.decision, GiveUp)

    def sleep(self, seconds: float) -> None:
        """Wait before the next attempt."""
        try:
            clock.sleep(seconds)
        except BaseException as interruption:
            self._explain(interruption)
            raise

    async def asleep(self, seconds: float) -> None:
        """Wait before the next attempt."""
        try:
            await clock.asleep(seconds)
        except BaseException as interruption:
            self._explain(interruption)
            raise

    def end(self, state: Turn) -> None:
        """Take over from the loop, which would raise an error of its own."""
        self.error = self.pending
        state.outcome = None  # a cycle again: the loop's frame is the f_back of those in the traceback

    def ended(self, result: T) -> T:
        """Return what the last try returned."""
        if self.tries:  # that failed
            self.tries += 1
            self._log_the_outcome("succeeded")
        return result

    def surrender(self, error: BaseException) -> NoReturn:
        """Raise what ended the series."""
        self.error = self.pending = None
        if isinstance(error, ControlRoomError) and (len(self.attempts) > 1 or not error.attempts):
            error.attempts = tuple(self.attempts)
        self._log_the_end(error)
        try:
            raise_again(error)
        finally:
            del error  # as above

    def _judge(self, error: BaseException, attempt: int) -> None:
        self.pending, self.tries = error, attempt
        error.__traceback__ = without_the_loop(error.__traceback__)
        elapsed_s = clock.monotonic_s() - self.began_at_s
        self.decision = self.policy._decide(error, attempt, elapsed_s, self.deadline, RetryBudget.take)  # noqa: SLF001 - its other half
        if isinstance(error, ControlRoomError):
            wait_s = self.decision.wait_s if isinstance(self.decision, RetryAfter) else None
            self.attempts.append(Attempt(attempt, text_of(error), wait_s, self.decision.reason))
            if wait_s is not None:
                self._log_the_retry(self.attempts[-1], wait_s, error.code)

    def _log_the_retry(self, failed: Attempt, wait_s: float, code: str) -> None:
        _log.warning(
            "retry_scheduled",
            series=self.ref,
            what=self.what,
            attempt=failed.number,
            attempts=self.policy.attempts,
            wait_s=round(wait_s, 3),
            reason=failed.reason,
            error=failed.error,
            code=code,
        )

    def _log_the_end(self, error: BaseException) -> None:
        """Say which limit ended the series; what was never to be repeated is for the boundary to log."""
        decision, is_series = self.decision, self.policy.attempts > 1
        if clock.is_abandoned():
            return  # whoever asked has left: its end is no failure
        if isinstance(decision, GiveUp) and decision.rule not in NO_LIMIT and is_series and not is_reported(error):
            self._log_the_limit(error, decision)
        elif self.tries > 1:
            is_failure = isinstance(error, Exception) and not isinstance(error, ShutdownRequested)
            self._log_the_outcome("failed" if is_failure else "interrupted")

    def _log_the_limit(self, error: BaseException, decision: GiveUp) -> None:
        _log.failure(
            "gave_up",
            error,
            series=self.ref,
            what=self.what,
            attempt=self.tries,
            attempts=self.policy.attempts,
            reason=decision.reason,
            rule=decision.rule,
            elapsed_s=self._elapsed_s(),
            called_from=called_from(),
        )

    def _log_the_outcome(self, outcome: str) -> None:
        """Say how a series ended in which something was repeated."""
        _log.info(
            "retries_ended",
            series=self.ref,
            what=self.what,
            attempt=self.tries,
            attempts=self.policy.attempts,
            outcome=outcome,
            elapsed_s=self._elapsed_s(),
        )

    def _elapsed_s(self) -> float:
        return round(clock.monotonic_s() - self.began_at_s, 3)

    def _explain(self, interruption: BaseException) -> None:
        """Keep what had failed visible behind what interrupted the wait."""
        self._log_the_outcome("interrupted")
        if interruption.__context__ is None:
            interruption.__context__ = self.pending
        if isinstance(interruption, ControlRoomError):
            interruption.attempts = tuple(self.attempts)
