"""A shared limit in one process: the file and the row, holds, and places that cannot be used."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from controlroom.database import AsyncDatabase, Database
from controlroom.errors import (
    APIRateLimitError,
    ConfigError,
    ControlRoomError,
    DeadlineExceededError,
    ObjectNotFoundError,
    QueryError,
)
from controlroom.http import ApiClient, AsyncApiClient, RateLimit, Response, Timeouts
from controlroom.testing import ManualClock
from tests.integration.http_colours import COLOURS

BASE = "https://api.example.com"
KINDS = ("file", "row")


@pytest.fixture(autouse=True)
def manual() -> Iterator[ManualClock]:
    with ManualClock() as clock:
        yield clock


def limit_in(folder: Path, kind: str, colour: str, requests: float = 10, **options: Any) -> RateLimit:
    """A limit as another process would make it: nothing but the place is shared."""
    if kind == "file":
        return RateLimit(requests, shared=folder / "limit", **options)
    url = f"sqlite:///{folder / 'limits.db'}"
    with Database(url) as db:
        db.create_control_tables()
    return RateLimit(requests, shared=(AsyncDatabase if colour == "async" else Database)(url), **options)


def ask(
    colour: str, limit: RateLimit, answer: httpx.Response | None = None, **client: Any
) -> Response | ControlRoomError:
    transport = httpx.MockTransport(lambda _: answer or httpx.Response(200))
    options = {"transport": transport, "rate_limit": limit, "retry": None, **client}

    async def asynchronous() -> Response:
        async with AsyncApiClient(BASE, **options) as api:
            return await api.get("/x")

    async def closing() -> Response:
        try:
            return await asynchronous()
        finally:
            if isinstance(limit.shared, AsyncDatabase):
                await limit.shared.aclose()

    try:
        if colour == "async":
            return asyncio.run(closing())
        with ApiClient(BASE, **options) as api:
            return api.get("/x")
    except ControlRoomError as error:
        return error
    finally:
        if isinstance(limit.shared, Database):
            limit.shared.close()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("colour", COLOURS)
def test_two_that_share_a_place_count_together(kind: str, colour: str, tmp_path: Path, manual: ManualClock) -> None:
    began_s = manual.monotonic_s()
    for _ in range(4):
        assert isinstance(ask(colour, limit_in(tmp_path, kind, colour)), Response)

    assert manual.monotonic_s() - began_s == pytest.approx(0.3, abs=1e-4)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(429, headers={"Retry-After": "20"}),
        httpx.Response(200, headers={"RateLimit": '"default";r=0;t=20'}),
    ],
    ids=["Retry-After", "RateLimit"],
)
def test_what_the_server_told_one_holds_for_all(kind: str, colour: str, answer: httpx.Response, tmp_path: Path) -> None:
    told = ask(colour, limit_in(tmp_path, kind, colour), answer)
    assert isinstance(told, APIRateLimitError | Response)

    error = ask(colour, limit_in(tmp_path, kind, colour), timeouts=Timeouts(total_s=5))

    assert isinstance(error, DeadlineExceededError)
    assert (error.needed_s, error.left_s) == (pytest.approx(20, abs=0.1), pytest.approx(5, abs=0.1))


@pytest.mark.parametrize("colour", COLOURS)
def test_names_tell_limits_of_one_database_apart(colour: str, tmp_path: Path, manual: ManualClock) -> None:
    began_s = manual.monotonic_s()
    for name in ("orders", "users", "orders"):
        ask(colour, limit_in(tmp_path, "row", colour, requests=1, per_s=10, name=name))

    assert manual.monotonic_s() - began_s == pytest.approx(10, abs=0.01)


@pytest.mark.parametrize("content", [b"", b"garbage", b"\x00" * 300, b"x" * 4000])
@pytest.mark.parametrize("colour", COLOURS)
def test_a_file_that_is_damaged_begins_a_new_count(
    content: bytes, colour: str, tmp_path: Path, manual: ManualClock
) -> None:
    (tmp_path / "limit").write_bytes(content)
    began_s = manual.monotonic_s()
    for _ in range(3):
        assert isinstance(ask(colour, limit_in(tmp_path, "file", colour)), Response)

    assert manual.monotonic_s() - began_s == pytest.approx(0.2 if not content else 0.3)
    assert (tmp_path / "limit").stat().st_size == 256


def test_a_file_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "limit").write_bytes(b"a,b\n" * 2000)

    error = ask("sync", limit_in(tmp_path, "file", "sync"))

    assert isinstance(error, ConfigError)
    assert (tmp_path / "limit").read_bytes() == b"a,b\n" * 2000


def test_a_file_that_is_removed_or_replaced_meanwhile_is_made_anew(tmp_path: Path) -> None:
    limit = limit_in(tmp_path, "file", "sync")
    ask("sync", limit)
    (tmp_path / "limit").unlink()

    assert isinstance(ask("sync", limit), Response)
    assert (tmp_path / "limit").exists()


@pytest.mark.parametrize("colour", COLOURS)
def test_a_place_that_cannot_be_used_is_an_error_of_its_own_and_nothing_is_sent(colour: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    no_tables = f"sqlite:///{tmp_path / 'empty.db'}"

    missing = ask(colour, RateLimit(1, shared=tmp_path / "nowhere" / "limit"))
    folder = ask(colour, RateLimit(1, shared=tmp_path / "folder"))
    tables = ask(colour, RateLimit(1, shared=(AsyncDatabase if colour == "async" else Database)(no_tables)))

    assert isinstance(missing, ObjectNotFoundError)
    assert isinstance(folder, ControlRoomError)
    assert isinstance(tables, QueryError)
    assert "create_control_tables" in str(tables)


def test_an_answer_is_not_lost_where_the_others_cannot_be_told(tmp_path: Path) -> None:
    limit = limit_in(tmp_path, "file", "sync")

    def answer(_: httpx.Request) -> httpx.Response:
        (tmp_path / "limit").unlink()
        (tmp_path / "limit").mkdir()
        return httpx.Response(200, headers={"RateLimit": '"default";r=0;t=20'})

    with ApiClient(BASE, rate_limit=limit, transport=httpx.MockTransport(answer)) as api:
        assert api.post("/orders").status_code == 200


@pytest.mark.parametrize("colour", COLOURS)
def test_a_wall_clock_that_is_set_back_delays_nobody(
    colour: str, tmp_path: Path, manual: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(colour, limit_in(tmp_path, "row", colour))
    right = manual.utcnow
    monkeypatch.setattr(manual, "utcnow", lambda: right() - timedelta(hours=1))

    assert isinstance(ask(colour, limit_in(tmp_path, "row", colour), timeouts=Timeouts(total_s=5)), Response)


def test_whoever_comes_too_late_for_a_place_takes_another_one(
    manual: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    left_s: list[float] = []
    began_s, sleep = manual.monotonic_s(), manual.sleep

    def answer(_: httpx.Request) -> httpx.Response:
        left_s.append(round(manual.monotonic_s() - began_s, 6))
        return httpx.Response(200)

    def oversleep(seconds: float) -> None:
        monkeypatch.setattr(manual, "sleep", sleep)
        sleep(seconds + 0.45)

    with ApiClient(BASE, rate_limit=RateLimit(10), transport=httpx.MockTransport(answer)) as api:
        api.get("/1")
        limit_of_others = api._configuration.pace
        monkeypatch.setattr(manual, "sleep", oversleep)
        for _ in range(6):  # others have taken the places behind ours, up to 0.7 s
            limit_of_others.reserve(manual.monotonic_s())
        api.get("/2")  # its place was at 0.7 s, and it woke at 1.15 s
        api.get("/3")

    assert left_s == [0.0, 1.15, 1.25]


def test_a_process_that_is_late_each_time_sends_all_the_same(
    manual: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    sleep = manual.sleep
    monkeypatch.setattr(manual, "sleep", lambda seconds: sleep(seconds + 5))
    monkeypatch.setattr(RateLimit, "reserve", lambda *_: 0.1)

    with ApiClient(BASE, rate_limit=RateLimit(10), transport=httpx.MockTransport(lambda _: httpx.Response(200))) as api:
        assert api.get("/x").status_code == 200
