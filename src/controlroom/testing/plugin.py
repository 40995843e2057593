"""Fixtures for pytest: ``pytest_plugins = ["controlroom.testing.plugin"]`` in your conftest.py."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from controlroom.testing.clock import ManualClock
from controlroom.testing.faults_http import FaultServer

__all__ = ["StartFaultServer", "fault_server", "manual_clock"]


class StartFaultServer:
    """Starts servers that end with the test; takes what `controlroom.testing.faults_http.FaultServer` takes."""

    def __init__(self, running: ExitStack) -> None:
        self._running = running

    def __call__(self, *args: Any, **options: Any) -> FaultServer:
        """Return a started server."""
        return self._running.enter_context(FaultServer(*args, **options))


@pytest.fixture
def fault_server() -> Iterator[StartFaultServer]:
    """What starts servers that end with the test; called like `controlroom.testing.faults_http.FaultServer`."""
    with ExitStack() as running:
        yield StartFaultServer(running)


@pytest.fixture
def manual_clock() -> Iterator[ManualClock]:
    """A `controlroom.testing.ManualClock` for the time of the test."""
    with ManualClock() as clock:
        yield clock
