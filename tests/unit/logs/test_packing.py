"""Packed beside the work: nothing waits for it, nothing is lost by it."""

from __future__ import annotations

import gzip
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from controlroom.logs import packing
from controlroom.logs.appending import AppendedFile
from controlroom.logs.locking import lock_on
from controlroom.logs.rotation import RotatedFiles


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.jsonl"


def there(path: Path) -> dict[str, str]:
    names = (file for file in sorted(path.parent.iterdir()) if not file.name.endswith(".lock"))
    return {
        file.name: gzip.decompress(file.read_bytes()).decode() if file.suffix == ".gz" else file.read_text()
        for file in names
    }


def test_rotated_files_are_packed_and_keep_counts_both_kinds(path: Path) -> None:
    Path(f"{path}.1").write_text("from before\n")
    file = AppendedFile(path, max_bytes=8, keep=3, compress=True)
    for line in (b"one\n", b"two\n", b"three\n", b"four\n", b"five\n", b"six\n"):
        file.append(line)
    file.close()

    assert there(path) == {
        "run.jsonl": "six\n",
        "run.jsonl.1.gz": "five\n",
        "run.jsonl.2.gz": "four\n",
        "run.jsonl.3.gz": "three\n",
    }


def test_lines_go_on_while_a_file_is_being_packed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packing_now, go_on, real = threading.Event(), threading.Event(), packing._copy

    def slow(source: int, part: int) -> bool:
        packing_now.set()
        assert go_on.wait(timeout=60)
        return real(source, part)

    monkeypatch.setattr(packing, "_copy", slow)
    file = AppendedFile(path, max_bytes=8, compress=True)
    for line in (b"one\n", b"two\n", b"three\n"):
        file.append(line)
    assert packing_now.wait(timeout=60)
    for line in (b"four\n", b"five\n"):
        file.append(line)  # rotates twice: what is being packed moves on
    assert [len(text) for name, text in there(path).items() if not name.endswith("part")] == [5, 5, 6, 8]
    go_on.set()
    file.close()

    assert list(there(path).values()) == ["five\n", "four\n", "three\n", "one\ntwo\n"]


def test_what_is_written_to_a_file_while_it_is_packed_is_packed_too(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that could not open the new file goes on with its own."""
    real, late = packing._copy, []

    def copied(source: int, part: int) -> bool:
        result = real(source, part)
        if not late:
            late.append(True)
            with Path(f"{path}.1").open("ab") as other:
                other.write(b"late\n")
        return result

    monkeypatch.setattr(packing, "_copy", copied)
    file = AppendedFile(path, max_bytes=8, compress=True)
    for line in (b"one\n", b"three\n"):
        file.append(line)
    file.close()

    assert there(path) == {"run.jsonl": "three\n", "run.jsonl.1.gz": "one\nlate\n"}


@pytest.mark.parametrize("call", ["write", "fsync", "open", "replace"])
def test_what_cannot_be_packed_stays_readable_and_is_packed_after_the_next_rotation(
    path: Path, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, failing = getattr(os, call), [False]

    def refuse(*args: Any, **kwargs: Any) -> Any:
        if failing and threading.current_thread() is not threading.main_thread():
            raise OSError(28, "No space left on device")
        return real(*args, **kwargs)

    monkeypatch.setattr(os, call, refuse)
    file = AppendedFile(path, max_bytes=8, compress=True)
    for line in (b"one\n", b"three\n"):
        file.append(line)
    file._packer.wait()  # type: ignore[union-attr]  # it packs
    assert there(path) == {"run.jsonl": "three\n", "run.jsonl.1": "one\n"}
    failing.clear()
    file.append(b"four\n")
    file.close()

    assert there(path) == {"run.jsonl": "four\n", "run.jsonl.1.gz": "three\n", "run.jsonl.2.gz": "one\n"}


def test_without_a_thread_to_be_had_the_next_rotation_packs(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        message = "can't start new thread"
        raise RuntimeError(message)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("_thread.start_new_thread", refuse)
        file = AppendedFile(path, max_bytes=8, compress=True)
        for line in (b"one\n", b"three\n"):
            file.append(line)
    assert "run.jsonl.1" in there(path)
    file.append(b"four\n")
    file.close()

    assert sorted(there(path)) == ["run.jsonl", "run.jsonl.1.gz", "run.jsonl.2.gz"]


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")  # its packer, perhaps
def test_a_process_that_finds_another_one_packing_leaves_it_to_that_one(path: Path) -> None:
    file = AppendedFile(path, max_bytes=8, compress=True)
    file._packer.wait()  # type: ignore[union-attr]  # it packs
    inside, leave = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        with file._lock.packing() as is_ours:  # type: ignore[union-attr]  # it rotates
            os.write(inside[1], b"1" if is_ours else b"0")
            os.read(leave[0], 1)
        os._exit(0)
    assert os.read(inside[0], 1) == b"1"
    for line in (b"one\n", b"three\n"):
        file.append(line)
    file._packer.wait()  # type: ignore[union-attr]  # as above
    during = there(path)
    os.write(leave[1], b"1")
    os.waitpid(child, 0)
    file.append(b"four\n")
    file.close()
    for end in (*inside, *leave):
        os.close(end)

    assert during == {"run.jsonl": "three\n", "run.jsonl.1": "one\n"}
    assert sorted(there(path)) == ["run.jsonl", "run.jsonl.1.gz", "run.jsonl.2.gz"]


def test_of_two_threads_of_a_process_one_packs(path: Path) -> None:
    lock = lock_on(Path(f"{path}.lock"))
    with lock.packing() as one, lock.packing() as other:
        assert (one, other) == (True, False)
    with lock.packing() as one:
        assert one
    lock.close()


def test_a_file_that_another_process_was_packing_under_the_same_name_is_not_taken_for_ours(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two may pack at once if somebody removed the lock's file."""
    real = packing._copy

    def copied(source: int, part: int) -> bool:
        result = real(source, part)
        Path(f"{path}.part").unlink()
        Path(f"{path}.part").write_bytes(b"half of what another one packs")
        return result

    file = AppendedFile(path, max_bytes=8, compress=True)
    with monkeypatch.context() as patched:
        patched.setattr(packing, "_copy", copied)
        patched.setattr(RotatedFiles, "unpacked", once(RotatedFiles.unpacked))
        for line in (b"one\n", b"three\n"):
            file.append(line)
        file._packer.wait()  # type: ignore[union-attr]  # it packs
    file.close()

    assert there(path) == {"run.jsonl": "three\n", "run.jsonl.1": "one\n"}


def once(ask: Callable[[RotatedFiles], Path | None]) -> Callable[[RotatedFiles], Path | None]:
    """Two questions lead to the packing of a file; then there is nothing more to pack."""
    left = iter((True, True))
    return lambda rotated: ask(rotated) if next(left, False) else None


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")  # that is the point
def test_a_forked_child_packs_what_it_rotates(path: Path) -> None:
    file = AppendedFile(path, max_bytes=8, compress=True)
    for line in (b"one\n", b"three\n"):
        file.append(line)
    child = os.fork()
    if child == 0:
        file.append(b"four\n")
        file.append(b"five\n")
        file._packer.wait()  # type: ignore[union-attr]  # it packs
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    file.close()

    assert there(path)["run.jsonl.1.gz"] == "four\n"
