"""A walk over pages that ends on proof or raises: every count and every judgement, without I/O.

Each page is one flow: it yields `FetchPage`, receives the `PageResponse` and returns the `Page`, or None at the end.
Both colours of the client drive the same flows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from controlroom.errors import APIContractError, ExternalAPIError, IncompletePaginationError
from controlroom.errors.text import masked, plain
from controlroom.policy.flow import Flow, StepFailed
from controlroom.policy.pagination.checkpoint import Position, fingerprint, restored, saved
from controlroom.policy.pagination.counting import OffsetPagination, PageNumberPagination, stated_number
from controlroom.policy.pagination.extraction import records_in
from controlroom.policy.pagination.guards import Guards
from controlroom.policy.pagination.pages import Page, PageRequest, PageResponse
from controlroom.policy.pagination.paths import MISSING, Path, value_at
from controlroom.policy.pagination.styles import CursorPagination, Pagination

__all__ = ["FetchPage", "Walk", "WalkReport"]

StopReason = Literal["total reached", "no next page", "empty page", "over before"]


@dataclass(frozen=True, slots=True)
class FetchPage:
    """Send *request* and parse the answer as JSON. *number* is 1-based."""

    request: PageRequest
    number: int


@dataclass(frozen=True, slots=True)
class WalkReport:
    """How a walk ended: *verified* tells whether the server stated a total and it was received."""

    pages: int
    records: int
    expected: int | None
    verified: bool
    stop_reason: StopReason


class Walk:
    """One walk.

    Args:
        start: The endpoint's own request.
        pagination: How to go on.
        records: Where a body holds its records; None: the body is the list.
        total: Where a body states how many there are.
        convert: Makes typed records of plain ones, or raises.
        stripped: Takes credentials that a server repeats in its links out of a request.
        resume: A checkpoint of an earlier walk.
        max_pages: See `Guards`, as the rest.

    Raises:
        ConfigError: *resume* belongs to another walk, or a limit is impossible.
    """

    def __init__(
        self,
        start: PageRequest,
        pagination: Pagination,
        *,
        records: Path | None = None,
        total: Path | None = None,
        convert: Callable[[list[Any]], list[Any]] | None = None,
        stripped: Callable[[PageRequest], PageRequest] = lambda request: request,
        resume: Mapping[str, Any] | None = None,
        max_pages: int = 100_000,
        max_empty_pages: int = 1_000,
        repeats_allowed: bool = False,
    ) -> None:
        self._pagination = pagination
        self._style = type(pagination).__name__
        self._first = stripped(pagination.first(start))
        self._mark = fingerprint(self._first, self._style)
        self._stripped = stripped
        self._records = records
        self._convert = convert or list
        stated = pagination.total if isinstance(pagination, OffsetPagination) and total is None else total
        self._total = None if _begins_midway(start, self._first, pagination) else stated
        self._guards = Guards(
            max_pages=max_pages,
            max_empty_pages=max_empty_pages,
            repeats_allowed=repeats_allowed,
            counted_by_client=isinstance(pagination, OffsetPagination | PageNumberPagination),
        )
        self._at = Position(self._first) if resume is None else restored(resume, self._first, self._mark)
        self._stop_reason: StopReason = "over before"

    @property
    def checkpoint(self) -> dict[str, Any]:
        """Where the walk stands, behind the last page returned; JSON-ready."""
        return saved(self._at, self._first, self._style, self._mark)

    @property
    def report(self) -> WalkReport:
        """How it ended; meaningful once `next_page` returned None."""
        verified = self._at.expected is not None and self._at.expected == self._at.records
        return WalkReport(self._at.page, self._at.records, self._at.expected, verified, self._stop_reason)

    def next_page(self) -> Flow[FetchPage, Page[Any] | None]:
        """Fetch and judge the next page.

        Returns:
            The page; None when the walk is over, and whole as far as the server told.

        Raises:
            PaginationLoopError: A request or a page came a second time.
            IncompletePaginationError: The walk is over, with another number of records than the server stated.
            PaginationError: Too many pages, or too many empty ones in a row.
            APIContractError: The body has another shape than agreed.
        """
        request = self._at.next
        try:
            if request is None:
                self._verify()
                return None
            self._guards.before(request)
            response = yield FetchPage(request, self._at.page + 1)
            return self._accepted(request, response)
        except StepFailed as failed:
            self._complete(failed.error)
            raise
        except ExternalAPIError as error:
            self._complete(error)
            raise

    def _accepted(self, request: PageRequest, response: PageResponse) -> Page[Any]:
        number = self._at.page + 1
        response = replace(response, records=records_in(response.body, self._records))
        self._guards.after(response, number)
        received = self._at.records + len(response.records)
        expected = self._stated_total(response.body)
        following = self._following(request, response, received, expected)
        self._guards.following(following, number)
        handed_out = self._convert(list(response.records))
        self._at = Position(following, number, received, expected)
        return Page(handed_out, number, self.checkpoint)

    def _following(
        self, request: PageRequest, response: PageResponse, received: int, expected: int | None
    ) -> PageRequest | None:
        if expected is not None and received >= expected:
            self._stop_reason = "total reached"
            return None
        following = self._pagination.following(request, response)
        self._stop_reason = "no next page" if response.records else "empty page"
        return None if following is None else self._stripped(following)

    def _stated_total(self, body: Any) -> int | None:
        if self._total is None:
            return None
        if self._at.page == 0 and value_at(body, self._total) is MISSING:
            message = f'The first page states no total at "{self._total}", so that the walk could not be verified.'
            raise APIContractError(message)
        stated = stated_number(body, self._total)
        return self._at.expected if stated is None else stated

    def _verify(self) -> None:
        expected, received = self._at.expected, self._at.records
        if expected is not None and expected != received:
            message = (
                f"The walk is over after {self._at.page} pages with {received} records; the server stated {expected}. "
                f"Those handed out are genuine, but not the whole. Walk again, or find out which are missing."
            )
            raise IncompletePaginationError(message, expected=expected, received=received)

    def _complete(self, error: BaseException) -> None:
        """Tell where the walk can be resumed, and which request is meant, on errors that do not know."""
        if isinstance(error, ExternalAPIError):
            request = self._at.next or self._first
            error.method = error.method or request.method
            error.url = error.url or masked(request.url)
            error.checkpoint = error.checkpoint or plain(self.checkpoint)


def _begins_midway(start: PageRequest, first: PageRequest, pagination: Pagination) -> bool:
    """Tell whether the caller chose another page to begin with: then no total can be compared."""
    if not isinstance(pagination, CursorPagination | OffsetPagination | PageNumberPagination):
        return False
    chosen = start.value(pagination.param)
    if chosen is None:
        return False
    usual = pagination.first(start.with_value(pagination.param, None)).value(pagination.param)
    return str(chosen) != str(usual) and first.value(pagination.param) is not None
