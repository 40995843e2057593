"""The one timer that serves all limits of a connection of asyncpg's."""

from __future__ import annotations

from collections.abc import Callable

import pytest

pytest.importorskip("asyncpg")

from controlroom.database.postgres.asyncpg_connections import Alarm


class Timer:
    def __init__(self, at_s: float, ring: Callable[[], None]) -> None:
        self.at_s, self.ring, self.cancelled = at_s, ring, False

    def when(self) -> float:
        return self.at_s

    def cancel(self) -> None:
        self.cancelled = True


class Loop:
    """A loop whose time stands still."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.timers: list[Timer] = []

    def time(self) -> float:
        return self.now_s

    def call_at(self, at_s: float, ring: Callable[[], None]) -> Timer:
        self.timers.append(Timer(at_s, ring))
        return self.timers[-1]

    def go_to(self, now_s: float) -> None:
        self.now_s = now_s
        for timer in [each for each in self.timers if each.at_s <= now_s]:
            self.timers.remove(timer)
            if not timer.cancelled:
                timer.ring()

    @property
    def set_for(self) -> list[float]:
        return [each.at_s for each in self.timers if not each.cancelled]


class Terminated:
    count = 0

    def terminate(self) -> None:
        self.count += 1


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> Loop:
    loop = Loop()
    monkeypatch.setattr("asyncio.get_running_loop", lambda: loop)
    return loop


def test_a_limit_that_is_over_closes_the_connection_once(loop: Loop) -> None:
    connection = Terminated()
    Alarm(connection).begin(10)
    loop.go_to(9.9)
    assert connection.count == 0
    loop.go_to(10)
    loop.go_to(100)
    assert (connection.count, loop.set_for) == (1, [])


def test_what_was_answered_in_time_is_left_alone(loop: Loop) -> None:
    connection = Terminated()
    alarm = Alarm(connection)
    alarm.begin(10)
    alarm.lift()
    loop.go_to(10)
    assert (connection.count, loop.set_for) == (0, [])


def test_a_later_limit_waits_for_its_own_time_without_a_timer_of_its_own(loop: Loop) -> None:
    connection = Terminated()
    alarm = Alarm(connection)
    for start_s in range(5):
        loop.go_to(start_s)
        alarm.begin(10)
        assert loop.set_for == [10]
        if start_s < 4:
            alarm.lift()
    loop.go_to(10)
    assert (connection.count, loop.set_for) == (0, [14])
    loop.go_to(14)
    assert connection.count == 1


def test_a_shorter_limit_does_not_wait_for_a_longer_one_that_was_lifted(loop: Loop) -> None:
    connection = Terminated()
    alarm = Alarm(connection)
    alarm.begin(60)
    alarm.lift()
    alarm.begin(2)
    assert loop.set_for == [2]
    loop.go_to(2)
    assert connection.count == 1


def test_a_closed_connection_leaves_the_loop_no_timer(loop: Loop) -> None:
    alarm = Alarm(Terminated())
    alarm.begin(60)
    alarm.end()
    assert loop.set_for == []
