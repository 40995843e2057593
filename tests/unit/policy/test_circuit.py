from __future__ import annotations

import gc
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from controlroom.errors import ConfigError
from controlroom.policy.circuit import Change, CircuitBreaker, Ticket

HERE = "https://api.example.com"


def opened(breaker: CircuitBreaker, at_s: float = 0.0) -> CircuitBreaker:
    """A breaker whose circuit opened at *at_s*."""
    for number in range(breaker.failures):
        ticket = admitted(breaker, at_s)
        change = breaker.report(ticket, at_s, succeeded=False)
        assert (change is Change.OPENED) == (number == breaker.failures - 1)
    return breaker


def admitted(breaker: CircuitBreaker, now_s: float) -> Ticket:
    ticket = breaker.admit(HERE, now_s)
    assert ticket.wait_s == 0
    return ticket


def refused_for(breaker: CircuitBreaker, now_s: float) -> float:
    wait_s = breaker.admit(HERE, now_s).wait_s
    assert wait_s > 0
    return wait_s


def test_it_opens_at_the_last_straw_and_says_for_how_long() -> None:
    breaker = opened(CircuitBreaker(3, of=5, open_s=30), at_s=100)

    assert refused_for(breaker, 100) == 30
    assert refused_for(breaker, 129) == 1


def test_failures_that_are_few_among_many_do_not_open_it() -> None:
    breaker = CircuitBreaker(3, of=5)

    for number in range(40):
        assert breaker.report(admitted(breaker, 0), 0, succeeded=number % 5 in {0, 2, 4}) is None
        admitted(breaker, 0)


def test_failures_beyond_the_window_are_forgotten() -> None:
    breaker = CircuitBreaker(2, of=2)

    outcomes = (False, True, False, True, False)
    assert [breaker.report(admitted(breaker, 0), 0, succeeded=good) for good in outcomes] == [None] * 5
    assert breaker.report(admitted(breaker, 0), 0, succeeded=False) is Change.OPENED


def test_one_probe_goes_first_and_the_others_wait_for_it() -> None:
    breaker = opened(CircuitBreaker(1, open_s=30))

    admitted(breaker, 30)
    assert refused_for(breaker, 31) == 29


def test_a_probe_that_succeeds_closes_it_and_the_past_is_forgotten() -> None:
    breaker = opened(CircuitBreaker(2, of=2, open_s=30))
    probe = admitted(breaker, 30)

    assert breaker.report(probe, 31, succeeded=True) is Change.CLOSED
    assert breaker.report(admitted(breaker, 31), 31, succeeded=False) is None


def test_a_probe_that_fails_opens_it_for_as_long_again() -> None:
    breaker = opened(CircuitBreaker(3, open_s=30))
    probe = admitted(breaker, 30)

    assert breaker.report(probe, 32, succeeded=False) is Change.OPENED
    assert refused_for(breaker, 33) == 29


@pytest.mark.parametrize("succeeded", [True, False])
def test_news_from_before_it_opened_changes_nothing(succeeded: bool) -> None:
    breaker = CircuitBreaker(1, open_s=30)
    early = admitted(breaker, 0)
    opened(breaker)

    assert breaker.report(early, 5, succeeded=succeeded) is None
    assert refused_for(breaker, 5) == 25


@pytest.mark.parametrize("end", ["good", "bad", "abandoned"])
def test_news_from_before_it_opened_is_not_taken_for_the_probes(end: str) -> None:
    """It came while the probe was under way: a success of a minute ago says nothing about now."""
    breaker = CircuitBreaker(1, open_s=30)
    early = admitted(breaker, 0)
    opened(breaker)
    probe = admitted(breaker, 30)

    if end == "abandoned":
        breaker.abandon(early)
    else:
        assert breaker.report(early, 31, succeeded=end == "good") is None

    assert refused_for(breaker, 31) == 29
    assert breaker.report(probe, 32, succeeded=True) is Change.CLOSED


@pytest.mark.parametrize("succeeded", [True, False])
def test_news_from_before_it_opened_does_not_count_once_it_is_closed_again(succeeded: bool) -> None:
    breaker = CircuitBreaker(1, open_s=30)
    early = admitted(breaker, 0)
    breaker.report(admitted(opened(breaker), 30), 31, succeeded=True)

    assert breaker.report(early, 32, succeeded=succeeded) is None
    admitted(breaker, 32)


def test_a_probe_that_is_given_up_makes_room_for_another() -> None:
    breaker = opened(CircuitBreaker(1, open_s=30))
    breaker.abandon(admitted(breaker, 30))

    admitted(breaker, 31)


def test_a_probe_that_is_given_up_twice_makes_room_for_one() -> None:
    breaker = opened(CircuitBreaker(1, open_s=30))
    first = admitted(breaker, 30)
    breaker.abandon(first)
    admitted(breaker, 31)

    breaker.abandon(first)

    assert refused_for(breaker, 32) == 29


def test_a_probe_that_never_reports_does_not_keep_it_open_for_ever() -> None:
    breaker = opened(CircuitBreaker(1, open_s=30))
    admitted(breaker, 30)

    admitted(breaker, 60)
    assert refused_for(breaker, 61) == 29


def test_a_probe_that_was_given_up_for_lost_may_still_bring_good_news() -> None:
    """A server that answers more slowly than *open_s* would else never be found to answer."""
    breaker = opened(CircuitBreaker(1, open_s=30))
    slow = admitted(breaker, 30)
    admitted(breaker, 60)

    assert breaker.report(slow, 70, succeeded=True) is Change.CLOSED
    admitted(breaker, 70)


@pytest.mark.parametrize("end", ["bad", "abandoned"])
def test_a_probe_that_was_given_up_for_lost_does_not_decide_for_the_next_one(end: str) -> None:
    breaker = opened(CircuitBreaker(1, open_s=30))
    slow = admitted(breaker, 30)
    probe = admitted(breaker, 60)

    if end == "bad":
        assert breaker.report(slow, 65, succeeded=False) is None
    else:
        breaker.abandon(slow)

    assert refused_for(breaker, 65) == 25
    assert breaker.report(probe, 66, succeeded=False) is Change.OPENED


def test_whoever_was_refused_has_nothing_to_report() -> None:
    breaker = opened(CircuitBreaker(1, open_s=30))
    refused = breaker.admit(HERE, 10)
    admitted(breaker, 30)

    assert breaker.report(refused, 31, succeeded=True) is None
    breaker.abandon(refused)
    assert refused_for(breaker, 31) == 29


def test_each_origin_has_a_circuit_of_its_own() -> None:
    breaker = opened(CircuitBreaker(1))

    other = breaker.admit("https://other.example.com", 0)
    assert other.wait_s == 0
    breaker.abandon(other)


@pytest.mark.parametrize(
    "arguments",
    [{"failures": 0}, {"failures": 11}, {"failures": 1.5}, {"of": "10"}, {"open_s": 0}, {"open_s": float("inf")}],
)
def test_an_impossible_breaker_is_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="not possible"):
        CircuitBreaker(**arguments)


def test_threads_get_one_probe_between_them() -> None:
    breaker, probes, barrier = opened(CircuitBreaker(1, open_s=30)), [], threading.Barrier(8)

    def ask() -> None:
        barrier.wait()
        if breaker.admit(HERE, 30).wait_s == 0:
            probes.append(1)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert probes == [1]


def test_a_call_that_the_collector_closes_while_another_one_asks_blocks_nobody() -> None:
    """The collector runs in whatever thread allocates: in the middle of `admit`, too."""
    breaker = opened(CircuitBreaker(1, open_s=30))
    probe = admitted(breaker, 30)

    class Forgotten:
        def __del__(self) -> None:
            breaker.abandon(probe)

    forgotten = Forgotten()
    forgotten.itself = forgotten  # type: ignore[attr-defined]  # a cycle: only the collector ends it
    done = threading.Event()

    def ask() -> None:
        with breaker._lock:  # as deep inside as any method
            gc.collect()
        done.set()

    del forgotten
    threading.Thread(target=ask, daemon=True).start()

    assert done.wait(10)
    admitted(breaker, 31)


@given(st.lists(st.tuples(st.sampled_from(["admit", "good", "bad", "abandon"]), st.floats(0, 20)), max_size=60))
def test_whatever_happens_it_is_never_open_for_longer_than_it_says(events: list[tuple[str, float]]) -> None:
    breaker, now_s, held = CircuitBreaker(2, of=3, open_s=10), 0.0, [CircuitBreaker().admit(HERE, 0)]
    for number, (what, later_s) in enumerate(events):
        now_s += later_s
        ticket = held[number % len(held)]
        match what:
            case "admit":
                held.append(breaker.admit(HERE, now_s))
                assert 0 <= held[-1].wait_s <= 10 + 1e-9  # instants are sums of floats
            case "abandon":
                breaker.abandon(ticket)
            case _:
                breaker.report(ticket, now_s, succeeded=what == "good")

    admitted(breaker, now_s + 10 + 1e-9)


def test_asking_how_long_admits_nobody() -> None:
    breaker = opened(CircuitBreaker(1, open_s=30))

    assert (breaker.wait_s(HERE, 10), breaker.wait_s("https://other.example.com", 10)) == (20, 0)
    assert [breaker.wait_s(HERE, 30) for _ in range(2)] == [0, 0]
    admitted(breaker, 30)
    assert breaker.wait_s(HERE, 31) == 29


class Probing(RuleBasedStateMachine):
    """Calls that end in any order, or never: while the circuit is open, no more than one of them counts as its probe."""

    OPEN_S = 10.0

    def __init__(self) -> None:
        super().__init__()
        self.breaker = CircuitBreaker(1, of=1, open_s=self.OPEN_S)
        self.now_s = 0.0
        self.under_way: list[Ticket] = []
        self.is_open = False
        self.probe: tuple[Ticket, float] | None = None

    @rule(later_s=st.sampled_from([0.0, 1.0, 9.0, 10.0, 11.0]))
    def time_passes(self, later_s: float) -> None:
        self.now_s += later_s

    @rule()
    def a_call_asks(self) -> None:
        ticket = self.breaker.admit(HERE, self.now_s)
        if ticket.wait_s > 0:
            assert self.is_open
            return
        if self.is_open:
            assert self.probe is None or self.now_s >= self.probe[1], "two probes at once"
            self.probe = (ticket, self.now_s + self.OPEN_S)
        self.under_way.append(ticket)

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), end=st.sampled_from(["good", "bad", "abandoned"]))
    def a_call_ends(self, data: st.DataObject, end: str) -> None:
        ticket = self.under_way.pop(data.draw(st.integers(0, len(self.under_way) - 1)))
        is_probe = self.probe is not None and ticket is self.probe[0]
        if end == "abandoned":
            self.breaker.abandon(ticket)
            self.probe = None if is_probe else self.probe
            return
        change = self.breaker.report(ticket, self.now_s, succeeded=end == "good")
        if change is not None:
            self.is_open, self.probe = change is Change.OPENED, None
        assert change is not None or not is_probe, "the probe was not believed"

    @invariant()
    def asking_agrees(self) -> None:
        assert self.is_open or self.breaker.wait_s(HERE, self.now_s) == 0


TestProbing = Probing.TestCase
