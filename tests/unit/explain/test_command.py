"""`controlroom explain`, without the command line around it."""

from __future__ import annotations

import gzip
import io
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from controlroom.errors import ConfigError, DataError, ObjectNotFoundError
from controlroom.explain import main, read, show, write_html
from tests.unit.explain.logged import failure, line


def started(*runs: str) -> bytes:
    return "".join(line("run_started", run_id=run, job="ingest") + "\n" for run in runs).encode()


def write(path: Path, *runs: str) -> Path:
    path.write_bytes(started(*runs))
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


def test_an_unknown_run_among_many_is_refused_with_how_many_there_are(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Runs it tells of: r0, r1, r2, r3, r4 and 7 more"):
        main(write(tmp_path / "run.jsonl", *(f"r{number}" for number in range(12))), "x")


def test_nobody_has_to_type_a_whole_run_id(tmp_path: Path) -> None:
    path = write(tmp_path / "run.jsonl", "01a2-77aa", "01a3-99bb")

    assert list(read(path, "01a3").runs) == ["01a3-99bb"]
    with pytest.raises(ConfigError, match="several runs begin with '01a': 01a2-77aa, 01a3-99bb"):
        read(path, "01a")


def test_a_run_whose_id_begins_another_can_be_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path / "run.jsonl", "r10", "r1", "r11")
    told = read(path, "r1")

    assert list(told.runs) == ["r1"]
    assert told.other_runs == ["r10", "r11"]
    assert told.accounted().total() == told.events_read == 3


def test_what_was_logged_outside_of_any_run_is_no_beginning_of_every_id(tmp_path: Path) -> None:
    assert list(read(write(tmp_path / "run.jsonl", "", "r1"), "").runs) == [""]


@pytest.mark.parametrize("name", ["missing.jsonl", ".", "null\0byte"])
def test_a_log_that_cannot_be_read_is_a_configuration_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        main(str(tmp_path / name))


def test_a_binary_file_and_endless_lines_are_survived(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    whole = b"\xff\xfe\x00" + b"x" * 3_000_000 + b"\n" + b'{"event": "gave_up", "level": "INFO"}\n' + b"{" * 2_000_000
    path.write_bytes(whole)

    assert "Read 1 event; 1 line of others; 1 cut line." in main(path)
    assert read(path).bytes_read == len(whole)


@pytest.mark.parametrize("content", [b"import this\n", b"", gzip.compress(b"", mtime=0)])
def test_a_file_that_is_no_log_is_not_explained_as_an_empty_one(tmp_path: Path, content: bytes) -> None:
    other = tmp_path / "api.py"
    other.write_bytes(content)
    with pytest.raises(DataError, match="holds no line of a controlroom log"):
        main(other)


def test_the_files_of_a_rotated_log_are_one_log_compressed_or_not(tmp_path: Path) -> None:
    oldest, older, current = (tmp_path / f"run.jsonl{suffix}" for suffix in (".2.gz", ".1", ""))
    oldest.write_bytes(gzip.compress(started("r1", "r2")))
    write(older, "r2", "r3")
    write(current, "r3")
    told = read([oldest, older, current])

    assert list(told.runs) == ["r1", "r2", "r3"]
    assert told.events_read == 5
    assert told.bytes_read == len(started("r1", "r2", "r2", "r3", "r3"))


def test_nothing_is_counted_twice_that_a_wildcard_brings_along(tmp_path: Path) -> None:
    packed, leftover, current, lock, part = (
        tmp_path / f"run.jsonl{suffix}" for suffix in (".1.gz", ".1", "", ".lock", ".part")
    )
    packed.write_bytes(gzip.compress(started("r1")))
    write(leftover, "r1")
    write(current, "r2")
    lock.write_bytes(b"1 2 3\n")
    part.write_bytes(gzip.compress(started("r1"))[:-4])
    told = read([current, leftover, packed, lock, part, tmp_path / "." / "run.jsonl"])

    assert (told.events_read, told.foreign_lines, told.truncated_lines) == (2, 0, 0)


def test_what_is_named_by_itself_is_read_whatever_it_is_called(tmp_path: Path) -> None:
    write(part := tmp_path / "run.jsonl.part", "r1")
    write(second := tmp_path / "run.jsonl.1", "r2")

    assert list(read([part, second]).runs) == ["r1", "r2"]


def test_a_compressed_log_that_was_cut_is_told_up_to_there(tmp_path: Path) -> None:
    path = tmp_path / "anything"
    path.write_bytes(gzip.compress(started(*(f"r{number}" for number in range(5_000))))[:-2_000])
    told = read(path)

    assert told.events_read > 1_000
    assert told.truncated_lines >= 1


def test_a_compressed_log_that_is_broken_in_its_middle_is_told_up_to_there(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(started("r1"), compresslevel=0) + gzip.compress(started("r2")))
    packed[-9] ^= 0xFF
    path = tmp_path / "run.jsonl.1.gz"
    path.write_bytes(packed)

    assert "r1" in read(path).runs


def test_a_log_can_come_from_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(started("r1"))))

    assert list(read("-").runs) == ["r1"]
    assert not sys.stdin.closed


def test_without_standard_input_there_is_nothing_to_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(ConfigError, match="cannot be read"):
        read("-")


class Terminal(io.TextIOWrapper):
    def __init__(self, encoding: str, *, is_a_tty: bool = False) -> None:
        self._is_a_tty = is_a_tty
        super().__init__(io.BytesIO(), encoding=encoding, newline="")

    def isatty(self) -> bool:
        return self._is_a_tty

    def shown(self) -> str:
        self.seek(0)
        return self.read()


HOSTILE: Any = {"key": "\ud800é漢.csv", "error": "\ud800", "n": float("nan")}


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "run.jsonl"
    path.write_text(
        line("file_failed", **(failure() | HOSTILE)) + "\n" + line("run_finished", outcome="failed") + "\n", "utf-8"
    )
    return path


def test_a_stream_that_shows_ascii_only_gets_nothing_else(log: Path) -> None:
    terminal = Terminal("ascii")
    show(read(log), terminal)

    assert "`- !! ?\\xe9\\u6f22.csv: failed" in terminal.shown()


def test_a_stream_that_knows_some_letters_gets_those(log: Path) -> None:
    terminal = Terminal("latin-1")
    show(read(log), terminal)

    assert "`- !! ?é\\u6f22.csv: failed" in terminal.shown()


@pytest.mark.parametrize(
    ("is_a_tty", "environ", "is_coloured"),
    [(True, {}, True), (False, {}, False), (True, {"NO_COLOR": "1"}, False), (True, {"TERM": "dumb"}, False)],
)
def test_colours_are_for_terminals_whose_owner_wants_them(
    log: Path, monkeypatch: pytest.MonkeyPatch, is_a_tty: bool, environ: dict[str, str], is_coloured: bool
) -> None:
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setitem(os.environ, name, value)
    terminal = Terminal("utf-8", is_a_tty=is_a_tty)
    show(read(log), terminal)

    assert ("\x1b[1;31m" in terminal.shown()) is is_coloured
    assert "✗ �é漢.csv: failed" in terminal.shown()


def test_the_document_is_printed_as_json_that_every_stream_can_show(log: Path) -> None:
    terminal = Terminal("ascii", is_a_tty=True)
    show(read(log), terminal, as_json=True)
    document = json.loads(terminal.shown(), parse_constant=pytest.fail)

    assert document["version"] == 1
    assert document["runs"][0]["failures"][0]["subject"] == HOSTILE["key"]


def test_the_page_is_written_whole_whatever_is_in_it(log: Path, tmp_path: Path) -> None:
    page = tmp_path / "story.html"
    page.write_text("of yesterday")
    write_html(read(log), page)

    assert page.read_bytes().lower().startswith(b"<!doctype html>")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run.jsonl", "story.html"]


def test_a_page_that_cannot_be_written_is_an_error_of_the_files(log: Path, tmp_path: Path) -> None:
    with pytest.raises(ObjectNotFoundError):
        write_html(read(log), tmp_path / "nowhere" / "story.html")
