"""Processes share a token: one renews it, and a refresh token that works once is used once."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from controlroom.database import AsyncDatabase, Database
from controlroom.errors import APIAuthError, ConfigError, FileOperationError
from controlroom.http import ApiClient, AsyncApiClient, OAuth2RefreshToken, RateLimit
from controlroom.redaction import forget_secrets
from tests.integration.http_server import Answer, Asked, serving
from tests.integration.sharing_processes import place_in, started

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    yield
    forget_secrets()


class Login:
    """A server of refresh tokens that work once, and that revokes everything where one comes a second time."""

    def __init__(self, *, slow_s: float = 0.0) -> None:
        self.slow_s = slow_s
        self.lock = threading.Lock()
        self.refreshes = 0
        self.valid_refresh: str | None = "refresh-token-0"
        self.valid_access: str | None = None
        self.reused = 0
        self.asked_to_renew = threading.Event()
        self.may_answer = threading.Event()
        self.may_answer.set()

    def __call__(self, asked: Asked) -> Answer:
        if asked.path == "/warm":
            return Answer({})
        if asked.path == "/token":
            return self.renew(parse_qs(asked.body.decode())["refresh_token"][0])
        with self.lock:
            welcome = (
                self.valid_access is not None and asked.headers.get("authorization") == f"Bearer {self.valid_access}"
            )
        return Answer({"ok": True}) if welcome else Answer({"error": "no"}, status=401)

    def renew(self, token: str) -> Answer:
        with self.lock:
            if token != self.valid_refresh:
                self.reused += 1
                self.valid_refresh = self.valid_access = None
                return Answer({"error": "invalid_grant"}, status=400)
            self.refreshes += 1
            self.valid_refresh = f"refresh-token-{self.refreshes}"
            self.valid_access = f"access-token-{self.refreshes}"
            body = {"access_token": self.valid_access, "refresh_token": self.valid_refresh, "expires_in": 3600}
        self.asked_to_renew.set()
        self.may_answer.wait(20)
        time.sleep(self.slow_s)
        return Answer(body)


@pytest.mark.parametrize(
    ("kind", "colour", "processes"),
    [("file", "sync", 4), ("file", "async", 2), ("sqlite", "sync", 2), ("sqlite", "async", 2)],
)
def test_of_many_processes_one_uses_the_refresh_token_and_all_calls_succeed(
    kind: str, colour: str, processes: int, tmp_path: Path
) -> None:
    login = Login(slow_s=0.2)
    store = place_in(tmp_path, kind)
    with (
        serving(login) as server,
        started(
            processes, tmp_path, url=server.url, colour=colour, calls=3, store=store, refresh_token="refresh-token-0"
        ) as workers,
    ):
        workers.go()
        outcomes = workers.outcomes()

    assert [answers for _, answers in filter(None, outcomes)] == [[{"ok": True}] * 3] * processes
    assert (login.refreshes, login.reused) == (1, 0)


def test_the_next_process_goes_on_with_the_refresh_token_that_the_last_one_got(tmp_path: Path) -> None:
    login, path = Login(), tmp_path / "token.json"
    with serving(login) as server:
        for _ in range(3):  # as many processes, one behind the other; each was given the first token
            auth = OAuth2RefreshToken(f"{server.url}/token", "c", "s3cret-of-c", "refresh-token-0", store=path)
            with ApiClient(server.url, auth=auth) as api:
                assert api.get("/x").json() == {"ok": True}
                login.valid_access = "revoked meanwhile"
                assert api.get("/x").json() == {"ok": True}

    assert (login.refreshes, login.reused) == (4, 0)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_text())["refresh_token"] == "refresh-token-4"
    assert sorted(found.name for found in tmp_path.iterdir()) == ["token.json", "token.json.lock"]


def holders(pids: list[int], path: str) -> list[int]:
    return [pid for pid in pids if any(str(link.readlink()) == path for link in Path(f"/proc/{pid}/fd").iterdir())]


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="tells by /proc who holds the lock")
@pytest.mark.parametrize("lenient", [True, False], ids=["a token works again for a while", "a token works once"])
def test_a_process_that_is_killed_while_it_renews_leaves_the_others_to_the_servers_leniency(
    lenient: bool, tmp_path: Path
) -> None:
    login, store = Login(), place_in(tmp_path, "file")
    login.may_answer.clear()
    with (
        serving(login) as server,
        started(1, tmp_path, url=server.url, store=store, refresh_token="refresh-token-0") as workers,
    ):
        workers.go()
        assert login.asked_to_renew.wait(20)
        assert holders(workers.pids, f"{store}.lock") == workers.pids
        os.kill(workers.pids[0], signal.SIGKILL)  # the server has given out a new one, and nobody has it
        assert workers.outcomes() == [None]
        login.may_answer.set()
        if lenient:
            login.valid_refresh = "refresh-token-0"
        auth = OAuth2RefreshToken(f"{server.url}/token", "client", "s3cret-of-client", "refresh-token-0", store=store)
        with ApiClient(server.url, auth=auth) as api:
            if lenient:
                assert api.get("/x").json() == {"ok": True}
            else:
                with pytest.raises(APIAuthError, match="sign in again, and give its new one"):
                    api.get("/x")


def test_a_task_that_is_cancelled_while_it_renews_keeps_what_it_was_given(tmp_path: Path) -> None:
    login, path = Login(), tmp_path / "token.json"
    login.may_answer.clear()

    async def cancelled(url: str) -> None:
        auth = OAuth2RefreshToken(f"{url}/token", "c", "s3cret-of-c", "refresh-token-0", store=path)
        async with AsyncApiClient(url, auth=auth) as api:
            task = asyncio.create_task(api.get("/x"))
            await asyncio.to_thread(login.asked_to_renew.wait, 20)
            task.cancel()
            await asyncio.sleep(0.05)
            login.may_answer.set()
            with pytest.raises(asyncio.CancelledError):
                await task

    with serving(login) as server:
        asyncio.run(cancelled(server.url))
        assert [asked.path for asked in server.asked] == ["/token"]
        assert json.loads(path.read_text())["refresh_token"] == "refresh-token-1"


def test_a_store_that_could_not_be_written_is_written_before_another_token_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "token.json"

    class InTheWay(Login):
        def renew(self, token: str) -> Answer:
            path.mkdir()  # what is to be written cannot replace it
            return super().renew(token)

    login = InTheWay()
    with serving(login) as server:
        auth = OAuth2RefreshToken(f"{server.url}/token", "c", "s3cret-of-c", "refresh-token-0", store=path)
        with ApiClient(server.url, auth=auth) as api:
            with pytest.raises(FileOperationError):
                api.get("/x")
            path.rmdir()
            assert api.get("/x").json() == {"ok": True}

    assert json.loads(path.read_text())["refresh_token"] == "refresh-token-1"
    assert (login.refreshes, login.reused) == (1, 0)


def test_a_store_of_the_other_colour_is_refused_at_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'x.db'}"
    for wrong, client in ((AsyncDatabase(url), ApiClient), (Database(url), AsyncApiClient)):
        auth = OAuth2RefreshToken("http://localhost/token", "c", "s3cret-of-c", "refresh-token-0", store=wrong)
        with pytest.raises(ConfigError, match=r"auth\.store is an? .*give"):
            client("http://localhost", auth=auth)
        with pytest.raises(ConfigError, match=r"rate_limit\.shared is an? "):
            client("http://localhost", rate_limit=RateLimit(1, shared=wrong))
