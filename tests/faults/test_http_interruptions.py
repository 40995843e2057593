"""Cancelled, interrupted, forgotten or closed amid a call: nothing is swallowed, and no connection is lost or reused."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import threading
from pathlib import Path

import pytest

from controlroom import shutdown
from controlroom.errors import ConfigError, ControlRoomError, ShutdownRequested
from controlroom.http import ApiClient, AsyncApiClient, CursorPagination, Endpoint, Response
from controlroom.retrying import RetryPolicy
from tests.integration.http_colours import COLOURS, ask
from tests.integration.http_server import Answer, Asked, raw_server, read_request, serving

pytestmark = pytest.mark.integration

ENDPOINT = Endpoint("/items", records="items", pagination=CursorPagination("cursor", "next"))


def pages(asked: Asked) -> Answer:
    number = int(asked.query.get("cursor", "0"))
    return Answer({"items": [number], "next": number + 1 if number < 3 else None})


def echo(asked: Asked) -> Answer:
    return Answer({"path": asked.path, "padding": "x" * 100_000})


def open_sockets() -> set[str]:
    links = (str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.is_symlink())
    return {link for link in links if link.startswith("socket:")}


needs_proc = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open sockets are counted through /proc")


def test_a_call_cancelled_at_any_await_is_cancelled_and_the_next_gets_its_own_answer() -> None:
    async def cancelled_after(steps: int, api: AsyncApiClient) -> bool:
        """Cancel after *steps* turns of the loop; False when the call was over before."""
        call = asyncio.ensure_future(api.get(f"/cancelled-{steps}"))
        for _ in range(steps):
            await asyncio.sleep(0)
        if call.done():
            return False
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        return True

    async def attack(url: str) -> int:
        cancelled = 0
        async with AsyncApiClient(url) as api:
            for steps in range(100):
                cancelled += await cancelled_after(steps, api)
                response: Response = await api.get(f"/whole-{steps}")
                assert response.json()["path"] == f"/whole-{steps}"
        return cancelled

    with serving(echo) as server:
        assert asyncio.run(attack(server.url)) > 10


@needs_proc
def test_walks_that_are_left_in_their_middle_leave_no_socket_open() -> None:
    async def left() -> None:
        async with AsyncApiClient(server.url) as api:
            async for page in api.pages(ENDPOINT):
                if page.number == 2:
                    break

    with serving(pages) as server:
        before = open_sockets()
        asyncio.run(left())
        with ApiClient(server.url) as api:
            for page in api.pages(ENDPOINT):
                if page.number == 2:
                    break
        for _ in range(100):
            if not open_sockets() - before:
                break
            threading.Event().wait(0.02)  # the server closes its ends in its own threads
        assert open_sockets() - before == set()


@needs_proc
def test_a_client_that_nobody_closes_leaves_no_socket_and_no_warning() -> None:
    """`for post in Blog(url).posts(): ...` is how the documentation shows it; unclosed sockets would warn."""
    with serving(pages) as server:
        before = open_sockets()
        assert [record for page in ApiClient(server.url).pages(ENDPOINT) for record in page.records] == [0, 1, 2, 3]
        gc.collect()
        for _ in range(100):
            if not open_sockets() - before:
                break
            threading.Event().wait(0.02)
        assert open_sockets() - before == set()


def test_a_keyboard_interrupt_amid_a_read_goes_up_untouched() -> None:
    def talk(connection: socket.socket, over: threading.Event) -> None:
        read_request(connection)
        os.kill(os.getpid(), signal.SIGINT)
        over.wait(10)

    with raw_server(talk) as url, ApiClient(url) as api, pytest.raises(KeyboardInterrupt):
        api.get("/")


@pytest.mark.parametrize("colour", COLOURS)
def test_a_shutdown_ends_the_wait_between_two_tries(colour: str) -> None:
    def unavailable(asked: Asked) -> Answer:
        shutdown.request(signal.SIGTERM)
        return Answer(b"", 503, {"Retry-After": "50"})

    try:
        with serving(unavailable) as server, pytest.raises(ShutdownRequested):
            ask(colour, server.url)
        assert len(server.asked) == 1
    finally:
        shutdown.reset()


def test_a_client_closed_by_one_thread_fails_the_others_with_a_clear_error() -> None:
    arrived, go_on = threading.Event(), threading.Event()

    def waiting(asked: Asked) -> Answer:
        arrived.set()
        go_on.wait(10)
        return Answer({})

    outcomes: list[object] = []

    def use(api: ApiClient) -> None:
        try:
            outcomes.append(api.get("/").status_code)
            api.get("/again")
        except ControlRoomError as error:
            outcomes.append(error)

    with serving(waiting) as server:
        api = ApiClient(server.url, retry=RetryPolicy(attempts=1))
        thread = threading.Thread(target=use, args=(api,))
        thread.start()
        arrived.wait(10)
        api.close()
        go_on.set()
        thread.join(10)

    assert len(outcomes) in (1, 2)
    assert isinstance(outcomes[-1], ControlRoomError)
    if len(outcomes) == 2:
        assert isinstance(outcomes[-1], ConfigError)


def test_an_asynchronous_client_serves_many_tasks_at_once() -> None:
    async def many(url: str) -> list[str]:
        async with AsyncApiClient(url) as api:
            answers = await asyncio.gather(*(api.get(f"/{number}") for number in range(50)))
            return [answer.json()["path"] for answer in answers]

    with serving(echo) as server:
        assert asyncio.run(many(server.url)) == [f"/{number}" for number in range(50)]


def test_a_client_serves_many_threads_at_once_each_with_its_own_answer() -> None:
    found: dict[int, str] = {}

    with serving(echo) as server, ApiClient(server.url) as api:

        def use(number: int) -> None:
            for _ in range(5):
                found[number] = api.get(f"/{number}").json()["path"]

        threads = [threading.Thread(target=use, args=(number,)) for number in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)

    assert found == {number: f"/{number}" for number in range(20)}
