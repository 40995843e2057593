"""What no database could keep to is refused before one is opened."""

from __future__ import annotations

import math

import pytest

from controlroom.database import AsyncDatabase, Database
from controlroom.database.options import checked_isolation
from controlroom.errors import ConfigError


@pytest.mark.parametrize("kind", [Database, AsyncDatabase])
@pytest.mark.parametrize("name", ["statement_timeout_s", "lock_timeout_s", "pool_timeout_s"])
@pytest.mark.parametrize("seconds", [0, -1, math.nan, math.inf, None, "5"])
def test_a_timeout_is_a_finite_number_of_seconds(kind: type, name: str, seconds: object) -> None:
    with pytest.raises(ConfigError, match=name):
        kind("sqlite://", **{name: seconds})


@pytest.mark.parametrize("arguments", [{"profile": "lambda"}, {"pool_size": 0}])
def test_an_unknown_profile_and_an_empty_pool_are_refused(arguments: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(iter(arguments))):
        Database("sqlite://", **arguments)


@pytest.mark.parametrize("level", ["serializable", "READ COMMITTED", "repeatable_read", "Read Uncommitted"])
def test_a_standard_level_is_accepted_in_any_spelling(level: str) -> None:
    assert checked_isolation(level) == level.upper().replace("_", " ")


@pytest.mark.parametrize("level", ["", "SNAPSHOT", "IMMEDIATE"])
def test_another_level_is_refused_before_the_unit_begins(level: str) -> None:
    with Database("sqlite://") as db, pytest.raises(ConfigError, match="isolation"):
        db.unit_of_work(isolation=level)
    assert checked_isolation(None) is None
