"""How many records of a walk may be wrong before something upstream is."""

from __future__ import annotations

from typing import Final

from controlroom.errors import ConfigError, QuarantineThresholdError
from controlroom.policy.quantities import is_finite

__all__ = ["Rejections"]

_ENOUGH_TO_JUDGE: Final = 100  # before, a single wrong record would be a large share


class Rejections:
    """Counts the records of one walk that were set aside.

    Args:
        max_share: The share of all records that may be, from 0 to 1.

    Raises:
        ConfigError: *max_share* is none.
    """

    def __init__(self, max_share: float) -> None:
        if not is_finite(max_share) or not 0 <= max_share <= 1:
            message = f"max_invalid_share={max_share!r} is not possible: give a share from 0 to 1."
            raise ConfigError(message)
        self._max_share = max_share
        self.rejected: int = 0
        self._received = 0
        self._last_reason = ""

    def count(self, received: int, rejected: int, reason: str = "") -> None:
        """Count a page; *reason* is why the last of its rejected records was.

        Raises:
            QuarantineThresholdError: Of a hundred records or more, too many were set aside.
        """
        self._received += received
        self.rejected += rejected
        self._last_reason = reason or self._last_reason
        if self._received >= _ENOUGH_TO_JUDGE:
            self.judge()

    @property
    def are_too_many(self) -> bool:
        """Whether `judge` would raise."""
        return self.rejected > self._received * self._max_share

    def judge(self) -> None:
        """Judge what there is, however little: at the end of a walk.

        Raises:
            QuarantineThresholdError: Too many were set aside.
        """
        if self.are_too_many:
            last = f" The last one: {self._last_reason}." if self._last_reason else ""
            message = (
                f"{self.rejected} of {self._received} records do not fit the model; {self._max_share * 100:g}% may.{last} "
                f"The walk was stopped: something upstream changed. Compare a record with the model before running again."
            )
            raise QuarantineThresholdError(message, rejected=self.rejected, total=self._received, limit=self._max_share)
