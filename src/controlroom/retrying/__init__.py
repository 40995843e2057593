"""Retries: the pure judgement of `controlroom.policy.retry`, given a clock, randomness and a loop (tenacity's).

Only an error that says RETRY is repeated, and only within every limit: attempts, time in all, the longest wait, the
ambient deadline, the shared budget. Whatever ends a series, the error that comes out is the one that went in.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from functools import partial, update_wrapper
from types import CoroutineType
from typing import Any, ParamSpec, TypeVar

from tenacity import AsyncRetrying, RetryCallState, Retrying

from controlroom import clock
from controlroom.clock import current_deadline, deadline
from controlroom.errors import ConfigError, ControlRoomError
from controlroom.policy.backoff import Backoff
from controlroom.policy.deadlines import Deadline
from controlroom.policy.quantities import is_number, is_whole
from controlroom.policy.retry import Decision, GiveUp, RetryAfter, RetryBudget, judge
from controlroom.retrying.callables import asynchronous, is_async
from controlroom.retrying.series import NO_LIMIT, Series, what_of

__all__ = [
    "Backoff",
    "Deadline",
    "GiveUp",
    "RetryAfter",
    "RetryBudget",
    "RetryPolicy",
    "current_deadline",
    "deadline",
]

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When to try again, after which wait, and when to give up. Immutable: share it freely, between threads too.

    Args:
        attempts: Tries in all, the first included.
        backoff: Waits between tries; an error's ``retry_after_s`` wins over it.
        max_elapsed_s: No retry begins later than this many seconds after the first try began.
        budget: Tokens shared by many callers: first tries are free, each retry takes one.
        max_wait_s: The longest single wait, seconds. The backoff is cut to it; being asked to wait longer ends the series.
        only_if: Narrows further what may be repeated; asked only about errors that say RETRY.
        what: What is being tried, for log lines and errors: "GET https://…"; the function's name when not given.

    Raises:
        ConfigError: A number is negative, or there would be no first try.

    Guarantees:
        Only a `ControlRoomError` that says RETRY is repeated; everything else goes up at once. A wait that does not fit
        the ambient deadline is not begun. Cancellation, KeyboardInterrupt and `ShutdownRequested` are never retried,
        and each ends a wait at once. What ends a series is raised itself: the same object, with its own traceback and
        chain, and with ``.attempts`` filled (the last 100). An error that exhausted a policy further in brings attempts
        of its own: those stay when this policy made no retry; otherwise this policy's replace them, and each says how
        many tries it was made of. One WARNING ``retry_scheduled`` per retry; where a limit ended the series, one ERROR
        ``gave_up``; how it ended otherwise after a retry, one INFO ``retries_ended``. Not promised: that a try under way is interrupted; that is for whatever it waits in.
    """

    attempts: int = 5
    backoff: Backoff = field(default_factory=Backoff)
    max_elapsed_s: float | None = None
    budget: RetryBudget | None = None
    max_wait_s: float = 300.0
    only_if: Callable[[ControlRoomError], bool] | None = None
    what: str | None = None

    def __post_init__(self) -> None:
        """Refuse a policy under which nothing would ever be tried."""
        if not is_whole(self.attempts) or self.attempts < 1:
            message = f"RetryPolicy(attempts={self.attempts!r}) would never try at all: give a whole number, 1 or more."
            raise ConfigError(message)
        for name, seconds in (("max_elapsed_s", self.max_elapsed_s), ("max_wait_s", self.max_wait_s)):
            unset = seconds is None and name == "max_elapsed_s"
            if not unset and not (is_number(seconds) and seconds >= 0):  # NaN is not
                message = f"RetryPolicy({name}={seconds!r}) is not possible: give seconds, zero or more."
                raise ConfigError(message)
        if not all((isinstance(self.backoff, Backoff), isinstance(self.budget, RetryBudget | None))):
            message = "RetryPolicy: give backoff=Backoff(…), and a RetryBudget(…) or None as budget."
            raise ConfigError(message)

    def named(self, what: str, *, only_if: Callable[[ControlRoomError], bool] | None = None) -> RetryPolicy:
        """Return this policy with *what* it tries, for its log lines and errors.

        Args:
            what: "GET https://…".
            only_if: Narrows what may be repeated further.
        """
        if only_if is not None and self.only_if is not None:
            only_if = _both(only_if, self.only_if)
        return replace(self, what=what, only_if=only_if or self.only_if)

    def judge(
        self, error: BaseException, *, attempt: int, elapsed_s: float = 0.0, deadline: Deadline | None = None
    ) -> Decision:
        """Decide what to do after attempt number *attempt* (1-based) failed with *error*.

        Looks at the budget and takes nothing from it. With full jitter, the wait is drawn anew on each call.

        Args:
            error: What was raised.
            attempt: The attempt that failed.
            elapsed_s: Seconds since the first attempt began.
            deadline: The last instant for the next attempt to begin; the ambient one when not given.
        """
        return self._decide(error, attempt, elapsed_s, deadline or current_deadline(), RetryBudget.has_token)

    def _decide(
        self,
        error: BaseException,
        attempt: int,
        elapsed_s: float,
        deadline: Deadline | None,
        pay: Callable[[RetryBudget, float], bool],
    ) -> Decision:
        answer = partial(
            judge,
            error,
            attempt=attempt,
            attempts=self.attempts,
            backoff=self.backoff,
            draw=random.random(),  # noqa: S311 - spreads load, keeps no secret
            elapsed_s=elapsed_s,
            max_elapsed_s=self.max_elapsed_s,
            max_wait_s=self.max_wait_s,
            remaining_s=None if deadline is None else deadline.remaining_s(),
        )
        decision = answer()
        says_retry = isinstance(decision, RetryAfter) or decision.rule not in NO_LIMIT
        if says_retry and self.only_if is not None and not self.only_if(error):  # type: ignore[arg-type]  # so it is ours
            return GiveUp(f"{type(error).__name__} is not among what may be repeated here")
        # The budget comes last: a token is taken only for a retry that nothing else forbids.
        if isinstance(decision, GiveUp) or self.budget is None or pay(self.budget, clock.monotonic_s()):
            return decision
        return answer(budget_left=False)

    def call(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Return ``fn(*args, **kwargs)``, tried as often as this policy allows.

        Raises:
            ConfigError: *fn* is a generator function, or asynchronous (use `acall`). It was not called.
            DeadlineExceededError: The ambient deadline had passed already. *fn* was not called.
            ShutdownRequested: The process was asked to stop during a wait; what had failed is its context.
            BaseException: What the last try raised, itself.
        """
        if is_async(fn):
            raise asynchronous(fn)
        deadline, began_at_s = self._begun(fn)
        try:
            result = fn(*args, **kwargs)
        except BaseException as error:  # noqa: BLE001 - the policy judges it
            series = Series(self, fn, deadline, began_at_s, error)
        else:
            return _synchronous(result, fn)
        result = _repeated(series, partial(fn, *args, **kwargs))
        return series.ended(_synchronous(result, fn)) if series.error is None else series.surrender(series.error)

    def resumed(self, fn: Callable[[], T], /, *, failed: BaseException, began_at_s: float) -> T:
        """Go on where a first try, made without this policy, has *failed*: as `call` would from there.

        For what is called so often that a policy round each call would cost more than the calls themselves.

        Args:
            fn: Makes the next try.
            failed: What the first one raised.
            began_at_s: When that began, in seconds of `controlroom.clock.monotonic_s`.
        """
        series = Series(self, fn, current_deadline(), began_at_s, failed)
        result = _repeated(series, fn)
        return series.ended(result) if series.error is None else series.surrender(series.error)

    async def aresumed(self, fn: Callable[[], Awaitable[T]], /, *, failed: BaseException, began_at_s: float) -> T:
        """Go on where a first try, made without this policy, has *failed*; see `resumed`."""
        return await _repeated_async(Series(self, fn, current_deadline(), began_at_s, failed), fn)

    def _begun(self, fn: Callable[..., Any]) -> tuple[Deadline | None, float]:
        """Return the deadline for all tries, and the present instant: what the judgement of a failure starts from."""
        deadline = current_deadline()
        if deadline is not None and deadline.is_over:
            deadline.require(what_of(self, fn))
        return deadline, clock.monotonic_s()

    async def acall(self, fn: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Return ``await fn(*args, **kwargs)``, tried as often as this policy allows; see `call`."""
        is_async(fn)
        deadline, began_at_s = self._begun(fn)
        try:
            return await fn(*args, **kwargs)
        except BaseException as error:  # noqa: BLE001 - the policy judges it
            series = Series(self, fn, deadline, began_at_s, error)

        return await _repeated_async(series, partial(fn, *args, **kwargs))

    def __call__(self, fn: Callable[P, T], /) -> Callable[P, T]:
        """Return *fn*, synchronous or asynchronous, with every call of it under this policy.

        Raises:
            ConfigError: *fn* is a generator function: to begin it again would repeat records already handed out.
        """
        if is_async(fn):

            async def retried_async(*args: P.args, **kwargs: P.kwargs) -> Any:
                return await self.acall(fn, *args, **kwargs)  # type: ignore[arg-type]  # T is awaitable: see the test above

            return update_wrapper(retried_async, fn)  # type: ignore[return-value]  # as above

        def retried(*args: P.args, **kwargs: P.kwargs) -> T:
            return self.call(fn, *args, **kwargs)

        return update_wrapper(retried, fn)


def _repeated(series: Series, attempt: Callable[[], T]) -> T:
    """Let tenacity's loop go on from the failure of the first try: one that succeeds at once needs no loop."""

    def again() -> T:
        series.fail_first()
        return attempt()

    return Retrying(
        sleep=series.sleep,
        stop=series.is_over,
        wait=series.wait_s,
        retry=_failed,
        retry_error_callback=series.end,
    )(again)


async def _repeated_async(series: Series, attempt: Callable[[], Awaitable[T]]) -> T:
    async def again() -> T:
        series.fail_first()
        return await attempt()

    result: T = await AsyncRetrying(
        sleep=series.asleep,
        stop=series.is_over,
        wait=series.wait_s,
        retry=_failed,
        before=None,  # type: ignore[arg-type]  # asked for a hook, it awaits one before every try
        retry_error_callback=series.end,
    )(again)
    return series.ended(result) if series.error is None else series.surrender(series.error)


def _both(
    one: Callable[[ControlRoomError], bool], other: Callable[[ControlRoomError], bool]
) -> Callable[[ControlRoomError], bool]:
    return lambda error: one(error) and other(error)


def _synchronous(result: T, fn: Callable[..., Any]) -> T:
    if isinstance(result, CoroutineType):  # a decorator hid that fn is asynchronous
        result.close()
        raise asynchronous(fn)
    return result


def _failed(state: RetryCallState) -> bool:
    return state.outcome is not None and state.outcome.failed
