"""Waiting for a place among the requests under way: woken by whoever leaves, in order, in threads and tasks alike."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, TypeVar

from controlroom.clock import asleep, current_deadline, sleep
from controlroom.http.messages import Response
from controlroom.http.steps import Coordinate, Pause, Send
from controlroom.policy.flow import Flow
from controlroom.policy.in_flight import Place, Room

__all__ = ["in_flight"]

T = TypeVar("T")

_LOOK_AROUND_S: Final = 0.2  # how often a waiting request asks whether the process is to stop


@dataclass(frozen=True, slots=True)
class _Turn:
    """The wait for *place*, of a request called *what*."""

    place: Place
    what: str

    def run(self) -> None:
        """Block until it is taken.

        Raises:
            DeadlineExceededError: It was not, before the deadline.
        """
        woken = threading.Event()
        self.place.when_taken(woken.set)
        while not woken.wait(self._a_while_s()):
            sleep(0)  # a safe point

    async def arun(self) -> None:
        """Let other tasks run until it is taken; see `run`."""
        loop, woken = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            with suppress(RuntimeError):  # a loop that was closed under its tasks: nobody is left to wake
                loop.call_soon_threadsafe(woken.set)

        self.place.when_taken(wake)
        while not woken.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(self._a_while_s()):
                    await woken.wait()
            await asleep(0)

    def _a_while_s(self) -> float:
        deadline = current_deadline()
        if deadline is None:
            return _LOOK_AROUND_S
        deadline.require(f"{self.what} (waiting until fewer requests are under way)")
        return deadline.fit(_LOOK_AROUND_S)


def in_flight(
    room: Room, what: str, asking: Flow[Pause | Send | Coordinate, Response]
) -> Flow[Pause | Send | Coordinate, Response]:
    """Drive *asking* in a place of its own in *room*.

    Raises:
        DeadlineExceededError: None was free before the deadline. Nothing was sent.
    """
    place = room.ask()
    try:
        if not place.is_taken:
            yield Coordinate(_Turn(place, what))
        return (yield from asking)
    finally:
        asking.close()
        place.leave()
