"""Numbers move up, the oldest goes, and a kill between two steps costs nothing but order."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from controlroom.logs.rotation import RotatedFiles, parts_of


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.jsonl"


def there(path: Path) -> dict[str, str]:
    return {file.name.removeprefix("run.jsonl"): content(file) for file in sorted(path.parent.iterdir())}


def content(file: Path) -> str:
    return (gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()).decode()


def make(path: Path, **files: str) -> None:
    for name, text in files.items():
        file = Path(f"{path}{name.replace('_', '.')}")
        file.write_bytes(gzip.compress(text.encode()) if file.suffix == ".gz" else text.encode())


def test_both_kinds_move_up_and_the_oldest_goes(path: Path) -> None:
    make(path, _1="c", _2_gz="b", _3="a", **{"": "d"})
    RotatedFiles(path, 3).take_in()

    assert there(path) == {".1": "d", ".2": "c", ".3.gz": "b"}


def test_a_gap_that_a_kill_left_is_closed_before_anything_is_dropped(path: Path) -> None:
    make(path, _2="b", _3="a", **{"": "c"})
    RotatedFiles(path, 3).take_in()

    assert there(path) == {".1": "c", ".2": "b", ".3": "a"}


def test_a_plain_file_beside_its_packed_one_is_a_leftover(path: Path) -> None:
    make(path, _1="same", _1_gz="same", **{"": "new"})
    assert [content(part) for part in parts_of(path)] == ["same", "new"]
    RotatedFiles(path, 3).take_in()

    assert there(path) == {".1": "new", ".2.gz": "same"}


def test_a_lower_keep_removes_what_is_beyond_it(path: Path) -> None:
    make(path, _1="d", _2_gz="c", _3="b", _4="a", _20261122="not ours", **{"": "e"})
    RotatedFiles(path, 2).take_in()

    assert there(path) == {".1": "e", ".2": "d", ".20261122": "not ours"}


def test_a_step_that_is_refused_loses_nothing_and_is_taken_the_next_time(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(path, _1="b", _2="a", **{"": "c"})
    files, real, calls = RotatedFiles(path, 5), os.replace, []

    def refuse(*names: object) -> None:
        calls.append(names)
        if len(calls) == 2:
            raise PermissionError
        real(*names)  # type: ignore[arg-type]  # as they came

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(PermissionError):
        files.take_in()
    assert sorted(there(path).values()) == ["a", "b", "c"]
    files.take_in()

    assert [content(part) for part in parts_of(path)] == ["a", "b", "c"]


def test_a_packed_file_takes_the_place_that_its_plain_one_has_moved_to(path: Path) -> None:
    make(path, _1="b", _2="a", _part="packed")
    files, found = RotatedFiles(path, 5), Path(f"{path}.1").stat()
    make(path, **{"": "c"})
    files.take_in()

    assert files.put(files.part, (found.st_dev, found.st_ino))
    assert sorted(file.name for file in path.parent.iterdir()) == ["run.jsonl.1", "run.jsonl.2.gz", "run.jsonl.3"]


def test_a_packed_file_whose_plain_one_was_dropped_meanwhile_takes_no_place(path: Path) -> None:
    make(path, _1="a", _part="packed")
    files, found = RotatedFiles(path, 1), Path(f"{path}.1").stat()
    make(path, **{"": "b"})
    files.take_in()

    assert not files.put(files.part, (found.st_dev, found.st_ino))
    assert sorted(file.name for file in path.parent.iterdir()) == ["run.jsonl.1", "run.jsonl.part"]


def test_the_parts_of_a_log_are_its_own_and_come_oldest_first(path: Path) -> None:
    make(path, _10="a", _9_gz="b", _1="c", _lock="", _part="x", _bak="y", _1_bak="z", **{"": "d"})
    Path(f"{path.parent}/other.jsonl.1").write_text("e")

    assert [part.name for part in parts_of(path)] == ["run.jsonl.10", "run.jsonl.9.gz", "run.jsonl.1", "run.jsonl"]


def test_what_is_packed_next_is_the_oldest_plain_file(path: Path) -> None:
    make(path, _1="c", _2="b", _3="a", _3_gz="a")

    assert RotatedFiles(path, 5).unpacked() == Path(f"{path}.2")
    assert RotatedFiles(path, 1).unpacked() == Path(f"{path}.1")
