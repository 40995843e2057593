"""What in an answer points to the next page: URLs, cursors, header fields, and flags beside a record's key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from controlroom.generate.counts import PAGE_PARAMETERS, named
from controlroom.generate.landmarks import Landmark
from controlroom.generate.names import words
from controlroom.generate.operations import Listing, Parameter

__all__ = [
    "CURSOR_PARAMETERS",
    "Cursor",
    "cursor_in",
    "has_link_header",
    "header_cursor_in",
    "key_in",
    "next_url_in",
    "takes_cursor",
]

_URLS: Final = (
    *("next_url", "next_link", "next_page_url", "next_page_link", "odata_next_link", "next_href", "next_uri"),
    *("next_page_uri", "next_results_url", "nextlink"),
)
_NEXT: Final = ("next", "next_page")
_OF_LINKS: Final = frozenset({"links", "link", "paging", "_links", "pages", "urls"})
_CURSORS: Final = (
    *("next_cursor", "next_page_token", "next_token", "next_page_cursor", "cursor_next", "continuation_token"),
    *("next_marker", "next_key", "next_page_key", "next_start_key", "continuation", "next_continuation_token"),
    *("next_bookmark", "bookmark", "after_cursor", "end_cursor", "next_page_id", "next_after", "next_page", "next"),
    *("after", "cursor", "marker", "page_token", "scroll_id"),
)
CURSOR_PARAMETERS: Final = (
    *("cursor", "page_token", "next_token", "next_cursor", "page_cursor", "after", "starting_after", "start_cursor"),
    *("continuation_token", "continuation", "marker", "page_after", "bookmark", "start_key", "exclusive_start_key"),
    *("scroll_id", "pagination_token", "next_page_token", "next_page_cursor", "next_page_key", "page_marker", "token"),
    *("next_page_id", "next_key", "next", "page_key", "last_evaluated_key", "from_cursor"),
)
_KEYSETS: Final = ("starting_after", "after_id", "since_id", "start_after", "last_id", "after")
_OF_THIS_PAGE: Final = frozenset({"after", "cursor", "marker", "page_token", "bookmark"})
_OF_CURSORS: Final = frozenset({"next", "cursors", "cursor", "paging", "pagination", "page_info", "meta"})
_MORE: Final = frozenset({"has_more", "has_next", "has_next_page", "has_more_items", "more", "is_truncated"})


@dataclass(frozen=True, slots=True)
class Cursor:
    """A cursor's way: from *source* in an answer (or a header field's name) to *parameter*; *rivals* were not chosen."""

    parameter: str
    source: str
    rivals: tuple[str, ...] = ()


def takes_cursor(parameters: Mapping[str, Parameter]) -> bool:
    """Tell whether a parameter seems to take a cursor."""
    return any(one.shape.types in ([], ["string"]) for one in _opaque(parameters, CURSOR_PARAMETERS))


def _opaque(parameters: Mapping[str, Parameter], wanted: Sequence[str]) -> list[Parameter]:
    """Return those of *parameters* that are called one of *wanted* and are no point in time."""
    return [one for one in named(parameters, wanted) if one.shape.schema.get("format") not in {"date", "date-time"}]


def next_url_in(found: Sequence[Landmark], parameters: Mapping[str, Parameter]) -> Landmark | None:
    """Return where the answer holds the next page's URL."""
    for one in found:
        if one.is_text and _is_next_url(one, has_cursor=takes_cursor(parameters)):
            return one
    return None


def _is_next_url(landmark: Landmark, *, has_cursor: bool) -> bool:
    if landmark.name in _URLS or (landmark.owner == "next" and landmark.name in {"href", "url", "link", "uri"}):
        return True
    if landmark.name not in _NEXT:
        return False
    if landmark.is_url or (landmark.name == "next" and landmark.owner in _OF_LINKS):
        return True
    return landmark.name == "next" and landmark.shape.types == ["string"] and not has_cursor


def cursor_in(found: Sequence[Landmark], parameters: Mapping[str, Parameter]) -> Cursor | None:
    """Return where the answer holds a cursor, and where it is sent; one that is sent under its own name comes first."""
    sources = [one for name in _CURSORS for one in found if one.name == name]
    targets = _opaque(parameters, (*CURSOR_PARAMETERS, *PAGE_PARAMETERS))
    pairs = [(source, target) for source in sources for target in targets if _belong_together(source, target)]
    pairs += [(source, target) for source in found for target in parameters.values() if _is_next(source, target)]
    if not pairs:
        return None
    source, target = pairs[0]
    rivals = tuple(dict.fromkeys(other.path for other, _ in pairs[1:] if other is not source))
    return Cursor(target.name, source.path, rivals)


def _is_next(source: Landmark, target: Parameter) -> bool:
    """Tell whether *source* is called like *target*, and next: ``next_stream_position``, ``next_page.offset``."""
    here, there = source.name, "_".join(words(target.name))
    return here == f"next_{there}" or (here == there and source.owner in {"next", "next_page"})


def _belong_together(source: Landmark, target: Parameter) -> bool:
    here, there = source.name, "_".join(words(target.name))
    if there in PAGE_PARAMETERS:  # a number of a page is a cursor only where the answer gives the next one
        return here == f"next_{there}" or (here == "next" and there == "page")
    if here in _OF_THIS_PAGE:  # the present one's, unless it stands with the next
        return source.owner in _OF_CURSORS and (here in {there, "after"} or there in {"after", "cursor"})
    return here != "next" or source.owner in {"cursors", "cursor", "pagination", "paging", "meta"} or there != "token"


def header_cursor_in(listing: Listing) -> Cursor | None:
    """Return the documented header field that holds a cursor, and where that is sent."""
    targets = {"_".join(words(name)): name for name in listing.query}
    for header in listing.headers:
        name = "_".join(word for word in words(header) if word != "x")
        if name not in _CURSORS[:-5]:
            continue
        for target in (name, name.removeprefix("next_"), *CURSOR_PARAMETERS[:4]):
            if target in targets:
                return Cursor(targets[target], header)
    return None


def has_link_header(listing: Listing) -> bool:
    """Tell whether the document says that answers have a Link header (RFC 8288)."""
    return any(name.lower() == "link" for name in listing.headers)


def key_in(
    found: Sequence[Landmark], parameters: Mapping[str, Parameter], fields: Mapping[str, object]
) -> Cursor | None:
    """Return the records' key and the parameter that takes the last one, where the answer says whether there is more."""
    flags = [one for one in found if one.name in _MORE and one.shape.types == ["boolean"]]
    targets = _opaque(parameters, _KEYSETS)
    return Cursor(targets[0].name, "id") if flags and targets and "id" in fields else None
