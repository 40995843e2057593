"""Finds every registered form in a text, at a cost that hardly depends on how many are registered.

A form of seven bytes or more covers, wherever it stands, four bytes that begin at a multiple of four. So the text is read
in steps of four bytes, and each step looked up among the blocks that any form can show there. Only the forms behind a
block that was met are searched for.
"""

from __future__ import annotations

import itertools
import math
import re
import threading
from collections.abc import Iterable, Iterator

from controlroom.redaction.forms import SHORTEST_ANYWHERE

__all__ = ["Registry", "Span"]

Span = tuple[int, int]

_BLOCK = 4
_generations = itertools.count()
_SHORTEST_COVERING = 2 * _BLOCK - 1


class Registry:
    """Forms of secrets. `add` and `spans` may run in any number of threads.

    Attributes:
        generation: A number that no other state of any registry had: what was computed under it may be reused under it.
    """

    def __init__(self) -> None:
        self.generation: int = next(_generations)
        self._lock = threading.Lock()
        self._by_block: dict[int, tuple[str, ...]] = {}
        self._shortest_covering: float = math.inf  # most values of a log line are shorter than any secret
        self._brief: tuple[str, ...] = ()
        self._alone: re.Pattern[str] | None = None
        self._tiny: frozenset[str] = frozenset()

    def add(self, forms: Iterable[str]) -> None:
        """Find *forms* from now on."""
        with self._lock:
            for form in forms:
                self._add(form)
            self.generation = next(_generations)

    def _add(self, form: str) -> None:
        raw = form.encode("utf-8", "surrogatepass")
        if len(form) < SHORTEST_ANYWHERE:
            self._tiny |= {form}
            self._alone = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, sorted(self._tiny)))})(?!\w)")
        elif len(raw) < _SHORTEST_COVERING:
            self._brief = tuple(dict.fromkeys((*self._brief, form)))
        else:
            for block in _blocks_at_the_end(raw):
                known = self._by_block.get(block, ())
                if form not in known:
                    self._by_block[block] = (*known, form)
            self._shortest_covering = min(self._shortest_covering, len(form))

    def spans(self, text: str) -> list[Span]:
        """Return where registered forms stand in *text*, in no particular order; spans may overlap."""
        found: list[Span] = []
        if len(text) >= self._shortest_covering:
            for form in self._candidates(text):
                found += _everywhere(form, text)
        for form in self._brief:
            if form in text:
                found += _everywhere(form, text)
        if self._alone is not None:
            found += [match.span() for match in self._alone.finditer(text)]
        return found

    def _candidates(self, text: str) -> set[str]:
        data = text.encode() if text.isascii() else text.encode("utf-8", "surrogatepass")
        blocks = memoryview(data)[: len(data) & -_BLOCK].cast("I")
        if self._by_block.keys().isdisjoint(blocks):
            return set()
        return {form for block in set(blocks) for form in self._by_block.get(block, ())}


def _blocks_at_the_end(raw: bytes) -> Iterator[int]:
    """Yield the blocks one of which every occurrence shows. The end: secrets tend to begin alike (``sk_live_``)."""
    window = raw[-_SHORTEST_COVERING:]
    for start in range(_BLOCK):
        yield memoryview(window[start : start + _BLOCK]).cast("I")[0]


def _everywhere(form: str, text: str) -> Iterator[Span]:
    """Yield where *form* stands in *text*, occurrences that overlap as one."""
    start = text.find(form)
    while start >= 0:
        end = start + len(form)
        following = text.find(form, start + 1)
        while 0 <= following <= end:
            end = following + len(form)
            following = text.find(form, following + 1)
        yield start, end
        start = following
