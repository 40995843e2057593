"""Places for requests under way: no more than there are, in order, and back whatever happened."""

from __future__ import annotations

import threading
from collections import deque

import pytest

from controlroom.policy.in_flight import Place, Room


def test_no_more_places_are_taken_than_there_are() -> None:
    room = Room(2)

    assert [room.ask().is_taken for _ in range(4)] == [True, True, False, False]


def test_a_place_goes_to_whoever_has_waited_longest() -> None:
    room, woken = Room(1), []
    first, *others = [room.ask() for _ in range(4)]
    for number, place in enumerate(others):
        place.when_taken(lambda number=number: woken.append(number))

    first.leave()
    others[0].leave()

    assert woken == [0, 1]
    assert [place.is_taken for place in others] == [True, True, False]


def test_leaving_twice_gives_one_place_back() -> None:
    room = Room(1)
    first, second, third = room.ask(), room.ask(), room.ask()

    first.leave()
    first.leave()

    assert (second.is_taken, third.is_taken) == (True, False)


def test_whoever_left_the_queue_is_passed_over() -> None:
    room = Room(1)
    first, second, third = room.ask(), room.ask(), room.ask()

    second.leave()
    assert list(room._queue) == [third]  # who gave up is not kept
    first.leave()

    assert (second.is_taken, third.is_taken) == (False, True)
    third.leave()
    assert room.ask().is_taken


def test_a_place_that_was_taken_before_anybody_listened_wakes_at_once() -> None:
    room, woken = Room(1), []
    first, second = room.ask(), room.ask()
    first.leave()

    second.when_taken(lambda: woken.append("woken"))

    assert woken == ["woken"]


def test_a_request_that_the_collector_closes_while_another_one_asks_loses_no_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    room = Room(1)
    first = room.ask()

    class Interrupted(deque[Place]):
        def append(self, place: Place) -> None:
            super().append(place)
            first.leave()

    monkeypatch.setattr(room, "_queue", Interrupted())

    assert room.ask().is_taken


def test_threads_never_hold_more_places_than_there_are() -> None:
    room, lock = Room(3), threading.Lock()
    under_way, most = 0, 0

    def work() -> None:
        nonlocal under_way, most
        for _ in range(200):
            place, taken = room.ask(), threading.Event()
            place.when_taken(taken.set)
            assert taken.wait(20)
            with lock:
                under_way += 1
                most = max(most, under_way)
            with lock:
                under_way -= 1
            place.leave()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 1 <= most <= 3
    assert [room.ask().is_taken for _ in range(4)] == [True, True, True, False]
