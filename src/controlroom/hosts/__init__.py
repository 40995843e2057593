"""Hosts translate: what starts a job, how it is told to stop, and what is told to whoever started it. No domain rules."""

from __future__ import annotations

__all__: list[str] = []
