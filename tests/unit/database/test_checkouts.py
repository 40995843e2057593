"""A pool that has run dry names its holders, and how long they have been at it."""

from __future__ import annotations

import pytest

from controlroom.database.checkouts import Checkouts
from controlroom.errors import QueryError
from controlroom.testing import ManualClock


def test_the_holders_are_named_with_their_time() -> None:
    with ManualClock() as clock:
        checkouts = Checkouts(2)
        checkouts.add(1, "a", "thread A")
        clock.advance(12)
        checkouts.add(2, "b", "thread B")
        clock.advance(3)

        error = checkouts.exhausted(3)

    assert error.holders == ("thread A, for 15.0 s", "thread B, for 3.0 s")
    assert "All 2 connections are taken; none came back in 3.0 s" in error.message


def test_only_who_has_every_connection_waits_for_itself() -> None:
    checkouts = Checkouts(2)
    checkouts.add(1, "a", "thread A")
    assert not checkouts.all_are_held_by("a")
    checkouts.add(2, "a", "thread A")
    assert checkouts.all_are_held_by("a")
    assert not checkouts.all_are_held_by("b")
    assert checkouts.remove(1) == 1
    checkouts.add(3, "b", "thread B")
    assert not checkouts.all_are_held_by("a")


def test_whoever_has_just_left_is_not_accused() -> None:
    assert "units that have just ended" in Checkouts(1).exhausted(1).message


def test_whoever_would_wait_for_its_own_lock_is_told_since_when_it_has_it() -> None:
    writing = True
    with ManualClock() as clock:
        checkouts = Checkouts(2)
        checkouts.add(1, "a", "thread A", lambda: writing)
        clock.advance(7)
        checkouts.require_no_write_unit_of("b")
        with pytest.raises(QueryError, match=r"thread A already holds a write unit .* begun 7\.0 s ago") as caught:
            checkouts.require_no_write_unit_of("a")
        assert caught.value.disposition == "stop"
        writing = False
        checkouts.require_no_write_unit_of("a")


def test_the_garbage_collector_may_give_one_back_inside_of_any_call() -> None:
    """It closes streams that nobody closed, in whichever thread it runs: with a plain lock, that one would stand still."""
    checkouts = Checkouts(2)
    checkouts.add(1, "b", "thread B")

    def collect() -> bool:
        assert checkouts.remove(1) == 1
        return False

    checkouts.add(2, "a", "thread A", collect)
    checkouts.require_no_write_unit_of("a")
    assert 1 not in checkouts
