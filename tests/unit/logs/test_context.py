"""Bound facts follow the work and nothing else."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from controlroom.clock import current_deadline, deadline
from controlroom.logs import bound, get_logger, spawn
from controlroom.logs.context import bound_facts
from controlroom.testing import ManualClock

log = get_logger("app")


def test_blocks_nest_and_inner_facts_hide_outer_ones() -> None:
    with bound(run_id="r1", page=1):
        with bound(page=2, file="a"):
            assert bound_facts() == {"run_id": "r1", "page": 2, "file": "a"}
        assert bound_facts() == {"run_id": "r1", "page": 1}
    assert bound_facts() == {}


def test_an_exception_leaves_nothing_bound() -> None:
    with pytest.raises(ZeroDivisionError), bound(page=1):
        _ = 1 / 0

    assert bound_facts() == {}


def test_facts_cross_await_and_do_not_leak_into_tasks_beside() -> None:
    async def work(number: int) -> list[Any]:
        seen = []
        with bound(task=number):
            for _ in range(3):
                await asyncio.sleep(0)
                seen.append(bound_facts())
        return seen

    async def main() -> list[list[Any]]:
        with bound(run_id="r1"):
            return await asyncio.gather(*(work(number) for number in range(5)))

    assert asyncio.run(main()) == [[{"run_id": "r1", "task": number}] * 3 for number in range(5)]


def test_an_abandoned_async_generator_closes_without_an_error() -> None:
    errors: list[Any] = []

    async def numbers() -> Any:
        with bound(inside=True):
            yield 1
            yield 2

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: errors.append(context))
        generator = numbers()
        await asyncio.create_task(generator.__anext__())  # entered in the context of a task that is gone
        await generator.aclose()

    asyncio.run(main())
    assert errors == []


def test_a_bare_thread_starts_without_facts_but_spawn_brings_them() -> None:
    seen: list[Any] = []
    with bound(run_id="r1"):
        thread = threading.Thread(target=lambda: seen.append(dict(bound_facts())))
        thread.start()
        thread.join()
        seen.append(dict(spawn(bound_facts).result()))

    assert seen == [{}, {"run_id": "r1"}]


def test_spawn_brings_the_ambient_deadline() -> None:
    with ManualClock(), deadline(30):
        carried = spawn(current_deadline).result()
        assert carried is current_deadline()


def test_what_the_thread_binds_stays_in_the_thread() -> None:
    def work() -> dict[str, Any]:
        with bound(inner=1):
            return dict(bound_facts())

    with bound(outer=1):
        assert spawn(work).result() == {"outer": 1, "inner": 1}
        assert bound_facts() == {"outer": 1}


def test_spawn_passes_arguments_and_raises_what_was_raised() -> None:
    assert spawn(divmod, 7, 3).result() == (2, 1)
    assert spawn(dict, a=1, fn=2).result() == {"a": 1, "fn": 2}
    with pytest.raises(ZeroDivisionError):
        spawn(divmod, 1, 0).result()


def test_even_a_request_to_exit_reaches_whoever_asks_the_future() -> None:
    def leave() -> None:
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        spawn(leave).result()


def test_bound_facts_stand_on_the_lines_of_other_packages_too(lines: Any) -> None:
    import logging

    with bound(run_id="r1", level="boo"):
        logging.getLogger("other").warning("hello")

    assert lines()[-1]["run_id"] == "r1"
    assert (lines()[-1]["level"], lines()[-1]["level_"]) == ("WARNING", "boo")


def test_the_hosts_own_structlog_context_stays_untouched(lines: Any) -> None:
    from structlog.contextvars import get_contextvars

    with bound(run_id="r1"):
        log.info("tried")
        assert get_contextvars() == {}
