from __future__ import annotations

import pytest

from controlroom.errors import PaginationLoopError
from controlroom.policy.pagination import PageRequest
from controlroom.policy.pagination.guards import Guards


def request(page: int) -> PageRequest:
    return PageRequest("GET", "https://x/items", {"page": page})


def test_it_is_the_request_that_was_sent_that_is_remembered_not_the_one_judged_before_it() -> None:
    guards = Guards(max_pages=9, max_empty_pages=9, repeats_allowed=False, counted_by_client=False)
    guards.before(request(1))
    guards.following(request(2), 1)

    guards.before(request(3))

    guards.following(request(2), 2)
    with pytest.raises(PaginationLoopError, match="would go in circles"):
        guards.following(request(3), 2)
