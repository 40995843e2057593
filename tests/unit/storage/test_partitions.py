from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest

from controlroom.errors import ConfigError, DataError, UnsafePathError
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


@pytest.mark.parametrize(
    ("template", "when", "key"),
    [
        ("year={year}/month={month}/day={day}", date(2013, 1, 7), "raw/year=2013/month=01/day=07/a.csv"),
        ("dt={date}", date(2013, 1, 7), "raw/dt=2013-01-07/a.csv"),
        ("dt={day}", date(2013, 1, 7), "raw/dt=2013-01-07/a.csv"),
        ("dt={day}/hour={hour}", datetime(2013, 1, 7, 23, tzinfo=UTC), "raw/dt=2013-01-07/hour=23/a.csv"),
        ("{year}/{month}", date(2013, 1, 1), "raw/2013/01/a.csv"),
        ("y{year}", date(2013, 1, 1), "raw/y2013/a.csv"),
        ("{year}.{month}.{day}/(x)", date(2013, 1, 7), "raw/2013.01.07/(x)/a.csv"),
    ],
)
def test_a_template_is_written_and_read_back(template: str, when: date, key: str) -> None:
    partition = DatePartition("raw", template=template)

    assert partition.key(when, "a.csv") == key
    assert partition.parse(key) == (when, "a.csv")
    assert partition.parse(key).when == when
    assert DatePartition("raw", template=f"{template}/").key(when, "a.csv") == key


@pytest.mark.parametrize(
    "template",
    [
        "",
        "data",
        "{}",
        "{week}",
        "{year}/{day}",
        "{month}",
        "{hour}",
        "{date}/{day}",
        "{year}/{year}",
        "{year",
        "{{year}}",
    ],
)
def test_a_template_that_does_not_say_when_is_refused(template: str) -> None:
    with pytest.raises(ConfigError, match="is not possible"):
        DatePartition("raw", template=template)


@pytest.mark.parametrize("template", ["/{year}", "{year}//x", "../{year}", "{year}/."])
def test_a_template_that_no_key_begins_with_is_refused(template: str) -> None:
    with pytest.raises(UnsafePathError):
        DatePartition("raw", template=template)


@pytest.mark.parametrize(
    "key",
    [
        "other/year=2013/month=01/day=07/a.csv",
        "raw/year=2013/month=1/day=07/a.csv",
        "raw/year=2013/month=01/day=07",
        "raw/year=2013/month=01/day=07/",
        "raw/year=\uff12\uff10\uff11\uff13/month=01/day=07/a.csv",
        "raw/year=2013/month=13/day=07/a.csv",
        "raw/year=2013/month=02/day=30/a.csv",
        "raw/year=0000/month=01/day=01/a.csv",
        "x/raw/year=2013/month=01/day=07/a.csv",
    ],
)
def test_a_key_of_another_form_or_an_impossible_day_is_refused(key: str) -> None:
    with pytest.raises(DataError, match="Nothing was read"):
        DatePartition("raw").parse(key)


def test_an_hour_that_no_day_has_is_refused() -> None:
    with pytest.raises(DataError):
        DatePartition(template="{date}/{hour}").parse("2013-01-07/24/a")


def test_a_range_of_hours_crosses_midnight_in_utc() -> None:
    hourly = DatePartition(template="dt={date}/hour={hour}")
    start = datetime(2013, 1, 8, 0, 30, tzinfo=timezone(timedelta(hours=2)))  # 22:30 in UTC

    assert hourly.prefixes(start, start + timedelta(hours=2)) == [
        "dt=2013-01-07/hour=22/",
        "dt=2013-01-07/hour=23/",
        "dt=2013-01-08/hour=00/",
    ]
    assert len(hourly.prefixes(date(2013, 1, 7), date(2013, 1, 8))) == 48


def test_a_range_of_months_names_each_month_once() -> None:
    assert DatePartition(template="{year}-{month}").prefixes(date(2012, 11, 30), date(2013, 2, 1)) == [
        "2012-11/",
        "2012-12/",
        "2013-01/",
        "2013-02/",
    ]


def test_the_calendars_last_day_has_a_partition() -> None:
    assert DatePartition().prefixes(date.max, date.max) == ["year=9999/month=12/day=31/"]


@pytest.mark.parametrize(
    "day", ["2013-01-07", None, 20130107, datetime.max.replace(tzinfo=timezone(timedelta(hours=-5)))]
)
def test_what_is_on_no_day_is_refused(day: Any) -> None:
    with pytest.raises(ConfigError):
        FLIGHTS.key(day, "a.csv")
    with pytest.raises(ConfigError):
        FLIGHTS.prefixes(day, day)


@pytest.mark.parametrize("name", [None, 5, "/a", "../a"])
def test_what_is_no_name_does_not_become_one(name: Any) -> None:
    with pytest.raises((ConfigError, UnsafePathError)):
        FLIGHTS.key(date(2013, 1, 7), name)


@pytest.mark.parametrize(
    "arguments", [(None,), (5,), ("raw", None), ("raw", 5), ("raw", "}{year}"), ("raw", "{year}{")]
)
def test_what_is_no_prefix_or_template_is_refused_at_once(arguments: Any) -> None:
    with pytest.raises(ConfigError):
        DatePartition(*arguments)
