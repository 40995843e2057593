"""What could not be written is told once, at the end, wherever something still works."""

from __future__ import annotations

import io
import json
import logging
import os
import sys
from pathlib import Path
from typing import Any, NoReturn

import pytest

from controlroom.logs import get_logger, setup_logging
from controlroom.logs.sinks import losses

log = get_logger("app")


class Broken(io.StringIO):
    def write(self, _text: str) -> NoReturn:
        raise OSError(5, "Input/output error")


def written(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_the_file_tells_what_the_console_lost(
    root_without_pytest: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", Broken())
    report = setup_logging(file=tmp_path / "run.jsonl")
    for _ in range(3):
        log.info("tried")
    report.undo()

    last = written(tmp_path / "run.jsonl")[-1]
    assert (last["event"], last["count"], last["sinks"]) == ("log_lines_lost", 3, {"stderr": 3})
    assert report.dropped == 3


def test_nothing_is_told_where_nothing_was_lost(
    root_without_pytest: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = setup_logging(file=tmp_path / "run.jsonl")
    log.info("tried")
    report.undo()

    assert [line["event"] for line in written(tmp_path / "run.jsonl")] == ["tried"]
    assert "lost" not in capsys.readouterr().err


def test_where_no_sink_works_the_real_stderr_is_told(
    root_without_pytest: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", Broken())
    monkeypatch.setattr(sys, "__stderr__", real := io.StringIO())
    report = setup_logging(file="/dev/full")
    log.info("tried")
    report.undo()

    assert real.getvalue() == "log_lines_lost count=2 (stderr: 1, file: 1)\n"
    assert report.dropped == 2


def test_where_the_level_hides_the_line_stderr_is_told(
    root_without_pytest: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "__stderr__", real := io.StringIO())
    report = setup_logging("ERROR", file="/dev/full")
    log.error("broke")
    report.undo()

    assert real.getvalue() == "log_lines_lost count=1 (file: 1)\n"


def test_where_even_that_is_closed_nothing_raises(root_without_pytest: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Broken())
    monkeypatch.setattr(sys, "__stderr__", None)
    report = setup_logging()
    log.info("tried")
    report.undo()

    assert report.dropped == 1


def test_a_second_setup_tells_its_own_losses_only(
    root_without_pytest: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = setup_logging(file="/dev/full")
    log.info("tried")
    second = setup_logging(file=tmp_path / "run.jsonl")
    second.undo()

    assert (first.dropped, second.dropped) == (1, 0)
    assert capsys.readouterr().err.count("log_lines_lost") == 1


def test_a_forked_child_leaves_its_parents_losses_to_the_parent(
    root_without_pytest: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", Broken())
    report = setup_logging(file=tmp_path / "run.jsonl")
    log.info("tried")
    child = os.fork()
    if child == 0:
        log.info("tried")
        log.info("tried")
        report.undo()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    report.undo()

    told = {line["pid"]: line["count"] for line in written(tmp_path / "run.jsonl") if line["event"] == "log_lines_lost"}
    assert told == {child: 2, os.getpid(): 1}


def test_a_removed_folder_is_counted_and_never_raises(
    root_without_pytest: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "logs"
    for max_bytes in (None, 1_000_000):
        folder.mkdir()
        report = setup_logging(file=folder / "run.jsonl", max_bytes=max_bytes)
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()
        for _ in range(100):
            log.info("tried")
            logging.getLogger("other").warning("tried")
        report.undo()

        assert report.dropped == 200
        told = [line for line in capsys.readouterr().err.splitlines() if "log_lines_lost" in line]
        assert json.loads(told[0])["sinks"] == {"file": 200}


def test_losses_count_exactly_what_many_threads_and_sinks_lose() -> None:
    before = losses.of_sinks()
    losses.count("file", 3)
    losses.count("stderr")
    losses.count()

    assert losses.of_sinks() - before == {"file": 3, "stderr": 1, "unknown": 1}
