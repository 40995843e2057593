"""When to stop asking a server that fails: a circuit breaker (M. Nygard, Release It!, 2nd edition, section 5.2)."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum

from controlroom.errors import ConfigError
from controlroom.policy.quantities import is_finite, is_whole

__all__ = ["Change", "CircuitBreaker"]


class Change(StrEnum):
    """What a report changed."""

    OPENED = "opened"
    CLOSED = "closed"


@dataclass(slots=True)
class _Circuit:
    outcomes: deque[bool]
    open_until_s: float | None = None
    probed_until_s: float | None = None


@dataclass(slots=True)
class CircuitBreaker:
    """Lets no call through for *open_s* seconds once *failures* of the last *of* calls to an origin failed.

    Then one call is let through as a probe: if it succeeds the circuit closes, if it fails it stays open for as long again.
    Share one instance between clients to have their calls counted together; each origin has a circuit of its own.

    Args:
        failures: How many failures open the circuit.
        of: Among how many of the last calls.
        open_s: How long it stays open, seconds.

    Raises:
        ConfigError: A number is impossible: *failures* below 1 or above *of*, or *open_s* not above zero.

    Guarantees:
        Thread-safe, and the same for threads and tasks. While a circuit is open no call of this process reaches that
        origin, and then one at a time until one succeeded. Not promised: a circuit across processes.
    """

    failures: int = 5
    of: int = 10
    open_s: float = 30.0
    _circuits: dict[str, _Circuit] = field(init=False, default_factory=dict, repr=False, compare=False)
    _lock: threading.Lock = field(init=False, default_factory=threading.Lock, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse a breaker that never opens, or is never closed."""
        counts = is_whole(self.failures) and is_whole(self.of) and 1 <= self.failures <= self.of
        if not counts or not is_finite(self.open_s) or self.open_s <= 0:
            message = f"{self} is not possible: failures is 1 or more and not above of, open_s above zero."
            raise ConfigError(message)

    def admit(self, origin: str, now_s: float) -> float:
        """Return 0 where a call to *origin* may be made, or the seconds after which to ask again.

        Whoever is admitted reports with `report`, or with `abandon` where the call told nothing about the server.

        Args:
            origin: Whom to call.
            now_s: The present instant of a monotonic clock.
        """
        with self._lock:
            circuit = self._circuits.get(origin)
            wait_s = _wait_s(circuit, now_s)
            if circuit is not None and circuit.open_until_s is not None and wait_s == 0:
                circuit.probed_until_s = now_s + self.open_s
            return wait_s

    def wait_s(self, origin: str, now_s: float) -> float:
        """Return what `admit` would, and admit nobody."""
        with self._lock:
            return _wait_s(self._circuits.get(origin), now_s)

    def report(self, origin: str, now_s: float, *, succeeded: bool) -> Change | None:
        """Count how a call to *origin* ended, and return what that changed."""
        with self._lock:
            circuit = self._circuits.setdefault(origin, _Circuit(deque(maxlen=self.of)))
            if circuit.open_until_s is None:
                return self._counted(circuit, now_s, succeeded=succeeded)
            if circuit.probed_until_s is None:
                return None  # admitted before the circuit opened: old news
            if succeeded:
                circuit.open_until_s = circuit.probed_until_s = None
                return Change.CLOSED
            self._open(circuit, now_s)
            return Change.OPENED

    def abandon(self, origin: str) -> None:
        """Forget a call that was admitted and told nothing: cancelled, or out of time for reasons of our own."""
        with self._lock:
            if circuit := self._circuits.get(origin):
                circuit.probed_until_s = None

    def _counted(self, circuit: _Circuit, now_s: float, *, succeeded: bool) -> Change | None:
        circuit.outcomes.append(succeeded)
        if circuit.outcomes.count(False) < self.failures:
            return None
        self._open(circuit, now_s)
        return Change.OPENED

    def _open(self, circuit: _Circuit, now_s: float) -> None:
        circuit.outcomes.clear()
        circuit.open_until_s = now_s + self.open_s
        circuit.probed_until_s = None


def _wait_s(circuit: _Circuit | None, now_s: float) -> float:
    if circuit is None or circuit.open_until_s is None:
        return 0.0
    # A probe that never reports, since its process was stopped, must not keep the circuit open for ever.
    return max(0.0, max(circuit.open_until_s, circuit.probed_until_s or 0.0) - now_s)
