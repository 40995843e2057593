"""What counts as a number where a person writes a configuration: "3" from an environment variable does not."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import TypeGuard

__all__ = ["is_finite", "is_number", "is_whole"]


def is_number(value: object) -> TypeGuard[float]:
    """Tell whether *value* is a real number; True and False are none."""
    return isinstance(value, Real) and not isinstance(value, bool)


def is_finite(value: object) -> TypeGuard[float]:
    """Tell whether *value* is a number, neither infinite nor NaN."""
    return is_number(value) and math.isfinite(value)


def is_whole(value: object) -> TypeGuard[int]:
    """Tell whether *value* is an integer; 3.0 is none."""
    return isinstance(value, Integral) and not isinstance(value, bool)
