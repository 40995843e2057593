"""Paging by a key of the records: each page begins behind the last record of the page before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from controlroom.errors import APIContractError, PaginationError
from controlroom.policy.pagination.pages import PageRequest, PageResponse
from controlroom.policy.pagination.paths import MISSING, Path, value_at
from controlroom.policy.quantities import is_number

__all__ = ["KeysetPagination"]


@dataclass(frozen=True, slots=True)
class KeysetPagination:
    """The request names the key of the last record received; the walk ends on an empty page or at a reached total.

    Args:
        param: Where the key is sent (``after_id``, ``since``): a query parameter, or a dotted path in a POST's body.
        key: Where a record holds its key. The key has to be unique and the server has to sort by it, or records are lost
            between pages.

    Guarantees:
        A record without a key, a key that comes twice (a boundary that includes its own record, or a key that is not
        unique) and numbers that change their direction raise: each of them means lost or doubled records.
        Not promised: that a list is sorted where each page looks so by itself, or its keys are texts, which servers
        collate as they like; the endpoint's ``total`` tells.
    """

    param: str
    key: Path

    def first(self, request: PageRequest, /) -> PageRequest:
        """Return the endpoint's own request: the first page has nothing before it."""
        return request

    def following(self, request: PageRequest, response: PageResponse, /) -> PageRequest | None:
        """Return the request for the records behind those received.

        Raises:
            APIContractError: A record has no key.
            PaginationError: Keys come twice, or not in order.
        """
        if not response.records:
            return None
        keys = [self._key_of(record, number) for number, record in enumerate(response.records, 1)]
        asked = request.value(self.param)
        self._require_order(keys if asked is None else [asked, *keys])
        return request.with_value(self.param, keys[-1])

    def _key_of(self, record: Any, number: int) -> Any:
        key = value_at(record, self.key)
        if key is MISSING or key is None or isinstance(key, bool | list | dict):
            message = f'Record {number} of the page has no key at "{self.key}": the walk cannot go on behind it.'
            raise APIContractError(message)
        return key

    def _require_order(self, keys: Sequence[Any]) -> None:
        if len(set(keys)) < len(keys):
            message = (
                f'Keys at "{self.key}" came twice: the page begins with the record that the one before ended with, or the '
                f"key is not unique, and records that share one would be lost at the end of a page. The page was not "
                f"handed out. Page by a unique key."
            )
            raise PaginationError(message)
        if all(is_number(key) for key in keys) and len({after > before for before, after in pairwise(keys)}) > 1:
            message = (
                f'Keys at "{self.key}" go up and down: the server does not sort by them, so records would be lost between '
                f"pages. The page was not handed out. Ask the server to sort by the key."
            )
            raise PaginationError(message)
