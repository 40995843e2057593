"""A walk over pages that ends on proof or raises: every count and every judgement, without I/O.

Each page is one flow: it yields `FetchPage`, receives the `PageResponse` and returns the `Page`, or None at the end.
Both colours of the client drive the same flows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from controlroom.errors import (
    APIContractError,
    APIStatusError,
    CheckpointRejectedError,
    ControlRoomError,
    ExternalAPIError,
    IncompletePaginationError,
    PaginationError,
)
from controlroom.errors.text import masked, plain
from controlroom.policy.flow import Flow, StepFailed
from controlroom.policy.pagination.checkpoint import Position, fingerprint, restored, saved
from controlroom.policy.pagination.counting import OffsetPagination, PageNumberPagination, stated_number
from controlroom.policy.pagination.ends import require_end
from controlroom.policy.pagination.extraction import records_in
from controlroom.policy.pagination.guards import Guards
from controlroom.policy.pagination.keyset import KeysetPagination
from controlroom.policy.pagination.pages import FetchPage, Page, PageRequest, PageResponse, RejectedRecord
from controlroom.policy.pagination.paths import MISSING, Path, has_no_parent, value_at
from controlroom.policy.pagination.prospect import Prospect, prospect
from controlroom.policy.pagination.rejection import Rejections
from controlroom.policy.pagination.report import StopReason, WalkReport
from controlroom.policy.pagination.styles import (
    CursorPagination,
    HeaderCursorPagination,
    NextUrlPagination,
    Pagination,
)

__all__ = ["Walk"]

_REFUSALS: Final = frozenset({400, 404, 410, 422})  # of a cursor that expired, servers say any of these

Convert = Callable[[list[Any]], tuple[list[Any], tuple[RejectedRecord, ...]]]


class Walk:
    """One walk.

    Args:
        start: The endpoint's own request.
        pagination: How to go on.
        records: Where a body holds its records; None: the body is the list.
        total: Where a body states how many there are.
        convert: Makes typed records of plain ones, and tells which it set aside; or raises.
        max_rejected_share: How many of the records may be set aside, from 0 to 1.
        stripped: Takes credentials that a server repeats in its links out of a request.
        resume: A checkpoint of an earlier walk.
        max_pages: See `Guards`, as the rest.

    Raises:
        ConfigError: *resume* belongs to another walk, or a limit is impossible.

    Attributes:
        prospect: What will follow the first page that was taken, where that can be foreseen.
        is_reported: Whether the last page came, and carries the report.
    """

    def __init__(
        self,
        start: PageRequest,
        pagination: Pagination,
        *,
        records: Path | None = None,
        total: Path | None = None,
        convert: Convert | None = None,
        max_rejected_share: float = 0.0,
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
        self._convert: Convert = convert or _as_they_came
        self._rejections = Rejections(max_rejected_share)
        stated = pagination.total if isinstance(pagination, OffsetPagination) and total is None else total
        self._total = None if _begins_midway(start, self._first, pagination) else stated
        self._guards = Guards(
            max_pages=max_pages,
            max_empty_pages=max_empty_pages,
            repeats_allowed=repeats_allowed,
        )
        self._at = Position(self._first) if resume is None else restored(resume, self._first, self._mark)
        self._start = self.checkpoint
        self._resumes = resume is not None
        self._stop_reason: StopReason = "over before"
        self._missing_path: str | None = None
        self._total_shrank = False
        self.prospect: Prospect | None = None
        self.is_reported: bool = False

    @property
    def checkpoint(self) -> dict[str, Any]:
        """Where the walk stands, behind the last page returned; JSON-ready."""
        return saved(self._at, self._first, self._style, self._mark)

    @property
    def report(self) -> WalkReport:
        """How it ended; meaningful once `next_page` returned None."""
        verified = self._at.expected is not None and self._at.expected == self._at.records
        at, missing = self._at, None if verified else self._missing_path
        rejected = self._rejections.rejected
        return WalkReport(at.page, at.records, at.expected, verified, self._stop_reason, missing, rejected)

    def next_page(self) -> Flow[FetchPage, Page[Any] | None]:
        """Fetch and judge the next page.

        Returns:
            The page; None when the walk is over, and whole as far as the server told.

        Raises:
            PaginationLoopError: A request or a page came a second time.
            IncompletePaginationError: The walk is over, with another number of records than the server stated.
            CheckpointRejectedError: The server refuses the position that *resume* named.
            PaginationError: Too many pages, or too many empty ones in a row.
            APIContractError: The body has another shape than agreed.
            QuarantineThresholdError: More records were set aside than may be.
        """
        request = self._at.next
        try:
            if request is None:
                self._verify()
                self._rejections.judge()
                return None
            self._guards.before(request)
            response = yield FetchPage(request, self._at.page + 1)
            return self._accepted(request, response)
        except StepFailed as failed:
            self._complete(failed.error)
            if self._resumes and request is not None and isinstance(failed.error, APIStatusError):
                self._judge_refusal(failed.error, request)
            raise
        except ControlRoomError as error:
            self._complete(error)
            raise

    def _accepted(self, request: PageRequest, response: PageResponse) -> Page[Any]:
        number = self._at.page + 1
        records = records_in(response.body, self._records, f"{request.method} {request.url}")
        response = PageResponse(response.url, response.headers, response.body, records, response.digest)
        self._guards.after(response, number)
        received = self._at.records + len(response.records)
        if number == 1:
            self._require_promised(request, response.body)
        expected = self._stated_total(response.body)
        following = self._following(request, response, received, expected)
        if number == 1 and following is None and response.records:
            self._missing_path = _missing_path(self._pagination, response.body)
        self._guards.following(following, number)
        handed_out, rejected = self._fresh(response, number)
        is_first, self._resumes = self._guards.pages == 1, False
        self._at = Position(following, number, received, expected)
        if is_first and following is not None:
            self.prospect = self._prospect(FetchPage(following, number + 1), response)
        start, self._start = self._start, self.checkpoint
        return Page(handed_out, number, self._start, rejected, start, self._final_report())

    def _prospect(self, following: FetchPage, response: PageResponse) -> Prospect | None:
        return prospect(
            self._pagination,
            following,
            response,
            received=self._at.records,
            records=self._records,
            total=self._total,
            most=self._guards.pages_left,
        )

    def _final_report(self) -> WalkReport | None:
        """Return the report where nothing follows and nothing is to be said against the walk: asked on, it would end."""
        at = self._at
        if at.next is not None or self._rejections.are_too_many or at.expected not in {None, at.records}:
            return None
        self.is_reported = True
        return self.report

    def _fresh(self, response: PageResponse, number: int) -> tuple[list[Any], tuple[RejectedRecord, ...]]:
        """Return the records that an earlier walk did not deal with yet."""
        dealt_with = self._at.index
        if dealt_with > len(response.records):
            message = (
                f"Page {number} has {len(response.records)} records, of which {dealt_with} were dealt with: the list changed. "
                f"Begin the walk without the checkpoint."
            )
            raise PaginationError(message)
        fresh = list(response.records[dealt_with:])
        handed_out, rejected = self._convert(fresh)
        self._rejections.count(len(fresh), len(rejected), rejected[-1].reason if rejected else "")
        if dealt_with:
            rejected = tuple(replace(one, position=one.position + dealt_with) for one in rejected)
        return handed_out, rejected

    def _judge_refusal(self, error: APIStatusError, request: PageRequest) -> None:
        """Raise an error of its own where a server refuses the position that a checkpoint names."""
        if error.status_code not in _REFUSALS:
            return
        message = (
            f"{request.method} {request.url} refused the position that the checkpoint names (status {error.status_code}): it "
            f"may have expired. Nothing was handed out. Begin the walk without the checkpoint; records may come again."
        )
        raise CheckpointRejectedError(
            message, status_code=error.status_code, method=error.method, url=error.url, checkpoint=error.checkpoint
        ) from error

    def _following(
        self, request: PageRequest, response: PageResponse, received: int, expected: int | None
    ) -> PageRequest | None:
        if expected is not None and received >= expected and not self._total_shrank:
            self._stop_reason = "total reached"
            return None
        following = self._pagination.following(request, response)
        self._stop_reason = "no next page" if response.records else "empty page"
        if following is None:
            require_end(self._pagination, response.body)
            return None
        return self._stripped(following)

    def _require_promised(self, request: PageRequest, body: Any) -> None:
        """Refuse a first page without the numbers that were declared: a misspelt path must not end or unguard a walk."""
        pages = self._pagination.total_pages if isinstance(self._pagination, PageNumberPagination) else None
        for what, path in (("total", self._total), ("number of pages", pages)):
            if path is not None and value_at(body, path) is MISSING:
                message = (
                    f'{request.method} {request.url}: the first page states no {what} at "{path}", so that the walk could '
                    f"not be verified. Correct that path, or leave it out where the server states none."
                )
                raise APIContractError(message)

    def _stated_total(self, body: Any) -> int | None:
        if self._total is None:
            return None
        stated, before = stated_number(body, self._total), self._at.expected
        if stated is None or before is None or stated >= before:
            return before if stated is None else stated
        # It tells of what is left, or records went meanwhile: then it is no proof of an end, and by positions that the
        # client counts, as many others may have been passed over as went.
        self._total_shrank = True
        return before if isinstance(self._pagination, OffsetPagination | PageNumberPagination) else stated

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
        if isinstance(error, ControlRoomError):
            error.checkpoint = plain(self.checkpoint)


def _as_they_came(records: list[Any]) -> tuple[list[Any], tuple[RejectedRecord, ...]]:
    return records, ()


def _missing_path(pagination: Pagination, body: Any) -> str | None:
    if isinstance(pagination, CursorPagination | NextUrlPagination) and has_no_parent(body, pagination.next):
        return str(pagination.next)
    return None


def _begins_midway(start: PageRequest, first: PageRequest, pagination: Pagination) -> bool:
    """Tell whether the caller chose another page to begin with: then no total can be compared."""
    counted = OffsetPagination | PageNumberPagination
    if not isinstance(pagination, CursorPagination | HeaderCursorPagination | KeysetPagination | counted):
        return False
    chosen = start.value(pagination.param)
    if chosen is None:
        return False
    usual = pagination.first(start.with_value(pagination.param, None)).value(pagination.param)
    return str(chosen) != str(usual) and first.value(pagination.param) is not None
