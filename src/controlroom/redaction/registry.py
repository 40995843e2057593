"""Finds every registered form in a text, at a cost that hardly depends on how many are registered.

A form of eleven bytes or more covers, wherever it stands, four bytes that begin at a multiple of eight. So four bytes of
every eight of the text are looked up among the blocks that any form can show there, and only the forms behind a block that
was met are searched for. Once a form of seven to ten bytes is registered, it is four bytes of every four.
"""

from __future__ import annotations

import itertools
import math
import re
import threading
from collections.abc import Iterable, Iterator, Sequence
from struct import Struct

from controlroom.redaction.forms import SHORTEST_ANYWHERE

__all__ = ["Registry", "Span"]

Span = tuple[int, int]

_BLOCK = 4
_generations = itertools.count()
_OF_A_NUMBER = re.compile(r"[0-9.e+-]+")
_WIDE = 2 * _BLOCK
_SHORTEST_COVERING = 2 * _BLOCK - 1
_SHORTEST_COVERING_WIDE = _WIDE + _BLOCK - 1
# Half the time of a view, for the texts of a line.
_UNPACK = tuple(Struct(f"={number}I").unpack_from for number in range(64))
_UNPACK_WIDE = tuple(Struct("=" + "4x".join("I" * number)).unpack_from for number in range(64))


class Registry:
    """Forms of secrets. `add` and `spans` may run in any number of threads.

    Attributes:
        generation: A number that no other state of any registry had: what was computed under it may be reused under it.
        remembered: Texts and what became of them, as of this state; the next state has a memory of its own.
        in_numbers: Whether the text of a number could hold a form.
        longest: Characters of the longest form.
    """

    def __init__(self) -> None:
        self.generation: int = next(_generations)
        self.remembered: dict[str, str] = {}
        self.in_numbers: bool = False
        self.longest: int = 0
        self._lock = threading.Lock()
        self._by_block: dict[int, tuple[str, ...]] = {}
        self._blocks: set[int] = set()  # the keys of that: a set answers in half the time of a view
        self._step = _WIDE
        self._shortest_covering: float = math.inf  # most values of a log line are shorter than any secret
        self._brief: tuple[str, ...] = ()
        self._alone: re.Pattern[str] | None = None
        self._tiny: frozenset[str] = frozenset()

    def add(self, forms: Iterable[str]) -> None:
        """Find *forms* from now on."""
        with self._lock:
            for form in forms:
                self._add(form)
            # Only now, so that nothing judged without these forms is found under what follows.
            self.remembered = {}
            self.generation = next(_generations)

    def _add(self, form: str) -> None:
        raw = form.encode("utf-8", "surrogatepass")
        self.longest = max(self.longest, len(form))
        self.in_numbers |= _OF_A_NUMBER.fullmatch(form) is not None
        if len(form) < SHORTEST_ANYWHERE:
            self._tiny |= {form}
            self._alone = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, sorted(self._tiny)))})(?!\w)")
        elif len(raw) < _SHORTEST_COVERING:
            self._brief = tuple(dict.fromkeys((*self._brief, form)))
        else:
            if len(raw) < _SHORTEST_COVERING_WIDE:
                self._step = _BLOCK
            for block in _blocks_at_the_end(raw):
                known = self._by_block.get(block, ())
                if form not in known:
                    self._by_block[block] = (*known, form)
                    self._blocks.add(block)
            self._shortest_covering = min(self._shortest_covering, len(form))

    def spans(self, text: str) -> list[Span]:
        """Return where registered forms stand in *text*, in no particular order; spans may overlap."""
        found: list[Span] = []
        if len(text) >= self._shortest_covering:
            blocks = _blocks_of(text, self._step)
            if not self._blocks.isdisjoint(blocks):
                for form in self._behind(blocks):
                    found += _everywhere(form, text)
        for form in self._brief:
            if form in text:
                found += _everywhere(form, text)
        if self._alone is not None:
            found += [match.span() for match in self._alone.finditer(text)]
        return found

    def _behind(self, blocks: Iterable[int]) -> set[str]:
        return {form for block in self._blocks.intersection(blocks) for form in self._by_block[block]}


def _blocks_of(text: str, step: int) -> Sequence[int]:
    data = text.encode() if text.isascii() else text.encode("utf-8", "surrogatepass")
    number = (len(data) + step - _BLOCK) // step
    unpack = _UNPACK_WIDE if step == _WIDE else _UNPACK
    if number < len(unpack):
        return unpack[number](data)
    return memoryview(data)[: len(data) & -_BLOCK].cast("I")[:: step // _BLOCK]


def _blocks_at_the_end(raw: bytes) -> Iterator[int]:
    """Yield the blocks one of which every occurrence shows. The end: secrets tend to begin alike (``sk_live_``)."""
    window = raw[-_SHORTEST_COVERING_WIDE:] if len(raw) >= _SHORTEST_COVERING_WIDE else raw[-_SHORTEST_COVERING:]
    for start in range(len(window) - _BLOCK + 1):
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
