"""Doubles and fault plans for tests of pipelines: the time, the store, the network and the crash, under your control."""

from __future__ import annotations

from controlroom.testing.clock import ManualClock
from controlroom.testing.crashes import crash_everywhere
from controlroom.testing.faults import FaultPlan, SimulatedCrash

__all__ = ["FaultPlan", "ManualClock", "SimulatedCrash", "crash_everywhere"]
