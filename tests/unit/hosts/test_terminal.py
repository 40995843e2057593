from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import TextIO

import pytest

from controlroom.hosts.terminal import Parser, flushed


def parser() -> Parser:
    made = Parser(prog="it")
    made.add_argument("--level", choices=["a", "b"])
    made.add_argument("--limit", type=int)
    return made


@pytest.mark.parametrize("argv", [["--nope"], ["--level", "c"], ["--limit", "x"], ["stray"], ["--lim", "3"]])
def test_wrong_usage_is_64(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        parser().options(argv)

    assert left.value.code == 64
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("usage: it")


@pytest.mark.parametrize("argv", [["--token=hunter2"], ["hunter2"], ["--token", "hunter2"]])
def test_an_argument_that_is_not_known_is_not_echoed(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parser().options(argv)

    assert "hunter2" not in capsys.readouterr().err


class Broken:
    def __init__(self, file: Path, error: Exception) -> None:
        self.fd = os.open(file, os.O_WRONLY | os.O_CREAT)
        self.error = error

    def flush(self) -> None:
        raise self.error

    def fileno(self) -> int:
        return self.fd


@pytest.mark.parametrize("error", [BrokenPipeError(32, "gone"), OSError(28, "full"), ValueError("closed")])
@pytest.mark.parametrize(("code", "expected"), [(0, 74), (75, 75)])
def test_output_that_was_not_delivered_is_no_success(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception, code: int, expected: int
) -> None:
    broken = Broken(tmp_path / "out", error)
    monkeypatch.setattr(sys, "stdout", broken)

    assert flushed(code) == expected
    assert os.path.samestat(os.fstat(broken.fd), Path(os.devnull).stat())  # what is left goes nowhere, not to the file
    os.close(broken.fd)


@pytest.mark.parametrize("stream", [None, io.StringIO()])
def test_output_that_was_delivered_keeps_its_code(monkeypatch: pytest.MonkeyPatch, stream: TextIO | None) -> None:
    monkeypatch.setattr(sys, "stdout", stream)

    assert flushed(0) == 0
