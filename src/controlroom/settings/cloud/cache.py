"""What was fetched in this process, how long it is good, and who is fetching what right now."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field

from controlroom import clock
from controlroom.errors import ControlRoomError, Disposition, ShutdownRequested
from controlroom.logs import get_logger
from controlroom.settings.cloud.calls import Outcome, Value
from controlroom.settings.cloud.policy import CloudPolicy
from controlroom.settings.cloud.references import Secret

__all__ = ["Cache", "Flight", "Taking", "process_cache"]

_log = get_logger(__name__)

_STALE_PAUSE_S = 30.0  # while AWS is down, not every load pays for all the tries
# What decides whose secret a name means. A process that changes one of them asks somebody else.
_WHOSE = (
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_SECRETS_MANAGER",
    "AWS_ENDPOINT_URL_SSM",
    "AWS_ACCESS_KEY_ID",
    "AWS_ROLE_ARN",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
)

_Key = tuple[Secret, tuple[str | None, ...]]


@dataclass(slots=True, eq=False)
class _Kept:
    value: Value
    at_s: float
    draw: float
    failed_at_s: float | None = None  # when fetching it anew last failed

    def age_s(self) -> float:
        return clock.monotonic_s() - self.at_s

    def is_fresh(self, policy: CloudPolicy) -> bool:
        return self.age_s() < policy.ttl_s * (1 - policy.jitter * self.draw)

    def is_spared(self, policy: CloudPolicy) -> bool:
        """Tell whether it is stale, good enough, and was asked for in vain a moment ago."""
        asked_at_s = self.failed_at_s
        return asked_at_s is not None and self.serves(policy) and clock.monotonic_s() - asked_at_s < _STALE_PAUSE_S

    def serves(self, policy: CloudPolicy) -> bool:
        return self.age_s() <= policy.stale_s


@dataclass(slots=True, eq=False)
class Flight:
    """A secret that somebody is fetching.

    Attributes:
        future: What comes of it; None where it was abandoned.
        thread: Who fetches.
        outdated: It was forgotten meanwhile: what comes is not kept.
    """

    future: Future[Outcome | None] = field(default_factory=Future)
    thread: int = field(default_factory=threading.get_ident)
    outdated: bool = False

    def __post_init__(self) -> None:
        """Begin: one of those who wait, when cancelled, must not cancel it for all."""
        self.future.set_running_or_notify_cancel()


@dataclass(slots=True, eq=False)
class Taking:
    """The secrets of one load, divided: what is known, what this load has to fetch, what others are fetching."""

    known: dict[Secret, Outcome] = field(default_factory=dict)
    mine: dict[Secret, Flight] = field(default_factory=dict)
    theirs: dict[Secret, Flight] = field(default_factory=dict)


class Cache:
    """Values by secret and by whose it is. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # inside, an abandoned load may be collected, which then lets go of its own
        self._kept: dict[_Key, _Kept] = {}
        self._flights: dict[_Key, Flight] = {}

    @contextmanager
    def taking(self, secrets: Iterable[Secret], policy: CloudPolicy, *, waits_here: bool) -> Iterator[Taking]:
        """Divide *secrets*; what the block left unsettled of its own, somebody else may fetch.

        Args:
            secrets: What is wanted.
            policy: How long values are good.
            waits_here: Whether this thread can wait for what it fetches itself, in another task.
        """
        taking = Taking()
        try:
            with self._lock:
                for secret in secrets:
                    self._divide(secret, taking, policy, waits_here=waits_here)
            yield taking
        finally:
            for secret, flight in taking.mine.items():
                self._land(secret, flight, None)

    def _divide(self, secret: Secret, taking: Taking, policy: CloudPolicy, *, waits_here: bool) -> None:
        key = _key(secret)
        kept, flight = self._kept.get(key), self._flights.get(key)
        if kept is not None and (kept.is_fresh(policy) or kept.is_spared(policy)):
            taking.known[secret] = kept.value
        elif flight is not None and (waits_here or flight.thread != threading.get_ident()):
            taking.theirs[secret] = flight
        else:
            taking.mine[secret] = self._flights[key] = Flight()

    def settle(self, taking: Taking, outcomes: Mapping[Secret, Outcome], policy: CloudPolicy) -> dict[Secret, Outcome]:
        """Keep what came of ``taking.mine``, give it to all who wait, and return it: what is stale for what failed."""
        settled = {
            secret: self._settled(secret, flight, outcomes[secret], policy) for secret, flight in taking.mine.items()
        }
        for secret, flight in taking.mine.items():
            self._land(secret, flight, settled[secret])
        return settled

    def forget(self, secrets: Iterable[Secret] | None = None) -> None:
        """Drop *secrets*, or everything; what is being fetched now is fetched again by whoever asks next."""
        with self._lock:
            keys = {*self._kept, *self._flights} if secrets is None else {_key(secret) for secret in secrets}
            for key in keys:
                self._kept.pop(key, None)
                if flight := self._flights.pop(key, None):
                    flight.outdated = True

    def _settled(self, secret: Secret, flight: Flight, outcome: Outcome, policy: CloudPolicy) -> Outcome:
        key, now_s = _key(secret), clock.monotonic_s()
        with self._lock:
            if isinstance(outcome, Value):
                if not flight.outdated:
                    draw = random.random()  # noqa: S311 - spreads load, keeps no secret
                    self._kept[key] = _Kept(outcome, now_s, draw)
                return outcome
            kept = self._kept.get(key)
            if not _can_pass(outcome) or kept is None or not kept.serves(policy):
                return outcome
            kept.failed_at_s = now_s
        _log.warning(
            "secret_served_stale",
            reference=str(secret),
            age_s=round(kept.age_s(), 3),
            error=f"{type(outcome).__name__}: {outcome.message}",
            code=outcome.code,
        )
        return kept.value

    def _land(self, secret: Secret, flight: Flight, outcome: Outcome | None) -> None:
        key = _key(secret)
        with self._lock:
            if self._flights.get(key) is flight:
                del self._flights[key]
            if not flight.future.done():
                flight.future.set_result(outcome)


def _key(secret: Secret) -> _Key:
    return secret, tuple(os.environ.get(name) for name in _WHOSE)


def _can_pass(error: ControlRoomError) -> bool:
    return error.disposition is Disposition.RETRY and not isinstance(error, ShutdownRequested)


_cache = Cache()


def process_cache() -> Cache:
    """Return the cache of this process."""
    return _cache


def _begin_anew() -> None:
    global _cache  # noqa: PLW0603 - one cache a process; the parent's lock may be held by a thread that the child lacks
    _cache = Cache()


os.register_at_fork(after_in_child=_begin_anew)
