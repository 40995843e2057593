"""One event as a person reads it: the time, the name, the facts; for a failure the frames and causes below it."""

from __future__ import annotations

import contextlib
import os
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from controlroom.logs.readable import LONGEST_SHOWN, abridged, escaped, shown_value
from controlroom.logs.shape import HEAD
from controlroom.logs.tracebacks import folded_lines, full_lines

__all__ = ["Console", "message_of", "traceback_text"]

Facts = Mapping[str, Any]

_APART: Final = frozenset({*HEAD, "exception"})
_COLOURS: Final = {"DEBUG": "2", "WARNING": "33", "ERROR": "31", "CRITICAL": "31;1"}
_BOLD, _DIM = "1", "2"
_MOST_RUNS: Final = 64
_SHORT: Final = 6  # characters of a run's id that tell it from others; the last ones, a UUIDv7 begins with the time
_BELOW: Final = "    "
_LONGEST_SETTING: Final = 60


def message_of(event: Facts) -> str:
    """Return the event's name and facts on one line: ``page_fetched page=7 items=200``."""
    facts = [f"{escaped(key)}={shown_value(value)}" for key, value in event.items() if key not in _APART]
    return " ".join([escaped(str(event.get("event"))), *facts])


def traceback_text(event: Facts) -> str:
    """Return where the failure of *event* happened and what led to it, or nothing where it is no failure."""
    exception = event.get("exception")
    return "\n".join(full_lines(exception)) if isinstance(exception, Mapping) else ""


class Console:
    """Renders the events of a process for the people who watch it. Calls are serialised by the caller.

    Args:
        colours: Colour levels, and set names and values apart.
        folder: Paths below it are shown relative to it; the current one when None.

    Guarantees:
        A run's id is shown once, at its first line; after that only where lines of several runs mix, then by its end. A
        long value is cut, with a mark that says so: the file has all of it. Nothing depends on the width of a terminal,
        and every line but an event's first is indented.
    """

    def __init__(self, *, colours: bool = False, folder: str | None = None) -> None:
        self._colours = colours
        self._folder = _current_folder() if folder is None else folder
        self._runs: OrderedDict[str, None] = OrderedDict()

    def text(self, event: Facts) -> str:
        """Return the line, or lines, that a person sees."""
        level = str(event["level"])
        head = [
            self._in(_DIM, str(event["timestamp"])[11:23]),
            self._in(_COLOURS.get(level), f"{level:<8}"),
            *self._told(event),
            self._in(_DIM, f"[{escaped(str(event['logger']))}]"),
        ]
        return "\n".join([" ".join(head), *self._below(event)])

    def _told(self, event: Facts) -> Iterator[str]:
        """Yield the name, what a sentence says better than facts do, and the other facts."""
        yield self._in(_BOLD, escaped(str(event.get("event"))))
        sentence, said = _sentence(event)
        if sentence:
            yield sentence
        for name, value in self._with_short_run(event):
            if name not in said and name not in _APART and not _is_told_twice(name, event):
                yield f"{self._in(_DIM, f'{escaped(name)}=')}{shown_value(value, LONGEST_SHOWN)}"

    def _below(self, event: Facts) -> Iterator[str]:
        exception = event.get("exception")
        if isinstance(exception, Mapping):
            yield from folded_lines(exception, self._folder)
        for line in _lines_below(event):
            yield self._in(_DIM, _BELOW + line)

    def _with_short_run(self, event: Facts) -> Iterator[tuple[str, Any]]:
        run = event.get("run_id")
        if not isinstance(run, str):
            yield from event.items()
            return
        is_known, others = run in self._runs, len(self._runs) - (run in self._runs)
        self._runs[run] = None
        self._runs.move_to_end(run)
        if len(self._runs) > _MOST_RUNS:
            self._runs.popitem(last=False)
        if event.get("event") == "run_finished":
            del self._runs[run]
        for name, value in event.items():
            if name != "run_id" or not is_known:
                yield name, value
            elif others:
                yield name, f"…{run[-_SHORT:]}"

    def _in(self, colour: str | None, text: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self._colours and colour else text


def _current_folder() -> str:
    with contextlib.suppress(OSError):  # it was removed
        return os.path.join(os.getcwd(), "")  # noqa: PTH109, PTH118 - Path would drop the separator at the end
    return ""


def _is_told_twice(name: str, event: Facts) -> bool:
    """Whether a fact says what stands elsewhere on the line, or right below it."""
    if name == "error":
        return isinstance(event.get("exception"), Mapping)
    return name == "key" and "file" in event and event["file"] == event["key"]


def _sentence(event: Facts) -> tuple[str, frozenset[str]]:
    """Return what *event* says in words, and the facts that are in them."""
    say = _SENTENCES.get(str(event.get("event")))
    with contextlib.suppress(KeyError, TypeError, ValueError):  # somebody else's event of that name
        if say is not None:
            return say(event)
    return "", frozenset()


def _retry(event: Facts) -> tuple[str, frozenset[str]]:
    error, what = str(event["error"]), str(event.get("what") or "")
    of_all = f" of {event['attempts']}" if event.get("attempts") else ""
    # "APIStatusError: backing off 0.3 s; attempt 1 of 5 failed": the error and the attempt are told anyway.
    why = str(event["reason"]).removeprefix(f"{error.partition(':')[0]}: ").partition("; attempt ")[0]
    subject = "" if not what or what in error else f"{what}: "
    said = f"in {event['wait_s']} s, attempt {event['attempt']}{of_all} failed ({why}): {abridged(subject + error)}"
    return escaped(said), frozenset({"attempt", "attempts", "code", "error", "reason", "wait_s", "what"})


def _settings(event: Facts) -> tuple[str, frozenset[str]]:
    return "", frozenset({"settings"} if _table(event) else ())


def _started(event: Facts) -> tuple[str, frozenset[str]]:
    return "", frozenset({"host_facts"} if isinstance(event.get("host_facts"), Mapping) else ())


_SENTENCES: Final[Mapping[str, Callable[[Facts], tuple[str, frozenset[str]]]]] = {
    "retry_scheduled": _retry,
    "run_started": _started,
    "settings_loaded": _settings,
}


def _lines_below(event: Facts) -> Iterator[str]:
    if event.get("event") == "settings_loaded":
        yield from _aligned(_table(event))
    elif event.get("event") == "run_started" and isinstance(found := event.get("host_facts"), Mapping):
        yield " ".join(f"{escaped(str(name))}={shown_value(value, LONGEST_SHOWN)}" for name, value in found.items())


def _table(event: Facts) -> list[tuple[str, str, str]]:
    """Return name, value and origin of each setting, or nothing where they came in another form."""
    settings = event.get("settings")
    if not isinstance(settings, list) or not all(isinstance(setting, Mapping) for setting in settings):
        return []
    return [tuple(escaped(text) for text in _row(setting)) for setting in settings]  # type: ignore[misc]  # three each


def _row(setting: Facts) -> tuple[str, str, str]:
    value, key, source = setting.get("value"), setting.get("key"), str(setting.get("source"))
    hidden = setting.get("shadowed")
    more = f", {len(hidden)} shadowed" if isinstance(hidden, list) and hidden else ""
    text = value if isinstance(value, str) else shown_value(value)
    origin = f"{key} ({source}{more})" if key else f"{source}{more}"
    return str(setting.get("name")), abridged(text, _LONGEST_SETTING), origin


def _aligned(rows: list[tuple[str, str, str]]) -> Iterator[str]:
    names, values = (max((len(row[column]) for row in rows), default=0) for column in (0, 1))
    for name, value, origin in rows:
        yield f"{name:<{names}}  {value:<{values}}  {origin}".rstrip()
