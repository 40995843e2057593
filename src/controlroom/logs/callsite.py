"""Where in the source a log call stands: always on records that go to others, on our own lines if asked for."""

from __future__ import annotations

import sys
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

__all__ = ["Callsite", "callsite", "callsites_shown", "show_callsites", "with_place"]

_PACKAGES = ("controlroom.logs.", "structlog.")
_MODULES = frozenset({"warnings", "_py_warnings"})  # where a warning comes from

_shown = False


class Callsite(NamedTuple):
    """A place in a source file."""

    file: str
    line: int
    function: str


def show_callsites(shown: bool) -> None:  # noqa: FBT001 - it sets one switch of the process, and is named after it
    """Put ``at``, as in ``"ingest_flights:42"``, on every line from now on, or no longer. Costs a line about 1 µs."""
    global _shown  # noqa: PLW0603 - the process has one logging
    _shown = shown


def callsites_shown() -> bool:
    """Tell whether lines say where they come from."""
    return _shown


def callsite() -> Callsite:
    """Return where the log call stands: the first frame that is neither ours, nor structlog's, nor that of a warning."""
    frame = sys._getframe(1)  # noqa: SLF001 - as logging itself does
    while frame.f_back is not None and _is_on_the_way(frame):
        frame = frame.f_back
    return Callsite(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name)


def _is_on_the_way(frame: FrameType) -> bool:
    name = str(frame.f_globals.get("__name__"))
    return name.startswith(_PACKAGES) or name in _MODULES


def with_place(event: dict[str, Any], file: str, line: int) -> dict[str, Any]:
    """Return *event*, a stamped one, with ``at`` before its facts; one that has such a fact (a warning) keeps its own.

    The module is named as `logging` names it, for of a record of another package nothing else is known.
    """
    if "at" in event:
        return event
    facts = dict(event)
    head = {name: facts.pop(name) for name in ("timestamp", "level", "event", "logger")}
    return {**head, "at": f"{Path(file).stem}:{line}", **facts}
