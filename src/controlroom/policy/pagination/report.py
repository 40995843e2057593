"""How a walk ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["StopReason", "WalkReport"]

StopReason = Literal["total reached", "no next page", "empty page", "over before"]


@dataclass(frozen=True, slots=True)
class WalkReport:
    """How a walk ended: on the last ``page.report``, and in the log as ``walk_finished``.

    Attributes:
        pages: Pages taken, those before a resume among them.
        records: Records on them, as they came; so are those that were set aside.
        expected: The total that the server last stated, if any.
        verified: Whether the server stated a total and it was received.
        stop_reason: What proved the end. "over before": the walk was resumed behind its last page.
        missing_path: Where the next page was looked for, if the only page lacks even what should hold that path, and no
            total verified the walk: a server that has no more may leave that out, but the path may be misspelt as well.
        rejected: Records that did not fit the model and were set aside, since the walk was begun or resumed.
    """

    pages: int
    records: int
    expected: int | None
    verified: bool
    stop_reason: StopReason
    missing_path: str | None = None
    rejected: int = 0
