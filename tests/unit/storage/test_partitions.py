from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from controlroom.errors import ConfigError, UnsafePathError
from controlroom.storage import DatePartition

FLIGHTS = DatePartition("raw/flights")


def test_a_key_holds_its_day_as_hive_reads_it() -> None:
    assert FLIGHTS.key(date(2013, 1, 7), "part-0.csv") == "raw/flights/year=2013/month=01/day=07/part-0.csv"


def test_a_slash_at_the_end_of_the_prefix_makes_no_difference() -> None:
    assert DatePartition("raw/flights/") == FLIGHTS
    assert DatePartition().key(date(999, 12, 31), "a/b") == "year=0999/month=12/day=31/a/b"


def test_a_range_has_both_its_ends_and_every_day_between() -> None:
    assert FLIGHTS.prefixes(date(2012, 2, 28), date(2012, 3, 1)) == [
        "raw/flights/year=2012/month=02/day=28/",
        "raw/flights/year=2012/month=02/day=29/",
        "raw/flights/year=2012/month=03/day=01/",
    ]
    assert len(FLIGHTS.prefixes(date(2013, 1, 7), date(2013, 1, 7))) == 1
    assert len(FLIGHTS.prefixes(date(9999, 12, 30), date.max)) == 2


def test_a_range_that_ends_before_it_begins_is_a_mistake_not_an_empty_list() -> None:
    with pytest.raises(ConfigError, match="after its end"):
        FLIGHTS.prefixes(date(2013, 1, 8), date(2013, 1, 7))


def test_a_moment_belongs_to_its_day_in_utc() -> None:
    late_in_new_york = datetime(2013, 1, 7, 22, tzinfo=timezone(timedelta(hours=-5)))

    assert FLIGHTS.key(late_in_new_york, "a") == FLIGHTS.key(date(2013, 1, 8), "a")
    assert FLIGHTS.prefixes(datetime(2013, 1, 7, tzinfo=UTC), date(2013, 1, 7))


def test_a_moment_without_a_zone_has_no_day() -> None:
    naive = datetime(2013, 1, 7, 22)  # noqa: DTZ001 - the danger under test

    with pytest.raises(ConfigError, match="no time zone"):
        FLIGHTS.key(naive, "a")
    with pytest.raises(ConfigError, match="no time zone"):
        FLIGHTS.prefixes(naive, naive)


@pytest.mark.parametrize("prefix", ["/raw", "../raw", "a//b", "/"])
def test_a_prefix_that_no_key_begins_with_is_refused_at_once(prefix: str) -> None:
    with pytest.raises(UnsafePathError):
        DatePartition(prefix)


@pytest.mark.parametrize("name", ["", "../a", "/a", "a/"])
def test_a_name_cannot_leave_its_partition(name: str) -> None:
    with pytest.raises(UnsafePathError):
        FLIGHTS.key(date(2013, 1, 7), name)
