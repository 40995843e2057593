"""Keys by date, in the form that Hive, Spark and DuckDB read as partitions, or in any other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, NamedTuple

from controlroom.errors import ConfigError, DataError
from controlroom.storage.paths import check_key

__all__ = ["DatePartition", "Partition"]

_FIELDS: Final = {"year": r"\d{4}", "month": r"\d{2}", "day": r"\d{2}", "date": r"\d{4}-\d{2}-\d{2}", "hour": r"\d{2}"}
_GRAINS: Final = ("year", "month", "day", "hour")
_NAMED: Final = re.compile(r"\{(\w*)\}")


class Partition(NamedTuple):
    """What a key says: when, and the rest of it.

    Attributes:
        when: Its UTC day, or the first of its month or year; of an hourly partition the instant at which it begins, aware UTC.
        name: The key's end, behind the partition.
    """

    when: date
    name: str


@dataclass(frozen=True, slots=True)
class DatePartition:
    """Objects by day: ``raw/flights/year=2013/month=01/day=07/part-0.csv``; or by year, month or hour.

    Days are UTC days. An aware datetime stands for its day in UTC; a naive one is refused, since its day is not known. A date
    stands for its first hour.

    Args:
        prefix: What stands before ``year=``; may be empty. A ``/`` at its end makes no difference.
        template: How a partition is written: segments with ``{year}``, ``{month}``, ``{day}``, ``{date}`` (2013-01-07) and
            ``{hour}`` in them, as in ``"dt={date}/hour={hour}"``. The finest one is how long a partition is; all coarser
            ones must be there. A ``{day}`` without year and month is a ``{date}``.

    Raises:
        UnsafePathError: *prefix* or *template* cannot be the beginning of a key.
        ConfigError: *template* names an unknown field, one twice, or leaves out a coarser one.
    """

    prefix: str = ""
    template: str = "year={year}/month={month}/day={day}"
    _grain: str = field(init=False, repr=False, compare=False, default="day")
    _shape: re.Pattern[str] = field(init=False, repr=False, compare=False, default=re.compile(""))

    def __post_init__(self) -> None:
        """Refuse at once what no key can begin with."""
        if not isinstance(self.prefix, str):
            message = f"A prefix is a str, not {type(self.prefix).__name__}."
            raise ConfigError(message)
        if self.prefix:
            object.__setattr__(self, "prefix", check_key(self.prefix.removesuffix("/")))
        if not isinstance(self.template, str):
            message = f"A template is a str, not {type(self.template).__name__}."
            raise ConfigError(message)
        template = self.template.removesuffix("/")
        if not {"year", "month", "date"} & set(_NAMED.findall(template)):
            template = template.replace("{day}", "{date}")
        object.__setattr__(self, "template", template)
        object.__setattr__(self, "_grain", _grain_of(template))
        before = f"{self.prefix}/" if self.prefix else ""
        pieces = _NAMED.split(self.template)  # text, field, text, field, …, text
        shape = "".join(
            f"(?P<{piece}>{_FIELDS[piece]})" if odd % 2 else re.escape(piece) for odd, piece in enumerate(pieces)
        )
        object.__setattr__(self, "_shape", re.compile(f"{re.escape(before)}{shape}/(?P<name>.+)", re.ASCII | re.DOTALL))
        check_key(f"{self._folder(datetime(2000, 1, 1, tzinfo=UTC))}name")

    def key(self, day: date, name: str) -> str:
        """Return the key of *name* in the partition of *day*: a date, or a datetime in it.

        Raises:
            ConfigError: *day* is no date, or a naive datetime.
            UnsafePathError: *name* cannot be the end of a key.
        """
        return check_key(f"{self._folder(_instant(day))}{check_key(name)}")

    def parse(self, key: str) -> Partition:
        """Return what *key*, which has this form, says: the inverse of `key`.

        Raises:
            DataError: It has another form, or names a day that no calendar has.
        """
        found = self._shape.fullmatch(key)
        if found is None:
            message = f"{key!r} is not in a partition of {self._example()!r}. Nothing was read. List with prefixes()."
            raise DataError(message)
        told = found.groupdict()
        try:
            day = date.fromisoformat(
                told.get("date") or f"{told['year']}-{told.get('month', '01')}-{told.get('day', '01')}"
            )
            when = datetime(day.year, day.month, day.day, int(told["hour"]), tzinfo=UTC) if "hour" in told else day
        except ValueError as error:
            message = f"{key!r} names a partition that no calendar has ({error}). Nothing was read."
            raise DataError(message) from error
        return Partition(when, told["name"])

    def prefixes(self, start: date, end: date) -> list[str]:
        """Return the prefix of every partition from *start* to *end*, both included, in order: one listing each.

        A date as *end* stands for the whole day.

        Raises:
            ConfigError: *start* is after *end*, or one of them is no date, or a naive datetime.
        """
        first, last = _instant(start), _instant(end)
        if not isinstance(end, datetime) and self._grain == "hour":
            last = last.replace(hour=23)
        if first > last:
            message = f"The range begins at {start}, after its end at {end}. Give the earlier one first."
            raise ConfigError(message)
        return list(dict.fromkeys(map(self._folder, self._starts(first, last))))

    def _starts(self, first: datetime, last: datetime) -> Iterator[datetime]:
        step = timedelta(hours=1) if self._grain == "hour" else timedelta(days=1)
        count = (
            last.replace(minute=0, second=0, microsecond=0) - first.replace(minute=0, second=0, microsecond=0)
        ) / step
        yield from (first + step * number for number in range(int(count) + 1))
        yield last

    def _folder(self, start: datetime) -> str:
        told = {
            "year": f"{start.year:04}",
            "month": f"{start.month:02}",
            "day": f"{start.day:02}",
            "date": start.date().isoformat(),
            "hour": f"{start.hour:02}",
        }
        before = f"{self.prefix}/" if self.prefix else ""
        return f"{before}{_NAMED.sub(lambda named: told[named[1]], self.template)}/"

    def _example(self) -> str:
        return f"{self.prefix}/{self.template}/" if self.prefix else f"{self.template}/"


def _grain_of(template: str) -> str:
    """Return the finest field of *template*, once it is known to say everything above it."""
    named = _NAMED.findall(template)
    known = {"year", "month", "day", *named} - {"date"} if "date" in named else set(named)
    grain = next((grain for grain in reversed(_GRAINS) if grain in known), None)
    if (
        grain is None
        or set(named) - _FIELDS.keys()
        or len(set(named)) < len(named)
        or set("{}") & set(_NAMED.sub("", template))
    ):
        flaw = f"its fields are some of {', '.join(_FIELDS)}, each once, in braces"
    elif "date" in named and {"year", "month", "day"} & set(named):
        flaw = "{date} says the year, the month and the day already"
    elif missing := [coarser for coarser in _GRAINS[: _GRAINS.index(grain)] if coarser not in known]:
        flaw = f"beside {{{grain}}} it needs {{{'}, {'.join(missing)}}}"
    else:
        return grain
    message = f"The template {template!r} is not possible: {flaw}."
    raise ConfigError(message)


def _instant(day: Any) -> datetime:
    if not isinstance(day, date):
        message = f"{day!r} is no date. Give a date or an aware datetime."
        raise ConfigError(message)
    if not isinstance(day, datetime):
        return datetime(day.year, day.month, day.day, tzinfo=UTC)
    if day.tzinfo is None:
        message = f"{day!r} has no time zone, so that its UTC day is not known. Give a date or an aware datetime."
        raise ConfigError(message)
    try:
        return day.astimezone(UTC)
    except OverflowError as error:
        message = f"{day!r} is on a day in UTC that no calendar has. Give another one."
        raise ConfigError(message) from error
