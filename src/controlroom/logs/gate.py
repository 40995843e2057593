"""Between the events and the sinks, only where noise is to be kept down or what the level leaves out is to be kept."""

from __future__ import annotations

import json
import logging
import os
import threading
import weakref
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from controlroom import clock
from controlroom.logs.buffered import Buffer, place_of
from controlroom.logs.console import message_of
from controlroom.logs.context import bound_facts
from controlroom.logs.noise import LEFT_OUT, LeftOut, Noise, Seen
from controlroom.logs.records import carry, shown_of
from controlroom.logs.shape import stamped
from controlroom.logs.shown import Shown
from controlroom.logs.sinks import Sink, losses

__all__ = ["AtTheGate", "BelowTheLevel", "Gate", "GateSink"]

_LOGGER: Final = "controlroom.logs"
_JUDGED: Final = "_controlroom_judged"
_LAST_OF_A_RUN: Final = "run_finished"
_LEVELS: Final = {name: getattr(logging, name) for name in ("DEBUG", "INFO", "WARNING", "ERROR")}  # those of our events


class Gate:
    """Decides about each event once, whatever the number of handlers, and writes what has to be written besides.

    Args:
        noise: What is left out; None: nothing.
        buffer: Where events below *level* are kept; None: they do not come here.
        level: The level that lines are shown from.

    Guarantees:
        Thread-safe; a signal handler may log in the middle of it. A forked child begins anew: what was left out in the
        parent is told by the parent. After `finish` everything passes.
    """

    def __init__(self, noise: Noise | None, buffer: Buffer | None, level: int) -> None:
        self._noise = noise
        self._buffer = buffer
        self._level = level
        self._outlets: tuple[logging.Handler, ...] = ()
        self._is_open = False
        self._lock = threading.RLock()
        _gates.add(self)

    def lead_to(self, outlets: Iterable[logging.Handler]) -> None:
        """Write to *outlets* what has to be written besides the events."""
        self._outlets = (*self._outlets, *outlets)

    def renew(self) -> None:
        """Begin anew, in a forked child."""
        self._lock = threading.RLock()
        self._forget()

    def is_below(self, logger: str, level: int) -> bool:
        """Tell whether only the buffer wants an event of this *level*: without it, the level would have left it out."""
        if level >= self._level:
            return False
        standard: logging.Logger | None = logging.getLogger(logger)
        while standard is not None and standard.parent is not None:
            if standard.level:
                return False  # somebody wants to see it
            standard = standard.parent
        return True

    def passed(self, shown: Shown) -> Shown | None:
        """Return *shown*, or as it is to be shown, or None where it is left out or kept for later."""
        event: Mapping[str, Any] = shown._event  # noqa: SLF001 - to judge it must cost less than to show it
        level = _LEVELS.get(event["level"], logging.INFO)
        run_id = event.get("run_id")
        seen = Seen(
            str(event["logger"]),
            str(event["event"]),
            level,
            None if run_id is None else str(run_id),
            event["timestamp"],
        )
        verdict = self._judge(seen, shown)
        return shown if verdict == 1 else Shown(_marked(event, "sampled", value=verdict)) if verdict else None

    def lets_pass(self, record: logging.LogRecord) -> bool:
        """Tell whether handlers get *record*; it is judged once, however many of them ask."""
        known: int | None = getattr(record, _JUDGED, None)
        if known is None:
            known = self._judge(_seen(record), record)
            setattr(record, _JUDGED, known)
            if known > 1:
                vars(record).update(carry(Shown.presented(_marked(shown_of(record).facts(), "sampled", value=known))))
        return known != LEFT_OUT

    def flush(self) -> None:
        """Write how much was left out so far."""
        with self._lock:
            told = self._noise.all() if self._noise is not None else []
        self._tell(told)

    def finish(self) -> None:
        """Write how much was left out, and let everything pass from now on."""
        with self._lock:
            self._is_open = True
        self.flush()
        with self._lock:
            self._forget()

    def _forget(self) -> None:
        if self._noise is not None:
            self._noise.clear()
        if self._buffer is not None:
            self._buffer.clear()

    def _judge(self, seen: Seen, event: Shown | logging.LogRecord) -> int:
        below: bytes | None = None
        if self._buffer is not None and self.is_below(seen.logger, seen.level):
            if self._is_open:
                return LEFT_OUT
            # Before the lock is taken: what a fact's own text waits for may be waiting to log.
            below = (event if isinstance(event, Shown) else shown_of(event)).line()
        with self._lock:
            told, lines, verdict = self._decided(seen, below)
        self._tell(told)
        for line in lines:
            self._write(Shown(_marked(json.loads(line), "buffered", value=True)))
        return verdict

    def _decided(self, seen: Seen, below: bytes | None) -> tuple[list[LeftOut], list[bytes], int]:
        """Return what has to be told first, the kept lines that come before this event, and what becomes of it.

        An event that is *below* the level comes with its line.
        """
        if self._is_open:
            return [], [], 1 if below is None else LEFT_OUT
        told: list[LeftOut] = []
        lines: list[bytes] = []
        if self._noise is not None:
            now_s = clock.monotonic_s()
            told = self._noise.due(now_s)
        if seen.event == _LAST_OF_A_RUN and seen.run_id is not None:
            told += self._noise.of_run(seen.run_id) if self._noise is not None else []
            if self._buffer is not None:
                self._buffer.take(seen.run_id)
        if self._buffer is not None:
            if below is not None:
                self._buffer.keep(place_of(seen.run_id), below)
                return told, [], LEFT_OUT
            if seen.level >= logging.ERROR:
                lines = self._buffer.take(place_of(seen.run_id))
        return told, lines, 1 if self._noise is None else self._noise.judge(seen, now_s)

    def _tell(self, told: Sequence[LeftOut]) -> None:
        for left_out in told:
            event = {"event": "events_suppressed", **left_out.facts()}
            self._write(Shown(stamped(event, level="INFO", logger=_LOGGER)))

    def _write(self, shown: Shown) -> None:
        record: logging.LogRecord | None = None
        for outlet in self._outlets:
            if isinstance(outlet, Sink):
                outlet.take(shown)
            else:
                self._hand(outlet, record := record or _record(shown))

    @staticmethod
    def _hand(handler: logging.Handler, record: logging.LogRecord) -> None:
        try:
            handler.handle(record)
        except Exception:  # noqa: BLE001 - a host's handler may raise; the others, and the event itself, still get theirs
            losses.count("host")


class GateSink(Sink):
    """Lets what passes *gate* through to *sinks*, ours."""

    def __init__(self, gate: Gate, sinks: Sequence[Sink]) -> None:
        super().__init__()
        self._gate = gate
        self._sinks = tuple(sinks)
        gate.lead_to(self._sinks)

    def take(self, shown: Shown) -> None:
        """Write *shown*, if it passes."""
        try:
            passed = self._gate.passed(shown)
        except Exception:  # noqa: BLE001 - as any sink: the job goes on
            losses.count()
            return
        if passed is not None:
            self._write(passed)

    def emit(self, record: logging.LogRecord) -> None:
        """Write the event of *record*, if it passes."""
        try:
            passes = self._gate.lets_pass(record)
        except Exception:  # noqa: BLE001 - as any sink: the job goes on
            losses.count()
            return
        for sink in self._sinks if passes else ():
            sink.handle(record)

    def flush(self) -> None:
        """Write how much was left out so far."""
        self._gate.flush()

    def close(self) -> None:
        """Close the sinks."""
        for sink in self._sinks:
            sink.close()
        super().close()

    def _write(self, shown: Shown) -> None:
        for sink in self._sinks:
            sink.take(shown)


class AtTheGate(logging.Filter):
    """Lets a host's handler have what passes *gate*."""

    def __init__(self, gate: Gate) -> None:
        super().__init__()
        self._gate = gate

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether *record* passes."""
        try:
            return self._gate.lets_pass(record)
        except Exception:  # noqa: BLE001 - a line too many is better than one that is lost, or a job that is
            return True


class BelowTheLevel(logging.Filter):
    """Keeps from a handler that is not ours what only the buffer wants."""

    def __init__(self, gate: Gate) -> None:
        super().__init__()
        self._gate = gate

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether *record* is at the level or above."""
        return not self._gate.is_below(record.name, record.levelno)


def _seen(record: logging.LogRecord) -> Seen:
    facts: Mapping[str, Any] | None = getattr(record, "controlroom", None)
    if facts is not None:
        run_id, event, at = facts.get("run_id"), facts.get("event"), facts.get("timestamp")
    else:
        run_id = bound_facts().get("run_id")
        event = record.msg if isinstance(record.msg, str) else type(record.msg).__name__
        at = datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return Seen(record.name, str(event), record.levelno, None if run_id is None else str(run_id), str(at))


def _marked(event: Mapping[str, Any], mark: str, *, value: int) -> dict[str, Any]:
    """Return *event* with *mark*. A fact of that name gets an underscore behind it."""
    return {**{f"{name}_" if name == mark else name: fact for name, fact in event.items()}, mark: value}


def _record(shown: Shown) -> logging.LogRecord:
    facts = shown.facts()
    attributes = {
        "name": facts["logger"],
        "levelname": facts["level"],
        "levelno": logging.getLevelNamesMapping().get(facts["level"], logging.INFO),
        "msg": message_of(facts),
        "created": datetime.fromisoformat(facts["timestamp"]).timestamp(),
        _JUDGED: 1,
    }
    return logging.makeLogRecord({**attributes, **carry(shown)})


_gates: weakref.WeakSet[Gate] = weakref.WeakSet()


def _renew_all() -> None:
    for gate in list(_gates):
        gate.renew()


os.register_at_fork(after_in_child=_renew_all)
