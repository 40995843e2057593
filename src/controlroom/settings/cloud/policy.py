"""How cloud references are fetched and how long what was fetched is good."""

from __future__ import annotations

from dataclasses import dataclass, field

from controlroom.errors import ConfigError
from controlroom.policy.backoff import Backoff
from controlroom.policy.quantities import is_finite, is_whole

__all__ = ["CloudPolicy"]


@dataclass(frozen=True, slots=True)
class CloudPolicy:
    """How `load_settings` fetches cloud references, and how long it keeps what it fetched. Immutable.

    Args:
        ttl_s: A value fetched less than this many seconds ago is not fetched again by this process; 0 always fetches.
        jitter: Each value is kept for a time drawn anew between ``ttl_s * (1 - jitter)`` and ``ttl_s``, so that many
            processes that started together do not ask together.
        stale_s: While AWS cannot be reached, a value fetched at most this many seconds ago is used, with a WARNING
            ``secret_served_stale``; 0 never does.
        connect_s: Seconds for one connection, cut to the ambient deadline.
        read_s: Seconds for one answer, cut likewise.
        attempts: Tries of one request in all; only throttling, 5xx, timeouts and lost connections are tried again.
        backoff: Waits between tries.

    Raises:
        ConfigError: A number is negative or not finite, *jitter* is above 1, or there would be no first try.
    """

    ttl_s: float = 300.0
    jitter: float = 0.1
    stale_s: float = 86_400.0
    connect_s: float = 3.0
    read_s: float = 5.0
    attempts: int = 4
    backoff: Backoff = field(default_factory=lambda: Backoff(initial_s=0.5, cap_s=4.0))

    def __post_init__(self) -> None:
        """Refuse what cannot be kept."""
        seconds = (self.ttl_s, self.jitter, self.stale_s, self.connect_s, self.read_s)
        if not all(is_finite(number) and number >= 0 for number in seconds) or self.jitter > 1:
            message = f"{self} is not possible: give finite seconds, zero or more, and a jitter between 0 and 1."
            raise ConfigError(message)
        if not min(self.connect_s, self.read_s):
            message = f"{self} leaves no time to connect or to read: give seconds, more than zero."
            raise ConfigError(message)
        if not is_whole(self.attempts) or self.attempts < 1:
            message = f"CloudPolicy(attempts={self.attempts!r}) would never try at all: give a whole number, 1 or more."
            raise ConfigError(message)
