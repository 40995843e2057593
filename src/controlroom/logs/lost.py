"""Lines that could not be written, told once at the end, wherever something still works."""

from __future__ import annotations

import logging
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress

from controlroom.logs.logger import get_logger
from controlroom.logs.sinks import Sink, losses

__all__ = ["Tally"]

_log = get_logger("controlroom.logs")


class Tally:
    """The lines that were lost since it was made.

    Args:
        outlets: Where lines go to: sinks of ours, and handlers of a host that we joined.
    """

    def __init__(self, outlets: Sequence[logging.Handler]) -> None:
        self._outlets = tuple(outlets)
        self._before = losses.total
        self._end: int | None = None
        self._told: Counter[str] = losses.of_sinks()

    @property
    def dropped(self) -> int:
        """How many, in all."""
        return (losses.total if self._end is None else self._end) - self._before

    def renew(self) -> None:
        """Leave what was lost so far to the parent, in a forked child: it tells."""
        self._told = losses.of_sinks()

    def tell(self) -> None:
        """Log how many lines each sink lost since this was told last, if any; where no sink works, on stderr."""
        lost = losses.of_sinks() - self._told
        before = self._end = losses.total
        if lost:
            _log.warning("log_lines_lost", count=lost.total(), sinks=dict(lost))
            is_host_told = any(not isinstance(outlet, Sink) for outlet in self._outlets)
            failed = losses.total - before
            if not _log.is_enabled_for(logging.WARNING) or (failed >= len(self._outlets) and not is_host_told):
                _say(lost)
        self._told = losses.of_sinks()


def _say(lost: Mapping[str, int]) -> None:
    sinks = ", ".join(f"{sink}: {count}" for sink, count in lost.items())
    with suppress(Exception):  # a stream that is closed, or full as well: nobody is left to tell
        sys.__stderr__.write(f"log_lines_lost count={sum(lost.values())} ({sinks})\n")  # type: ignore[union-attr]  # suppressed
