from __future__ import annotations

import copy
import dataclasses
import pickle
from typing import Any

import pytest

from controlroom.errors import Attempt
from controlroom.redaction import register_secret


def test_an_attempt_shows_its_fields() -> None:
    attempt = Attempt(number=1, error="APITimeoutError: slow", wait_s=1.5, reason="transient")

    assert repr(attempt) == "Attempt(number=1, error='APITimeoutError: slow', wait_s=1.5, reason='transient')"
    assert attempt.to_dict() == {"number": 1, "error": "APITimeoutError: slow", "wait_s": 1.5, "reason": "transient"}


def test_an_attempt_is_a_value() -> None:
    attempt = Attempt(1, "x", None, "y")

    assert attempt == Attempt(1, "x", None, "y")
    assert attempt != Attempt(2, "x", None, "y")
    assert len({attempt, Attempt(1, "x", None, "y")}) == 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        attempt.number = 2


@pytest.mark.parametrize("journey", [copy.copy, copy.deepcopy, lambda a: pickle.loads(pickle.dumps(a))])
def test_an_attempt_travels(journey: Any) -> None:
    assert journey(Attempt(1, "x", 0.5, "y")) == Attempt(1, "x", 0.5, "y")


def test_an_attempt_keeps_no_live_error() -> None:
    attempt = Attempt(1, ValueError("slow"), float("nan"), KeyError("why"))

    assert attempt == Attempt(1, "slow", None, "'why'")


def test_an_attempt_shows_no_secret_whenever_it_became_one() -> None:
    before = Attempt(1, "c4n4ry", 0.0, "c4n4ry")
    register_secret("c4n4ry")
    after = Attempt(1, "c4n4ry", 0.0, "c4n4ry")

    assert after.error == after.reason == "***"
    assert "c4n4ry" not in repr([before, after, before.to_dict()])
    assert b"c4n4ry" not in pickle.dumps(before)


def test_a_number_that_is_none_becomes_plain() -> None:
    class Live:
        def __str__(self) -> str:
            return "third"

    assert Attempt(Live(), "", None, "").number == "third"
