"""One event as a person reads it: the time, the name, the facts; for a failure the frames and causes below it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from controlroom.logs.shape import HEAD

__all__ = ["console_text", "message_of", "traceback_text"]

_APART = frozenset({*HEAD, "exception"})
_PLAIN = re.compile(r"[^\s\"'=\x00-\x1f\x7f-\x9f]+")
# A log may hold what strangers sent: no escape sequence of theirs reaches the terminal.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_COLOURS = {"DEBUG": "2", "WARNING": "33", "ERROR": "31", "CRITICAL": "31;1"}


def message_of(event: Mapping[str, Any]) -> str:
    """Return the event's name and facts on one line: ``page_fetched page=7 items=200``."""
    facts = [f"{_escaped(key)}={_fact(value)}" for key, value in event.items() if key not in _APART]
    return " ".join([_escaped(str(event.get("event"))), *facts])


def console_text(event: Mapping[str, Any], *, colours: bool = False) -> str:
    """Return the line, or lines, that a person sees."""
    level = str(event["level"])
    shown = f"{level:<8}"
    if colours and level in _COLOURS:
        shown = f"\x1b[{_COLOURS[level]}m{shown}\x1b[0m"
    line = f"{str(event['timestamp'])[11:23]} {shown} {message_of(event)} [{_escaped(str(event['logger']))}]"
    below = traceback_text(event)
    return f"{line}\n{below}" if below else line


def traceback_text(event: Mapping[str, Any]) -> str:
    """Return where the failure of *event* happened and what led to it, or nothing where it is no failure."""
    exception = event.get("exception")
    return "\n".join(_lines_of(exception, "  ")) if isinstance(exception, Mapping) else ""


def _lines_of(exception: Mapping[str, Any], indent: str) -> Iterator[str]:
    # Each line of a message stays a line, indented: none of them can pass for the head of another event.
    first, *more = str(exception.get("message")).split("\n")
    yield f"{indent}{_escaped(str(exception.get('type')))}: {_escaped(first)}"
    yield from (f"{indent}  {_escaped(line)}" for line in more)
    for frame in _items(exception, "frames"):
        if "omitted" in frame:
            yield f"{indent}  … {frame['omitted']} frames …"
        else:
            yield f"{indent}  {_escaped(str(frame.get('file')))}:{frame.get('line')} in {frame.get('function')}"
    for note in exception.get("notes") or ():
        yield f"{indent}  note: {_escaped(str(note))}"
    for member in _items(exception, "members"):
        yield from _lines_of(member, f"{indent}  | ")
    for cause in _items(exception, "causes"):
        yield f"{indent}caused by"
        yield from _lines_of(cause, indent)


def _items(exception: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    found = exception.get(key)
    return [item for item in found if isinstance(item, Mapping)] if isinstance(found, list) else []


def _fact(value: Any) -> str:
    if isinstance(value, str):
        return value if _PLAIN.fullmatch(value) else _escaped(json.dumps(value, ensure_ascii=False))
    return _escaped(json.dumps(value, ensure_ascii=False, default=str))


def _escaped(text: str) -> str:
    return text if text.isprintable() else _CONTROL.sub(lambda match: repr(match[0])[1:-1], text)
