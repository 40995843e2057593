"""Which events are too many, and how many were left out: counting only, no clock and no I/O.

Every event is either let through or counted, and every count is handed out once: what was logged is the lines that were
written and the counts together.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

__all__ = ["LEFT_OUT", "WINDOW_S", "LeftOut", "Noise", "Seen"]

LEFT_OUT: Final = 0
WINDOW_S: Final = 60.0
_MOST_KEPT_APART: Final = 1_000  # other packages may put anything into the text of a message

_SAMPLED: Final = "sampled"
_REPEATED: Final = "repeated"


class Seen(NamedTuple):
    """What is looked at of an event.

    Attributes:
        logger: Its logger.
        event: Its name; of another package's record the message before its arguments are merged.
        level: Its level, as a number of `logging`.
        run_id: The run it belongs to, if any.
        at: When, as on its line.
    """

    logger: str
    event: str
    level: int
    run_id: str | None
    at: str


class _Key(NamedTuple):
    logger: str
    event: str
    level: int
    run_id: str | None


@dataclass(slots=True)
class LeftOut:
    """Identical events that were left out.

    Attributes:
        key: What they have in common.
        reason: ``"sampled"`` or ``"repeated"``.
        first_at: When the first of them came, as on a line.
        last_at: When the last of them came.
        count: How many.
    """

    key: _Key
    reason: str
    first_at: str
    last_at: str
    count: int = 0

    def facts(self) -> dict[str, Any]:
        """Return it as the facts of a line."""
        return {
            **({} if self.key.run_id is None else {"run_id": self.key.run_id}),
            "event_name": self.key.event,
            "event_logger": self.key.logger,
            "event_level": logging.getLevelName(self.key.level),
            "count": self.count,
            "reason": self.reason,
            "first_at": self.first_at,
            "last_at": self.last_at,
        }


@dataclass(slots=True)
class _Window:
    ends_s: float
    seen: int = 0


class Noise:
    """Samples events by name, and counts what repeats within a minute.

    Args:
        sample: Event name → keep the first of that many, of each logger; at INFO and below.
        summarise_after: That many identical events (logger, name, level, run) pass within a minute; more of them are
            counted, below ERROR. None: all pass.
    """

    def __init__(self, sample: Mapping[str, int], summarise_after: int | None) -> None:
        self._sample = dict(sample)
        self._summarise_after = summarise_after
        self._turns: dict[tuple[str, str], int] = {}
        self._windows: dict[_Key, _Window] = {}  # in the order of their ends: all are of one length
        self._left_out: dict[tuple[_Key, str], LeftOut] = {}

    def judge(self, seen: Seen, now_s: float) -> int:
        """Return `LEFT_OUT`, or of how many events this one is the kept one: 1 where it stands for itself."""
        every = self._sample.get(seen.event, 1) if seen.level <= logging.INFO else 1
        if every > 1 and self._turn(seen) % every:
            return self._leave_out(seen, _SAMPLED)
        if self._summarise_after is not None and seen.level < logging.ERROR and self._is_repeated(seen, now_s):
            return self._leave_out(seen, _REPEATED)
        return every

    def due(self, now_s: float) -> list[LeftOut]:
        """Return, and forget, what was left out in windows that are over."""
        if len(self._left_out) > _MOST_KEPT_APART:
            return self.all()
        over: list[_Key] = []
        for key, window in self._windows.items():
            if window.ends_s > now_s:
                break
            over.append(key)
        for key in over:
            self._windows.pop(key, None)
        return self._taken((key, _REPEATED) for key in over)

    def of_run(self, run_id: str) -> list[LeftOut]:
        """Return, and forget, what was left out of a run."""
        for key in [key for key in self._windows if key.run_id == run_id]:
            self._windows.pop(key, None)
        return self._taken([which for which in self._left_out if which[0].run_id == run_id])

    def all(self) -> list[LeftOut]:
        """Return, and forget, all that was left out."""
        self._windows.clear()
        return self._taken(list(self._left_out))

    def clear(self) -> None:
        """Forget everything: in a forked child it is the parent's to tell."""
        self._turns.clear()
        self._windows.clear()
        self._left_out.clear()

    def _turn(self, seen: Seen) -> int:
        key = seen.logger, seen.event
        turn = self._turns.get(key, 0)
        self._turns[key] = turn + 1
        return turn

    def _is_repeated(self, seen: Seen, now_s: float) -> bool:
        key = _Key(*seen[:4])
        window = self._windows.get(key)
        if window is None or window.ends_s <= now_s:
            if len(self._windows) >= _MOST_KEPT_APART:
                return False
            self._windows.pop(key, None)
            window = self._windows[key] = _Window(now_s + WINDOW_S)
        window.seen += 1
        return window.seen > (self._summarise_after or 0)

    def _leave_out(self, seen: Seen, reason: str) -> int:
        key = _Key(*seen[:4])
        left_out = self._left_out.setdefault((key, reason), LeftOut(key, reason, seen.at, seen.at))
        left_out.count += 1
        left_out.last_at = seen.at
        return LEFT_OUT

    def _taken(self, which: Iterable[tuple[_Key, str]]) -> list[LeftOut]:
        return [found for one in which if (found := self._left_out.pop(one, None)) is not None]
