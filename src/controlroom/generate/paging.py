"""How the pages of a list go on, and what in the document says so.

The order is that of proof. What an answer itself points to (a URL, a Link header) comes first. Of a cursor and a count the
count is taken: a server with both may fill in its cursor only where it was asked to, and a cursor that is missing looks
like the end, whereas a count goes on to an empty page or a stated total.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from controlroom.generate import counts, pointers
from controlroom.generate.landmarks import Landmark, landmarks
from controlroom.generate.layout import Expression, call
from controlroom.generate.literals import quoted
from controlroom.generate.operations import Listing
from controlroom.generate.shapes import Shapes

__all__ = ["Paging", "inferred"]


@dataclass(frozen=True, slots=True)
class Paging:
    """How to go on.

    Attributes:
        style: The pagination as an expression; None: there is one page.
        because: What says so, for a comment.
        arguments: Further arguments of the endpoint.
        doubt: What a reader has to decide, if anything.
    """

    style: Expression | None
    because: tuple[str, ...]
    arguments: Mapping[str, Expression] = field(default_factory=dict)
    doubt: str = ""


@dataclass(frozen=True, slots=True)
class _Evidence:
    listing: Listing
    found: list[Landmark]
    item: Mapping[str, Any]
    total: Landmark | None

    @property
    def verified(self) -> dict[str, Expression]:
        """The argument by which the endpoint verifies its walk."""
        return {} if self.total is None else {"total": quoted(self.total.path)}

    @property
    def arguments(self) -> dict[str, Expression]:
        """What an endpoint that is pointed on is given: the largest pages, and what verifies its walk."""
        size = counts.largest_in(self.listing.query)
        params = {} if size is None else {"params": f"{{{quoted(size.parameter)}: {size.size}}}"}
        return {**params, **self.verified}

    @property
    def told_size(self) -> str:
        """What `arguments` says of the size, in words."""
        return _sized(counts.largest_in(self.listing.query))

    @property
    def told_total(self) -> tuple[str, ...]:
        """What verifies the walk, in words."""
        if self.total is None:
            return ()
        unsure = "" if self.total.is_stated else "; it is optional there: leave it out if the server leaves it out"
        return (f'"{self.total.path}" in the answer is the number of all records{unsure}.',)


def inferred(listing: Listing, shapes: Shapes) -> Paging:
    """Return how the pages of *listing* go on."""
    found = landmarks(listing, shapes)
    evidence = _Evidence(listing, found, shapes.of(listing.item).properties, counts.total_in(found))
    return next(_readings(evidence))


def _readings(evidence: _Evidence) -> Iterator[Paging]:
    """Yield what the evidence can mean, the best proved first."""
    counted = [*_by_offset(evidence), *_by_page(evidence)]
    yield from _by_url(evidence)
    yield from _by_link_header(evidence)
    yield from _by_header_cursor(evidence)
    cursors = list(_by_cursor(evidence))
    if cursors and counted:
        told = (*counted[0].because, "The answer has a cursor as well; counting ends only on proof, so it counts.")
        yield Paging(counted[0].style, told, counted[0].arguments, counted[0].doubt)
    yield from cursors
    yield from _by_key(evidence)
    yield from counted
    yield _at_once(evidence)


def _by_url(evidence: _Evidence) -> Iterator[Paging]:
    if found := pointers.next_url_in(evidence.found, evidence.listing.query):
        told = f'Pages by URL: "{found.path}" in the answer is the next page{evidence.told_size}.'
        yield Paging(
            call("NextUrlPagination", next=quoted(found.path)), (told, *evidence.told_total), evidence.arguments
        )


def _by_link_header(evidence: _Evidence) -> Iterator[Paging]:
    if pointers.has_link_header(evidence.listing):
        told = f"Pages by the Link header, as the document lists it among the answer's headers{evidence.told_size}."
        yield Paging(call("LinkHeaderPagination"), (told, *evidence.told_total), evidence.arguments)


def _by_header_cursor(evidence: _Evidence) -> Iterator[Paging]:
    if found := pointers.header_cursor_in(evidence.listing):
        told = f'Pages by cursor: the header {found.source} of the answer is sent back as "{found.parameter}"{evidence.told_size}.'
        style = call("HeaderCursorPagination", param=quoted(found.parameter), header=quoted(found.source))
        yield Paging(style, (told, *evidence.told_total), evidence.arguments)


def _by_cursor(evidence: _Evidence) -> Iterator[Paging]:
    if found := pointers.cursor_in(evidence.found, evidence.listing.query):
        told = (
            f'Pages by cursor: "{found.source}" in the answer is sent back as "{found.parameter}"{evidence.told_size}.'
        )
        rivals = (f"Not chosen as the cursor: {', '.join(found.rivals)}.",) if found.rivals else ()
        style = call("CursorPagination", param=quoted(found.parameter), next=quoted(found.source))
        yield Paging(style, (told, *rivals, *evidence.told_total), evidence.arguments)


def _by_key(evidence: _Evidence) -> Iterator[Paging]:
    if found := pointers.key_in(evidence.found, evidence.listing.query, evidence.item):
        told = f'Pages by key: the last record\'s "{found.source}" is sent as "{found.parameter}"{evidence.told_size}.'
        style = call("KeysetPagination", param=quoted(found.parameter), key=quoted(found.source))
        yield Paging(style, (told, *evidence.told_total), evidence.arguments)


def _by_offset(evidence: _Evidence) -> Iterator[Paging]:
    query = evidence.listing.query
    if (parameter := counts.offset_in(query)) is None:
        return
    size = counts.size_in(query)
    arguments: dict[str, Expression] = {"param": quoted(parameter.name)}
    arguments["size_param"] = "None" if size is None else quoted(size.parameter)
    if size is not None:
        arguments["size"] = str(size.size)
    told = f'Pages by offset: "{parameter.name}"{_sized(size)}.'
    if _counts_from_one(parameter):
        more = "Its first record is number 1; ends on an empty page."
        params = f"{{{quoted(parameter.name)}: 1}}"
        yield Paging(call("OffsetPagination", **arguments), (told, more), {"params": params})
        return
    ends = evidence.told_total or ("Ends on an empty page: the answer states no total.",)
    yield Paging(call("OffsetPagination", **arguments, **evidence.verified), (told, *ends))


def _counts_from_one(parameter: Any) -> bool:
    number, because = counts.first_number(parameter)
    return number == 1 and because != counts.NOTHING_SAID


def _by_page(evidence: _Evidence) -> Iterator[Paging]:
    query = evidence.listing.query
    if (parameter := counts.page_in(query)) is None:
        return
    size, (first, because) = counts.size_in(query), counts.first_number(parameter)
    pages = counts.total_pages_in(evidence.found)
    arguments: dict[str, Expression] = {"param": quoted(parameter.name)}
    if size is not None:
        arguments |= {"size_param": quoted(size.parameter), "size": str(size.size)}
    if first != 1:
        arguments["first"] = str(first)
    if pages is not None:
        arguments["total_pages"] = quoted(pages.path)
    told = f'Pages by number: "{parameter.name}", the first is {first} ({because}){_sized(size)}.'
    ends = () if pages is None else (f'"{pages.path}" in the answer is the number of pages.',)
    proof = (*ends, *evidence.told_total) or ("Ends on an empty page: the answer states no total.",)
    is_sure = because != counts.NOTHING_SAID or evidence.total is not None
    doubt = "" if is_sure else "begins with page 1; neither the document nor a total says that there is no page 0"
    yield Paging(call("PageNumberPagination", **arguments), (told, *proof), evidence.verified, doubt)


def _sized(size: counts.Size | None) -> str:
    return "" if size is None else f', {size.size} records at a time by "{size.parameter}" ({size.because})'


def _at_once(evidence: _Evidence) -> Paging:
    query = evidence.listing.query
    limits = [size.parameter for size in [counts.size_in(query)] if size is not None]
    unknown = [*limits, *(one.name for one in counts.named(query, pointers.CURSOR_PARAMETERS))]
    if evidence.total is None and unknown:
        doubt = f'takes "{unknown[0]}", but nothing says how its pages go on: it reads the first one only'
        return Paging(None, (f"NOT PAGED: it {doubt}. Give pagination=… here.",), doubt=doubt)
    told = "One page: neither the parameters nor the answer tell of others."
    return Paging(None, (told, *evidence.told_total), evidence.verified)
