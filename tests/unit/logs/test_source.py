"""The source of a frame is shown where it is known; reading it is never worth a failure, and shows no secret."""

from __future__ import annotations

import linecache
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from controlroom.logs import get_logger, source
from controlroom.logs.source import source_line
from controlroom.redaction import register_secret

log = get_logger("app")


@pytest.fixture(autouse=True)
def nothing_remembered() -> Iterator[None]:
    source._lines.clear()
    yield
    source._lines.clear()


def last_frame(lines: Any) -> dict[str, Any]:
    frame: dict[str, Any] = lines()[-1]["exception"]["frames"][-1]
    return frame


def failing(code: str, file: str, **names: Any) -> ValueError:
    try:
        exec(compile(code, "", "exec").replace(co_filename=file), names)
    except ValueError as error:
        return error
    raise AssertionError


def test_a_frame_shows_its_source_and_no_local(lines: Any) -> None:
    secret_looking = "the value of a local"
    try:
        raise ValueError(len(secret_looking))  # noqa: TRY301 - the frame of this line is what the test is about
    except ValueError as error:
        log.failure("failed", error)

    assert last_frame(lines)["source"].startswith("raise ValueError(len(secret_looking))  # noqa")
    assert "the value of a local" not in str(lines()[-1]["exception"])


@pytest.mark.parametrize("padding", [0, 40, 100, 130, 150, 160, 200, 3_000])
def test_a_secret_in_the_source_is_masked_wherever_the_line_is_cut(lines: Any, tmp_path: Path, padding: int) -> None:
    register_secret("s3cr3t-value-in-the-source")
    file = tmp_path / "job.py"
    code = f"raise ValueError('{'x' * padding}' and 's3cr3t-value-in-the-source') # password = 'unregistered'\n"
    file.write_text(code, encoding="utf-8")

    log.failure("failed", failing(code, str(file)))

    shown = last_frame(lines)["source"]
    assert "s3cr" not in shown
    assert "unreg" not in shown
    assert len(shown) <= 161


def test_a_secret_registered_after_the_line_was_read_is_masked(lines: Any, tmp_path: Path) -> None:
    file = tmp_path / "job.py"
    code = "raise ValueError('later-a-secret')"
    file.write_text(code, encoding="utf-8")
    log.failure("failed", failing(code, str(file)))
    assert "later-a-secret" in last_frame(lines)["source"]

    register_secret("later-a-secret")
    log.failure("failed", failing(code, str(file)))

    assert "later-a-secret" not in last_frame(lines)["source"]


def test_what_exec_runs_is_not_taken_for_what_the_command_line_said(
    lines: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(linecache.cache, "<string>", (9, None, ["the_command_line()\n"], "<string>"))

    log.failure("failed", failing("raise ValueError", "<string>"))

    assert "source" not in last_frame(lines)


@pytest.mark.parametrize(
    "file", ["<string>", "/nowhere/job.py", "nowhere.py", "", "a\0b", "/dev/zero", "/dev/stdin", "/"]
)
def test_what_cannot_be_read_is_left_out(lines: Any, file: str) -> None:
    log.failure("failed", failing("raise ValueError", file))

    assert "source" not in last_frame(lines)


def test_a_file_larger_than_any_source_is_not_read(lines: Any, tmp_path: Path) -> None:
    file = tmp_path / "generated.py"
    file.write_bytes(b"raise ValueError\n" + b"#" * (source._LARGEST_FILE_BYTES + 1))

    log.failure("failed", failing("raise ValueError", str(file)))

    assert "source" not in last_frame(lines)


def test_a_line_of_data_is_left_out(tmp_path: Path) -> None:
    file = tmp_path / "data.py"
    file.write_text("x = '" + "y" * 10_000 + "'\n", encoding="utf-8")

    assert source_line(str(file), 1, {}) == ""


def test_a_file_that_is_no_text_is_left_out(tmp_path: Path) -> None:
    file = tmp_path / "job.py"
    file.write_bytes(b"\xff\xfe\x00\n")

    assert source_line(str(file), 1, {}) == ""


def test_a_line_beyond_the_end_is_left_out(tmp_path: Path) -> None:
    file = tmp_path / "job.py"
    file.write_text("x = 1\n", encoding="utf-8")

    assert source_line(str(file), 7, {}) == ""


def test_a_module_in_an_archive_shows_its_source(lines: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(tmp_path / "job.zip", "w") as archive:
        archive.writestr("zipped_job.py", "def run():\n    raise ValueError('in the archive')\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "job.zip"), *sys.path])
    import zipped_job  # type: ignore[import-not-found]  # made a moment ago

    with pytest.raises(ValueError, match="archive") as caught:
        zipped_job.run()
    log.failure("failed", caught.value)

    assert last_frame(lines)["source"] == "raise ValueError('in the archive')"


class _Loader:
    def get_source(self, _name: str) -> str:
        message = "the loader is broken"
        raise RuntimeError(message)


def test_a_loader_that_raises_is_no_reason_to_fail(lines: Any) -> None:
    log.failure("failed", failing("raise ValueError", "loaded.py", __name__="loaded", __loader__=_Loader()))

    assert "source" not in last_frame(lines)


def test_what_is_remembered_has_an_end(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(source, "_MOST_REMEMBERED", 3)
    file = tmp_path / "job.py"
    file.write_text("".join(f"x = {number}\n" for number in range(10)), encoding="utf-8")

    assert [source_line(str(file), number, {}) for number in range(1, 10)] == [f"x = {number}" for number in range(9)]
    assert len(source._lines) <= 3
