"""What a shared or capped limit can be, and what it cannot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from controlroom.errors import ConfigError
from controlroom.policy.rate_limit import RateLimit


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"shared": ""}, "no path of a file"),
        ({"shared": "sqlite:///x.db"}, r"Database\(url\)"),
        ({"shared": 3}, "shared is a int"),
        ({"shared": Path("x"), "name": "orders"}, "a file has none"),
        ({"shared": "x", "name": "orders"}, "a file has none"),
        ({"name": ""}, "name='' is not possible"),
        ({"in_flight": 0}, "in_flight=0"),
        ({"in_flight": -1}, "in_flight=-1"),
        ({"in_flight": 2.5}, "in_flight=2.5"),
        ({"in_flight": True}, "in_flight=True"),
    ],
)
def test_what_cannot_be_is_refused_at_once(options: dict[str, Any], match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        RateLimit(10, **options)


@pytest.mark.parametrize(("requests", "per_s", "late_s"), [(10, 1.0, 0.1), (1000, 1.0, 0.05), (1, 60.0, 60.0)])
def test_a_request_may_be_late_by_one_place_or_a_twentieth_of_the_window(
    requests: float, per_s: float, late_s: float
) -> None:
    assert RateLimit(requests, per_s=per_s).late_s == pytest.approx(late_s)
