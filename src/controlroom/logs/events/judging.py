"""How a line of a log differs from its declaration."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from controlroom.logs.events.catalogue import EVENTS
from controlroom.logs.events.declarations import FAILURE, HEAD, LINKS, MARKS, Event, Field

__all__ = ["differences", "violations"]

_ANYWHERE: Final = {field.name: field for field in (*HEAD, *LINKS, *MARKS)}
_PYTHON: Final[Mapping[str, tuple[type, ...]]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list, tuple),
    "object": (Mapping,),
    "any": (object,),
}


def violations(facts: Mapping[str, Any], *, bound: Iterable[str] = ()) -> list[str]:
    """Return how a line of controlroom's differs from what is declared, in words; nothing where it does not.

    Args:
        facts: The line, parsed: ``json.loads(line)``.
        bound: Names of facts that the job itself binds (`controlroom.logs.bound`): they may stand on any line.

    Lines of other loggers are the job's own, or of other packages: nothing is declared of them, so nothing differs. A
    line that says ``truncated`` is judged by its names only.
    """
    name, logger = facts.get("event"), facts.get("logger")
    if not (isinstance(logger, str) and f"{logger}.".startswith("controlroom.")):
        return []
    event = EVENTS.get(name) if isinstance(name, str) else None
    if event is None:
        return [f"{name!r} is not declared"]
    return [*_of_the_head(event, facts), *differences(event, facts, bound=bound)]


def _of_the_head(event: Event, facts: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"{event.name}: {field.name} is missing" for field in HEAD if field.name not in facts)
    if facts.get("level") != event.level:
        yield f"{event.name}: level is {facts.get('level')!r}, not {event.level!r}"
    if "*" not in event.loggers and facts["logger"] not in event.loggers:
        yield f"{event.name}: {facts['logger']} is not declared to emit it"


def differences(event: Event, facts: Mapping[str, Any], *, bound: Iterable[str] = ()) -> list[str]:
    """Return how *facts*, of a line or of a log call, differ from the fields of *event*; *bound* as in `violations`."""
    declared = {field.name: field for field in (*event.fields, *(FAILURE if event.is_failure else ()))}
    known = {*declared, *_ANYWHERE, *bound}
    found = [f"{event.name}: {name} is not declared" for name in facts if name not in known]
    if facts.get("truncated") is True:
        return found
    return found + [
        f"{event.name}: {problem}"
        for field in {**_ANYWHERE, **declared}.values()
        if (problem := _problem(field, facts, required=field.required and field.name in declared))
    ]


def _problem(field: Field, facts: Mapping[str, Any], *, required: bool) -> str:
    if field.name not in facts:
        return f"{field.name} is missing" if required else ""
    value = facts[field.name]
    if value is None and field.nullable:
        return ""
    # A bool is an int to Python, and no number to JSON.
    if not isinstance(value, _PYTHON[field.type]) or (isinstance(value, bool) and field.type in {"integer", "number"}):
        return f"{field.name} is {value!r}, and no {field.type}"
    if field.values and value not in field.values:
        return f"{field.name} is {value!r}, and none of {', '.join(field.values)}"
    return ""
