"""How long each phase of a call, and the whole of it, may take."""

from __future__ import annotations

from dataclasses import dataclass

from controlroom.errors import ConfigError
from controlroom.policy.deadlines import Deadline
from controlroom.policy.quantities import is_finite

__all__ = ["Timeouts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Limits in seconds, each also cut to the ambient deadline.

    Args:
        connect_s: To connect to one address, and for the TLS handshake.
        read_s: Between two pieces of the answer.
        write_s: Between two pieces of the request.
        pool_s: For a free connection.
        total_s: For the whole call: rate limit, all tries, the waits between them, redirects and the body.

    Raises:
        ConfigError: A limit is not a finite number above zero.

    Guarantees:
        Not promised: that the operating system's name resolution, which knows no timeout, ends in time.
    """

    connect_s: float = 3.0
    read_s: float = 5.0
    write_s: float = 5.0
    pool_s: float = 3.0
    total_s: float = 60.0

    def __post_init__(self) -> None:
        """Refuse a call that could not be made, or could hang."""
        limits = (self.connect_s, self.read_s, self.write_s, self.pool_s, self.total_s)
        if not all(is_finite(limit) and limit > 0 for limit in limits):
            message = f"{self} is not possible: each limit is a number of seconds above zero."
            raise ConfigError(message)

    def cut_to(self, deadline: Deadline | None) -> dict[str, float]:
        """Return the phases' limits in the library's names, none longer than what is left."""
        phases = {"connect": self.connect_s, "read": self.read_s, "write": self.write_s, "pool": self.pool_s}
        if deadline is None:
            return phases
        left_s = max(0.001, deadline.remaining_s())  # zero would mean "do not block" to a socket, not "give up"
        return {phase: min(limit_s, left_s) for phase, limit_s in phases.items()}
