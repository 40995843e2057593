"""Doubles and fault plans for tests of pipelines: the time, the store, the network and the crash, under your control."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from controlroom.testing.clock import ManualClock
from controlroom.testing.crashes import crash_everywhere
from controlroom.testing.faults import FaultPlan, SimulatedCrash

if TYPE_CHECKING:
    from controlroom.testing.commits import CommitProxy
    from controlroom.testing.http_proxy import HttpProxy
    from controlroom.testing.stores import MemoryStore
    from controlroom.testing.stores_async import AsyncMemoryStore
    from controlroom.testing.transports import FlakyTransport

__all__ = [
    "AsyncMemoryStore",
    "CommitProxy",
    "FaultPlan",
    "FlakyTransport",
    "HttpProxy",
    "ManualClock",
    "MemoryStore",
    "SimulatedCrash",
    "crash_everywhere",
]

# On first use: a test that moves a clock need not load an HTTP client.
_HOMES = {
    "AsyncMemoryStore": "stores_async",
    "CommitProxy": "commits",
    "FlakyTransport": "transports",
    "HttpProxy": "http_proxy",
    "MemoryStore": "stores",
}


def __getattr__(name: str) -> Any:
    if (module := _HOMES.get(name)) is None:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    from importlib import import_module  # noqa: PLC0415 - on first use, like what it imports

    return getattr(import_module(f"{__name__}.{module}"), name)
