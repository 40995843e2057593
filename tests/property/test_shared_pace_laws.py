"""Whatever processes share a limit, and in whatever order they come: no window sees more than it allows."""

from __future__ import annotations

import math
from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from controlroom.policy.rate_limit import RateLimit
from controlroom.policy.shared_pace import hold, take

limits = st.builds(
    RateLimit,
    requests=st.integers(1, 50),
    per_s=st.sampled_from([0.5, 1.0, 60.0]),
    burst=st.integers(1, 5),
)
pauses = st.lists(st.one_of(st.just(0.0), st.floats(0, 0.3), st.floats(0, 100)), min_size=1, max_size=60)
patience = st.sampled_from([0.0, 0.05, 1.0, math.inf])


def leave(limit: RateLimit, comings: list[tuple[float, float]], start_s: float = 1e6) -> list[float]:
    """When those who come after *pauses*, each with its patience, may leave."""
    text, left = None, []
    instants = accumulate((pause_s for pause_s, _ in comings), initial=start_s)
    for now_s, (_, longest_wait_s) in zip(list(instants)[1:], comings, strict=True):
        found, wait_s = take(limit, text, now_s, "epoch", longest_wait_s)
        if found is not None:
            text = found
            left.append(now_s + wait_s)
    return left


@given(limits, st.lists(st.tuples(pauses.map(lambda found: found[0]), patience), min_size=1, max_size=80))
def test_no_window_sees_more_than_the_limit_and_its_burst(limit: RateLimit, comings: list[tuple[float, float]]) -> None:
    left = sorted(leave(limit, comings))

    for start in left:
        in_window = sum(start <= instant < start + limit.per_s - 1e-6 for instant in left)
        assert in_window <= limit.requests + limit.burst - 1


@given(limits, st.lists(pauses.map(lambda found: found[0]), min_size=1, max_size=80))
def test_shared_or_not_the_places_are_the_same(limit: RateLimit, found: list[float]) -> None:
    alone = RateLimit(limit.requests, per_s=limit.per_s, burst=limit.burst)
    instants = list(accumulate(found, initial=1e6))[1:]

    expected = [now_s + alone.reserve(now_s) for now_s in instants]
    assert leave(limit, [(pause_s, math.inf) for pause_s in found]) == expected


@given(limits, st.floats(0, 1e5), st.floats(-1e6, 1e6))
def test_nobody_waits_longer_than_a_hold_whatever_becomes_of_the_clock(
    limit: RateLimit, for_s: float, step_s: float
) -> None:
    text = hold(limit, None, 2e6, "epoch", for_s)

    _, wait_s = take(limit, text, 2e6 + step_s, "epoch", math.inf)
    assert wait_s <= min(for_s, 86_400) + 1e-6


@given(limits, st.text(max_size=300))
def test_no_text_hangs_or_breaks_a_limit(limit: RateLimit, text: str) -> None:
    found, wait_s = take(limit, text, 5.0, "epoch", math.inf)

    assert found is not None
    assert 0 <= wait_s <= limit.per_s / limit.requests + 1e-9
