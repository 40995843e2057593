"""What makes an endless or repeating walk raise: requests seen, pages seen, empty pages in a row, pages in all."""

from __future__ import annotations

import hashlib
import marshal
from collections.abc import Sequence
from typing import Any

from controlroom.errors import ConfigError, PaginationError, PaginationLoopError
from controlroom.policy.pagination.pages import PageRequest, PageResponse

__all__ = ["Guards"]


class Guards:
    """The memory of one walk. Two short digests a page, and never more than *max_pages* of each.

    Args:
        max_pages: Pages that one run may take.
        max_empty_pages: Pages without records that may come in a row.
        repeats_allowed: Take equal pages as they come: for data that truly repeats, without ids.
        counted_by_client: The client makes up the positions, so a server that ignores them gives the same records
            again, perhaps in a body with another time stamp.

    Raises:
        ConfigError: A limit is below 1.
    """

    def __init__(self, *, max_pages: int, max_empty_pages: int, repeats_allowed: bool, counted_by_client: bool) -> None:
        if min(max_pages, max_empty_pages) < 1:
            message = f"A walk needs room: max_pages={max_pages}, max_empty_pages={max_empty_pages} must be 1 or more."
            raise ConfigError(message)
        self._max_pages = max_pages
        self._max_empty_pages = max_empty_pages
        self._repeats_allowed = repeats_allowed
        self._counted_by_client = counted_by_client
        self._requests: set[bytes] = set()
        self._judged: tuple[PageRequest, bytes] | None = None
        self._bodies: set[bytes] = set()
        self._records_before: bytes | None = None
        self._edges: tuple[int, Any, Any] | None = None
        self._pages = 0
        self._empty_in_a_row = 0

    def before(self, request: PageRequest) -> None:
        """Judge a request about to be sent for the first time.

        Raises:
            PaginationError: This run took as many pages as it may.
        """
        if self._pages >= self._max_pages:
            message = (
                f"The walk took {self._max_pages} page{'' if self._max_pages == 1 else 's'} and is not at its end. Nothing is wrong with those; resume from "
                f"the checkpoint, or raise max_pages if this many are to be expected."
            )
            raise PaginationError(message)
        judged, self._judged = self._judged, None
        self._requests.add(judged[1] if judged is not None and judged[0] is request else request.digest())

    def after(self, response: PageResponse, number: int) -> None:
        """Judge a page.

        Raises:
            PaginationLoopError: It came before.
            PaginationError: Too many empty pages in a row.
        """
        self._pages += 1
        if response.records:
            self._empty_in_a_row = 0
            if not self._repeats_allowed:
                self._judge_content(response, number)
            return
        self._empty_in_a_row += 1
        if self._empty_in_a_row > self._max_empty_pages:
            message = f"{self._empty_in_a_row} empty pages in a row, and each points on: the walk makes no progress."
            raise PaginationError(message)

    def _judge_content(self, response: PageResponse, number: int) -> None:
        if response.digest and response.digest in self._bodies:
            raise _repeated(number, "the same body as an earlier page")
        self._bodies.add(response.digest)
        # A server that ignores a cursor may make up a new one each time: no two bodies are equal, but the records are.
        edges = (len(response.records), response.records[0], response.records[-1])
        digest = _digest(response.records) if self._counted_by_client or edges == self._edges else None
        self._edges = edges
        if digest is not None and digest == self._records_before:
            raise _repeated(number, "the same records as the page before")
        self._records_before = digest

    def following(self, request: PageRequest | None, number: int) -> None:
        """Judge where page *number* points to.

        Raises:
            PaginationLoopError: There the walk has been already.
        """
        if request is None:
            return
        self._judged = request, request.digest()
        if self._judged[1] in self._requests:
            message = (
                f"Page {number} points to a page that was taken before: the walk would go in circles. Its records were "
                f"not handed out. The server is at fault."
            )
            raise PaginationLoopError(message)


def _repeated(number: int, what: str) -> PaginationLoopError:
    message = (
        f"Page {number} has {what}: the server ignores where it was asked to go on, or the parameter that says so has "
        f"another name. Its records were not handed out. If the data truly repeats, say so with Endpoint(repeats_allowed=True)."
    )
    return PaginationLoopError(message)


def _digest(records: Sequence[Any]) -> bytes | None:
    """Return a fingerprint, or None where equal pages prove nothing: one record, or one value over and over."""
    if records[0] == records[-1]:
        return None
    try:
        plain = marshal.dumps(list(records), 2)  # version 2 knows no back references: equal data, equal bytes
    except ValueError:  # something that JSON cannot hold, from a callable path
        return None
    return hashlib.blake2b(plain, digest_size=12).digest()
