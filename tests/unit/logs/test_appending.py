"""Every line whole, once, whoever else writes."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Any

import pytest

from controlroom.logs.appending import AppendedFile


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.jsonl"


def numbered(path: Path) -> dict[str, str]:
    return {
        file.name: file.read_text() for file in sorted(path.parent.glob("run.jsonl*")) if not file.name.endswith("lock")
    }


def test_lines_are_appended_to_what_is_there(path: Path) -> None:
    path.write_text("before\n")
    file = AppendedFile(path)
    file.append(b"one\n")
    file.close()

    assert path.read_text() == "before\none\n"


def test_a_line_is_one_write(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writes, real = [], os.write
    file = AppendedFile(path)
    monkeypatch.setattr(os, "write", lambda fd, data: writes.append(data) or real(fd, data))
    file.append(b"x" * 100_000 + b"\n")
    file.close()

    assert [len(data) for data in writes] == [100_001]


def test_without_rotation_no_lock_file_is_left_about(path: Path) -> None:
    AppendedFile(path).close()

    assert [file.name for file in path.parent.iterdir()] == ["run.jsonl"]


def test_a_file_rotates_before_it_grows_beyond_the_limit(path: Path) -> None:
    file = AppendedFile(path, max_bytes=8, keep=2)
    for line in (b"one\n", b"two\n", b"three\n", b"four\n", b"five\n"):
        file.append(line)
    file.close()

    assert numbered(path) == {"run.jsonl": "five\n", "run.jsonl.1": "four\n", "run.jsonl.2": "three\n"}


def test_a_line_longer_than_the_limit_gets_a_file_of_its_own(path: Path) -> None:
    file = AppendedFile(path, max_bytes=8)
    for line in (b"one\n", b"much longer\n", b"two\n"):
        file.append(line)
    file.close()

    assert numbered(path) == {"run.jsonl": "two\n", "run.jsonl.1": "much longer\n", "run.jsonl.2": "one\n"}


def test_exactly_the_limit_still_fits(path: Path) -> None:
    file = AppendedFile(path, max_bytes=8)
    for line in (b"one\n", b"two\n"):
        file.append(line)
    file.close()

    assert numbered(path) == {"run.jsonl": "one\ntwo\n"}


def test_a_file_that_another_process_rotated_is_left_for_the_new_one(path: Path) -> None:
    ours, theirs = AppendedFile(path, max_bytes=8), AppendedFile(path, max_bytes=8)
    for number in range(4):
        ours.append(f"a{number}\n".encode())
        theirs.append(f"b{number}\n".encode())
    ours.close()
    theirs.close()

    written = "".join(reversed(numbered(path).values()))
    assert written.split() == [f"{name}{number}" for number in range(4) for name in "ab"]
    assert all(len(text) <= 8 for text in numbered(path).values())


def test_a_removed_file_is_made_again(path: Path) -> None:
    file = AppendedFile(path, max_bytes=100)
    file.append(b"one\n")
    path.unlink()
    file.append(b"two\n")
    file.close()

    assert path.read_text() == "two\n"


def test_a_removed_folder_is_an_error_and_not_silence(path: Path) -> None:
    folder = path.parent / "logs"
    folder.mkdir()
    file = AppendedFile(folder / "run.jsonl", max_bytes=100)
    for left in folder.iterdir():
        left.unlink()
    folder.rmdir()

    with pytest.raises(FileNotFoundError):
        file.append(b"one\n")
    file.close()


def test_a_rotation_that_is_refused_loses_no_line(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError

    file = AppendedFile(path, max_bytes=8)
    file.append(b"one\n")
    monkeypatch.setattr(Path, "replace", refuse)
    file.append(b"two and more\n")
    file.close()

    assert path.read_text() == "one\ntwo and more\n"


def test_after_a_torn_line_the_next_one_begins_on_its_own(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    file = AppendedFile(path)
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, data[:2]))
    with pytest.raises(OSError, match="2 of 4 bytes"):
        file.append(b"one\n")
    monkeypatch.setattr(os, "write", real)
    file.append(b"two\n")
    file.append(b"three\n")
    file.close()

    assert path.read_text() == "on\ntwo\nthree\n"


def test_an_error_gives_the_lock_back(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    file = AppendedFile(path, max_bytes=100)
    monkeypatch.setattr(os, "write", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space"):
        file.append(b"one\n")
    monkeypatch.setattr(os, "write", real)

    assert lock_is_free_for_another_process(path)
    file.close()


def lock_is_free_for_another_process(path: Path) -> bool:
    child = os.fork()
    if child == 0:
        try:
            fcntl.lockf(os.open(f"{path}.lock", os.O_WRONLY), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1] == 0


def test_a_refused_lock_file_leaves_no_descriptor_open(path: Path) -> None:
    Path(f"{path}.lock").mkdir()
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(IsADirectoryError):
        AppendedFile(path, max_bytes=8)

    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_closing_twice_does_not_close_what_others_opened_meanwhile(path: Path) -> None:
    file = AppendedFile(path, max_bytes=8)
    file.close()
    with path.open() as other:
        file.close()
        assert other.read() == ""


def test_a_forked_child_and_its_parent_exclude_each_other(path: Path) -> None:
    file = AppendedFile(path, max_bytes=200, keep=200)
    child = os.fork()
    for number in range(300):
        file.append(f"{'child' if child == 0 else 'parent'} {number}\n".encode())
    if child == 0:
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    file.close()

    assert sorted("".join(numbered(path).values()).splitlines()) == sorted(
        f"{who} {number}" for who in ("child", "parent") for number in range(300)
    )


def test_a_signal_handler_that_logs_in_the_middle_of_a_line_does_not_give_the_lock_away(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, real, free = AppendedFile(path, max_bytes=8), os.write, []

    def interrupted(fd: int, data: bytes) -> int:
        monkeypatch.setattr(os, "write", real)
        file.append(b"inner\n")
        free.append(lock_is_free_for_another_process(path))
        return real(fd, data)

    monkeypatch.setattr(os, "write", interrupted)
    file.append(b"outer\n")
    file.append(b"next\n")
    file.close()

    assert free == [False]
    assert sorted("".join(numbered(path).values()).split()) == ["inner", "next", "outer"]


def test_an_empty_file_is_not_rotated_away(path: Path) -> None:
    file = AppendedFile(path, max_bytes=8)
    file.append(b"much longer\n")
    file.close()

    assert numbered(path) == {"run.jsonl": "much longer\n"}
