"""Retries: the pure judgement of `controlroom.policy.retry`, given a clock, randomness and a loop (tenacity's).

Only an error that says RETRY is repeated, and only within every limit: attempts, time in all, the longest wait, the
ambient deadline, the shared budget. Whatever ends a series, the error that comes out is the one that went in.
"""

from __future__ import annotations

import inspect
import random
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from functools import partial, update_wrapper
from types import CoroutineType, TracebackType
from typing import Any, NoReturn, ParamSpec, TypeVar

from tenacity import AsyncRetrying, RetryCallState, Retrying

from controlroom import clock
from controlroom.clock import current_deadline, deadline
from controlroom.errors import Attempt, ConfigError, ControlRoomError
from controlroom.logs import get_logger
from controlroom.policy.backoff import Backoff
from controlroom.policy.deadlines import Deadline
from controlroom.policy.quantities import is_number, is_whole
from controlroom.policy.retry import Decision, GiveUp, RetryAfter, RetryBudget, judge

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

_LONGEST_MEMORY = 100  # a series may be long; an error report may not
_NO_LIMIT = {"disposition", "shutdown"}

_log = get_logger(__name__)


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
        many tries it was made of. One WARNING ``retry_scheduled`` per retry, one ERROR ``gave_up`` where a limit ended
        the series. Not promised: that a try under way is interrupted; that is for whatever it waits in.
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

    def named(self, what: str) -> RetryPolicy:
        """Return this policy with *what* it tries, for its log lines and errors."""
        return replace(self, what=what)

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
        says_retry = isinstance(decision, RetryAfter) or decision.rule not in _NO_LIMIT
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
        if _is_async(fn):
            raise _asynchronous(fn)
        series = _Series(self, fn)
        result = Retrying(
            sleep=series.sleep,
            stop=series.is_over,
            wait=series.wait_s,
            retry=_failed,
            retry_error_callback=series.end,
        )(partial(fn, *args, **kwargs))
        if isinstance(result, CoroutineType):  # a decorator hid that fn is asynchronous
            result.close()
            raise _asynchronous(fn)
        return result if series.error is None else series.surrender()

    async def acall(self, fn: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Return ``await fn(*args, **kwargs)``, tried as often as this policy allows; see `call`."""
        _is_async(fn)
        series = _Series(self, fn)

        async def attempt() -> T:
            return await fn(*args, **kwargs)

        result: T = await AsyncRetrying(
            sleep=series.asleep,
            stop=series.is_over,
            wait=series.wait_s,
            retry=_failed,
            before=None,  # type: ignore[arg-type]  # asked for a hook, it awaits one before every try
            retry_error_callback=series.end,
        )(attempt)
        return result if series.error is None else series.surrender()

    def __call__(self, fn: Callable[P, T], /) -> Callable[P, T]:
        """Return *fn*, synchronous or asynchronous, with every call of it under this policy.

        Raises:
            ConfigError: *fn* is a generator function: to begin it again would repeat records already handed out.
        """
        if _is_async(fn):

            async def retried_async(*args: P.args, **kwargs: P.kwargs) -> Any:
                return await self.acall(fn, *args, **kwargs)  # type: ignore[arg-type]  # T is awaitable: see the test above

            return update_wrapper(retried_async, fn)  # type: ignore[return-value]  # as above

        def retried(*args: P.args, **kwargs: P.kwargs) -> T:
            return self.call(fn, *args, **kwargs)

        return update_wrapper(retried, fn)


@dataclass(slots=True)
class _Series:
    """One call under a policy, from its first try to its end: what tenacity's loop asks at each turn."""

    policy: RetryPolicy
    fn: Callable[..., Any]
    deadline: Deadline | None = field(default_factory=current_deadline)
    began_at_s: float = field(default_factory=clock.monotonic_s)
    attempts: deque[Attempt] = field(default_factory=lambda: deque(maxlen=_LONGEST_MEMORY))
    decision: Decision = field(init=False)
    pending: BaseException | None = None
    error: BaseException | None = None

    def __post_init__(self) -> None:
        if self.deadline is not None:
            self.deadline.require(self.what)

    @property
    def what(self) -> str:
        return self.policy.what or _name_of(self.fn)

    def wait_s(self, state: RetryCallState) -> float:
        """Judge the attempt that failed. Tenacity asks for the wait first, and then whether to stop."""
        error: BaseException = state.outcome.exception()  # type: ignore[union-attr,assignment]  # it did fail
        self._judge(error, state.attempt_number)
        return self.decision.wait_s if isinstance(self.decision, RetryAfter) else 0.0

    def is_over(self, _: RetryCallState) -> bool:
        return isinstance(self.decision, GiveUp)

    def sleep(self, seconds: float) -> None:
        try:
            clock.sleep(seconds)
        except BaseException as interruption:
            self._explain(interruption)
            raise

    async def asleep(self, seconds: float) -> None:
        try:
            await clock.asleep(seconds)
        except BaseException as interruption:
            self._explain(interruption)
            raise

    def end(self, state: RetryCallState) -> None:
        self.error = self.pending
        state.outcome = None  # a cycle again: the loop's frame is the f_back of those in the traceback

    def surrender(self) -> NoReturn:
        """Raise what ended the series."""
        error, self.error, self.pending = self.error, None, None
        if isinstance(error, ControlRoomError):
            if len(self.attempts) > 1 or not error.attempts:
                error.attempts = tuple(self.attempts)
            self._log_the_end(error)
        try:
            raise error  # type: ignore[misc]  # asked for only where there is one
        finally:
            del error  # it would close a cycle: error, traceback, this frame, error

    def _judge(self, error: BaseException, attempt: int) -> None:
        self.pending = error
        error.__traceback__ = _without_the_loop(error.__traceback__)
        elapsed_s = clock.monotonic_s() - self.began_at_s
        self.decision = self.policy._decide(error, attempt, elapsed_s, self.deadline, RetryBudget.take)  # noqa: SLF001 - its other half
        if isinstance(error, ControlRoomError):
            wait_s = self.decision.wait_s if isinstance(self.decision, RetryAfter) else None
            self.attempts.append(Attempt(attempt, _text_of(error), wait_s, self.decision.reason))
            if wait_s is not None:
                self._log_the_retry(self.attempts[-1], wait_s, error.code)

    def _log_the_retry(self, failed: Attempt, wait_s: float, code: str) -> None:
        _log.warning(
            "retry_scheduled",
            what=self.what,
            attempt=failed.number,
            attempts=self.policy.attempts,
            wait_s=round(wait_s, 3),
            reason=failed.reason,
            error=failed.error,
            code=code,
        )

    def _log_the_end(self, error: ControlRoomError) -> None:
        """Say which limit ended the series; what was never to be repeated is for the boundary to log."""
        if isinstance(self.decision, GiveUp) and self.decision.rule not in _NO_LIMIT and self.policy.attempts > 1:
            facts = {"what": self.what, "attempt": self.attempts[-1].number, "reason": self.decision.reason}
            _log.failure("gave_up", error, rule=self.decision.rule, **facts)

    def _explain(self, interruption: BaseException) -> None:
        """Keep what had failed visible behind what interrupted the wait."""
        if interruption.__context__ is None:
            interruption.__context__ = self.pending
        if isinstance(interruption, ControlRoomError):
            interruption.attempts = tuple(self.attempts)


def _failed(state: RetryCallState) -> bool:
    return state.outcome is not None and state.outcome.failed


def _is_async(fn: Callable[..., Any]) -> bool:
    """Tell the colour of *fn*; refuse what cannot be called, or not again."""
    if not callable(fn):
        message = f"{fn!r} cannot be called, so it cannot be retried: give a function."
        raise ConfigError(message)
    # By its code, since the predicates of `inspect` cost 1 µs each, on every call.
    inner = _innermost(fn)
    code = getattr(inner, "__code__", None) or getattr(type(inner).__call__, "__code__", None)
    flags: int = getattr(code, "co_flags", 0)
    if flags & (inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR):
        message = f"{_name_of(fn)} is a generator: begun again, it would repeat records. Retry what it calls instead."
        raise ConfigError(message)
    return bool(flags & inspect.CO_COROUTINE)


def _innermost(fn: Callable[..., Any]) -> Callable[..., Any]:
    while isinstance(fn, partial):
        fn = fn.func
    return fn


def _asynchronous(fn: Callable[..., Any]) -> ConfigError:
    message = f"{_name_of(fn)} is asynchronous: use `await policy.acall(…)`, or decorate the coroutine function itself."
    return ConfigError(message)


def _name_of(fn: Callable[..., Any]) -> str:
    inner = _innermost(fn)
    return str(getattr(inner, "__qualname__", type(inner).__qualname__))


def _text_of(error: ControlRoomError) -> str:
    """Return what failed, and of how many tries it was made where a policy further in had retried already."""
    text = f"{type(error).__name__}: {error.message}"
    tries = len(error.attempts)
    return text if tries < 2 else f"{text} (after {tries} attempts of its own)"  # noqa: PLR2004 - one try is no series


def _without_the_loop(traceback: TracebackType | None) -> TracebackType | None:
    """Return *traceback* from the caller's own function on: the loop's frames say nothing, and hold the error in a cycle."""
    while traceback is not None and traceback.tb_frame.f_globals.get("__name__", "").startswith(("tenacity", __name__)):
        traceback = traceback.tb_next
    return traceback
