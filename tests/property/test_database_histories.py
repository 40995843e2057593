"""The checker of histories, calibrated: published bad histories are found out by name, good ones pass."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.property.histories import EXCLUDED, Append, Read, Txn, anomalies


def txn(name, *operations, committed=True):
    return Txn(name, operations, committed)


def a(key, value):
    return Append(key, value)


def r(key, *values):
    return Read(key, values)


# Adya, "Weak Consistency: A Generalized Theory and Optimistic Implementations", 1999; Berenson et al., "A Critique of ANSI
# SQL Isolation Levels", 1995; Kingsbury and Alvaro, "Elle", 2020. Writes are appends; what nobody read is read at the end.
BAD = {
    "Adya G0, writes interleaved": (
        {"G0"},
        [
            txn("T1", a("x", 1), a("y", 1 + 10)),
            txn("T2", a("x", 2), a("y", 2 + 10)),
            txn("end", r("x", 1, 2), r("y", 12, 11)),
        ],
    ),
    "Adya G1a, an aborted read": (
        {"G1a"},
        [txn("T1", a("x", 1), committed=False), txn("T2", r("x", 1))],
    ),
    "Adya G1b, an intermediate read": (
        {"G1b", "G-single"},  # it read one half, and overlooked the other
        [txn("T1", a("x", 1), a("x", 2)), txn("T2", r("x", 1)), txn("end", r("x", 1, 2))],
    ),
    "Adya G1c, a circle of information": (
        {"G1c"},
        [txn("T1", a("x", 1), r("y", 2)), txn("T2", a("y", 2), r("x", 1))],
    ),
    "Berenson A5A, read skew": (
        {"G-single"},
        [txn("T1", r("x"), r("y", 2)), txn("T2", a("x", 1), a("y", 2)), txn("end", r("x", 1), r("y", 2))],
    ),
    "Berenson P4, a lost update": (
        {"G-single"},
        [txn("T1", r("x"), a("x", 1)), txn("T2", r("x"), a("x", 2)), txn("end", r("x", 1, 2))],
    ),
    "Berenson A5B, write skew": (
        {"G2-item"},
        [txn("T1", r("x"), r("y"), a("x", 1)), txn("T2", r("x"), r("y"), a("y", 2)), txn("end", r("x", 1), r("y", 2))],
    ),
    "Elle on TiDB: T1 overlooked 5, which stands before its own 4": (
        {"G-single"},
        [
            txn("T0", a("34", 2), a("34", 1)),
            txn("T1", r("34", 2, 1), a("36", 55), a("34", 4)),
            txn("T2", a("34", 5)),
            txn("T3", r("34", 2, 1, 5, 4)),
        ],
    ),
    "Elle on FaunaDB: a transaction does not see its own append": (
        {"internal"},
        [txn("T1", a("0", 6), r("0"))],
    ),
    "Elle: two reads that contradict one another": (
        {"incompatible orders"},
        [txn("T1", a("x", 1)), txn("T2", a("x", 2)), txn("T3", r("x", 1, 2)), txn("T4", r("x", 2))],
    ),
    "a number that is there twice": ({"duplicated"}, [txn("T1", a("x", 1)), txn("T2", r("x", 1, 1))]),
    "a number that nobody appended": ({"out of nowhere"}, [txn("T2", r("x", 7))]),
}
GOOD = {
    "nothing": [],
    "one after the other": [txn("T1", a("x", 1), a("y", 2)), txn("T2", r("x", 1), a("y", 3)), txn("T3", r("y", 2, 3))],
    "its own append": [txn("T1", r("x"), a("x", 1), r("x", 1)), txn("T2", r("x", 1))],
    "its own appends behind those of others": [
        txn("T1", a("x", 1)),
        txn("T2", a("x", 2), r("x", 1, 2), a("x", 3), r("x", 1, 2, 3)),
    ],
    "an old version, and nothing newer": [
        txn("T1", r("x")),
        txn("T2", a("x", 1), a("y", 2)),
        txn("T3", r("x", 1), r("y", 2)),
    ],
    "rolled back, and seen by nobody": [txn("T1", a("x", 1), r("x", 9), committed=False), txn("T2", r("x"))],
    "in doubt, and landed": [txn("T1", a("x", 1), committed=None), txn("T2", r("x", 1))],
    "in doubt, and not": [txn("T1", a("x", 1), committed=None), txn("T2", r("x"))],
}


@pytest.mark.parametrize("name", BAD)
def test_a_published_bad_history_is_called_by_its_name(name):
    expected, history = BAD[name]
    assert anomalies(history) == expected
    assert anomalies(reversed(history)) == expected


@pytest.mark.parametrize("name", GOOD)
def test_a_good_history_passes(name):
    assert anomalies(GOOD[name]) == set()


def test_each_level_excludes_what_the_weaker_ones_do():
    levels = list(EXCLUDED.values())
    assert all(weaker < stronger for weaker, stronger in pairwise(levels))


STEPS = st.lists(st.lists(st.tuples(st.sampled_from("xyz"), st.booleans()), min_size=1, max_size=4), max_size=12)


@given(steps=STEPS, aborted=st.sets(st.integers(0, 11)), order=st.randoms(use_true_random=False))
def test_what_was_run_one_after_the_other_has_no_anomaly_in_whatever_order_it_is_told(steps, aborted, order):
    lists, history, value = dict.fromkeys("xyz", ()), [], 0
    for number, operations in enumerate(steps):
        mine, done = dict(lists), []
        for key, appends in operations:
            if appends:
                value += 1
                mine[key] = (*mine[key], value)
            done.append(Append(key, value) if appends else Read(key, mine[key]))
        history.append(Txn(f"T{number}", done, number not in aborted))
        lists = lists if number in aborted else mine
    order.shuffle(history)

    assert anomalies(history) == set()
