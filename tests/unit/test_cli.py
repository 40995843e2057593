from __future__ import annotations

import json
import platform
import sys
from importlib import metadata
from pathlib import Path

import pytest

import controlroom
from controlroom.cli import main


def lines_of(capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    out = capsys.readouterr().out
    return {line.split()[0]: line for line in out.splitlines() if line}


def test_version_names_it(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["--version"])

    assert left.value.code == 0
    assert capsys.readouterr().out == f"controlroom {controlroom.__version__}\n"


@pytest.mark.parametrize("argv", [[], ["no-such-command"], ["doctor", "--nope"], ["doctor", "stray"]])
def test_wrong_usage_is_64(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(argv)

    assert left.value.code == 64
    assert "usage: controlroom" in capsys.readouterr().err


LOG = [
    {"event": "run_started", "run_id": "one", "job": "ingest", "host": "command_line"},
    {"event": "run_finished", "run_id": "one", "outcome": "succeeded", "exit_code": 0, "elapsed_s": 1.5},
    {"event": "run_started", "run_id": "two", "job": "export", "host": "command_line"},
]


@pytest.fixture
def log(tmp_path: Path) -> str:
    stamps = {"timestamp": "2026-11-21T12:00:00.000000Z", "level": "INFO", "logger": "test"}
    path = tmp_path / "run.jsonl"
    path.write_text("".join(json.dumps({**stamps, **event, "seq": seq}) + "\n" for seq, event in enumerate(LOG)))
    return str(path)


def test_explain_tells_the_story_of_a_log(log: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", log]) == 0

    out = capsys.readouterr().out
    assert "ingest" in out
    assert "export" in out


def test_explain_tells_of_one_run_only(log: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", log, "--run", "two"]) == 0

    out = capsys.readouterr().out
    assert "export" in out
    assert "ingest" not in out


def test_a_log_that_is_not_there_is_told_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", str(tmp_path / "none.jsonl")]) == 78

    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("controlroom: The log")
    assert err.count("\n") == 1


def test_a_reader_who_has_seen_enough_costs_no_traceback(log: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(*_: object, **__: object) -> None:
        raise BrokenPipeError(32, "gone")

    monkeypatch.setattr("builtins.print", closed)

    assert main(["explain", log]) == 74


def test_a_full_disk_behind_stdout_costs_no_traceback(
    log: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(_: str) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("sys.stdout.write", full)

    assert main(["explain", log]) == 74
    assert capsys.readouterr().err == "controlroom: the output could not be written: No space left on device\n"


def test_the_doctor_tells_what_a_job_would_find(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0

    told = lines_of(capsys)
    assert platform.python_version() in told["python"]
    assert told["host"].split()[1] == "pytest"
    for name in ("aiobotocore", "botocore", "httpx", "pydantic-settings", "sqlalchemy", "structlog", "tenacity"):
        assert metadata.version(name) in told[name]


def test_the_doctor_is_safe_to_paste(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_TOKEN", "c4n4ry-Value")

    main(["doctor"])

    private = ["c4n4ry", platform.node(), sys.executable, sys.prefix, str(Path.cwd()), str(Path.home())]
    out = capsys.readouterr().out
    assert [text for text in private if text in out] == []


def test_a_dependency_that_is_absent_is_said_and_is_a_failure(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = metadata.version

    def version(name: str) -> str:
        if name == "httpx":
            raise metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(metadata, "version", version)

    assert main(["doctor"]) == 78
    assert "absent" in lines_of(capsys)["httpx"]


def test_the_doctor_works_in_a_source_tree(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def requires(name: str) -> list[str]:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "requires", requires)

    assert main(["doctor"]) == 0
    assert "python" in lines_of(capsys)
