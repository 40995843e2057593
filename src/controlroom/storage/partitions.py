"""Keys by date, in the form that Hive, Spark and DuckDB read as partitions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from controlroom.errors import ConfigError
from controlroom.storage.paths import check_key

__all__ = ["DatePartition"]


@dataclass(frozen=True, slots=True)
class DatePartition:
    """Objects by day: ``raw/flights/year=2013/month=01/day=07/part-0.csv``.

    Days are UTC days. An aware datetime stands for its day in UTC; a naive one is refused, since its day is not known.

    Args:
        prefix: What stands before ``year=``; may be empty. A ``/`` at its end makes no difference.

    Raises:
        UnsafePathError: *prefix* cannot be the beginning of a key.
    """

    prefix: str = ""

    def __post_init__(self) -> None:
        """Refuse at once what no key can begin with."""
        if self.prefix:
            object.__setattr__(self, "prefix", check_key(self.prefix.removesuffix("/")))

    def key(self, day: date, name: str) -> str:
        """Return the key of *name* in the partition of *day*.

        Raises:
            ConfigError: *day* is a naive datetime.
            UnsafePathError: *name* cannot be the end of a key.
        """
        return check_key(f"{self._folder(_utc_day(day))}{name}")

    def prefixes(self, start: date, end: date) -> list[str]:
        """Return the prefix of every day from *start* to *end*, both included, in order: one listing each.

        Raises:
            ConfigError: *start* is after *end*, or one of them is a naive datetime.
        """
        first, last = _utc_day(start), _utc_day(end)
        if first > last:
            message = f"The range begins at {first}, after its end at {last}. Give the earlier day first."
            raise ConfigError(message)
        return [self._folder(first + timedelta(days=days)) for days in range((last - first).days + 1)]

    def _folder(self, day: date) -> str:
        before = f"{self.prefix}/" if self.prefix else ""
        return f"{before}year={day.year:04}/month={day.month:02}/day={day.day:02}/"


def _utc_day(day: date) -> date:
    if not isinstance(day, datetime):
        return day
    if day.tzinfo is None:
        message = f"{day!r} has no time zone, so that its UTC day is not known. Give a date or an aware datetime."
        raise ConfigError(message)
    return day.astimezone(UTC).date()
