"""One request and its answer in the making, as the faults see it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from controlroom.testing.faults_http.lists import PagedList, Place

__all__ = ["Manner", "Turn"]

Manner = Literal["whole", "cut", "chunks cut", "hang up", "reset", "drip", "stall"]
"""How an answer goes out: whole; half of it, then the end; half in chunks; nothing; RST; blanks for ever; half, then
silence."""


@dataclass
class Turn:
    """One request and its answer in the making, as the faults see it.

    Attributes:
        place: What is asked for.
        records, next_start, total: What the page will say; ``next_token`` names the next page in a pointing style.
        end: What stands for the next page at the end.
        status, headers, content, manner: The answer.
        origin: Where links lead; ``form`` is how a Link header is written.
    """

    listed: PagedList
    query: Mapping[str, str]
    sent_headers: Mapping[str, str]
    origin: str
    other_origin: str
    place: Place = field(default_factory=lambda: Place(0, 0))
    records: list[Any] | None = None
    next_token: str | None = None
    total: int | None = None
    end: str | None = None
    form: str = '<{url}>; rel="next"'
    relative: bool = False
    drops_nulls: bool = False
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    content: bytes = b""
    manner: Manner = "whole"
    wait_s: float = 0.0

    def concerns(self, page: int) -> bool:
        """Tell whether the request is for *page*."""
        return self.place.kind == "r" and self.place.holds(self.listed.first_of(page))

    def leads_to(self, page: int) -> bool:
        """Tell whether the answer, as it is, points to *page*."""
        return self.place.kind == "r" and self.next_token == f"r{self.listed.first_of(page)}"
