"""`controlroom explain`, without the command line around it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from controlroom.errors import ConfigError, DataError
from controlroom.explain import main


def write(path: Path, *runs: str) -> Path:
    events: list[dict[str, Any]] = [
        {"event": "run_started", "level": "INFO", "run_id": run, "job": "ingest"} for run in runs
    ]
    path.write_text("".join(json.dumps(event) + "\n" for event in events), encoding="utf-8")
    return path


def test_a_log_is_told_run_by_run(tmp_path: Path) -> None:
    text = main(write(tmp_path / "run.jsonl", "r1", "r2"))

    assert "Run r1, job ingest" in text
    assert "Run r2, job ingest" in text


def test_one_run_can_be_asked_for(tmp_path: Path) -> None:
    text = main(str(write(tmp_path / "run.jsonl", "r1", "r2")), "r2")

    assert "Run r1" not in text
    assert "Run r2" in text


def test_an_unknown_run_is_refused_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Runs it tells of: r1, r2"):
        main(write(tmp_path / "run.jsonl", "r1", "r2"), "r3")


@pytest.mark.parametrize("name", ["missing.jsonl", ".", "null\0byte"])
def test_a_log_that_cannot_be_read_is_a_configuration_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        main(str(tmp_path / name))


def test_a_binary_file_and_endless_lines_are_survived(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    path.write_bytes(
        b"\xff\xfe\x00" + b"x" * 3_000_000 + b"\n" + b'{"event": "gave_up", "level": "INFO"}\n' + b"{" * 2_000_000
    )

    assert "Read 1 event; 1 line of others; 1 cut line." in main(path)


def test_a_file_that_is_no_log_is_not_explained_as_an_empty_one(tmp_path: Path) -> None:
    other = tmp_path / "api.py"
    other.write_text("import this\n")
    with pytest.raises(DataError, match="holds no line of a controlroom log"):
        main(other)
