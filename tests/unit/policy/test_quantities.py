"""A number is a number: not its text, not a truth value."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest

from controlroom.policy.quantities import is_finite, is_number, is_whole


@pytest.mark.parametrize(
    ("value", "number", "finite", "whole"),
    [
        (3, True, True, True),
        (3.0, True, True, False),
        (Fraction(1, 3), True, True, False),
        (-1, True, True, True),
        (math.inf, True, False, False),
        (math.nan, True, False, False),
        (True, False, False, False),
        ("3", False, False, False),
        (None, False, False, False),
        (3j, False, False, False),
    ],
    ids=repr,
)
def test_what_counts_as_a_number(value, number, finite, whole):
    assert (is_number(value), is_finite(value), is_whole(value)) == (number, finite, whole)
