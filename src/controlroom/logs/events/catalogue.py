"""The catalogue: every declaration, by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from controlroom.logs.events.calls import OF_CALLS
from controlroom.logs.events.coordination import OF_COORDINATION
from controlroom.logs.events.declarations import Event
from controlroom.logs.events.deliveries import OF_DELIVERIES
from controlroom.logs.events.lines import OF_LINES
from controlroom.logs.events.runs import OF_RUNS
from controlroom.logs.events.writes import OF_WRITES

__all__ = ["EVENTS"]

EVENTS: Final[Mapping[str, Event]] = MappingProxyType(
    {event.name: event for event in (*OF_RUNS, *OF_DELIVERIES, *OF_CALLS, *OF_WRITES, *OF_COORDINATION, *OF_LINES)}
)
"""Every event by name, in the order in which docs/reference/events.md tells of them."""
