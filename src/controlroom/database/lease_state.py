"""What a lease knows of itself, and how it is waited for: the same in both colours."""

from __future__ import annotations

import os
import socket
from typing import Final

from controlroom import clock
from controlroom.clock import current_deadline
from controlroom.database.lease_rows import Held, Hold, lost
from controlroom.database.ledger import new_owner
from controlroom.errors import ConfigError, ControlRoomError, LeaseLostError, QueryError, TransactionConflictError
from controlroom.logs import get_logger
from controlroom.policy.quantities import is_finite

__all__ = ["LeaseState", "Wait", "hold_of"]

_FIRST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 1.0
_RENEWALS_PER_TTL: Final = 3

_log = get_logger(__name__)


def _named(name: object) -> str:
    if not isinstance(name, str) or not name:
        message = f"A lease needs a text that is not empty, not {name!r}. Nothing was run."
        raise QueryError(message)
    return name


class LeaseState:
    """What a lease knows of itself, in both colours."""

    def __init__(self, name: str, ttl_s: float, wait_s: float, *, renew: bool) -> None:
        for what, seconds, least in (("ttl_s", ttl_s, "more than zero"), ("wait_s", wait_s, "zero or more")):
            if not is_finite(seconds) or seconds < 0 or (what == "ttl_s" and seconds == 0):
                message = f"{what}={seconds!r} is not possible: give seconds, {least}."
                raise ConfigError(message)
        self.name: str = _named(name)
        self.ttl_s: float = ttl_s
        self.owner: str = f"{socket.gethostname()}-{os.getpid()}-{new_owner()}"
        self.wait_s = wait_s
        self.renews = renew
        self.interval_s: float = ttl_s / _RENEWALS_PER_TTL
        self._hold: Hold | None = None
        self._is_lost = False
        self._is_over = False
        self._certain_until_s = 0.0

    @property
    def epoch(self) -> int:
        """The fencing token: every later holder of this lease has a higher one.

        Raises:
            QueryError: The lease was never taken.
        """
        return self.hold.epoch

    @property
    def hold(self) -> Hold:
        """Name, owner and epoch as plain data.

        Raises:
            QueryError: The lease was never taken.
        """
        if self._hold is None:
            message = (
                f"The lease {self.name!r} has not been taken. Nothing was run. Use it as `with db.lease(…) as lease:`"
            )
            raise QueryError(message)
        return self._hold

    @property
    def is_lost(self) -> bool:
        """Whether this worker knows already that another one has it."""
        return self._is_lost

    def require(self) -> None:
        """Refuse to go on where another worker may have the lease, as far as is known here; no statement is run.

        To be certain until the end of a unit, use `UnitOfWork.require_lease`.

        Raises:
            LeaseLostError: Another worker has it, or may have it since the last renewal is too long ago.
        """
        if self._is_lost or clock.monotonic_s() >= self._certain_until_s:
            raise lost(self.hold)

    def require_new(self) -> None:
        """Refuse to be taken twice.

        Raises:
            QueryError: It was taken before.
        """
        if self._hold is not None:
            message = f"The lease {self.name!r} is used once. Nothing was run. Ask db.lease(…) for another."
            raise QueryError(message)

    def took(self, hold: Hold, asked_s: float) -> None:
        """Remember that *hold* is ours, and that it was asked for at *asked_s*."""
        self._hold = hold
        self.lasts_from(asked_s)
        _log.info("lease_acquired", lease=hold.name, epoch=hold.epoch, ttl_s=self.ttl_s)

    def lasts_from(self, asked_s: float) -> None:
        """Remember a renewal: the server began to count after *asked_s*, so this side never believes in it longer."""
        self._certain_until_s = asked_s + self.ttl_s

    def has_gone(self) -> LeaseLostError:
        """Remember that another worker has it; return the error."""
        if not self._is_lost and not self._is_over:
            self._is_lost = True
            _log.warning("lease_lost", lease=self.name, epoch=self.epoch)
        return lost(self.hold)

    def not_renewed(self, error: ControlRoomError) -> None:
        """Log that a renewal failed; the next one may not."""
        left_s = round(max(0.0, self._certain_until_s - clock.monotonic_s()), 3)
        reason = type(error).__name__
        _log.warning("lease_renewal_failed", lease=self.name, epoch=self.epoch, reason=reason, left_s=left_s)

    def gave_back(self, *, was_ours: bool) -> None:
        """Remember the end of it."""
        if was_ours:
            self._is_over, self._certain_until_s = True, 0.0
            _log.debug("lease_released", lease=self.name, epoch=self.epoch)
        else:
            self.has_gone()

    def left_to_expire(self, error: ControlRoomError) -> None:
        """Log that it could not be given back."""
        _log.warning("lease_left_to_expire", lease=self.name, epoch=self.epoch, reason=type(error).__name__)


class Wait:
    """How long to wait for a lease, and how often to look."""

    def __init__(self, state: LeaseState) -> None:
        deadline = current_deadline()
        wait_s = state.wait_s if deadline is None else deadline.fit(state.wait_s)
        self._name = state.name
        self._until_s = clock.monotonic_s() + wait_s
        self._pause_s = _FIRST_PAUSE_S

    def pause_s(self, held: Held) -> float:
        """Return how long to wait before looking again.

        Raises:
            TransactionConflictError: There is no time left.
        """
        left_s = self._until_s - clock.monotonic_s()
        if left_s <= 0:
            message = (
                f"Lease {self._name!r} is held by {held.owner}, for {held.left_s:.0f} s more unless it is renewed. "
                "Nothing was taken. Come back later, or wait for it: wait_s=…"
            )
            raise TransactionConflictError(message)
        pause_s, self._pause_s = self._pause_s, min(2 * self._pause_s, _LONGEST_PAUSE_S)
        return min(pause_s, left_s)


def hold_of(lease: LeaseState | Hold) -> Hold:
    """Return the hold that a caller means: a lease of either colour, or the plain data of one.

    Raises:
        LeaseLostError: This worker knows already that another one has it.
        QueryError: It is none.
    """
    if isinstance(lease, Hold):
        return lease
    if not isinstance(lease, LeaseState):
        message = (
            f"A {type(lease).__name__} is no lease. Nothing was run. Give what `with db.lease(…) as lease:` gives."
        )
        raise QueryError(message)
    if lease.is_lost:
        raise lost(lease.hold)
    return lease.hold
