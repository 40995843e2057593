"""Whether an answer that points nowhere says itself that there is more: such an end is no proof of one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from controlroom.errors import APIContractError
from controlroom.policy.pagination.counting import OffsetPagination, PageNumberPagination
from controlroom.policy.pagination.keyset import KeysetPagination
from controlroom.policy.pagination.paths import value_at
from controlroom.policy.pagination.styles import (
    CursorPagination,
    HeaderCursorPagination,
    LinkHeaderPagination,
    NextUrlPagination,
    Pagination,
)

__all__ = ["require_end"]

_MORE: Final = ("has_more", "hasMore", "has_next", "hasNext", "has_next_page", "hasNextPage")
# Not SinglePage, which asks for no more; nor a class of the user's own, which reads such flags itself.
_JUDGED: Final = frozenset(
    {
        CursorPagination,
        HeaderCursorPagination,
        KeysetPagination,
        LinkHeaderPagination,
        NextUrlPagination,
        OffsetPagination,
        PageNumberPagination,
    }
)


def require_end(pagination: Pagination, body: Any) -> None:
    """Refuse the end that *pagination* found where *body*, or what holds the place of the next page, denies it.

    Raises:
        APIContractError: It says ``"has_more": true``, or the same in another spelling.
    """
    if type(pagination) not in _JUDGED:
        return
    for place in _places(pagination, body):
        denied = next((name for name in _MORE if place.get(name) is True), None)
        if denied is not None:
            message = (
                f'The answer says "{denied}": true, and nothing in it leads further: the list would be cut short. The page '
                f"was not handed out. Correct the pagination of the endpoint, or tell the server's owner."
            )
            raise APIContractError(message)


def _places(pagination: Any, body: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(body, Mapping):
        yield body
    for name in ("next", "total", "total_pages"):
        path = getattr(pagination, name, None)
        if isinstance(path, str) and isinstance(holder := value_at(body, path.rpartition(".")[0]), Mapping):
            yield holder
