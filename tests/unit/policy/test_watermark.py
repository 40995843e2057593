"""A watermark never goes back, never changes its type, and is read back as what was written."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlroom.errors import ConfigError, DataError
from controlroom.policy.watermark import advanced, decode, encode

VALUES = [
    datetime(2026, 1, 5, 12, tzinfo=UTC),
    datetime(2026, 1, 5, 12),  # noqa: DTZ001 - naive on purpose
    date(2026, 1, 5),
    7,
    "2026-01-05/17",
]
LATER = [
    datetime(2026, 1, 5, 13, tzinfo=UTC),
    datetime(2026, 1, 5, 13),  # noqa: DTZ001 - naive on purpose
    date(2026, 1, 6),
    8,
    "2026-01-05/18",
]
ANY_VALUE = st.one_of(
    st.datetimes(timezones=st.timezones() | st.none()), st.dates(), st.integers(), st.text(st.characters(codec="utf-8"))
)


@pytest.mark.parametrize(("now", "later"), list(zip(VALUES, LATER, strict=True)))
def test_a_watermark_moves_on_and_never_back(now: object, later: object) -> None:
    assert advanced("w", None, now)
    assert advanced("w", now, later)
    assert not advanced("w", now, now)
    with pytest.raises(DataError, match="cannot go back"):
        advanced("w", later, now)


@pytest.mark.parametrize("stands", VALUES)
@pytest.mark.parametrize("wanted", VALUES)
def test_a_watermark_of_one_type_never_becomes_one_of_another(stands: object, wanted: object) -> None:
    if stands is wanted:
        return
    with pytest.raises(ConfigError, match="cannot become"):
        advanced("w", stands, wanted)


@pytest.mark.parametrize("value", [True, 1.5, Decimal(1), None, b"x", [1]])
def test_what_cannot_be_ordered_or_stored_exactly_is_refused(value: object) -> None:
    with pytest.raises(ConfigError, match="Give a datetime"):
        encode("w", value)
    with pytest.raises(ConfigError):
        advanced("w", None, value)


def moment(value: object) -> object:
    return value.astimezone(UTC) if isinstance(value, datetime) else value


@given(ANY_VALUE)
def test_what_is_read_back_equals_what_was_written_and_has_its_type(value: object) -> None:
    back = decode("w", encode("w", value))

    # Not the two themselves: across zones Python finds an hour that comes twice equal to nothing (PEP 495).
    assert moment(back) == moment(value)
    assert type(back) is type(value)


def test_an_instant_comes_back_in_utc() -> None:
    noon_in_tokyo = datetime(2026, 1, 5, 12, tzinfo=timezone(timedelta(hours=9)))

    back = decode("w", encode("w", noon_in_tokyo))

    assert isinstance(back, datetime)
    assert back.utcoffset() == timedelta(0)
    assert not advanced("w", back, noon_in_tokyo)


@pytest.mark.parametrize(
    "text", ["", "{", "7", "[]", "{}", '{"type": "float", "value": 1}', '{"type": "date", "value": "yesterday"}']
)
def test_what_somebody_else_wrote_is_said_to_be_that(text: str) -> None:
    with pytest.raises(DataError, match="did not write"):
        decode("w", text)
