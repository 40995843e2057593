"""What makes an endless or repeating walk raise: requests seen, pages seen, empty pages in a row, pages in all."""

from __future__ import annotations

import hashlib
import marshal
from collections.abc import Mapping, Sequence
from typing import Any, Final

from controlroom.errors import ConfigError, PaginationError, PaginationLoopError
from controlroom.policy.pagination.pages import PageRequest, PageResponse

__all__ = ["Guards"]

_EQUAL_IN_A_ROW: Final = 20
_SAMPLE: Final = 8
_IDS: Final = frozenset({"id", "_id", "uuid"})


class Guards:
    """The memory of one walk. A few short digests a page, and never more than *max_pages* of each.

    Args:
        max_pages: Pages that one run may take.
        max_empty_pages: Pages without records that may come in a row.
        repeats_allowed: Take equal pages as they come: for data that truly repeats, without ids.

    Raises:
        ConfigError: A limit is below 1.
    """

    def __init__(self, *, max_pages: int, max_empty_pages: int, repeats_allowed: bool) -> None:
        if min(max_pages, max_empty_pages) < 1:
            message = f"A walk needs room: max_pages={max_pages}, max_empty_pages={max_empty_pages} must be 1 or more."
            raise ConfigError(message)
        self._max_pages = max_pages
        self._max_empty_pages = max_empty_pages
        self._repeats_allowed = repeats_allowed
        self._requests: set[bytes] = set()
        self._judged: tuple[PageRequest, bytes] | None = None
        self._bodies: set[bytes] = set()
        self._contents: set[bytes] = set()
        self._content_before: bytes | None = None
        self._equal_in_a_row = 0
        self._pages = 0
        self._empty_in_a_row = 0

    @property
    def pages(self) -> int:
        """Pages taken in this run."""
        return self._pages

    @property
    def pages_left(self) -> int:
        """Pages that this run may still take."""
        return self._max_pages - self._pages

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
        # A cursor or a time stamp of its own makes each body another one, although the records are the same.
        content = _digest(response.records)
        if content is None:
            return
        self._equal_in_a_row = self._equal_in_a_row + 1 if content == self._content_before else 1
        may_repeat = _may_repeat(response.records) and self._equal_in_a_row <= _EQUAL_IN_A_ROW
        if content in self._contents and not may_repeat:
            raise _repeated(number, "the same records as an earlier page")
        self._contents.add(content)
        self._content_before = content

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


def _may_repeat(records: Sequence[Any]) -> bool:
    """Tell whether *records* may be the data of several pages: one value without an id, once or over and over."""
    first = records[0]
    return bool(first == records[-1]) and not _has_id(first)


def _has_id(record: Any) -> bool:
    return isinstance(record, Mapping) and not _IDS.isdisjoint(record)


def _digest(records: Sequence[Any]) -> bytes | None:
    """Return a fingerprint of *records* as the server sent them, whatever the consumer does to them later.

    Of a long page whose records have an id it takes a sample: they differ everywhere, or not at all. Others may differ in
    one place.
    """
    last = len(records) - 1
    is_sampled = last >= _SAMPLE and _has_id(records[0])
    sample = [records[at * last // (_SAMPLE - 1)] for at in range(_SAMPLE)] if is_sampled else records
    try:
        plain = marshal.dumps([last, *sample], 2)  # version 2 knows no back references: equal data, equal bytes
    except ValueError:  # something that JSON cannot hold, from a callable path
        return None
    return hashlib.blake2b(plain, digest_size=12).digest()
