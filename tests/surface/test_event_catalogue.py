"""What a log can say is a closed set: nothing is logged that is not declared, and nothing declared that is not logged."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from controlroom.logs.events import EVENTS, EXCEPTION, FAILURE, HEAD, LINKS, MARKS, Event, Field
from tests.surface.house import PACKAGE, source_files

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "events.md"
METHODS = {"debug": "DEBUG", "info": "INFO", "warning": "WARNING", "error": "ERROR", "failure": "ERROR"}
# The text of a Python warning is its event, whoever warned: those lines are not ours to declare.
NOT_OURS = {"py.warnings"}


@dataclass(frozen=True)
class Emission:
    """One log call in the source."""

    at: str
    logger: str
    method: str
    event: str | None
    given: frozenset[str]
    perhaps: frozenset[str]
    is_open: bool


def emissions() -> list[Emission]:
    return [one for path in source_files() for one in emissions_of(path)]


def emissions_of(path: Path) -> Iterator[Emission]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    logger = logger_of(path, tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and is_log_call(node.func):
            assert isinstance(node.func, ast.Attribute)
            event = node.args[0] if node.args else None
            unpacked = [optional_names(keyword.value) for keyword in node.keywords if keyword.arg is None]
            yield Emission(
                f"{path.relative_to(PACKAGE)}:{node.lineno}",
                "*" if isinstance(node.func.value, ast.Attribute) else logger,
                node.func.attr,
                event.value if isinstance(event, ast.Constant) else None,
                frozenset(keyword.arg for keyword in node.keywords if keyword.arg is not None),
                frozenset(name for names in unpacked for name in names or ()),
                is_open=None in unpacked,
            )


def is_log_call(func: ast.expr) -> bool:
    """`_log.info(…)`, `self._log.info(…)`: the house has no other name for a logger of its own."""
    if not isinstance(func, ast.Attribute) or func.attr not in METHODS:
        return False
    return ast.unparse(func.value).rpartition(".")[2] in {"_log", "log"} or "get_logger(" in ast.unparse(func.value)


def optional_names(unpacked: ast.expr) -> list[str] | None:
    """What `**_if_given(name=…)` may give; None of anything else, where one cannot tell."""
    if not isinstance(unpacked, ast.Call) or not isinstance(unpacked.func, ast.Name) or unpacked.func.id != "_if_given":
        return None
    return [keyword.arg for keyword in unpacked.keywords if keyword.arg is not None]


def logger_of(path: Path, tree: ast.Module) -> str:
    """The name in `_log = get_logger(…)`."""
    module = ".".join(["controlroom", *path.relative_to(PACKAGE).with_suffix("").parts]).removesuffix(".__init__")
    for node in tree.body:
        if isinstance(node, ast.Assign) and "get_logger(" in ast.unparse(node.value):
            assert ast.unparse(node.targets[0]) == "_log", f"{path}: call a module's logger _log"
            given = node.value.args[0]
            return str(given.value) if isinstance(given, ast.Constant) else module
    return module


def rendered_events() -> set[tuple[str, str]]:
    """`{"event": "events_suppressed", …}`: the logging writes lines of its own without a log call.

    A text with spaces is no event: it stands where a line of another package could not be shown.
    """
    return {
        (value.value, "controlroom.logs")
        for path in (PACKAGE / "logs").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Dict)
        for key, value in zip(node.keys, node.values, strict=True)
        if isinstance(key, ast.Constant)
        and key.value == "event"
        and isinstance(value, ast.Constant)
        and " " not in value.value
    }


OURS = [emission for emission in emissions() if emission.logger not in NOT_OURS]


def fields_of(event: Event) -> dict[str, Field]:
    return {field.name: field for field in event.fields}


def test_the_search_for_log_calls_finds_those_that_are_there() -> None:
    assert {"retry_scheduled", "run_progressed", "file_published"} <= {emission.event for emission in OURS}
    assert len(OURS) > len(EVENTS) / 2


def test_no_log_method_is_handed_on_to_be_called_out_of_sight() -> None:
    handed_on = {
        f"{path.relative_to(PACKAGE)}:{node.lineno}"
        for path in source_files()
        for tree in [ast.parse(path.read_text(encoding="utf-8"))]
        for called in [{id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}]
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and is_log_call(node) and id(node) not in called
    }

    assert handed_on == set()


def test_every_event_has_a_literal_name_that_is_declared() -> None:
    assert [f"{one.at}: {one.event}" for one in OURS if one.event not in EVENTS] == []


@pytest.mark.parametrize("emission", OURS, ids=lambda one: f"{one.event} at {one.at}")
def test_a_log_call_says_what_its_event_declares(emission: Emission) -> None:
    event = EVENTS[str(emission.event)]
    fields = fields_of(event)

    assert METHODS[emission.method] == event.level
    assert (emission.method == "failure") is event.is_failure
    assert emission.logger in event.loggers
    assert not emission.is_open, "facts that cannot be read off the call: name them, or use _if_given(name=…)"
    assert emission.given | emission.perhaps <= fields.keys()
    assert {name for name, field in fields.items() if field.required} <= emission.given


def test_every_declared_event_is_emitted_by_each_logger_that_it_names() -> None:
    emitted = {(emission.event, emission.logger) for emission in OURS} | rendered_events()

    assert {(event.name, logger) for event in EVENTS.values() for logger in event.loggers} == emitted


def test_a_fact_is_optional_only_where_some_call_leaves_it_out() -> None:
    names = {one.event for one in OURS}
    always = {name: frozenset.intersection(*(one.given for one in OURS if one.event == name)) for name in names}

    assert {
        (event.name, field.name)
        for event in EVENTS.values()
        for field in event.fields
        if not field.required and field.name in always.get(event.name, ())
    } == set()


@pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS)
def test_a_declaration_is_one(event: Event) -> None:
    names = [field.name for field in event.fields]
    reserved = {field.name for field in (*HEAD, *MARKS, *(FAILURE if event.is_failure else ()))} - {"level"}

    assert len(names) == len(set(names))
    assert not reserved & set(names), "the line itself, or the failure, brings this fact"
    assert event.name == event.name.lower()
    assert event.meaning.endswith(".")
    assert event.loggers
    assert all(field.unit == unit_in(field.name) for field in event.fields)
    assert not event.is_failure or event.level == "ERROR"


def unit_in(name: str) -> str:
    """The units that a name can carry, as docs/reference/index.md has them."""
    return "s" if name.endswith("_s") else "bytes" if name.endswith("_bytes") else ""


def test_the_declarations_are_json_ready() -> None:
    told = json.loads(json.dumps({name: event.to_dict() for name, event in EVENTS.items()}))

    assert told["gave_up"]["is_failure"] is True
    assert told["page_fetched"]["fields"][1] == {
        "name": "page",
        "type": "integer",
        "meaning": "its number, from 1",
        "unit": "",
        "required": True,
        "nullable": False,
        "values": [],
    }


def test_the_catalogue_costs_nothing_but_the_standard_library() -> None:
    code = (
        "import sys; import controlroom.logs.events; "
        "print([name for name in ('structlog', 'rich', 'sqlalchemy', 'httpx') if name in sys.modules])"
    )

    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "[]\n"


# -- docs/reference/events.md -----------------------------------------------------------------------------------------

INTRODUCTION = """\
# Events

Everything that controlroom itself logs. `controlroom.logs.events.EVENTS` holds the same as data, and
`controlroom.logs.events.violations(line)` says how a line differs from it. A job's own events are its own affair.

A line is one JSON object. A fact in brackets is not on every line; one with a `?` may be null. `_s` is seconds.
"""
LINKING = """\
`run_id` is bound for a whole run, `file` while a file is claimed and delivered, `walk` and `page` while a page is fetched:
what happens inside carries them, retries and requests too. `unit` and `series` stand on the lines that have them below.
Their numbers count from 1 in each process, so that they name one thing within a `run_id` and a `pid`.
"""
ONE_FAILURE = """\
A failure is one line, at ERROR, with everything that is known of it. Whoever catches the same error again says nothing, so
that the number of such lines is the number of failures. A line that tells how something ended names the class of the error
in `reason`, and no more.
"""
OF_THE_EXCEPTION = """\
`exception` has these, and the attributes of the error's class ([Errors](errors.md)):
"""


def rendered() -> str:
    return "\n".join(
        [
            INTRODUCTION,
            *section("On every line", HEAD),
            *section("Linking facts", LINKS, LINKING),
            *section("Marks", MARKS, "What the logging or its host adds.\n"),
            *section("Failures", FAILURE, ONE_FAILURE),
            OF_THE_EXCEPTION,
            *table(EXCEPTION),
            "## Events",
            "",
            *(line for event in EVENTS.values() for line in of_event(event)),
        ]
    )


def section(title: str, fields: tuple[Field, ...], text: str = "") -> list[str]:
    return [f"## {title}", "", *([text] if text else []), *table(fields)]


def table(fields: tuple[Field, ...]) -> list[str]:
    return ["| fact | type | says |", "| --- | --- | --- |", *map(row, fields), ""]


def row(field: Field) -> str:
    name = f"`{field.name}`" if field.required else f"[`{field.name}`]"
    values = f": {', '.join(f'`{value}`' for value in field.values)}" if field.values else ""
    return f"| {name} | {field.type}{'?' * field.nullable} | {field.meaning}{values} |"


def of_event(event: Event) -> list[str]:
    who = " and ".join("the job's logger" if logger == "*" else f"`{logger}`" for logger in event.loggers)
    failure = ", with the facts of a failure" if event.is_failure else ""
    return [f"### {event.name}", "", f"{event.level}{failure}, by {who}. {event.meaning}", "", *table(event.fields)]


def test_the_page_lists_exactly_the_declared_events() -> None:
    how = 'python -c "import tests.surface.test_event_catalogue as t; t.PAGE.write_text(t.rendered())"'

    assert PAGE.read_text(encoding="utf-8") == rendered(), f"write the page anew: {how}"
