"""When to stop asking a server that fails: a circuit breaker (M. Nygard, Release It!, 2nd edition, section 5.2)."""

from __future__ import annotations

import math
import threading
from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum

from controlroom.errors import ConfigError
from controlroom.policy.quantities import is_finite, is_whole

__all__ = ["Change", "CircuitBreaker", "Ticket"]


class Change(StrEnum):
    """What a report changed."""

    OPENED = "opened"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True, eq=False)
class Ticket:
    """What `CircuitBreaker.admit` says to one call; to be handed back with how the call ended.

    Attributes:
        origin: Whom the call asks.
        wait_s: 0.0 where it may be made; else the seconds after which to ask again, and nothing is to be handed back.
        era: How often the circuit had opened or closed.
    """

    origin: str
    wait_s: float
    era: int


@dataclass(slots=True)
class _Circuit:
    outcomes: deque[bool]
    era: int = 0
    open_until_s: float | None = None
    probe: Ticket | None = None
    probed_until_s: float = -math.inf

    def wait_s(self, now_s: float) -> float:
        return 0.0 if self.open_until_s is None else max(0.0, max(self.open_until_s, self.probed_until_s) - now_s)

    def begin_era(self, open_until_s: float | None) -> None:
        self.era += 1
        self.open_until_s = open_until_s
        self.outcomes.clear()
        self.forget_probe()

    def forget_probe(self) -> None:
        self.probe, self.probed_until_s = None, -math.inf


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
        origin, and then one at a time until one succeeded. Only the probe decides: calls from before change nothing. One
        that is cancelled or fails for reasons of our own gives its turn back at once; one that is not heard of, or takes
        longer than *open_s*, makes room for another after that time.
        Not promised: a circuit across processes.
    """

    failures: int = 5
    of: int = 10
    open_s: float = 30.0
    _circuits: dict[str, _Circuit] = field(init=False, default_factory=dict, repr=False, compare=False)
    # Re-entrant: the garbage collector may close a forgotten call, and so abandon, inside of any of these methods.
    _lock: threading.RLock = field(init=False, default_factory=threading.RLock, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse a breaker that never opens, or is never closed."""
        counts = is_whole(self.failures) and is_whole(self.of) and 1 <= self.failures <= self.of
        if not counts or not is_finite(self.open_s) or self.open_s <= 0:
            message = f"{self} is not possible: failures is 1 or more and not above of, open_s above zero."
            raise ConfigError(message)

    def admit(self, origin: str, now_s: float) -> Ticket:
        """Say whether a call to *origin* may be made.

        Whoever is admitted hands the ticket back with `report`, or with `abandon` where the call told nothing about the
        server.

        Args:
            origin: Whom to call.
            now_s: The present instant of a monotonic clock.
        """
        with self._lock:
            circuit = self._circuits.get(origin)
            if circuit is None:
                return Ticket(origin, 0.0, 0)
            ticket = Ticket(origin, circuit.wait_s(now_s), circuit.era)
            if circuit.open_until_s is not None and ticket.wait_s == 0:
                circuit.probe, circuit.probed_until_s = ticket, now_s + self.open_s
            return ticket

    def wait_s(self, origin: str, now_s: float) -> float:
        """Return what `admit` would say, seconds, and admit nobody."""
        with self._lock:
            circuit = self._circuits.get(origin)
            return 0.0 if circuit is None else circuit.wait_s(now_s)

    def report(self, ticket: Ticket, now_s: float, *, succeeded: bool) -> Change | None:
        """Count how an admitted call ended, and return what that changed.

        Whoever was admitted before the circuit opened, or closed, brings old news: they change nothing.
        """
        with self._lock:
            circuit = self._circuits.setdefault(ticket.origin, _Circuit(deque(maxlen=self.of)))
            if ticket.era != circuit.era or ticket.wait_s > 0:
                return None
            if circuit.open_until_s is None:
                circuit.outcomes.append(succeeded)
                return self._opened(circuit, now_s) if circuit.outcomes.count(False) >= self.failures else None
            if succeeded:  # also of a probe that took so long that another one was let through: the server answers
                circuit.begin_era(None)
                return Change.CLOSED
            return self._opened(circuit, now_s) if ticket is circuit.probe else None

    def abandon(self, ticket: Ticket) -> None:
        """Forget an admitted call that told nothing: cancelled, or out of time for reasons of our own."""
        with self._lock:
            circuit = self._circuits.get(ticket.origin)
            if circuit is not None and ticket is circuit.probe:
                circuit.forget_probe()

    def _opened(self, circuit: _Circuit, now_s: float) -> Change:
        circuit.begin_era(now_s + self.open_s)
        return Change.OPENED
