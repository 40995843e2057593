"""Totals that an answer states, and parameters that count."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from controlroom.generate.landmarks import Landmark, whole_number
from controlroom.generate.names import words
from controlroom.generate.operations import Parameter

__all__ = [
    "NOTHING_SAID",
    "PAGE_PARAMETERS",
    "Size",
    "first_number",
    "largest_in",
    "named",
    "offset_in",
    "page_in",
    "size_in",
    "total_in",
    "total_pages_in",
]

_TOTALS: Final = (
    *("total", "total_count", "total_entries", "total_results", "total_items", "total_records", "total_elements"),
    *("totals", "total_size", "total_hits", "total_rows", "total_objects", "count_total", "records_total"),
    "odata_count",
)
_COUNTS: Final = ("count", "item_count", "items_count", "row_count", "num_results", "result_count", "results_count")
_TOTAL_PAGES: Final = (
    *("total_pages", "page_count", "pages", "pages_total", "num_pages", "last_page", "pages_count", "number_of_pages"),
    "total_page",
)
_OFFSETS: Final = (
    *("offset", "skip", "start_at", "start_index", "start", "page_offset", "first_result", "from", "start_from"),
)
_MAYBE_RANGES: Final = frozenset({"start", "from", "start_at", "start_from"})
_ENDS: Final = ("to", "end", "until", "end_at", "stop", "end_time", "end_date")
PAGE_PARAMETERS: Final = (
    *("page", "page_number", "page_no", "page_num", "page_index", "pagenumber", "pagenum", "current_page", "p"),
)
_SIZES: Final = (
    *("limit", "per_page", "page_size", "size", "pagesize", "max_results", "page_limit", "top", "take", "count"),
    *("rows", "items_per_page", "results_per_page", "max", "n", "max_items", "page_length", "perpage", "maxresults"),
)
_MAXIMUM: Final = "its maximum"
NOTHING_SAID: Final = "the document names none"
_NUMBERS: Final[tuple[list[str], ...]] = ([], ["integer"], ["number"])
_LARGEST: Final = 1_000  # a page is held in memory whole
_USUAL: Final = 100
_OF_ALL: Final = re.compile(r"(?i)\b(total|overall|altogether|all (the )?\w+|matching|available)\b")
_AT_ONCE: Final = re.compile(r"(?i)\b(page|returned|this response|in the response)\b")


@dataclass(frozen=True, slots=True)
class Size:
    """The parameter for a page's size, what to ask for, and what says so."""

    parameter: str
    size: int
    because: str


def named(parameters: Mapping[str, Parameter], wanted: Sequence[str]) -> list[Parameter]:
    """Return those of *parameters* that are called one of *wanted*, in that order, however they are spelt."""
    spelt = {"_".join(words(one.name)): one for one in reversed(list(parameters.values())) if not one.is_deprecated}
    return [spelt[name] for name in wanted if name in spelt]


def _counting(parameters: Mapping[str, Parameter], wanted: Sequence[str]) -> Parameter | None:
    return next((one for one in named(parameters, wanted) if one.shape.types in _NUMBERS), None)


def offset_in(parameters: Mapping[str, Parameter]) -> Parameter | None:
    """Return the parameter that says how many records to pass over; "from" and "to" are a time's, or a key's."""
    is_range = bool(named(parameters, _ENDS))
    names = [name for name in _OFFSETS if name not in _MAYBE_RANGES or not is_range]
    return _counting(parameters, names)


def page_in(parameters: Mapping[str, Parameter]) -> Parameter | None:
    """Return the parameter that says which page is wanted."""
    return _counting(parameters, PAGE_PARAMETERS)


def size_in(parameters: Mapping[str, Parameter]) -> Size | None:
    """Return the parameter for a page's size, and the size to ask for: as many as may be, but no thousands."""
    found = _counting(parameters, _SIZES)
    if found is None:
        return None
    most, usual = whole_number(found.shape, ["maximum"]), whole_number(found.shape, ["default"])
    if most is not None and 1 <= most <= _LARGEST:
        return Size(found.name, most, _MAXIMUM)
    if usual is not None and 1 <= usual <= _LARGEST:
        return Size(found.name, usual, "its default")
    return Size(found.name, _USUAL, NOTHING_SAID)


def largest_in(parameters: Mapping[str, Parameter]) -> Size | None:
    """Return the parameter for a page's size and its maximum, where the document states one."""
    size = size_in(parameters)
    return size if size is not None and size.because == _MAXIMUM else None


def first_number(parameter: Parameter) -> tuple[int, str]:
    """Return the number of the first page, and what says so."""
    for key in ("default", "minimum"):
        stated = whole_number(parameter.shape, [key])
        if stated in {0, 1}:
            return int(stated == 1), f"its {key}"
    return 1, NOTHING_SAID


def total_in(found: Sequence[Landmark]) -> Landmark | None:
    """Return where the answer states how many records there are in all.

    A plain "count" is often that of the page: it is taken where the document says more, or where it stands beside "next"
    and "previous" (Django REST framework).
    """
    counts = [one for one in found if one.is_count and _may_be_of_all(one)]
    for name in _TOTALS:
        for one in counts:
            if one.name == name or (name == "total" and one.owner in {"total", "totals"} and one.name == "value"):
                return one
    top = {one.name for one in found if len(one.keys) == 1}
    for one in counts:
        is_of_all = one.name == "count" and {"next", "previous"} <= top
        if one.name in _COUNTS and (is_of_all or _OF_ALL.search(_told(one))):
            return one
    return None


def _may_be_of_all(landmark: Landmark) -> bool:
    told = _told(landmark)
    return not _AT_ONCE.search(told) or bool(_OF_ALL.search(told))


def _told(landmark: Landmark) -> str:
    return str(landmark.shape.schema.get("description", ""))[:500]


def total_pages_in(found: Sequence[Landmark]) -> Landmark | None:
    """Return where the answer states how many pages there are."""
    counts = {one.name: one for one in reversed(found) if one.is_count}
    return next((counts[name] for name in _TOTAL_PAGES if name in counts), None)
