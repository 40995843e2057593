"""Puts a gate before the handlers of the process."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from controlroom.logs.buffered import Buffer
from controlroom.logs.changes import Changes
from controlroom.logs.gate import AtTheGate, BelowTheLevel, Gate, GateSink
from controlroom.logs.noise import Noise
from controlroom.logs.sinks import Sink
from controlroom.logs.surroundings import Surroundings
from controlroom.logs.wanted import Wanted

__all__ = ["gate_added"]


def gate_added(sinks: Mapping[Sink, str], found: Surroundings, wanted: Wanted, changes: Changes, level: int) -> Gate:
    """Put a gate before *sinks*, each with what is said of it, and before the handlers of the host that were joined."""
    is_noise_kept_down = wanted.sample or wanted.summarise_after
    noise = Noise(dict(wanted.sample), wanted.summarise_after) if is_noise_kept_down else None
    buffer = Buffer(wanted.debug_buffer) if wanted.debug_buffer else None
    gate = Gate(noise, buffer, level)
    for name, every in wanted.sample:
        changes.tell(f"keeps one of {every} events {name} of each logger")
    if wanted.summarise_after:
        changes.tell(f"shows {wanted.summarise_after} identical events a minute, and counts the others")
    if wanted.debug_buffer:
        changes.tell(
            f"keeps {wanted.debug_buffer} events below {logging.getLevelName(level)} a run for the case of an error"
        )
    if sinks:
        changes.add_handler(GateSink(gate, tuple(sinks)), "; ".join(sinks.values()))
    for handler in found.to_join:
        gate.lead_to([handler])
        changes.add_filter(handler, AtTheGate(gate), f"let {type(handler).__name__} have what is left")
    if buffer is not None:
        others = [h for h in logging.getLogger().handlers if not isinstance(h, Sink) and h not in found.to_join]
        for handler in others:
            changes.add_filter(
                handler, BelowTheLevel(gate), f"kept what is below the level from {type(handler).__name__}"
            )
    return gate
