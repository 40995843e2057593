"""The ways in which a server points to the next page, each as two pure methods.

The rule of them all: a walk ends on positive proof only. Here the proof is that nothing points on; an empty page that
does point on proves nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from controlroom.errors import APIContractError
from controlroom.policy.pagination.links import links
from controlroom.policy.pagination.pages import PageRequest, PageResponse, absolute
from controlroom.policy.pagination.paths import MISSING, Path, value_at

__all__ = [
    "CursorPagination",
    "HeaderCursorPagination",
    "LinkHeaderPagination",
    "NextUrlPagination",
    "Pagination",
    "SinglePage",
]


class Pagination(Protocol):
    """A style of paging. Write your own as a class with these two methods, without I/O."""

    def first(self, request: PageRequest, /) -> PageRequest:
        """Return the request for the first page, made from the endpoint's own."""

    def following(self, request: PageRequest, response: PageResponse, /) -> PageRequest | None:
        """Return the request for the page behind *response*, which answered *request*; None at the end."""


@dataclass(frozen=True, slots=True)
class SinglePage:
    """The answer is the whole list."""

    def first(self, request: PageRequest, /) -> PageRequest:
        """Return the endpoint's own request."""
        return request

    def following(self, request: PageRequest, response: PageResponse, /) -> PageRequest | None:  # noqa: ARG002 - Pagination
        """Return None: nothing follows."""
        return None


@dataclass(frozen=True, slots=True)
class CursorPagination:
    """Each answer holds an opaque cursor for the next page; null, "" and a missing cursor mean the end.

    Args:
        param: Where the cursor is sent: a query parameter, or a dotted path in the body of a POST.
        next: Where the answer holds it. When the only page lacks even the parent of a dotted path, and no total verifies
            the walk, one WARNING ``pagination_path_missing`` tells: the path may be misspelt.
    """

    param: str
    next: Path

    def first(self, request: PageRequest, /) -> PageRequest:
        """Return the endpoint's own request: the first page has no cursor."""
        return request

    def following(self, request: PageRequest, response: PageResponse, /) -> PageRequest | None:
        """Return the request with the answer's cursor.

        Raises:
            APIContractError: The cursor is nothing that can be sent back.
        """
        cursor = value_at(response.body, self.next)
        if _is_end(cursor):
            return None
        if isinstance(cursor, bool) or (isinstance(cursor, list | dict) and not request.pages_in_body):
            message = f"The next cursor is {cursor!r}, which is no cursor."
            raise APIContractError(message)
        return request.with_value(self.param, cursor)


@dataclass(frozen=True, slots=True)
class HeaderCursorPagination:
    """Each answer holds an opaque cursor for the next page in a header field; an empty and a missing field mean the end.

    Args:
        param: Where the cursor is sent: a query parameter, or a dotted path in the body of a POST.
        header: Where the answer holds it, in any case ("X-Next-Token").
    """

    param: str
    header: str

    def first(self, request: PageRequest, /) -> PageRequest:
        """Return the endpoint's own request: the first page has no cursor."""
        return request

    def following(self, request: PageRequest, response: PageResponse, /) -> PageRequest | None:
        """Return the request with the answer's cursor."""
        cursor = response.headers.get(self.header.lower(), "").strip()
        return request.with_value(self.param, cursor) if cursor else None


def _is_end(value: Any) -> bool:
    return value is None or value is MISSING or value is False or value == ""


@dataclass(frozen=True, slots=True)
class NextUrlPagination:
    """Each answer holds the URL of the next page, absolute or relative; null, "" and a missing one mean the end.

    Args:
        next: Where the answer holds it. When the only page lacks even the parent of a dotted path, and no total verifies
            the walk, one WARNING ``pagination_path_missing`` tells: the path may be misspelt.
    """

    next: Path

    def first(self, request: PageRequest, /) -> PageRequest:
        """Return the endpoint's own request."""
        return request

    def following(self, request: PageRequest, response: PageResponse, /) -> PageRequest | None:
        """Return the request for the answer's next URL.

        Raises:
            APIContractError: What stands there is no text.
        """
        url = value_at(response.body, self.next)
        if _is_end(url):
            return None
        if not isinstance(url, str):
            message = f"The next URL is a {type(url).__name__}, not a text."
            raise APIContractError(message)
        return request.at(absolute(response.url, url))


@dataclass(frozen=True, slots=True)
class LinkHeaderPagination:
    """Each answer names the next page in its Link header (RFC 8288); no link with the relation "next" means the end."""

    def first(self, request: PageRequest, /) -> PageRequest:
        """Return the endpoint's own request."""
        return request

    def following(self, request: PageRequest, response: PageResponse, /) -> PageRequest | None:
        """Return the request for the link whose relations include "next".

        Raises:
            APIContractError: The header cannot be read, so whether a page follows is unknown.
        """
        try:
            for link in links(response.headers.get("link", "")):
                anchored = link.anchor is not None and absolute(response.url, link.anchor) != response.url
                if "next" in link.relations and not anchored:  # an anchor makes it another resource's next page
                    return request.at(absolute(response.url, link.target))
        except ValueError as error:
            message = f"The Link header cannot be read: {error}."
            raise APIContractError(message) from error
        return None
