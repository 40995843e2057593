from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from controlroom import clock
from controlroom.jobs import Run
from controlroom.logs import Logger
from controlroom.testing import ManualClock


class Recording(Logger):
    __slots__ = ("lines",)

    def __init__(self) -> None:
        super().__init__("test")
        self.lines: list[dict[str, Any]] = []

    def info(self, event: str, /, **facts: Any) -> None:
        self.lines.append({"event": event, **facts})


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def log() -> Recording:
    return Recording()


@pytest.fixture
def time() -> Iterator[ManualClock]:
    with ManualClock() as manual:
        yield manual


def loop(log: Recording, seconds_each: float, items: Any, **arguments: Any) -> None:
    for _ in Run(None, log, "id", "ingest").progress(items, **arguments):
        clock.sleep(seconds_each)


def test_a_line_at_most_once_a_minute(log: Recording, time: ManualClock) -> None:
    loop(log, 7.0, range(30), unit="files")

    assert [line["elapsed_s"] for line in log.lines] == [63.0, 126.0, 189.0]
    assert log.lines[0] == {
        "event": "run_progressed",
        "done": 9,
        "total": 30,
        "counted": "files",
        "elapsed_s": 63.0,
    }


def test_a_quick_loop_says_nothing(log: Recording, time: ManualClock) -> None:
    loop(log, 0.01, range(1000))

    assert log.lines == []


def test_an_unknown_total_stays_unknown(log: Recording, time: ManualClock) -> None:
    loop(log, 60.0, iter(range(2)))

    assert [(line["done"], line["total"]) for line in log.lines] == [(1, None), (2, None)]


def on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    return terminal


def test_a_person_at_a_terminal_sees_a_bar_and_no_lines(
    monkeypatch: pytest.MonkeyPatch, log: Recording, time: ManualClock
) -> None:
    pytest.importorskip("rich", reason="the bar needs the extra `demo`")
    terminal = on_a_terminal(monkeypatch)

    loop(log, 90.0, range(4), unit="files")

    assert log.lines == []
    assert "files" in terminal.getvalue()
    assert "100%" in terminal.getvalue()


def test_without_rich_a_terminal_gets_lines(monkeypatch: pytest.MonkeyPatch, log: Recording, time: ManualClock) -> None:
    terminal = on_a_terminal(monkeypatch)
    monkeypatch.setitem(sys.modules, "rich.console", None)

    loop(log, 90.0, range(2))

    assert len(log.lines) == 2
    assert terminal.getvalue() == ""


def test_the_terminal_is_left_as_it_was(monkeypatch: pytest.MonkeyPatch, log: Recording, time: ManualClock) -> None:
    pytest.importorskip("rich", reason="the bar needs the extra `demo`")
    terminal = on_a_terminal(monkeypatch)
    run = Run(None, log, "id", "ingest")

    for _ in run.progress(range(4)):
        break
    loop(log, 90.0, range(4))  # a second bar: the first one was taken down

    assert terminal.getvalue().count("\x1b[?25h") == terminal.getvalue().count("\x1b[?25l") == 2
    assert sys.stderr is terminal


def test_a_bar_that_finds_the_terminal_taken_becomes_lines(
    monkeypatch: pytest.MonkeyPatch, log: Recording, time: ManualClock
) -> None:
    """One display at a time, said rich before 14.1; a job may draw one of its own, too."""
    progress = pytest.importorskip("rich.progress", reason="the bar needs the extra `demo`")
    errors = pytest.importorskip("rich.errors")
    on_a_terminal(monkeypatch)

    def taken(self: object) -> None:
        raise errors.LiveError("Only one live display may be active at once")

    monkeypatch.setattr(progress.Progress, "start", taken)

    loop(log, 60.0, range(1))

    assert len(log.lines) == 1
