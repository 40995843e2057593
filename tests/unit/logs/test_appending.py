"""Every line whole, once, whoever else writes."""

from __future__ import annotations

import fcntl
import os
import signal
import threading
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

    assert path.read_text() == "o\ntwo\nthree\n"  # the newline stands in the place of the piece's last byte


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
        fd = os.open(f"{path}.lock", os.O_WRONLY) if Path(f"{path}.lock").exists() else os._exit(2)
        try:
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os._exit(1)
        os._exit(0)
    answer = os.waitpid(child, 0)[1] >> 8
    assert answer in (0, 1)
    return answer == 0


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


def test_a_torn_piece_is_ended_in_place_so_that_nobody_elses_line_is_glued_to_it(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.write
    ours, theirs = AppendedFile(path), AppendedFile(path)
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, data[:3]))
    with pytest.raises(OSError, match="3 of 6 bytes"):
        ours.append(b"torn!\n")
    monkeypatch.setattr(os, "write", real)
    theirs.append(b"whole\n")
    ours.append(b"next\n")
    ours.close()
    theirs.close()

    assert path.read_text() == "to\nwhole\nnext\n"


def test_a_piece_that_a_killed_writer_left_is_nobody_elses_beginning(path: Path) -> None:
    file = AppendedFile(path, max_bytes=100)
    file.append(b"one\n")
    with path.open("ab") as killed:
        killed.write(b"a line that its writer did not fin")
    file.append(b"two\n")
    file.close()

    assert path.read_text().splitlines() == ["one", "a line that its writer did not fin", "two"]


@pytest.mark.parametrize("max_bytes", [None, 1_000])
def test_after_an_error_of_the_disk_lines_go_on(
    path: Path, max_bytes: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> int:
        raise OSError(5, "Input/output error")

    file, real = AppendedFile(path, max_bytes=max_bytes), os.write
    file.append(b"one\n")
    monkeypatch.setattr(os, "write", refuse)
    with pytest.raises(OSError, match="Input/output"):
        file.append(b"lost\n")
    monkeypatch.setattr(os, "write", real)
    file.append(b"two\n")
    file.close()

    assert path.read_text() == "one\ntwo\n"


def test_without_rotation_a_removed_file_is_missed_and_its_lines_count_as_lost(path: Path) -> None:
    lost: list[int] = []
    file = AppendedFile(path, lost=lost.append)
    for _ in range(10):
        file.append(b"before\n")
    path.unlink()
    for number in range(100):
        file.append(b"%d\n" % number)
    file.close()

    written = path.read_text().splitlines()
    assert written == [str(number) for number in range(100)][-len(written) :]
    assert sum(lost) + len(written) == 110


def test_without_rotation_a_removed_folder_costs_lines_and_says_so(path: Path) -> None:
    folder = path.parent / "logs"
    folder.mkdir()
    lost: list[int] = []
    file = AppendedFile(folder / "run.jsonl", lost=lost.append)
    (folder / "run.jsonl").unlink()
    folder.rmdir()
    refused = 0
    for _ in range(200):
        try:
            file.append(b"line\n")
        except FileNotFoundError:
            refused += 1
    folder.mkdir()
    file.append(b"again\n")
    file.close()

    assert sum(lost) + refused == 200
    assert (folder / "run.jsonl").read_text() == "again\n"


def test_what_was_removed_at_the_end_counts_as_lost_too(path: Path) -> None:
    lost: list[int] = []
    file = AppendedFile(path, lost=lost.append)
    file.append(b"one\n")
    path.unlink()
    file.close()

    assert lost == [1]


def test_a_rotated_file_and_the_new_one_are_for_those_who_could_read_the_old_one(path: Path) -> None:
    path.touch()
    path.chmod(0o642)  # neither what the umask leaves, nor the mode of a file while it is packed
    file = AppendedFile(path, max_bytes=8, compress=True)
    for line in (b"one\n", b"two\n", b"three\n"):
        file.append(line)
    file.close()

    modes = {
        found.name: oct(found.stat().st_mode & 0o777) for found in path.parent.iterdir() if "lock" not in found.name
    }
    assert modes == {"run.jsonl": "0o642", "run.jsonl.1.gz": "0o642"}


def test_a_link_is_rotated_where_it_leads_under_one_lock_for_both_names(path: Path) -> None:
    elsewhere = path.parent / "elsewhere"
    elsewhere.mkdir()
    path.symlink_to(elsewhere / "real.jsonl")
    by_link, by_name = AppendedFile(path, max_bytes=8), AppendedFile(elsewhere / "real.jsonl", max_bytes=8)
    for number in range(4):
        (by_name if number % 2 else by_link).append(b"%d..\n" % number)
    by_link.close()
    by_name.close()

    assert sorted(found.name for found in elsewhere.iterdir()) == ["real.jsonl", "real.jsonl.1", "real.jsonl.lock"]
    assert path.is_symlink()


@pytest.mark.parametrize("what", ["pipe", "device"])
def test_what_is_no_file_is_not_rotated_away(path: Path, what: str) -> None:
    if what == "pipe":
        os.mkfifo(path)
    else:
        path = Path("/dev/null")
    with pytest.raises(OSError, match="no regular file"):
        AppendedFile(path, max_bytes=8)

    assert not Path(f"{path}.lock").exists()


def test_two_of_one_process_on_one_file_do_not_free_each_others_lock(path: Path) -> None:
    """Closing any descriptor of a file frees the process's POSIX locks on it (fcntl(2))."""
    ours = AppendedFile(path, max_bytes=100)
    real, free = os.write, []

    def meanwhile(fd: int, data: bytes) -> int:
        AppendedFile(path, max_bytes=100).close()
        free.append(lock_is_free_for_another_process(path))
        return real(fd, data)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "write", meanwhile)
        ours.append(b"one\n")
    ours.close()

    assert free == [False]


def test_a_signal_between_the_lock_and_the_line_does_not_give_the_lock_away(path: Path) -> None:
    file, real, free = AppendedFile(path, max_bytes=100), fcntl.lockf, []

    def locked(fd: int, command: int, *rest: int) -> None:
        real(fd, command, *rest)
        if command == fcntl.LOCK_EX:
            patched.undo()
            file.append(b"inner\n")  # as a handler would, that runs right here
            free.append(lock_is_free_for_another_process(path))

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(fcntl, "lockf", locked)
        file.append(b"outer\n")

    assert free == [False]
    assert lock_is_free_for_another_process(path)
    file.close()
    assert path.read_text() == "inner\nouter\n"


def test_a_handler_that_raises_in_the_middle_gives_the_lock_back(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any) -> int:
        raise KeyboardInterrupt

    file, real = AppendedFile(path, max_bytes=100), os.write
    monkeypatch.setattr(os, "write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        file.append(b"one\n")
    monkeypatch.setattr(os, "write", real)

    assert lock_is_free_for_another_process(path)
    file.append(b"two\n")
    assert lock_is_free_for_another_process(path)
    file.close()


def test_a_lock_file_that_was_tidied_away_is_made_again_and_all_meet_there(path: Path) -> None:
    file = AppendedFile(path, max_bytes=100)
    Path(f"{path}.lock").unlink()
    real, free = os.write, []
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "write", lambda *a: free.append(lock_is_free_for_another_process(path)) or real(*a))
        file.append(b"one\n")
    file.close()

    assert free == [False]


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")  # that is the point
def test_a_child_forked_while_another_thread_is_inside_a_line_waits_its_turn_and_does_not_hang(path: Path) -> None:
    file, real = AppendedFile(path, max_bytes=200), os.write
    inside, go = threading.Event(), threading.Event()

    def slow(fd: int, data: bytes) -> int:
        inside.set()
        go.wait(timeout=60)
        return real(fd, data)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "write", slow)
        thread = threading.Thread(target=file.append, args=(b"parent\n",))
        thread.start()
        inside.wait(timeout=60)
        child = os.fork()
        if child == 0:
            patched.undo()
            signal.alarm(60)
            file.append(b"child\n")
            os._exit(0)
        go.set()
        thread.join()
    assert os.waitpid(child, 0)[1] == 0
    file.close()

    assert path.read_text() == "parent\nchild\n"
