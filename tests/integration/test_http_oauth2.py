"""Many at once need a token, and one of them fetches it."""

from __future__ import annotations

import asyncio
import threading

import pytest

from controlroom.errors import DeadlineExceededError
from controlroom.http import ApiClient, AsyncApiClient, OAuth2ClientCredentials, Timeouts
from tests.integration.http_server import Answer, Asked, serving

pytestmark = pytest.mark.integration


def test_threads_and_tasks_wait_for_one_fetch_between_them() -> None:
    everybody_asks, fetches = threading.Event(), []

    def answer(asked: Asked) -> Answer:
        if asked.path == "/token":
            fetches.append(1)
            everybody_asks.wait(30)
            return Answer({"access_token": f"token-{len(fetches)}"})
        return Answer({"token": asked.headers.get("authorization")})

    with serving(answer) as server:
        auth = OAuth2ClientCredentials(f"{server.url}/token", "c", "s3cret-of-c")
        tokens: list[str] = []
        started = threading.Semaphore(0)

        def in_a_thread() -> None:
            with ApiClient(server.url, auth=auth) as api:
                started.release()
                tokens.append(api.get("/x").json()["token"])

        async def in_tasks() -> None:
            async with AsyncApiClient(server.url, auth=auth) as api:
                started.release()
                answers = await asyncio.gather(*(api.get("/x") for _ in range(8)))
            tokens.extend(answer.json()["token"] for answer in answers)

        threads = [threading.Thread(target=in_a_thread) for _ in range(8)]
        threads.append(threading.Thread(target=lambda: asyncio.run(in_tasks())))
        for thread in threads:
            thread.start()
        for _ in threads:
            started.acquire()
        everybody_asks.set()
        for thread in threads:
            thread.join()

    assert tokens == ["Bearer token-1"] * 16
    assert len(fetches) == 1


def test_whoever_waits_for_a_fetch_that_hangs_gives_up_in_time() -> None:
    fetching, may_end = threading.Event(), threading.Event()

    def answer(asked: Asked) -> Answer:
        fetching.set()
        may_end.wait(30)
        return Answer({"access_token": "token"})

    with serving(answer) as server:
        auth = OAuth2ClientCredentials(f"{server.url}/token", "c", "s3cret-of-c")
        first = threading.Thread(target=lambda: ApiClient(server.url, auth=auth).get("/x"))
        first.start()
        fetching.wait(30)
        with (
            ApiClient(server.url, auth=auth, timeouts=Timeouts(total_s=0.5)) as api,
            pytest.raises(DeadlineExceededError, match="Waiting for an access token"),
        ):
            api.get("/x")
        may_end.set()
        first.join()
