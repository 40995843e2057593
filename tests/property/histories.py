"""What happened in a database, judged by what its clients saw: a checker for lists that are only appended to.

Each transaction appends unique numbers to lists and reads whole lists. A list read tells in which order its numbers were
written, so who depended on whom can be told for certain (Kingsbury and Alvaro, "Elle: Inferring Isolation Anomalies from
Experimental Observations", VLDB 2020; Adya, "Weak Consistency", 1999):

* *ww*: B appended right after what A appended, in the same list;
* *wr*: B read a list whose last number A had appended;
* *rw*: A read a list, and what came next in it was appended by B.

A cycle among these says that no order of the transactions explains what they saw. Which edges it needs gives it its name:
G0 (ww only), G1c (ww and wr), G-single (one rw), G2-item (more than one rw). Without any cycle: G1a, somebody read what was
rolled back; G1b, somebody read what was not yet all of a transaction; and lists that contradict one another.

Pure: histories in, names of anomalies out.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

__all__ = ["EXCLUDED", "Append", "Read", "Txn", "anomalies"]

EXCLUDED = {
    "READ UNCOMMITTED": {"G0"},
    "READ COMMITTED": {"G0", "G1a", "G1b", "G1c"},
    "REPEATABLE READ": {"G0", "G1a", "G1b", "G1c", "G-single"},  # as snapshot isolation: PostgreSQL's; Adya's PL-SI
    "SERIALIZABLE": {"G0", "G1a", "G1b", "G1c", "G-single", "G2-item"},
}
"""What must not be found at a level, beside lists that contradict one another and updates that were lost: those never."""


class Append(NamedTuple):
    """A number, unique in the whole history, put at the end of a list."""

    key: str
    value: int


class Read(NamedTuple):
    """A list as it was seen."""

    key: str
    values: tuple[int, ...]


@dataclass(frozen=True)
class Txn:
    """One transaction as its client knows it: committed (True), rolled back (False), or in doubt (None)."""

    name: str
    operations: Sequence[Append | Read]
    committed: bool | None = True


Graph = Mapping[str, Mapping[str, set[str]]]


def anomalies(history: Iterable[Txn]) -> set[str]:
    """Return the names of all kinds of anomaly that *history* shows."""
    txns = list(history)
    writers = {each.value: txn for txn in txns for each in txn.operations if isinstance(each, Append)}
    found = set(_seen_too_early_or_wrongly(txns, writers))
    if "duplicated" in found:
        return found  # no order can be told
    orders = _orders(txns)
    if orders is None:
        return found | {"incompatible orders"}
    return found | _cycles(_graph(txns, writers, orders))


def _outside_reads(txn: Txn) -> Iterator[Read]:
    """Yield what *txn* read of others: each list up to what it had appended itself."""
    own = {each.value for each in txn.operations if isinstance(each, Append)}
    for each in txn.operations:
        if isinstance(each, Read):
            foreign = [value for value in each.values if value not in own]
            yield Read(each.key, tuple(foreign))


def _seen_too_early_or_wrongly(txns: list[Txn], writers: Mapping[int, Txn]) -> Iterator[str]:
    for txn in txns:
        if txn.committed is False:
            continue
        yield from _internal(txn)
        for read in _outside_reads(txn):
            if len(set(read.values)) != len(read.values):
                yield "duplicated"
            if not set(read.values) <= writers.keys():
                yield "out of nowhere"
                continue
            if any(writers[value].committed is False for value in read.values):
                yield "G1a"
            if read.values and _is_intermediate(read, writers[read.values[-1]]):
                yield "G1b"


def _is_intermediate(read: Read, writer: Txn) -> bool:
    appended = [each.value for each in writer.operations if isinstance(each, Append) and each.key == read.key]
    return read.values[-1] != appended[-1]


def _internal(txn: Txn) -> Iterator[str]:
    """A transaction sees what it has appended itself, at the end of what it had read before."""
    known: dict[str, tuple[int, ...]] = {}
    own: dict[str, tuple[int, ...]] = defaultdict(tuple)
    for each in txn.operations:
        if isinstance(each, Append):
            own[each.key] += (each.value,)
            if each.key in known:
                known[each.key] += (each.value,)
            continue
        if own[each.key] and each.values[-len(own[each.key]) :] != own[each.key]:
            yield "internal"
        known[each.key] = each.values


def _orders(txns: list[Txn]) -> dict[str, tuple[int, ...]] | None:
    """Return the longest version of each list, of which all others are a beginning; None where they are not."""
    longest: dict[str, tuple[int, ...]] = {}
    reads = [each for txn in txns if txn.committed is not False for each in txn.operations if isinstance(each, Read)]
    for read in sorted(reads, key=lambda read: len(read.values)):
        before = longest.get(read.key, ())
        if read.values[: len(before)] != before:
            return None
        longest[read.key] = read.values
    return longest


def _graph(txns: list[Txn], writers: Mapping[int, Txn], orders: Mapping[str, tuple[int, ...]]) -> Graph:
    edges: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))

    def edge(one: Txn | None, kind: str, other: Txn | None) -> None:
        if one is not None and other is not None and one.name != other.name:
            edges[one.name][other.name].add(kind)

    for order in orders.values():
        for earlier, later in pairwise(order):
            edge(writers.get(earlier), "ww", writers.get(later))
    next_of = {(key, earlier): later for key, order in orders.items() for earlier, later in pairwise(order)}
    first_of = {key: order[0] for key, order in orders.items() if order}
    for txn in txns:
        if txn.committed is False:
            continue
        for key, values in _outside_reads(txn):
            if values:
                edge(writers.get(values[-1]), "wr", txn)
            follower = next_of.get((key, values[-1])) if values else first_of.get(key)
            edge(txn, "rw", writers.get(follower) if follower is not None else None)
    return edges


def _cycles(edges: Graph) -> set[str]:
    found = set()
    if _has_cycle(edges, {"ww"}):
        found.add("G0")
    for one, others in edges.items():
        for other, kinds in others.items():
            if "wr" in kinds and _path(edges, other, one, {"ww", "wr"}):
                found.add("G1c")
            if "rw" in kinds:
                if _path(edges, other, one, {"ww", "wr"}):
                    found.add("G-single")
                elif _path(edges, other, one, {"ww", "wr", "rw"}):
                    found.add("G2-item")
    return found


def _has_cycle(edges: Graph, kinds: set[str]) -> bool:
    return any(
        kinds & between and _path(edges, other, one, kinds)
        for one, others in edges.items()
        for other, between in others.items()
    )


def _path(edges: Graph, start: str, end: str, kinds: set[str]) -> bool:
    """Whether *end* can be reached from *start* by edges of these kinds."""
    seen, waiting = {start}, deque([start])
    while waiting:
        here = waiting.popleft()
        if here == end:
            return True
        for following, between in edges.get(here, {}).items():
            if kinds & between and following not in seen:
                seen.add(following)
                waiting.append(following)
    return False
