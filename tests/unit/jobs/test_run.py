from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime

import pytest

from controlroom import clock, shutdown
from controlroom.errors import ShutdownRequested
from controlroom.jobs import Run, new_run_id
from controlroom.logs import get_logger
from controlroom.testing import ManualClock


@pytest.fixture(autouse=True)
def no_request_left_over() -> Iterator[None]:
    yield
    shutdown.reset()


def a_run() -> Run[None]:
    return Run(None, get_logger("test"), "id", "ingest")


def test_a_run_id_is_a_uuid_of_version_7_that_tells_the_time() -> None:
    at = datetime(2026, 11, 21, 12, 0, 0, 123_000, tzinfo=UTC)
    with ManualClock(at):
        made = uuid.UUID(new_run_id())

    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert made.int >> 80 == int(at.timestamp() * 1000)


def test_later_runs_sort_behind_earlier_ones() -> None:
    with ManualClock() as time:
        ids = []
        for _ in range(50):
            ids.append(new_run_id())
            time.advance(0.001)

    assert ids == sorted(ids)


def test_runs_of_the_same_instant_differ() -> None:
    with ManualClock():
        assert len({new_run_id() for _ in range(1000)}) == 1000


def test_the_deadline_is_the_ambient_one() -> None:
    with ManualClock():
        assert a_run().deadline is None
        with clock.deadline(5):
            assert a_run().deadline is clock.current_deadline()


def test_progress_yields_what_it_is_given() -> None:
    assert list(a_run().progress("abc")) == ["a", "b", "c"]
    assert list(a_run().progress(iter(range(3)), total=3, unit="files")) == [0, 1, 2]


def test_a_request_to_stop_takes_no_further_item_and_loses_none() -> None:
    """An item may be a claimed file: taking one and not handing it out would lose it until its lease ends."""
    taken: list[int] = []

    def items() -> Iterator[int]:
        for number in range(10):
            taken.append(number)
            yield number

    done = []

    def work() -> None:
        for item in a_run().progress(items()):
            done.append(item)
            if item == 3:
                shutdown.request()

    with pytest.raises(ShutdownRequested):
        work()

    assert done == taken == [0, 1, 2, 3]


def test_a_request_while_the_next_item_is_fetched_still_hands_it_out() -> None:
    def items() -> Iterator[int]:
        yield 1
        shutdown.request()
        yield 2

    progress = a_run().progress(items())

    assert [next(progress), next(progress)] == [1, 2]
    with pytest.raises(ShutdownRequested):
        next(progress)


def test_progress_of_async_items_stops_at_the_same_points() -> None:
    async def items() -> AsyncIterator[int]:
        for number in range(10):
            await asyncio.sleep(0)
            yield number

    async def work() -> list[int]:
        done = []
        try:
            async for item in a_run().progress(items()):
                done.append(item)
                if item == 3:
                    shutdown.request()
        except ShutdownRequested:
            return done
        raise AssertionError

    assert asyncio.run(work()) == [0, 1, 2, 3]


def test_an_error_of_the_items_passes_through() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("page 2")

    with pytest.raises(ValueError, match="page 2"):
        list(a_run().progress(items()))
