"""What cannot be written is counted, and never raised."""

from __future__ import annotations

import io
import json
import logging
import sys
from pathlib import Path
from typing import Any, NoReturn

import pytest

from controlroom.logs import get_logger, setup_logging
from controlroom.logs.appending import AppendedFile
from controlroom.logs.shape import stamped
from controlroom.logs.shown import Shown
from controlroom.logs.sinks import FileSink, LineFormatter, StderrSink, losses


def event(name: str, **facts: Any) -> Shown:
    return Shown(stamped({"event": name, **facts}, level="INFO", logger="app"))


class AsciiStream(io.TextIOWrapper):
    def __init__(self) -> None:
        super().__init__(io.BytesIO(), encoding="ascii", errors="strict")

    def text(self) -> str:
        return self.buffer.getvalue().decode("ascii")


def test_json_on_a_strict_ascii_stream_stays_valid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", stream := AsciiStream())
    StderrSink(Shown.json, is_json=True).take(event("grüße", smile="😀"))

    line = json.loads(stream.text())
    assert (line["event"], line["smile"]) == ("grüße", "😀")


def test_text_on_a_strict_ascii_stream_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", stream := AsciiStream())
    StderrSink(lambda _: "grüße", is_json=False).take(event("x"))

    assert stream.text() == "gr\\xfc\\xdfe\n"


def test_each_line_reaches_the_stream_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(raw := io.BytesIO(), encoding="utf-8")
    monkeypatch.setattr(sys, "stderr", stream)
    StderrSink(Shown.json, is_json=True).take(event("tried"))

    assert raw.getvalue().endswith(b"}\n")


class BrokenStream:
    def write(self, _text: str) -> NoReturn:
        raise BrokenPipeError

    def flush(self) -> None:
        pass


@pytest.mark.parametrize("as_record", [True, False])
def test_a_broken_pipe_is_counted(monkeypatch: pytest.MonkeyPatch, as_record: bool) -> None:
    monkeypatch.setattr(sys, "stderr", BrokenStream())
    before, sink = losses.total, StderrSink(Shown.json, is_json=True)
    if as_record:
        sink.handle(logging.makeLogRecord({"msg": "tried"}))
    else:
        sink.take(event("tried"))

    assert losses.total == before + 1


def test_a_line_after_close_is_counted_and_lands_in_no_other_file(tmp_path: Path) -> None:
    sink = FileSink(AppendedFile(tmp_path / "run.jsonl"))
    sink.close()
    before = losses.total
    with (tmp_path / "other").open("w") as other:
        sink.take(event("tried"))
        other.flush()

    assert losses.total == before + 1
    assert (tmp_path / "other").read_text() == ""


def test_a_rotation_that_is_refused_is_told_once_in_the_file_that_grows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "run.jsonl"
    sink = FileSink(AppendedFile(file, max_bytes=10))
    (tmp_path / "run.jsonl.1").mkdir()
    (tmp_path / "run.jsonl.1" / "not_empty").touch()
    monkeypatch.setattr("controlroom.logs.rotation._kinds_by_number", lambda _: {})
    before = losses.total
    for _ in range(3):
        sink.take(event("tried"))
    sink.close()

    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line["event"] for line in lines] == ["tried", "tried", "log_rotation_refused", "tried"]
    assert "run.jsonl.1" in lines[2]["reason"]
    assert losses.total == before


def test_an_event_is_rendered_once_for_all_sinks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rendered = []
    monkeypatch.setattr("controlroom.logs.shown.quick_line", lambda event: rendered.append(event) or "{}")
    shown = event("tried")
    for name in ("a", "b"):
        sink = FileSink(AppendedFile(tmp_path / name))
        sink.take(shown)
        sink.close()

    assert len(rendered) == 1


def test_a_formatter_for_a_hosts_handler_never_raises() -> None:
    def broken(_shown: Shown) -> NoReturn:
        raise RuntimeError

    before = losses.total
    text = LineFormatter(broken).format(logging.makeLogRecord({"name": "app", "levelname": "INFO"}))

    assert text == "INFO app: this line could not be rendered\n"
    assert losses.total == before + 1


class StreamToLogging:
    """As some frameworks put in the place of stderr."""

    def write(self, text: str) -> None:
        logging.getLogger("stderr").warning(text)

    def flush(self) -> None:
        pass


def test_a_stderr_that_leads_back_into_logging_ends_at_the_real_one(
    root_without_pytest: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", StreamToLogging())
    monkeypatch.setattr(sys, "__stderr__", real := io.StringIO())
    report = setup_logging()
    get_logger("app").info("tried")
    get_logger("app").info("tried_again")
    report.undo()

    assert [json.loads(json.loads(line)["event"])["event"] for line in real.getvalue().splitlines()] == [
        "tried",
        "tried_again",
    ]
