from __future__ import annotations

import ctypes
import errno
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from controlroom.errors import (
    ConfigError,
    DataError,
    FileOperationError,
    ObjectExistsError,
    ObjectNotFoundError,
    PublicationInDoubtError,
)
from controlroom.policy.publication import Seal
from controlroom.storage import AtomicBatch, atomic_batch, batch, write_text
from tests.unit.storage.folders import contents, staged_in


@pytest.fixture
def old(tmp_path: Path) -> Path:
    (tmp_path / "a").write_text("old")
    return tmp_path


def test_nothing_is_visible_before_the_block_ends_and_everything_after(old: Path) -> None:
    with atomic_batch() as together:
        together.write_bytes(old / "a", b"new")
        together.write_text(old / "b", "ü", encoding="latin-1")
        together.write_json(old / "c", {"x": 1}, indent=1)
        assert {name: content for name, content in contents(old).items() if name in "abc"} == {"a": b"old"}
        assert len(together) == 3

    assert contents(old) == {"a": b"new", "b": b"\xfc", "c": b'{\n "x": 1\n}\n'}


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt, GeneratorExit])
def test_an_exception_in_the_block_leaves_every_target_as_it_was(old: Path, error: type[BaseException]) -> None:
    (old / "deep").mkdir()
    with pytest.raises(error), atomic_batch() as together:
        together.write_bytes(old / "a", b"new")
        together.write_bytes(old / "deep" / "b", b"new")
        raise error

    assert contents(old) == {"a": b"old"}


def test_a_write_that_is_refused_leaves_the_rest_of_the_batch_whole(old: Path) -> None:
    with atomic_batch() as together:
        together.write_bytes(old / "b", b"1")
        with pytest.raises(ObjectNotFoundError):
            together.write_bytes(old / "no" / "such", b"2")
        with pytest.raises(ObjectExistsError):
            together.write_bytes(old / "a", b"3", overwrite=False)
        with pytest.raises(DataError):
            together.write_json(old / "c", float("nan"))
        together.write_bytes(old / "d", b"4")

    assert contents(old) == {"a": b"old", "b": b"1", "d": b"4"}


def test_an_empty_batch_is_nothing(tmp_path: Path) -> None:
    with atomic_batch():
        pass

    assert contents(tmp_path) == {}


def test_the_last_of_two_writes_of_one_path_wins(tmp_path: Path) -> None:
    with atomic_batch() as together:
        together.write_bytes(tmp_path / "a", b"1")
        together.write_bytes(tmp_path / "a", b"2")

    assert contents(tmp_path) == {"a": b"2"}


def test_a_batch_that_ended_takes_nothing_more(tmp_path: Path) -> None:
    with atomic_batch() as together:
        pass

    with pytest.raises(ConfigError, match="has ended"):
        together.write_bytes(tmp_path / "a", b"1")
    assert contents(tmp_path) == {}


def test_attributes_and_permissions_are_those_of_single_writes(old: Path) -> None:
    (old / "a").chmod(0o604)
    with atomic_batch() as together:
        together.write_bytes(old / "a", b"new")
        together.write_bytes(old / "b", b"new", permissions=0o641)

    assert stat.S_IMODE((old / "a").stat().st_mode) == 0o604
    assert stat.S_IMODE((old / "b").stat().st_mode) == 0o641


def test_a_name_taken_meanwhile_says_what_is_visible_already(old: Path) -> None:
    with pytest.raises(ObjectExistsError) as failed, atomic_batch() as together:
        together.write_bytes(old / "a", b"new")
        together.write_bytes(old / "b", b"mine", overwrite=False)
        together.write_bytes(old / "c", b"never")
        (old / "b").write_bytes(b"theirs")

    assert contents(old) == {"a": b"new", "b": b"theirs"}
    assert f"1 of 3 files of the batch are visible already: {old / 'a'}" in failed.value.__notes__


def test_exclusive_members_leave_no_second_name(tmp_path: Path) -> None:
    with atomic_batch() as together:
        together.write_bytes(tmp_path / "a", b"1", overwrite=False)

    assert contents(tmp_path) == {"a": b"1"}
    assert (tmp_path / "a").stat().st_nlink == 1


def test_another_writer_does_not_sweep_a_batch_that_is_being_written(tmp_path: Path) -> None:
    with atomic_batch() as together:
        together.write_bytes(tmp_path / "a", b"1")
        write_text(tmp_path / "b", "2")
        together.write_bytes(tmp_path / "c", b"3")

    assert contents(tmp_path) == {"a": b"1", "b": b"2", "c": b"3"}


def test_a_thousand_members_take_a_handful_of_descriptors(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with atomic_batch() as together:
        for number in range(1000):
            together.write_bytes(tmp_path / str(number), b"x")
        assert len(os.listdir("/proc/self/fd")) - before <= 4

    assert len(contents(tmp_path)) == 1000
    assert len(os.listdir("/proc/self/fd")) == before


class Calls:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.made: list[str] = []
        syncfs = batch._syncfs()
        for name in ("fsync", "rename"):
            monkeypatch.setattr(os, name, self._recording(name, getattr(os, name)))
        if syncfs is None:
            pytest.skip("this kernel's syncfs(2) does not report errors, and is not used")
        monkeypatch.setattr(batch, "_syncfs", lambda: self._recording("syncfs", syncfs))

    def _recording(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def recorded(*args: Any, **kwargs: Any) -> Any:
            folder = name == "fsync" and stat.S_ISDIR(os.fstat(args[0]).st_mode)
            self.made.append("fsync folder" if folder else name)
            return call(*args, **kwargs)

        return recorded


def test_many_files_wait_for_the_disk_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = Calls(monkeypatch)

    with atomic_batch() as together:
        for number in range(20):
            together.write_bytes(tmp_path / str(number), b"x")

    assert calls.made == ["syncfs", *["rename"] * 20, "fsync folder"]


def test_a_few_files_are_synced_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = Calls(monkeypatch)

    with atomic_batch() as together:
        for number in range(3):
            together.write_bytes(tmp_path / str(number), b"x")

    assert calls.made == [*["fsync"] * 3, *["rename"] * 3, "fsync folder"]


def test_without_durable_nothing_waits_for_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = Calls(monkeypatch)

    with atomic_batch(durable=False) as together:
        together.write_bytes(tmp_path / "a", b"x")

    assert calls.made == ["rename"]


@pytest.mark.parametrize("members", [3, 20])
def test_data_that_cannot_be_synced_leaves_every_target_as_it_was(
    old: Path, monkeypatch: pytest.MonkeyPatch, members: int
) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", fail)
    monkeypatch.setattr(batch, "_syncfs", lambda: fail)
    with pytest.raises(FileOperationError, match="EIO"), atomic_batch() as together:
        for number in range(members):
            together.write_bytes(old / str(number), b"x")
        together.write_bytes(old / "a", b"new")

    assert contents(old) == {"a": b"old"}


def test_names_that_cannot_be_synced_are_in_doubt_and_visible(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fsync = os.fsync

    def fail_for_folders(fd: int) -> None:
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        fsync(fd)

    monkeypatch.setattr(os, "fsync", fail_for_folders)
    with pytest.raises(PublicationInDoubtError), atomic_batch() as together:
        together.write_bytes(old / "a", b"new")

    assert contents(old) == {"a": b"new"}


def test_a_folder_without_room_for_the_lock_is_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = len(os.listdir("/proc/self/fd"))
    real = os.open

    def fail_to_create(path: Any, flags: int, *args: Any, **kwargs: Any) -> int:
        if flags & os.O_CREAT:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(path, flags, *args, **kwargs)

    with atomic_batch() as together:
        monkeypatch.setattr(os, "open", fail_to_create)
        with pytest.raises(FileOperationError, match="ENOSPC"):
            together.write_bytes(tmp_path / "a", b"x")
        monkeypatch.undo()

    assert contents(tmp_path) == {}
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_batch_takes_no_foreign_step() -> None:
    with AtomicBatch() as together, pytest.raises(TypeError, match="not a step of a batch"):
        together.perform(Seal())


def test_syncfs_that_fails_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    if (syncfs := batch._syncfs()) is None:
        pytest.skip("this kernel's syncfs(2) does not report errors, and is not used")

    with pytest.raises(OSError, match="Bad file descriptor"):
        syncfs(-1)


@pytest.mark.parametrize(("platform", "release"), [("linux", "5.7.9"), ("linux", "unknown"), ("darwin", "23.0.0")])
def test_syncfs_is_not_trusted_where_it_reports_no_errors(
    monkeypatch: pytest.MonkeyPatch, platform: str, release: str
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(os, "uname", lambda: SimpleNamespace(release=release))
    monkeypatch.setattr(ctypes, "CDLL", None)

    assert batch._syncfs() is None


def test_each_file_of_a_batch_is_published_in_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[tuple[str, dict[str, Any]]] = []
    log = SimpleNamespace(debug=lambda event, **facts: events.append((event, facts)))
    monkeypatch.setattr("controlroom.storage.batch._log", log)

    with atomic_batch() as together:
        together.write_bytes(tmp_path / "a", b"123")

    assert events == [("file_published", {"ref": str(tmp_path / "a"), "size_bytes": 3, "durability": "batch"})]
    assert staged_in(tmp_path) == []
