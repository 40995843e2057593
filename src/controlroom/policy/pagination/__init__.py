"""Walking a list that a server hands out in pages: pure, and the same for both colours."""

from __future__ import annotations

from controlroom.policy.pagination.counting import OffsetPagination, PageNumberPagination
from controlroom.policy.pagination.foreseen import MOST_AT_ONCE, Foreseen
from controlroom.policy.pagination.keyset import KeysetPagination
from controlroom.policy.pagination.pages import FetchPage, Page, PageRequest, PageResponse, RejectedRecord
from controlroom.policy.pagination.paths import Path
from controlroom.policy.pagination.prospect import Prospect
from controlroom.policy.pagination.report import WalkReport
from controlroom.policy.pagination.styles import (
    CursorPagination,
    HeaderCursorPagination,
    LinkHeaderPagination,
    NextUrlPagination,
    Pagination,
    SinglePage,
)
from controlroom.policy.pagination.walk import Walk

__all__ = [
    "MOST_AT_ONCE",
    "CursorPagination",
    "FetchPage",
    "Foreseen",
    "HeaderCursorPagination",
    "KeysetPagination",
    "LinkHeaderPagination",
    "NextUrlPagination",
    "OffsetPagination",
    "Page",
    "PageNumberPagination",
    "PageRequest",
    "PageResponse",
    "Pagination",
    "Path",
    "Prospect",
    "RejectedRecord",
    "SinglePage",
    "Walk",
    "WalkReport",
]
