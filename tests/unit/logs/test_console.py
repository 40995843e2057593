"""What a person reads, and what no stranger's text can do to a terminal."""

from __future__ import annotations

from typing import Any

from controlroom.logs.console import console_text, message_of, traceback_text

HEAD = {"timestamp": "2026-11-21T23:17:59.165233Z", "level": "INFO", "event": "page_fetched", "logger": "app"}


def test_a_line_shows_time_level_event_facts_and_logger() -> None:
    event = {**HEAD, "page": 7, "note": "two words", "none": None, "ok": True, "seq": 1, "pid": 2}

    assert console_text(event) == ('23:17:59.165 INFO     page_fetched page=7 note="two words" none=null ok=true [app]')


def test_values_that_could_be_mistaken_are_quoted() -> None:
    event = {"event": "tried", "a": "", "b": 'x"y', "c": "k=v", "d": "ü", "e": {"f": [1]}}

    assert message_of(event) == 'tried a="" b="x\\"y" c="k=v" d=ü e={"f": [1]}'


def test_no_control_character_reaches_the_terminal() -> None:
    hostile = "\x1b]0;title\x07\r\n\x9b31m\u2028\u202egnp.exe"
    event: dict[str, Any] = {
        **HEAD,
        "event": hostile,
        "logger": hostile,
        hostile: hostile,
        "deep": {hostile: [hostile]},
    }
    event["exception"] = {"type": hostile, "message": hostile, "notes": [hostile], "frames": [{"file": hostile}]}

    shown = console_text(event)
    assert not {"\x1b", "\x07", "\r", "\x9b", "\u2028", "\u202e"} & set(shown)
    _head, *below = shown.split("\n")
    assert len(below) == 4
    assert all(line.startswith("  ") for line in below), "no line of a stranger's may pass for the head of an event"


def test_a_failure_shows_frames_notes_members_and_causes() -> None:
    exception = {
        "type": "ExceptionGroup",
        "message": "two failed",
        "frames": [{"file": "a.py", "line": 3, "function": "main"}, {"omitted": 7}],
        "notes": ["a note"],
        "members": [{"type": "KeyError", "message": "'id'"}],
        "causes": [{"type": "OSError", "message": "no space", "reported": True}],
    }

    assert traceback_text({"exception": exception}).splitlines() == [
        "  ExceptionGroup: two failed",
        "    a.py:3 in main",
        "    … 7 frames …",
        "    note: a note",
        "    | KeyError: 'id'",
        "  caused by",
        "  OSError: no space",
    ]


def test_an_exception_fact_of_another_shape_is_left_alone() -> None:
    assert traceback_text({"exception": "text"}) == ""
    assert "frames" not in traceback_text({"exception": {"frames": "text", "members": [1]}})
