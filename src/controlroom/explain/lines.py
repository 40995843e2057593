"""Which lines are events: our own, those inside what a host wrapped around them, and what is left of a torn one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from controlroom.explain import airflow
from controlroom.explain.facts import Facts

__all__ = ["Line", "parsed"]

_WRAPPERS: Final = ("controlroom", "message", "log", "jsonPayload")
_MOST_PIECES: Final = 8  # of a line that is several: a torn write and what came behind it are two
_decode = json.JSONDecoder().raw_decode


@dataclass(frozen=True, slots=True)
class Line:
    """What one line turned out to be.

    Attributes:
        events: Those on it: one, on nearly every line.
        is_cut: Whether it holds the beginning of an event without the end.
        is_foreign: Whether it is somebody else's.
    """

    events: tuple[Facts, ...] = ()
    is_cut: bool = False
    is_foreign: bool = False


_FOREIGN: Final = Line(is_foreign=True)
_BLANK: Final = Line()


def parsed(line: str) -> Line | Facts:
    """Return the event that *line* is; what else it is where it is not simply one."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return _pieces(line) if line.strip() else _BLANK
    if type(found) is not dict:
        return _FOREIGN
    if _is_event(found) and found["level"].isupper() and "controlroom" not in found:  # nearly every line
        return found
    return _unwrapped(found) or _FOREIGN


def _is_event(found: dict[str, Any]) -> bool:
    return type(found.get("event")) is str and type(found.get("level")) is str


def _unwrapped(found: dict[str, Any]) -> Facts | None:
    """Return the event inside *found*, or *found* where it is one itself.

    Airflow and Lambda's own formatter put our facts under ``controlroom``, beside a message for people; containers and
    log services put the whole line, as text, under ``message`` or ``log``.
    """
    for name in _WRAPPERS:
        inner = found.get(name)
        if isinstance(inner, str) and inner.lstrip().startswith("{"):
            try:
                inner = json.loads(inner)
            except (ValueError, RecursionError):
                continue
        if isinstance(inner, dict) and _is_event({"level": found.get("level"), **inner}):
            outside: dict[str, Any] = {key: found[key] for key in ("timestamp", "level") if key in found}
            return outside | inner
    return _of_a_host(found) if _is_event(found) else None


def _of_a_host(found: dict[str, Any]) -> Facts | None:
    """Our levels are in capitals; in small letters a line is Airflow's, or what Airflow made of one of ours."""
    if found["level"].isupper():
        return found
    return airflow.as_ours(found) if airflow.is_ours(found) else None


@dataclass(slots=True)
class _Salvage:
    events: list[Facts] = field(default_factory=list)
    is_cut: bool = False


def _pieces(line: str) -> Line:
    """Find events on a line that is no JSON: behind a prefix, glued to another one, or behind a torn one."""
    salvage = _Salvage()
    for piece in _objects(line):
        if piece is None:
            salvage.is_cut = True
        elif event := _unwrapped(piece):
            salvage.events.append(event)
    if not salvage.events:
        return Line(is_cut=True) if line.lstrip().startswith("{") else _FOREIGN
    return Line(tuple(salvage.events), is_cut=salvage.is_cut)


def _objects(line: str) -> Iterator[dict[str, Any] | None]:
    """Yield the objects on *line*, None for one that does not end."""
    at = line.find('{"')
    for _ in range(_MOST_PIECES):
        if at < 0:
            return
        try:
            found, end = _decode(line, at)
        except (ValueError, RecursionError):
            yield None
            at = line.find('{"timestamp"', at + 1)
        else:
            yield found
            at = line.find('{"', end)
