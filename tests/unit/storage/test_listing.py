from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from controlroom.errors import FileOperationError, ObjectNotFoundError, StorageAccessError
from controlroom.storage import LocalStore, atomic_writer
from tests.unit.storage.users import somebody_elses_folder, without_privileges


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "root", durable=False)


def keys(store: LocalStore, prefix: str = "") -> list[str]:
    return [info.key for info in store.list(prefix)]


def test_a_folder_stands_where_its_slash_puts_its_keys(store: LocalStore) -> None:
    """S3 compares whole keys: "a!b" comes before "a/b", though "a" comes before "a!b"."""
    for key in ("a/b", "a!b", "a0", "a/!", "Z", "é", "z", "a-/c", "\U0001f600", "\uffee"):
        store.publish(key, b"")

    assert keys(store) == ["Z", "a!b", "a-/c", "a/!", "a/b", "a0", "z", "é", "\uffee", "\U0001f600"]


def test_a_prefix_is_a_text_and_no_folder(store: LocalStore) -> None:
    for key in ("raw/flights/1", "raw/flights-old/1", "raw/fl", "raw2/x", "ra"):
        store.publish(key, b"")

    assert keys(store, "raw/fl") == ["raw/fl", "raw/flights-old/1", "raw/flights/1"]
    assert keys(store, "raw/flights/") == ["raw/flights/1"]
    assert keys(store, "ra") == ["ra", "raw/fl", "raw/flights-old/1", "raw/flights/1", "raw2/x"]
    assert keys(store, "raw/flights/1") == ["raw/flights/1"]
    assert keys(store, "raw/flights/1/") == []
    assert keys(store, "nothing/here/at/all") == []


def test_only_folders_that_can_hold_the_prefix_are_looked_into(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in ("a/x/1", "a/y/1", "b/1"):
        store.publish(key, b"")
    looked: list[str] = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: looked.append(Path(path).name) or scandir(path))

    assert keys(store, "a/x") == ["a/x/1"]
    assert looked == ["a", "x"]


def test_listing_is_lazy(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    for key in ("a/1", "b/1"):
        store.publish(key, b"")
    looked: list[str] = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: looked.append(Path(path).name) or scandir(path))

    assert next(store.list()).key == "a/1"
    assert looked == ["root", "a"]


def test_staged_files_are_invisible(store: LocalStore, tmp_path: Path) -> None:
    with store.writer("w") as file, atomic_writer(tmp_path / "root" / "t") as text:
        file.write(b"x" * 1_000_000)
        text.write("x")
        assert keys(store) == []
        staged = os.listdir(tmp_path / "root")
        assert len(staged) == 2

    assert keys(store) == ["t", "w"]


def test_what_vanishes_meanwhile_is_left_out(store: LocalStore, tmp_path: Path) -> None:
    for key in ("a", "b", "c/1", "d"):
        store.publish(key, b"")
    listing = store.list()
    assert next(listing).key == "a"
    (tmp_path / "root" / "b").unlink()
    (tmp_path / "root" / "c" / "1").unlink()
    (tmp_path / "root" / "c").rmdir()
    (tmp_path / "root" / "d").unlink()
    (tmp_path / "root" / "d").mkdir()

    assert list(listing) == []


def test_a_root_that_vanished_is_not_an_empty_one(store: LocalStore, tmp_path: Path) -> None:
    (tmp_path / "root").rmdir()

    with pytest.raises(ObjectNotFoundError):
        keys(store)


def test_what_is_no_file_is_no_object(store: LocalStore, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "root" / "fifo")
    (tmp_path / "root" / "empty").mkdir()

    assert keys(store) == []
    assert not store.exists("fifo")
    assert not store.exists("empty")
    for key in ("fifo", "empty", "none"):
        with pytest.raises(ObjectNotFoundError):
            store.open(key)
        with pytest.raises(ObjectNotFoundError):
            store.stat(key)


def test_links_are_followed_within_the_root_and_nowhere_else(store: LocalStore, tmp_path: Path) -> None:
    root = tmp_path / "root"
    store.publish("real/1", b"12")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("s")
    (root / "alias").symlink_to("real")
    (root / "file").symlink_to("real/1")
    (root / "out").symlink_to("../outside")
    (root / "secret").symlink_to("../outside/secret")
    (root / "dangling").symlink_to("nothing")
    (root / "real" / "up").symlink_to("..")
    (root / "loop").symlink_to("loop")

    assert keys(store) == ["alias/1", "file", "real/1"]
    assert [info.size_bytes for info in store.list("file")] == [2]
    assert keys(store, "out/") == []


def test_a_name_that_is_not_utf_8_is_skipped_with_a_warning(
    store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "root" / os.fsdecode(b"bad\xff")).write_text("x")
    store.publish("good", b"")
    events: list[tuple[str, Any]] = []
    log = SimpleNamespace(warning=lambda event, **facts: events.append((event, facts["key"])))
    monkeypatch.setattr("controlroom.storage.listing._log", log)

    assert keys(store) == ["good"]
    assert events == [("entry_skipped", "'bad\\udcff'")]


def test_a_folder_that_cannot_be_read_is_an_error_not_an_empty_one() -> None:
    with somebody_elses_folder() as folder:
        store = LocalStore(folder, create=False)
        store.publish("closed/a", b"")
        (folder / "closed").chmod(0o000)
        with without_privileges(), pytest.raises(StorageAccessError, match="listing"):
            keys(store)
        (folder / "closed").chmod(0o700)


def test_an_entry_that_cannot_be_looked_at_is_an_error(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> None:
        raise OSError(5, os.strerror(5))

    store.publish("a", b"")
    monkeypatch.setattr(os, "lstat", fail)

    with pytest.raises(FileOperationError, match="listing"):
        keys(store)


def test_a_listing_says_what_stat_says(store: LocalStore) -> None:
    store.publish("a", b"123", content_type="text/csv")
    (listed,) = store.list()
    described = store.stat("a")

    assert (listed.size_bytes, listed.etag, listed.modified_at) == (3, described.etag, described.modified_at)
    assert listed.version is None
    assert (listed.content_type, described.content_type) == (None, "text/csv")


def test_the_time_of_an_object_is_utc_to_the_microsecond(store: LocalStore, tmp_path: Path) -> None:
    store.publish("a", b"")
    os.utime(tmp_path / "root" / "a", ns=(0, 1_357_516_800_123_456_789))

    assert store.stat("a").modified_at == datetime(2013, 1, 7, 0, 0, 0, 123456, UTC)
