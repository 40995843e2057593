"""What a walk over counted pages will ask for, as long as the list is as its first page said.

A prospect proves nothing. Whoever asks for pages on its word compares each answer with it, and where they differ throws
away what was asked for ahead: the walk alone says what comes next.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from controlroom.errors import APIContractError
from controlroom.policy.pagination.counting import OffsetPagination, PageNumberPagination, stated_number
from controlroom.policy.pagination.extraction import records_in
from controlroom.policy.pagination.pages import FetchPage, PageResponse
from controlroom.policy.pagination.paths import Path

__all__ = ["Prospect", "prospect"]


@dataclass(frozen=True, slots=True)
class Prospect:
    """The pages behind one.

    Attributes:
        first: The request for the next of them, as the walk will make it.
        pages: How many there are.
        param: Where their position is sent …
        stride: … and by how much it grows from page to page.
        size: Records on each of them but the last.
        left: Records on all of them.
        records: Where a body holds its records.
        stated: What each body has to repeat, by where it stands.
    """

    first: FetchPage
    pages: int
    param: str
    stride: int
    size: int
    left: int
    records: Path | None
    stated: tuple[tuple[Path | None, int], ...]

    def steps(self) -> Iterator[FetchPage]:
        """Yield the steps that the walk will take, in order."""
        request, number = self.first.request, self.first.number
        at = int(request.value(self.param))
        for index in range(self.pages):
            yield FetchPage(request.with_value(self.param, at + index * self.stride), number + index)

    def fits(self, step: FetchPage, response: PageResponse) -> bool:
        """Tell whether *response* to *step* says the same of the list as the page before them all."""
        try:
            received = len(records_in(response.body, self.records, step.request.method))
            repeated = all(stated_number(response.body, path) == number for path, number in self.stated)
        except APIContractError:
            return False
        index = step.number - self.first.number
        return repeated and received == min(self.size, self.left - index * self.size)


def prospect(
    pagination: Any,
    first: FetchPage,
    response: PageResponse,
    *,
    received: int,
    records: Path | None,
    total: Path | None,
    most: int,
) -> Prospect | None:
    """Return what follows *response*, in a list that states its length; None where that cannot be foreseen.

    A number of pages is no length: it hides a record that came or went, and pages of the list before and after would mix.

    Args:
        pagination: Only the two that count, and no class made of them: such a one may count otherwise.
        first: What the walk asks for next.
        response: The page before that.
        received: Records taken, with that page.
        records: Where a body holds its records.
        total: Where a body states how many there are.
        most: Pages that the walk may still take.
    """
    size, kind = len(response.records), type(pagination)
    if size == 0 or kind not in {OffsetPagination, PageNumberPagination}:
        return None
    at, by_offset = int(first.request.value(pagination.param)), kind is OffsetPagination
    own = pagination.total if by_offset else pagination.total_pages
    stated_total, stated_own = stated_number(response.body, total), stated_number(response.body, own)
    ends = [] if stated_total is None else [stated_total - received]
    if by_offset and stated_own is not None:
        ends.append(stated_own - at)
    if not ends:
        return None
    left = min(ends)
    pages = min(most, -(-left // size))
    if not by_offset and stated_own is not None:
        pages = min(pages, stated_own - (at - pagination.first_number))
    stated = tuple((path, number) for path, number in ((total, stated_total), (own, stated_own)) if number is not None)
    return Prospect(first, max(0, pages), pagination.param, size if by_offset else 1, size, left, records, stated)
