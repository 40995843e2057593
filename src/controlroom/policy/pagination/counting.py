"""Paging where the client counts: by page number and by offset.

A short page proves nothing: servers clamp sizes, and filter after paging. The walk ends on an empty page or where the
server said it would.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from controlroom.errors import APIContractError, ConfigError
from controlroom.policy.pagination.pages import PageRequest, PageResponse
from controlroom.policy.pagination.paths import MISSING, Path, value_at

__all__ = ["OffsetPagination", "PageNumberPagination", "stated_number"]

_DIGITS: Final = 18


def stated_number(body: Any, path: Path | None) -> int | None:
    """Return the count at *path* in *body*; None where the server states none (missing or null).

    Raises:
        APIContractError: What stands there is no count.
    """
    found = MISSING if path is None else value_at(body, path)
    if found is MISSING or found is None:
        return None
    if isinstance(found, str) and found.isascii() and found.isdigit() and len(found) <= _DIGITS:
        return int(found)
    if isinstance(found, bool) or not isinstance(found, int) or found < 0:
        message = f"The stated total is {repr(found)[:100]}, which is no count."
        raise APIContractError(message)
    return found


@dataclass(frozen=True, slots=True, init=False)
class PageNumberPagination:
    """Pages carry numbers. The walk ends at *total_pages*, at the endpoint's total, or on an empty page.

    Args:
        param: Where the number is sent.
        size_param: Where the page size is sent, if it is.
        size: The page size to ask for; the server may give less.
        first: The number of the first page.
        total_pages: Where the answer states how many pages there are; a first page without it raises. Give it, or the endpoint's ``total``, where a
            page beyond the last is an error instead of an empty list.

    Raises:
        ConfigError: *size* without *size_param*, or the reverse.
    """

    param: str
    size_param: str | None
    size: int | None
    first_number: int
    total_pages: Path | None

    def __init__(
        self,
        param: str = "page",
        size_param: str | None = None,
        size: int | None = None,
        first: int = 1,
        total_pages: Path | None = None,
    ) -> None:
        if (size_param is None) != (size is None):
            message = f"PageNumberPagination: size_param={size_param!r} and size={size!r} go together."
            raise ConfigError(message)
        fields = {"param": param, "size_param": size_param, "size": size}
        for name, value in {**fields, "first_number": first, "total_pages": total_pages}.items():
            object.__setattr__(self, name, value)  # frozen; `first` is a method here and an argument there

    def first(self, request: PageRequest, /) -> PageRequest:
        """Return the request for the first page, or for the page that *request* itself names."""
        if self.size_param is not None and request.value(self.size_param) is None:
            request = request.with_value(self.size_param, self.size)
        if request.value(self.param) is None:
            request = request.with_value(self.param, self.first_number)
        return request

    def following(self, request: PageRequest, response: PageResponse, /) -> PageRequest | None:
        """Return the request for the next number.

        Raises:
            APIContractError: The stated number of pages is no count.
        """
        number = _position(request, self.param)
        pages, at = stated_number(response.body, self.total_pages), number - self.first_number + 1
        # Records on a page behind the last that was stated prove that statement wrong.
        at_the_end = at == pages or (not response.records and (pages is None or at > pages))
        return None if at_the_end else request.with_value(self.param, number + 1)


@dataclass(frozen=True, slots=True)
class OffsetPagination:
    """Pages start at a record. The offset advances by the records *received*, whatever was asked for.

    The walk ends on an empty page or at a reached total.

    Args:
        param: Where the offset is sent.
        size_param: Where the page size is sent; None: it is not.
        size: The page size to ask for; the server may give less.
        total: Where the answer states how many records there are. Verified: another number received raises.

    Raises:
        ConfigError: *size* is below 1.
    """

    param: str = "offset"
    size_param: str | None = "limit"
    size: int = 100
    total: Path | None = None

    def __post_init__(self) -> None:
        """Refuse pages that hold nothing."""
        if self.size < 1:
            message = f"{self}: a page holds at least 1 record."
            raise ConfigError(message)

    def first(self, request: PageRequest, /) -> PageRequest:
        """Return the request for the first records, or for those that *request* itself names."""
        if self.size_param is not None and request.value(self.size_param) is None:
            request = request.with_value(self.size_param, self.size)
        if request.value(self.param) is None:
            request = request.with_value(self.param, 0)
        return request

    def following(self, request: PageRequest, response: PageResponse, /) -> PageRequest | None:
        """Return the request for the records behind those received.

        Raises:
            APIContractError: The stated total is no count.
        """
        offset = _position(request, self.param) + len(response.records)
        total = stated_number(response.body, self.total)
        if not response.records or (total is not None and offset >= total):
            return None
        return request.with_value(self.param, offset)


def _position(request: PageRequest, param: str) -> int:
    value = request.value(param)
    try:
        return int(value)
    except (TypeError, ValueError):
        message = f"{param}={value!r} is no whole number; the walk cannot count on from there."
        raise ConfigError(message) from None
