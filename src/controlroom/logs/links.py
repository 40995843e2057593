"""Names for what lines of a log belong to, each given once in a process: "w1", "u1", "s1"."""

from __future__ import annotations

import itertools
from typing import Final, Literal

__all__ = ["new_link"]

_numbers: Final = {kind: itertools.count(1) for kind in ("walk", "unit", "series")}  # next() of one is atomic


def new_link(kind: Literal["walk", "unit", "series"]) -> str:
    """Return a name that no other *kind* of thing in this process has; a forked child counts on from its parent."""
    return f"{kind[0]}{next(_numbers[kind])}"
