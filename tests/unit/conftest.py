"""Unit tests meet no network and no real time.

A refusal is `pytest.fail`, whose exception is no `Exception`: code under test that catches widely cannot swallow it. Sockets
in C (libpq, say) are out of reach here.
"""

from __future__ import annotations

import asyncio
import socket
import time
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable


def _refuse(what: str) -> Callable[..., NoReturn]:
    def refuse(*args: object, **kwargs: object) -> NoReturn:
        pytest.fail(f"a unit test called {what}; use a double, or move the test to tests/integration")

    return refuse


@pytest.fixture(autouse=True)
def sockets_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing connects, not even to loopback. `socketpair`, which asyncio wakes itself with, connects nothing."""
    for method in ("connect", "connect_ex", "sendto", "listen"):
        monkeypatch.setattr(socket.socket, method, _refuse(f"socket.{method}"))
    for function in ("getaddrinfo", "gethostbyname", "gethostbyname_ex"):
        monkeypatch.setattr(socket, function, _refuse(f"socket.{function}"))


@pytest.fixture(autouse=True)
def no_sleeping(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time passes only on a `ManualClock`. `asyncio.sleep(0)` waits for nothing and stays."""
    real = asyncio.sleep

    async def sleep(delay: float, result: Any = None) -> Any:
        if delay > 0:
            pytest.fail(f"a unit test slept {delay} s on the real clock; use controlroom.testing.ManualClock")
        return await real(0, result)

    monkeypatch.setattr(time, "sleep", _refuse("time.sleep; use controlroom.testing.ManualClock"))
    monkeypatch.setattr(asyncio, "sleep", sleep)
    monkeypatch.setattr(asyncio.tasks, "sleep", sleep)
