"""What a partition writes it reads, and a range holds exactly the partitions of its days."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from controlroom.storage import DatePartition

names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=20).filter(
    lambda name: name not in {".", ".."}
)
prefixes = st.sampled_from(["", "raw", "raw/flights", "a+b (c).*", "year=2000"])
daily = st.sampled_from(
    ["year={year}/month={month}/day={day}", "dt={date}", "{day}", "{year}{month}{day}", "x/{date}.d"]
)
hourly = st.sampled_from(["dt={date}/hour={hour}", "{year}/{month}/{day}/{hour}", "{date}T{hour}"])
zones = st.integers(-23, 23).map(lambda hours: timezone(timedelta(hours=hours)))
instants = st.builds(
    lambda day, hour, minute, zone: datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone),
    st.dates(date(2, 1, 1), date(9998, 1, 1)),
    st.integers(0, 23),
    st.integers(0, 59),
    zones,
)


@given(prefix=prefixes, template=daily, day=st.dates(), name=names)
def test_what_is_written_for_a_day_is_read_as_that_day(prefix: str, template: str, day: date, name: str) -> None:
    partition = DatePartition(prefix, template=template)

    assert partition.parse(partition.key(day, name)) == (day, name)


@given(prefix=prefixes, template=hourly, instant=instants, name=names)
def test_what_is_written_for_an_instant_is_read_as_its_hour_in_utc(
    prefix: str, template: str, instant: datetime, name: str
) -> None:
    partition = DatePartition(prefix, template=template)

    read = partition.parse(partition.key(instant, name))

    assert read == (instant.astimezone(UTC).replace(minute=0, second=0, microsecond=0), name)


@given(
    template=daily, start=st.dates(date(2, 1, 1), date(9000, 1, 1)), days=st.integers(0, 40), other=st.integers(-50, 90)
)
def test_a_day_is_in_a_range_exactly_where_its_key_begins_with_one_of_the_prefixes(
    template: str, start: date, days: int, other: int
) -> None:
    partition = DatePartition("raw", template=template)
    listed = partition.prefixes(start, start + timedelta(days=days))
    key = partition.key(start + timedelta(days=other), "a") if start > date(2, 3, 1) else partition.key(start, "a")

    assert len(listed) == len(set(listed)) == days + 1
    assert listed == sorted(listed)
    inside = 0 <= other <= days or start <= date(2, 3, 1)
    assert any(key.startswith(prefix) for prefix in listed) == inside
