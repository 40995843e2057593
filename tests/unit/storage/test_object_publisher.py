from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from controlroom.errors import FileOperationError, ObjectChangedError, StorageFullError
from controlroom.policy.publication import ReadChunk, RenameTo
from controlroom.storage import LocalStore
from controlroom.storage.publisher import FilePublisher
from tests.unit.storage.folders import staged_in


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path, durable=False)


def test_replacements_within_one_tick_of_the_clock_are_told_apart(store: LocalStore) -> None:
    """Not durable, a thousand replacements take a few ticks, and two inodes take turns."""
    etags = [store.publish("a", b"same size").etag for _ in range(1000)]

    assert len(set(etags)) == 1000


def test_a_replacement_is_later_than_what_comes_from_the_future(store: LocalStore, tmp_path: Path) -> None:
    store.publish("a", b"1")
    os.utime(tmp_path / "a", ns=(0, 4_000_000_000_000_000_000))
    store.publish("a", b"2")

    assert (tmp_path / "a").stat().st_mtime_ns == 4_000_000_000_000_000_001


def test_a_change_in_place_by_another_program_is_a_change(store: LocalStore, tmp_path: Path) -> None:
    etag = store.publish("a", b"1").etag
    os.utime(tmp_path / "a", ns=(0, 1))

    with pytest.raises(ObjectChangedError, match=f"expected etag {etag}"):
        store.publish("a", b"2", if_match=etag)


def test_an_object_that_vanished_is_called_gone(store: LocalStore) -> None:
    etag = store.publish("a", b"1").etag
    store.delete("a")

    with pytest.raises(ObjectChangedError, match="it is gone"):
        store.publish("a", b"2", if_match=etag)


def test_a_plain_file_is_never_renamed_on_a_condition(tmp_path: Path) -> None:
    with FilePublisher("t", lambda: tmp_path / "t") as publisher:
        with pytest.raises(TypeError, match="only stores compare"):
            publisher.perform(RenameTo("t", if_match="x"))
        with pytest.raises(TypeError, match="not a step of one file"):
            publisher.perform(ReadChunk())
        with pytest.raises(RuntimeError, match="not staged"):
            _ = publisher.folder


def test_what_cannot_be_written_whole_names_the_byte(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write

    def one_byte(fd: int, data: memoryview) -> int:
        return write(fd, data[:1])

    monkeypatch.setattr(os, "write", one_byte)
    receipt = store.publish("a", b"0123456789")

    assert store.read_bytes("a") == b"0123456789"
    assert receipt.size_bytes == 10


def test_a_write_that_fails_leaves_nothing(store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_fd: int, _data: memoryview) -> int:
        raise OSError(5, os.strerror(5))

    monkeypatch.setattr(os, "write", fail)
    with pytest.raises(FileOperationError, match="EIO"):
        store.publish("a", b"1")

    assert list(tmp_path.iterdir()) == []


def test_what_a_filesystem_admits_at_close_only_is_said_before_the_name_is_taken(
    store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As NFS and quotas do: each write went well, and closing says that it did not."""
    store.publish("a", b"old")
    duplicates: set[int] = set()
    dup, close = os.dup, os.close

    def refusing(fd: int) -> None:
        close(fd)
        if fd in duplicates:
            raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    def duplicating(fd: int) -> int:
        duplicates.add(duplicate := dup(fd))
        return duplicate

    monkeypatch.setattr(os, "dup", duplicating)
    monkeypatch.setattr(os, "close", refusing)
    with pytest.raises(StorageFullError, match="quota"):
        LocalStore(tmp_path, durable=False).publish("a", b"new")
    monkeypatch.undo()

    assert store.read_bytes("a") == b"old"
    assert staged_in(tmp_path) == []


def test_what_closing_says_after_a_publication_is_no_failure_of_it(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    close = os.close

    def refusing(fd: int) -> None:
        close(fd)
        if store.exists("a"):
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "close", refusing)
    receipt = store.publish("a", b"new")
    monkeypatch.undo()

    assert store.stat("a").etag == receipt.etag
